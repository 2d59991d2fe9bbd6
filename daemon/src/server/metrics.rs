//! `GET /v1/metrics`: what this host's BGP does, in numbers (OpenMetrics 1.0 text).

use std::fmt;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use weft_api::view::bgp::{Messages, Neighbor, PeerState};

use super::Context;
use super::error::Refusal;

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type Labels = Vec<(&'static str, String)>;

pub(super) async fn metrics(State(context): State<Context>) -> Result<impl IntoResponse, Refusal> {
    let neighbors = match &context.bgp {
        Some(speaker) => speaker.neighbors().await?,
        None => Vec::new(),
    };
    Ok(([(CONTENT_TYPE, OPEN_METRICS)], text(&neighbors)))
}

/// The numbers of one moment. A host that speaks no BGP has none.
fn text(neighbors: &[Neighbor]) -> String {
    let mut registry = Registry::with_prefix("weft_bgp");
    let peers = Peers::register(&mut registry);
    neighbors.iter().for_each(|neighbor| peers.note(neighbor));
    let mut text = String::new();
    // A string takes all that is written to it.
    let _: fmt::Result = encode(&mut text, &registry);
    text
}

/// The metrics of peers, by name.
#[derive(Default)]
struct Peers {
    up: Family<Labels, Gauge>,
    since: Family<Labels, Gauge>,
    sessions: Family<Labels, Counter>,
    messages: Family<Labels, Counter>,
    faulty_updates: Family<Labels, Counter>,
    routes: Family<Labels, Gauge>,
    stale_routes: Family<Labels, Gauge>,
}

impl Peers {
    fn register(registry: &mut Registry) -> Self {
        let this = Self::default();
        registry.register("peer_up", "Whether a session is established", this.up.clone());
        let since = "How long the session is in its state";
        registry.register_with_unit("peer_state_age", since, Unit::Seconds, this.since.clone());
        registry.register("peer_sessions", "Sessions that were established", this.sessions.clone());
        registry.register("peer_messages", "Messages by direction and type", this.messages.clone());
        let faulty = "UPDATEs with faults that did not end a session (RFC 7606)";
        registry.register("peer_faulty_updates", faulty, this.faulty_updates.clone());
        let routes = "Routes of the session by family: received, accepted of those, sent";
        registry.register("peer_routes", routes, this.routes.clone());
        let stale = "Routes that are kept of a session that ended (RFC 4724)";
        registry.register("peer_stale_routes", stale, this.stale_routes.clone());
        this
    }

    fn note(&self, neighbor: &Neighbor) {
        let peer = &neighbor.summary;
        let with = |more: &[(&'static str, &str)]| -> Labels {
            let more = more.iter().map(|(name, value)| (*name, (*value).to_owned()));
            std::iter::once(("peer", peer.name.clone())).chain(more).collect()
        };
        self.up.get_or_create(&with(&[])).set((peer.state == PeerState::Established).into());
        self.since.get_or_create(&with(&[])).set(gauge(peer.since_seconds));
        self.sessions.get_or_create(&with(&[])).inc_by(neighbor.established_count);
        self.faulty_updates.get_or_create(&with(&[])).inc_by(neighbor.faulty_updates);
        for (direction, kind, count) in messages(&neighbor.messages) {
            let labels = with(&[("direction", direction), ("type", kind)]);
            self.messages.get_or_create(&labels).inc_by(count);
        }
        for (family, counts) in &peer.routes {
            let counts =
                [("received", counts.received), ("accepted", counts.accepted), ("sent", counts.sent)];
            for (which, count) in counts {
                let labels = with(&[("family", family), ("which", which)]);
                self.routes.get_or_create(&labels).set(gauge(count));
            }
        }
        for (family, count) in neighbor.restart.iter().flat_map(|restart| &restart.stale) {
            self.stale_routes.get_or_create(&with(&[("family", family)])).set(gauge(*count));
        }
    }
}

fn messages(messages: &Messages) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
    [("received", messages.received), ("sent", messages.sent)].into_iter().flat_map(|(direction, counts)| {
        [
            ("open", counts.open),
            ("update", counts.update),
            ("notification", counts.notification),
            ("keepalive", counts.keepalive),
            ("route-refresh", counts.route_refresh),
        ]
        .map(|(kind, count)| (direction, kind, count))
    })
}

fn gauge(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_of_a_peer_has_its_line() {
        let reference = include_str!("../../../docs/reference/api.md");
        let (_, from) = reference.split_once("```json BgpNeighbor\n").unwrap();
        let (neighbor, _) = from.split_once("```").unwrap();
        let text = text(&[serde_json::from_str(neighbor).unwrap()]);
        for line in [
            "weft_bgp_peer_up{peer=\"rr-1\"} 1",
            "weft_bgp_peer_state_age_seconds{peer=\"rr-1\"} 61",
            "weft_bgp_peer_sessions_total{peer=\"rr-1\"} 2",
            "weft_bgp_peer_messages_total{peer=\"rr-1\",direction=\"sent\",type=\"keepalive\"} 41",
            "weft_bgp_peer_faulty_updates_total{peer=\"rr-1\"} 2",
            "weft_bgp_peer_routes{peer=\"rr-1\",family=\"evpn\",which=\"accepted\"} 9",
            "weft_bgp_peer_stale_routes{peer=\"rr-1\",family=\"evpn\"} 4",
            "# EOF",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        assert!(super::text(&[]).ends_with("# EOF\n"));
    }
}
