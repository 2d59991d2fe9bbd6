//! All about a peer, in paragraphs.

use weft_api::view::bgp::{Neighbor, NotificationStatus, PeerRelation, RestartPhase};

use crate::command::status::duration;
use crate::output::table::{Table, or_dash};

pub(super) fn render_all(neighbors: &[Neighbor]) -> String {
    if neighbors.is_empty() {
        return "there is no peer\n".to_owned();
    }
    neighbors.iter().map(render).collect::<Vec<_>>().join("\n")
}

pub(super) fn render(neighbor: &Neighbor) -> String {
    let mut text = heading(neighbor);
    text.push_str(&timers(neighbor));
    text.extend(neighbor.bfd.as_ref().map(|bfd| {
        let why = bfd.diagnostic.as_ref().map(|why| format!(", {why}")).unwrap_or_default();
        let (state, send, detect) = (&bfd.state, bfd.transmit_ms, bfd.detect_ms);
        format!("BFD           {state}{why}; sends each {send} ms, detects in {detect} ms\n")
    }));
    text.extend(neighbor.restart.as_ref().map(|restart| {
        let phase = match restart.phase {
            RestartPhase::Away => "away, its routes are stale",
            RestartPhase::LongLived => "away for long, its routes are a last resort",
            RestartPhase::Returning => "back, and not yet done",
        };
        let stale: Vec<_> = restart.stale.iter().map(|(family, count)| format!("{family} {count}")).collect();
        let remaining = duration(restart.remaining_seconds);
        format!("restart       {phase}: {}; for {remaining} more\n", stale.join(", "))
    }));
    text.extend(neighbor.notification_sent.as_ref().map(|told| notification("last sent", told)));
    text.extend(neighbor.notification_received.as_ref().map(|told| notification("last received", told)));
    if neighbor.faulty_updates > 0 {
        let count = neighbor.faulty_updates;
        text.push_str(&format!("faults        {count} UPDATEs, told of in weftd's log (RFC 7606)\n"));
    }
    text.extend(neighbor.summary.last_error.as_ref().map(|error| format!("last error    {error}\n")));
    if !neighbor.summary.routes.is_empty() {
        text.push_str(&format!("\n{}", routes(neighbor)));
    }
    text.push_str(&format!("\n{}", messages(neighbor)));
    if !neighbor.capabilities.is_empty() {
        text.push_str(&format!("\n{}", capabilities(neighbor)));
    }
    text
}

fn heading(neighbor: &Neighbor) -> String {
    let peer = &neighbor.summary;
    let relation = match neighbor.relation {
        PeerRelation::External => "external",
        PeerRelation::Internal => "internal",
        PeerRelation::Client => "internal, client of this reflector",
    };
    let asn = peer.asn.map_or_else(|| "AS not known yet".to_owned(), |asn| format!("AS {asn}"));
    let group = peer.group.as_ref().map(|group| format!(", group {group}")).unwrap_or_default();
    let dynamic = if peer.dynamic { ", dynamic" } else { "" };
    let mut text =
        format!("peer          {} ({}), {asn}, {relation}{group}{dynamic}\n", peer.name, peer.address);
    text.extend(neighbor.description.as_ref().map(|words| format!("description   {words}\n")));
    let (since, count) = (duration(peer.since_seconds), neighbor.established_count);
    text.push_str(&format!("state         {} for {since}, established {count} times\n", peer.state));
    text.extend(neighbor.router_id.map(|id| format!("router id     {id}\n")));
    text.extend(neighbor.transport.map(|transport| {
        let who = if transport.accepted { "it connected" } else { "this host connected" };
        let signed = if transport.signed { ", signed (TCP-MD5)" } else { "" };
        format!("connection    {} to {}, {who}{signed}\n", transport.local, transport.remote)
    }));
    text
}

fn timers(neighbor: &Neighbor) -> String {
    let timers = &neighbor.timers;
    let mut words = vec![format!("hold {}", seconds(timers.hold_configured))];
    words.extend(timers.hold_negotiated.map(|hold| format!("agreed {}", seconds(hold))));
    words.extend(timers.keepalive.map(|keepalive| format!("keepalive {}", seconds(keepalive))));
    words.push(format!("connect retry {}", seconds(timers.connect_retry)));
    words.extend(timers.next_attempt.map(|next| format!("next attempt in {}", seconds(next))));
    format!("timers        {}\n", words.join(", "))
}

fn seconds(seconds: u64) -> String {
    if seconds == 0 { "never".to_owned() } else { format!("{seconds}s") }
}

fn notification(when: &str, told: &NotificationStatus) -> String {
    format!("{when:<13} {} {} ago\n", told.text, duration(told.seconds_ago))
}

fn routes(neighbor: &Neighbor) -> Table<4> {
    let mut table = Table::new(["FAMILY", "RECEIVED", "ACCEPTED", "SENT"]);
    for (family, counts) in &neighbor.summary.routes {
        let numbers = [counts.received, counts.accepted, counts.sent].map(|count| count.to_string());
        let [received, accepted, sent] = numbers;
        table.row([family.clone(), received, accepted, sent]);
    }
    table
}

fn messages(neighbor: &Neighbor) -> Table<6> {
    let mut table = Table::new(["MESSAGES", "OPEN", "UPDATE", "NOTIFICATION", "KEEPALIVE", "ROUTE-REFRESH"]);
    let directions = [("received", neighbor.messages.received), ("sent", neighbor.messages.sent)];
    for (direction, counts) in directions {
        table.row([
            direction.to_owned(),
            counts.open.to_string(),
            counts.update.to_string(),
            counts.notification.to_string(),
            counts.keepalive.to_string(),
            counts.route_refresh.to_string(),
        ]);
    }
    table
}

fn capabilities(neighbor: &Neighbor) -> Table<4> {
    let mut table = Table::new(["CAPABILITY", "SENT", "RECEIVED", "IN FORCE"]);
    for capability in &neighbor.capabilities {
        let in_force = if capability.negotiated { "yes" } else { "no" };
        table.row([
            capability.capability.clone(),
            or_dash(capability.sent.as_ref()),
            or_dash(capability.received.as_ref()),
            in_force.to_owned(),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEIGHBOR: &str = r#"{"name":"rr-1","address":"192.0.2.254","dynamic":false,"group":"rr","asn":65000,
        "state":"established","since_seconds":61,"routes":{"evpn":{"received":10,"accepted":9,"sent":3}},
        "last_error":"hold timer expired (4/0)","description":"rack 7","relation":"internal","router_id":"192.0.2.254",
        "established_count":2,"transport":{"local":"192.0.2.1:40000","remote":"192.0.2.254:179","accepted":false,
        "signed":true},"capabilities":[{"capability":"graceful-restart","sent":"120 s, evpn","negotiated":false}],
        "timers":{"hold_configured":9,"hold_negotiated":9,"keepalive":3,"connect_retry":10},
        "messages":{"received":{"open":2,"update":10,"notification":0,"keepalive":40,"route_refresh":1},
        "sent":{"open":3,"update":5,"notification":1,"keepalive":41,"route_refresh":0}},"faulty_updates":2,
        "notification_sent":{"code":4,"subcode":0,"text":"hold timer expired (4/0)","seconds_ago":90},
        "bfd":{"state":"up","transmit_ms":300,"detect_ms":900},
        "restart":{"phase":"returning","stale":{"evpn":4},"remaining_seconds":300}}"#;

    #[test]
    fn all_about_a_peer() {
        let neighbor: Neighbor = serde_json::from_str(NEIGHBOR).unwrap();
        assert_eq!(
            render(&neighbor),
            "peer          rr-1 (192.0.2.254), AS 65000, internal, group rr\n\
             description   rack 7\n\
             state         established for 1m 1s, established 2 times\n\
             router id     192.0.2.254\n\
             connection    192.0.2.1:40000 to 192.0.2.254:179, this host connected, signed (TCP-MD5)\n\
             timers        hold 9s, agreed 9s, keepalive 3s, connect retry 10s\n\
             BFD           up; sends each 300 ms, detects in 900 ms\n\
             restart       back, and not yet done: evpn 4; for 5m 0s more\n\
             last sent     hold timer expired (4/0) 1m 30s ago\n\
             faults        2 UPDATEs, told of in weftd's log (RFC 7606)\n\
             last error    hold timer expired (4/0)\n\
             \n\
             FAMILY  RECEIVED  ACCEPTED  SENT\n\
             evpn    10        9         3\n\
             \n\
             MESSAGES  OPEN  UPDATE  NOTIFICATION  KEEPALIVE  ROUTE-REFRESH\n\
             received  2     10      0             40         1\n\
             sent      3     5       1             41         0\n\
             \n\
             CAPABILITY        SENT         RECEIVED  IN FORCE\n\
             graceful-restart  120 s, evpn  -         no\n"
        );
    }

    #[test]
    fn a_peer_that_never_answered() {
        let mut neighbor: Neighbor = serde_json::from_str(NEIGHBOR).unwrap();
        neighbor.summary.asn = None;
        neighbor.summary.dynamic = true;
        neighbor.transport = None;
        neighbor.timers.next_attempt = Some(7);
        neighbor.timers.hold_configured = 0;
        let text = render_all(&[neighbor.clone(), neighbor]);
        assert!(text.contains("(192.0.2.254), AS not known yet, internal, group rr, dynamic\n"), "{text}");
        assert!(text.contains("timers        hold never, agreed 9s, "), "{text}");
        assert!(text.contains("next attempt in 7s\n") && !text.contains("connection"), "{text}");
        assert_eq!(text.matches("peer  ").count(), 2);
        assert_eq!(render_all(&[]), "there is no peer\n");
    }
}
