//! Connections of this host's ports: listed, counted by who has them, and logged when they end.
//!
//! The kernel tells of none that begins; those who follow get what began since they last looked ([`started`]), once each.
//! A connection that ended is told by the data plane: the [`log`] writes it down.

pub mod log;
pub mod top;

use std::collections::BTreeSet;

use ipnet::IpNet;
use weft_api::resource::security::{Direction, Protocol};
use weft_api::view::security::{Flow, FlowState, Flows};
use weft_dataplane::{FlowReader, ObserveError, Phase, RuleId, Side};

use crate::decided::Decided;
use crate::engine::Handle;
use crate::names::Names;

/// Which connections are wanted.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Of this port.
    pub port: Option<String>,
    /// With a peer in this prefix.
    pub peer: Option<IpNet>,
    /// Of this protocol.
    pub protocol: Option<u8>,
}

/// Why connections cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum FlowsError {
    /// The kernel does not answer.
    #[error(transparent)]
    Observe(#[from] ObserveError),
    /// Its task panicked.
    #[error("connections cannot be read; weftd's log says why")]
    Panicked,
}

impl Filter {
    /// Whether a connection is wanted.
    #[must_use]
    pub fn wants(&self, flow: &weft_dataplane::Flow) -> bool {
        self.port.as_ref().is_none_or(|port| *port == flow.port)
            && self.peer.is_none_or(|peer| peer.contains(&flow.peer.ip()))
            && self.protocol.is_none_or(|protocol| protocol == flow.protocol)
    }
}

/// Connections that are wanted, at most `limit`; how many more there are is counted.
///
/// # Errors
/// [`FlowsError`]
pub async fn list(
    reader: &FlowReader,
    engine: &Handle,
    names: &Names,
    filter: Filter,
    limit: usize,
) -> Result<Flows, FlowsError> {
    let (mut flows, left_out) = read(reader, limit, move |flow| filter.wants(flow)).await?;
    flows.sort_unstable_by(|one, other| {
        let key = |flow: &weft_dataplane::Flow| (flow.own, flow.peer, flow.protocol, flow.half_open);
        (&one.port, key(one)).cmp(&(&other.port, key(other)))
    });
    Ok(Flows { flows: views(engine, names, &flows).await, left_out })
}

/// Connections that are wanted and began at one of the seconds from `first` to before `end`; at most `limit`, and how many more
/// there are.
///
/// # Errors
/// [`FlowsError`]
pub async fn started(
    reader: &FlowReader,
    filter: Filter,
    (first, end): (u32, u32),
    limit: usize,
) -> Result<(Vec<weft_dataplane::Flow>, usize), FlowsError> {
    read(reader, limit, move |flow| filter.wants(flow) && (first..end).contains(&flow.since)).await
}

async fn read(
    reader: &FlowReader,
    limit: usize,
    wanted: impl Fn(&weft_dataplane::Flow) -> bool + Send + 'static,
) -> Result<(Vec<weft_dataplane::Flow>, usize), FlowsError> {
    let reader = reader.clone();
    let work = tokio::task::spawn_blocking(move || {
        let (mut flows, mut left_out) = (Vec::new(), 0);
        reader.for_each(|flow| match wanted(&flow) {
            true if flows.len() < limit => flows.push(flow),
            true => left_out += 1,
            false => {}
        })?;
        Ok((flows, left_out))
    });
    work.await.unwrap_or(Err(FlowsError::Panicked))
}

/// Connections in the API's words.
pub async fn views(engine: &Handle, names: &Names, flows: &[weft_dataplane::Flow]) -> Vec<Flow> {
    let numbers: BTreeSet<(String, RuleId)> =
        flows.iter().filter_map(|flow| Some((flow.port.clone(), flow.rule?))).collect();
    let decided = Decided::ask(engine, names, numbers).await;
    flows.iter().map(|flow| view(flow, names, &decided)).collect()
}

fn view(flow: &weft_dataplane::Flow, names: &Names, decided: &Decided) -> Flow {
    let ((source, destination), direction) = match flow.starter {
        Side::Own => ((flow.own, flow.peer), Direction::Egress),
        Side::Peer => ((flow.peer, flow.own), Direction::Ingress),
    };
    let has_ports = matches!(flow.protocol, 6 | 17 | 132);
    // The identifier is where the port of who asks would be.
    let is_ping = matches!(flow.protocol, 1 | 58);
    Flow {
        port: flow.port.clone(),
        network: names.network_of(&flow.port).map(str::to_owned),
        direction,
        protocol: Protocol::Number(flow.protocol),
        source: source.ip(),
        source_port: has_ports.then_some(source.port()),
        destination: destination.ip(),
        destination_port: has_ports.then_some(destination.port()),
        icmp_id: is_ping.then_some(source.port()),
        state: state(flow.phase),
        half_open: flow.half_open,
        by: decided.by_now(&flow.port, flow.rule),
        age_seconds: flow.age.as_secs(),
        idle_seconds: flow.idle.as_secs(),
        packets: flow.packets,
        bytes: flow.bytes,
    }
}

const fn state(phase: Phase) -> FlowState {
    match phase {
        Phase::Single => FlowState::Single,
        Phase::Opening => FlowState::Opening,
        Phase::Agreed => FlowState::Agreed,
        Phase::Open => FlowState::Open,
        Phase::HalfClosed => FlowState::HalfClosed,
        Phase::Closed => FlowState::Closed,
        Phase::Reset => FlowState::Reset,
        Phase::Revoked => FlowState::Revoked,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::Duration;

    use weft_api::view::security::DecidedBy;

    use super::*;

    /// A connection that a port of `port`'s address 10.0.0.2 began with `peer`.
    pub(crate) fn flow(port: &str, peer: &str, half_open: bool) -> weft_dataplane::Flow {
        weft_dataplane::Flow {
            port: port.to_owned(),
            ifindex: 30,
            protocol: 6,
            own: "10.0.0.2:40000".parse().unwrap(),
            peer: peer.parse().unwrap(),
            phase: Phase::Open,
            starter: Side::Own,
            rule: None,
            since: 100,
            age: Duration::from_secs(7),
            idle: Duration::from_secs(3),
            packets: 12,
            bytes: 3456,
            half_open,
        }
    }

    #[test]
    fn who_began_it_is_the_source() {
        let (names, decided) = (Names::default(), Decided::default());
        let own = view(&flow("web", "10.0.0.9:443", false), &names, &decided);
        assert_eq!((own.source.to_string(), own.source_port), ("10.0.0.2".to_owned(), Some(40000)));
        assert_eq!((own.destination_port, own.direction), (Some(443), Direction::Egress));
        assert_eq!((own.by, own.age_seconds, own.icmp_id), (DecidedBy::Unknown, 7, None));
        let ping = weft_dataplane::Flow {
            protocol: 1,
            starter: Side::Peer,
            own: "10.0.0.2:0".parse().unwrap(),
            ..flow("web", "10.0.0.9:77", false)
        };
        let ping = view(&ping, &names, &decided);
        assert_eq!(
            (ping.source.to_string(), ping.source_port, ping.icmp_id),
            ("10.0.0.9".to_owned(), None, Some(77))
        );
        assert_eq!((ping.destination_port, ping.direction), (None, Direction::Ingress));
    }

    #[test]
    fn what_is_wanted() {
        let of = flow("web", "10.0.0.9:443", false);
        let filter = |port: Option<&str>, peer: Option<&str>, protocol| Filter {
            port: port.map(str::to_owned),
            peer: peer.map(|peer| peer.parse().unwrap()),
            protocol,
        };
        assert!(filter(None, None, None).wants(&of));
        assert!(filter(Some("web"), Some("10.0.0.0/24"), Some(6)).wants(&of));
        assert!(!filter(Some("db"), None, None).wants(&of));
        assert!(!filter(None, Some("10.0.0.2/32"), None).wants(&of));
        assert!(!filter(None, None, Some(17)).wants(&of));
    }
}
