use proptest::prelude::*;

use super::flags::{ACK, FIN, RST, SYN};
use super::*;

const OWN: Side = Side::Own;
const PEER: Side = Side::Peer;
const SYN_ACK: u8 = SYN | ACK;
const FIN_ACK: u8 = FIN | ACK;

fn judged(generation: u32, rule: u32) -> Judged {
    Judged { generation, rule }
}

fn asked() -> Flow {
    Flow::start(7, Signal::Tcp(SYN), OWN, 0, judged(1, 1)).unwrap()
}

/// The connection after these packets, each of which belongs to it.
#[track_caller]
fn after(packets: &[(Side, u8)]) -> Flow {
    let mut flow = asked();
    for (at, (side, flags)) in packets.iter().enumerate() {
        let step = flow.advance(Signal::Tcp(*flags), *side, 0);
        assert_eq!(step, Step::Belongs, "packet {at} of {packets:?}: {flow:?}");
    }
    flow
}

#[test]
fn tcp_opens_and_closes() {
    for (packets, phase) in [
        (&[][..], Phase::Opening),
        (&[(OWN, SYN)], Phase::Opening),
        (&[(PEER, SYN_ACK)], Phase::Agreed),
        (&[(PEER, SYN_ACK), (PEER, SYN_ACK), (OWN, SYN)], Phase::Agreed),
        (&[(PEER, SYN_ACK), (OWN, ACK)], Phase::Open),
        (&[(PEER, SYN_ACK), (OWN, ACK), (OWN, FIN_ACK), (PEER, ACK)], Phase::HalfClosed),
        (&[(PEER, SYN_ACK), (OWN, ACK), (OWN, FIN_ACK), (OWN, FIN_ACK)], Phase::HalfClosed),
        (&[(PEER, SYN_ACK), (OWN, ACK), (PEER, FIN_ACK), (OWN, FIN_ACK), (PEER, ACK)], Phase::Closed),
        (&[(PEER, SYN_ACK), (OWN, FIN_ACK)], Phase::HalfClosed),
        // Both ask at the same time.
        (&[(PEER, SYN), (OWN, SYN_ACK), (PEER, SYN_ACK), (OWN, ACK)], Phase::Open),
        // Refused; and given up.
        (&[(PEER, RST | ACK)], Phase::Reset),
        (&[(OWN, RST)], Phase::Reset),
        // The peer still has an older connection, which the port then ends.
        (&[(PEER, ACK), (OWN, RST)], Phase::Reset),
        (&[(PEER, SYN_ACK), (OWN, ACK), (OWN, RST)], Phase::Reset),
        // A challenged SYN of an open connection (RFC 5961 section 4).
        (&[(PEER, SYN_ACK), (OWN, ACK), (OWN, SYN), (PEER, ACK)], Phase::Open),
    ] {
        assert_eq!(after(packets).phase(), phase, "{packets:?}");
    }
}

#[test]
fn what_opens_nothing() {
    for flags in [0, ACK, FIN, RST, SYN_ACK, FIN_ACK, SYN | FIN, SYN | RST, RST | ACK, SYN | FIN | ACK, 0xff]
    {
        assert_eq!(Flow::start(7, Signal::Tcp(flags), OWN, 0, judged(1, 1)), None, "{flags:#04x}");
    }
    assert_eq!(Flow::start(7, Signal::Answer, OWN, 0, judged(1, 1)), None);
    // The bits of ECN and urgent data mean nothing here.
    for flags in [SYN, SYN | 0x08, SYN | 0xc0] {
        assert!(Flow::start(7, Signal::Tcp(flags), PEER, 0, judged(1, 1)).is_some(), "{flags:#04x}");
    }
}

#[test]
fn what_does_not_belong() {
    let open = [(PEER, SYN_ACK), (OWN, ACK)];
    for (packets, side, flags) in [
        // Before the other side has agreed.
        (&[][..], OWN, ACK),
        (&[], OWN, SYN_ACK),
        (&[], OWN, FIN_ACK),
        (&[], PEER, FIN_ACK),
        // Contradictions.
        (&open, OWN, 0),
        (&open, OWN, SYN | FIN),
        (&open, PEER, SYN | RST),
        (&open, PEER, FIN | RST),
        (&open, PEER, FIN),
    ] {
        let mut flow = after(packets);
        let before = flow;
        assert_eq!(flow.advance(Signal::Tcp(flags), side, 9), Step::Invalid, "{side:?} {flags:#04x}");
        assert_eq!(flow, before);
    }
}

#[test]
fn ports_are_used_again_once_a_connection_has_ended() {
    let open = [(PEER, SYN_ACK), (OWN, ACK)];
    let closed = [&open[..], &[(OWN, FIN_ACK), (PEER, FIN_ACK)]].concat();
    let reset = [&open[..], &[(PEER, RST)]].concat();
    for packets in [closed, reset] {
        for side in [OWN, PEER] {
            assert_eq!(after(&packets).advance(Signal::Tcp(SYN), side, 0), Step::Starts);
        }
    }
}

#[test]
fn a_forged_reset_is_undone_by_who_did_not_send_it() {
    let reset = [(PEER, SYN_ACK), (OWN, ACK), (PEER, RST)];
    let mut flow = after(&reset);
    assert_eq!((flow.advance(Signal::Tcp(ACK), OWN, 0), flow.phase()), (Step::Belongs, Phase::Reset));
    assert_eq!((flow.advance(Signal::Tcp(ACK), PEER, 0), flow.phase()), (Step::Belongs, Phase::Open));
}

#[test]
fn late_packets_keep_nothing_alive() {
    let timeouts = FlowTimeouts::default();
    let mut flow = after(&[(PEER, SYN_ACK), (OWN, ACK), (OWN, FIN_ACK), (PEER, FIN_ACK)]);
    for now in 0..timeouts.tcp_closed {
        assert!(!flow.is_over(&timeouts, protocol::TCP, now));
        assert_eq!(flow.advance(Signal::Tcp(ACK), PEER, now), Step::Belongs);
    }
    assert!(flow.is_over(&timeouts, protocol::TCP, timeouts.tcp_closed));
    // The clock wraps around.
    let flow = Flow::start(7, Signal::Request, OWN, u32::MAX - 1, judged(1, 1)).unwrap();
    assert!(!flow.is_over(&timeouts, protocol::UDP, 3));
    assert!(flow.is_over(&timeouts, protocol::UDP, timeouts.udp_single - 2));
}

#[test]
fn datagrams_are_open_once_both_sides_sent() {
    let mut flow = Flow::start(7, Signal::Request, PEER, 0, judged(7, 9)).unwrap();
    assert_eq!(flow.advance(Signal::Request, PEER, 1), Step::Belongs);
    assert_eq!((flow.phase(), flow.starter()), (Phase::Single, PEER));
    assert_eq!(flow.advance(Signal::Request, OWN, 2), Step::Belongs);
    assert_eq!((flow.phase(), flow.generation(), flow.rule()), (Phase::Open, 7, 9));
    flow.judge(judged(8, 3));
    assert_eq!((flow.phase(), flow.generation(), flow.rule()), (Phase::Open, 8, 3));
}

#[test]
fn a_revoked_connection_is_remembered_for_a_while_from_the_first_time_on() {
    let timeouts = FlowTimeouts::default();
    let mut flow = after(&[(PEER, SYN_ACK), (OWN, ACK)]);
    flow.revoke(100);
    flow.revoke(120);
    assert_eq!(flow.phase(), Phase::Revoked);
    assert_eq!(flow.advance(Signal::Tcp(ACK), OWN, 121), Step::Invalid);
    assert!(!flow.is_over(&timeouts, protocol::TCP, 129));
    assert!(flow.is_over(&timeouts, protocol::TCP, 130));
    // Allowed again meanwhile, it is what it was.
    flow.judge(judged(2, 1));
    assert_eq!(flow.phase(), Phase::Open);
}

/// What one side of a TCP connection sends next, if the network may lose, repeat and reorder what it sent before.
fn honest() -> impl Strategy<Value = Vec<(Side, u8)>> {
    let flights = [
        vec![(OWN, SYN)],
        vec![(PEER, SYN_ACK)],
        vec![(OWN, ACK), (OWN, ACK)],
        vec![(OWN, ACK), (PEER, ACK), (PEER, ACK)],
        vec![(OWN, FIN_ACK), (PEER, ACK)],
        vec![(PEER, FIN_ACK), (OWN, ACK)],
    ];
    let sent_again = prop::collection::vec(1..4_usize, flights.len());
    sent_again.prop_map(move |times| {
        let all = flights.iter().zip(times);
        all.flat_map(|(flight, times)| std::iter::repeat_n(flight.clone(), times)).flatten().collect()
    })
}

fn side() -> impl Strategy<Value = Side> {
    prop_oneof![Just(OWN), Just(PEER)]
}

proptest! {
    #[test]
    fn honest_connections_are_never_refused(packets in honest()) {
        let mut flow = asked();
        for (side, flags) in packets {
            prop_assert_eq!(flow.advance(Signal::Tcp(flags), side, 0), Step::Belongs);
        }
        prop_assert_eq!(flow.phase(), Phase::Closed);
    }

    #[test]
    fn one_side_alone_opens_nothing(all in prop::collection::vec(any::<u8>(), 0..20)) {
        let mut flow = asked();
        for flags in all {
            flow.advance(Signal::Tcp(flags), OWN, 0);
            prop_assert!(matches!(flow.phase(), Phase::Opening | Phase::Reset), "{flow:?}");
        }
    }

    #[test]
    fn nothing_but_time_keeps_a_connection(all in prop::collection::vec((side(), any::<u8>()), 0..40)) {
        let (mut flow, timeouts) = (asked(), FlowTimeouts::default());
        for (side, flags) in all {
            let before = flow;
            let step = flow.advance(Signal::Tcp(flags), side, 5);
            if step != Step::Belongs {
                prop_assert_eq!(flow, before, "what does not belong changes nothing");
            }
            prop_assert!(flow.is_over(&timeouts, protocol::TCP, 5 + timeouts.tcp_open));
        }
    }
}
