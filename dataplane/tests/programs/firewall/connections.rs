//! Connections in the loaded programs beside the plain state machine: packets of both sides in random order, and time that
//! passes between them.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use weft_dataplane_abi as abi;
use weft_dataplane_abi::programs::{FROM_POD, FROM_UNDERLAY};
use weft_dataplane_abi::{
    DropReason, Flow, FlowKey, Judged, Phase, Ruling, Side, Signal, Step, flags, flow_address, maps,
};

use crate::world::*;

/// Steps of one story, and how many there are.
const STEPS: usize = 60;
const STORIES: u32 = 400;
/// Of ALICE.
const IFINDEX: u32 = 1;
const PORTS: [u16; 2] = [4000, 4001];

/// What happens next between ALICE and CAROL, who is on another host.
#[derive(Debug, Clone, Copy)]
enum Event {
    /// A segment, on one of ALICE's ports.
    Tcp(Side, u16, u8),
    Udp(Side, u16),
    /// A ping or its answer, with this identifier.
    Ping(Side, u16),
    Pong(Side, u16),
    /// So many seconds pass.
    Pass(u32),
}

fn event() -> impl Strategy<Value = Event> {
    let side = || prop_oneof![Just(Side::Own), Just(Side::Peer)];
    let port = || prop::sample::select(&PORTS[..]);
    // What stacks send, and what they do not.
    let sent = [
        flags::SYN,
        flags::SYN | flags::ACK,
        flags::ACK,
        flags::ACK,
        flags::ACK | flags::FIN,
        flags::RST,
        flags::RST | flags::ACK,
        0,
        flags::SYN | flags::FIN,
        flags::FIN,
    ];
    prop_oneof![
        12 => (side(), port(), prop::sample::select(sent.to_vec())).prop_map(|(s, p, f)| Event::Tcp(s, p, f)),
        3 => (side(), port()).prop_map(|(s, p)| Event::Udp(s, p)),
        2 => (side(), port()).prop_map(|(s, p)| Event::Ping(s, p)),
        2 => (side(), port()).prop_map(|(s, p)| Event::Pong(s, p)),
        1 => prop::sample::select(vec![1_u32, 5, 20, 40, 100, 300]).prop_map(Event::Pass),
    ]
}

/// In: 400 stories of 60 events between ALICE, who lets everything out and nothing in, and CAROL. Out: each packet passes or is
/// dropped, for the reason that the plain state machine gives.
#[test]
fn are_followed_as_the_state_machine_follows_them() {
    let Some(mut world) = World::load() else { return };
    world.firewall(ALICE_SLOT, LETS_OUT);
    let mut runner = TestRunner::default();
    let stories = prop::collection::vec(event(), STEPS);
    let (mut passed, mut dropped) = (0, BTreeMap::<&str, u32>::new());
    for _ in 0..STORIES {
        let story = stories.new_tree(&mut runner).unwrap().current();
        forget(&mut world);
        let mut model = Model::default();
        for (step, event) in story.iter().enumerate() {
            let Some((key, signal, side, frame)) = packet(*event) else {
                let Event::Pass(seconds) = *event else { panic!("{event:?}") };
                model.now += seconds;
                age(&mut world, seconds);
                continue;
            };
            let expected = model.judge(key, signal, side);
            let found = run(&mut world, side, &frame);
            assert_eq!(found, expected, "step {step} of {:?}", &story[..=step]);
            match found {
                Ok(()) => passed += 1,
                Err(reason) => *dropped.entry(reason).or_default() += 1,
            }
        }
    }
    println!("{passed} packets passed, {dropped:?} dropped");
    for reason in [DropReason::PolicyDenied, DropReason::NoConnection, DropReason::InvalidState] {
        assert!(dropped.get(reason.name()).is_some_and(|times| *times > 100), "{dropped:?}");
    }
    assert!(passed > 1000, "{passed}");
}

/// The plain code.
#[derive(Default)]
struct Model {
    now: u32,
    flows: BTreeMap<FlowKey, Flow>,
}

impl Model {
    fn judge(&mut self, key: FlowKey, signal: Signal, side: Side) -> Result<(), &'static str> {
        let now = 1_000_000 + self.now;
        let judged = Judged { generation: 0, rule: Ruling::DEFAULT };
        if let Some(flow) = self.flows.get_mut(&key)
            && !flow.is_over(&FLOW_LIMITS.timeouts, key.protocol, now)
        {
            let mut next = *flow;
            match next.advance(signal, side, now) {
                Step::Belongs => {
                    *flow = next;
                    return Ok(());
                }
                Step::Invalid => return Err(DropReason::InvalidState.name()),
                Step::Starts => {}
            }
        }
        if side == Side::Peer {
            return Err(DropReason::PolicyDenied.name());
        }
        let flow = Flow::start(IFINDEX, signal, side, now, judged).ok_or(DropReason::NoConnection.name())?;
        self.flows.insert(key, flow);
        Ok(())
    }
}

/// The packet of an event, and what the state machine sees of it.
fn packet(event: Event) -> Option<(FlowKey, Signal, Side, Vec<u8>)> {
    let key = |protocol, own: u16, peer: u16| {
        let (alice, carol) = (flow_address(ALICE.ipv4.into()), flow_address(CAROL.ipv4.into()));
        FlowKey::new(IFINDEX, (4, protocol), (alice, own.to_be_bytes()), (carol, peer.to_be_bytes()))
    };
    let ends = |side| if side == Side::Own { (ALICE, CAROL) } else { (CAROL, ALICE) };
    match event {
        Event::Tcp(side, port, flags) => {
            let ((from, to), ports) = (ends(side), if side == Side::Own { (port, 80) } else { (80, port) });
            Some((key(6, port, 80), Signal::Tcp(flags), side, tcp(from, to, ports, flags)))
        }
        Event::Udp(side, port) => {
            let ((from, to), ports) = (ends(side), if side == Side::Own { (port, 53) } else { (53, port) });
            Some((key(17, port, 53), Signal::Request, side, udp(from, to, ports)))
        }
        Event::Ping(side, id) => {
            let (from, to) = ends(side);
            let (own, peer) = if side == Side::Own { (id, 0) } else { (0, id) };
            Some((key(1, own, peer), Signal::Request, side, echo(from, to, id, true)))
        }
        Event::Pong(side, id) => {
            let (from, to) = ends(side);
            let (own, peer) = if side == Side::Own { (0, id) } else { (id, 0) };
            Some((key(1, own, peer), Signal::Answer, side, echo(from, to, id, false)))
        }
        Event::Pass(_) => None,
    }
}

/// Sends it from ALICE, or to her through the tunnel.
pub fn run(world: &mut World, side: Side, frame: &[u8]) -> Result<(), &'static str> {
    let (program, slot, frame) = match side {
        Side::Own => (FROM_POD, ALICE_SLOT, frame.to_vec()),
        Side::Peer => (FROM_UNDERLAY, 0, through_tunnel(2, 101, frame)),
    };
    let before = world.drops(slot);
    let outcome = world.run(program, &frame);
    let after = world.drops(slot);
    let new = after.iter().find(|(reason, times)| before.get(*reason) != Some(times));
    match new {
        Some((reason, _)) => Err(reason),
        None => {
            assert_eq!(outcome.verdict, REDIRECT);
            Ok(())
        }
    }
}

/// Has no connection.
fn forget(world: &mut World) {
    for name in [maps::FLOWS, maps::HALF_OPEN] {
        world.clear::<FlowKey, Flow>(name);
    }
    // As the daemon does.
    for index in [ALICE_SLOT, TENANT] {
        let counts: abi::FlowCounts = world.array(maps::FLOW_COUNTS, index);
        world.set_array(maps::FLOWS_OVER, index, counts.opened);
    }
}

/// Makes all connections older, as if time had passed.
fn age(world: &mut World, seconds: u32) {
    for name in [maps::FLOWS, maps::HALF_OPEN] {
        for (key, flow) in world.entries::<FlowKey, Flow>(name) {
            world.put(name, key, older(flow, seconds));
        }
    }
}

/// The connection as if nothing had been seen of it for so much longer.
fn older(flow: Flow, seconds: u32) -> Flow {
    let mut words: [u32; 12] = zerocopy::transmute!(flow);
    assert_eq!(words[1], flow.seen());
    words[1] = words[1].wrapping_sub(seconds);
    zerocopy::transmute!(words)
}

/// In: ALICE asks for 150 connections, of which she may have 100 half open; one of them was answered. Out: the first 49 are
/// forgotten, the answered one is open, and all is counted.
#[test]
fn a_port_that_asks_too_much_displaces_its_own_oldest() {
    let Some(mut world) = World::load() else { return };
    world.firewall(ALICE_SLOT, LETS_OUT);
    let segment = |port: u16, side, flags| {
        let (_, _, side, frame) = packet(Event::Tcp(side, port, flags)).unwrap();
        (side, frame)
    };
    let mut send = |port, side, flags| {
        let (side, frame) = segment(port, side, flags);
        run(&mut world, side, &frame)
    };
    send(1000, Side::Own, flags::SYN).unwrap();
    send(1000, Side::Peer, flags::SYN | flags::ACK).unwrap();
    send(1000, Side::Own, flags::ACK).unwrap();
    for port in 2000..2150 {
        send(port, Side::Own, flags::SYN).unwrap();
    }
    send(1000, Side::Peer, flags::ACK).unwrap();
    let answer = flags::SYN | flags::ACK;
    assert_eq!(send(2000, Side::Peer, answer), Err(DropReason::PolicyDenied.name()));
    send(2149, Side::Peer, answer).unwrap();
    let counts: abi::FlowCounts = world.array(maps::FLOW_COUNTS, ALICE_SLOT);
    assert_eq!((counts.opened, counts.asked, counts.displaced), (1, 151, 50));
    let tenant: abi::FlowCounts = world.array(maps::FLOW_COUNTS, TENANT);
    assert_eq!(tenant.opened, 1);
    let phases: Vec<_> =
        world.entries::<FlowKey, Flow>(maps::FLOWS).iter().map(|(_, flow)| flow.phase()).collect();
    assert_eq!(phases, [Phase::Open]);
    assert_eq!(world.entries::<FlowKey, Flow>(maps::HALF_OPEN).len(), 100);
}

/// In: CAROL refuses 150 connections of ALICE's, as a closed port does. Out: none of them takes the room of open ones.
#[test]
fn what_is_refused_was_never_open() {
    let Some(mut world) = World::load() else { return };
    world.firewall(ALICE_SLOT, LETS_OUT);
    for port in 2000..2150 {
        for (side, flags) in [(Side::Own, flags::SYN), (Side::Peer, flags::RST | flags::ACK)] {
            let (_, _, side, frame) = packet(Event::Tcp(side, port, flags)).unwrap();
            run(&mut world, side, &frame).unwrap();
        }
    }
    let counts: abi::FlowCounts = world.array(maps::FLOW_COUNTS, ALICE_SLOT);
    assert_eq!((counts.opened, counts.asked, counts.displaced), (0, 150, 50));
    assert!(world.entries::<FlowKey, Flow>(maps::FLOWS).is_empty());
}

/// In: so many ports asked before that all places of the order are taken; then ALICE asks as above. Out: she displaces her own
/// all the same.
#[test]
fn places_that_others_had_long_ago_are_no_obstacle() {
    let Some(mut world) = World::load() else { return };
    world.firewall(ALICE_SLOT, LETS_OUT);
    let (_, _, _, frame) = packet(Event::Udp(Side::Own, 1)).unwrap();
    let (other, ..) = packet(Event::Udp(Side::Own, 1)).unwrap();
    for place in 0..2048 {
        world.put(maps::ASKED, abi::HalfOpenKey { ifindex: 1000, place }, other);
    }
    run(&mut world, Side::Own, &frame).unwrap();
    for port in 2000..2150 {
        let (_, _, side, frame) = packet(Event::Udp(Side::Own, port)).unwrap();
        run(&mut world, side, &frame).unwrap();
    }
    let counts: abi::FlowCounts = world.array(maps::FLOW_COUNTS, ALICE_SLOT);
    assert_eq!((counts.asked, counts.displaced), (151, 51));
    assert_eq!(world.entries::<FlowKey, Flow>(maps::HALF_OPEN).len(), 100);
}

/// In: an open connection; the rules change so that it is not allowed any more; then back. Out: its packets of both sides are
/// dropped from the first one on, and then pass again.
#[test]
fn a_change_of_rules_cuts_at_the_next_packet() {
    let Some(mut world) = World::load() else { return };
    world.firewall(ALICE_SLOT, LETS_OUT);
    let segments = [(Side::Own, flags::SYN), (Side::Peer, flags::SYN | flags::ACK), (Side::Own, flags::ACK)];
    let send = |world: &mut World, side, flags| {
        let (_, _, side, frame) = packet(Event::Tcp(side, 4000, flags)).unwrap();
        run(world, side, &frame)
    };
    for (side, flags) in segments {
        send(&mut world, side, flags).unwrap();
    }
    world.firewall(ALICE_SLOT, abi::port_flags::FIREWALL);
    // Until the generation says so, what was let through is.
    send(&mut world, Side::Peer, flags::ACK).unwrap();
    world.set_generation(1);
    for side in [Side::Own, Side::Peer] {
        assert_eq!(send(&mut world, side, flags::ACK), Err(DropReason::PolicyDenied.name()));
    }
    world.firewall(ALICE_SLOT, LETS_OUT);
    world.set_generation(2);
    for side in [Side::Peer, Side::Own] {
        send(&mut world, side, flags::ACK).unwrap();
    }
}

/// In: a UDP packet in three fragments from ALICE; later parts of none; a first part that was not let in. Out: what belongs to a
/// first fragment passes with it.
#[test]
fn fragments_follow_their_first() {
    let Some(mut world) = World::load() else { return };
    world.firewall(ALICE_SLOT, LETS_OUT);
    let part = |side, id: u16, place: u16| {
        let (_, _, _, mut frame) = packet(Event::Udp(side, 4000)).unwrap();
        frame[18..20].copy_from_slice(&id.to_be_bytes());
        frame[20..22].copy_from_slice(&place.to_be_bytes());
        crate::reference::checksum::mend(&mut frame);
        frame
    };
    const MORE: u16 = 0x2000;
    let mut send = |side, id, place| run(&mut world, side, &part(side, id, place));
    let without = Err(DropReason::FragmentWithoutFirst.name());
    assert_eq!(send(Side::Own, 7, MORE | 2), without);
    send(Side::Own, 7, MORE).unwrap();
    send(Side::Own, 7, MORE | 2).unwrap();
    send(Side::Own, 7, 4).unwrap();
    assert_eq!(send(Side::Own, 8, 4), without);
    // The answer, in parts too.
    send(Side::Peer, 7, MORE).unwrap();
    send(Side::Peer, 7, 4).unwrap();
    assert_eq!(send(Side::Peer, 9, 4), without);
}

/// In: CAROL's host says that a packet of ALICE's was refused; and of one that she never sent. Out: the first comes to her.
#[test]
fn errors_belong_to_the_packet_that_they_quote() {
    let Some(mut world) = World::load() else { return };
    world.firewall(ALICE_SLOT, LETS_OUT);
    let (_, _, side, sent) = packet(Event::Udp(Side::Own, 4000)).unwrap();
    run(&mut world, side, &sent).unwrap();
    let (_, _, _, other) = packet(Event::Udp(Side::Own, 4001)).unwrap();
    run(&mut world, Side::Peer, &unreachable(CAROL, ALICE, &sent[14..])).unwrap();
    // Whoever noticed it.
    run(&mut world, Side::Peer, &unreachable(ERIN, ALICE, &sent[14..])).unwrap();
    let unrelated = Err(DropReason::UnrelatedError.name());
    assert_eq!(run(&mut world, Side::Peer, &unreachable(CAROL, ALICE, &other[14..])), unrelated);
    assert_eq!(
        run(&mut world, Side::Peer, &unreachable(CAROL, BOB, &sent[14..])),
        Ok(()),
        "BOB judges nothing"
    );
    assert_eq!(run(&mut world, Side::Own, &unreachable(ALICE, CAROL, &sent[14..])), unrelated);
}
