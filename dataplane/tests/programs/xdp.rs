//! What other hosts send, before there is an skb: the guard drops what `from_underlay` would for its outer headers, and
//! nothing else; the forwarder also delivers, byte for byte as `from_underlay` does.

use weft_dataplane_abi::DropReason;
use weft_dataplane_abi::programs::{FROM_UNDERLAY, XDP_FORWARD, XDP_GUARD};
use weft_vxlan::{MacAddr, UDP_PORT};

use crate::from_underlay::{inner4, inner6, outer, tunnelled};
use crate::reference::checksum;
use crate::world::*;

/// The kernel's verdicts (`enum xdp_action`).
const XDP_DROP: i32 = 1;
const XDP_PASS: i32 = 2;
const XDP_REDIRECT: i32 = 4;

/// What `from_underlay` and XDP do with one frame.
struct Case {
    what: &'static str,
    frame: Vec<u8>,
    /// Why both drop it; `None`: XDP passes it on.
    guarded: Option<DropReason>,
}

fn case(what: &'static str, frame: Vec<u8>, guarded: Option<DropReason>) -> Case {
    Case { what, frame, guarded }
}

/// CAROL to ALICE, whose device is the one that the runs happen on.
fn good() -> Vec<u8> {
    tunnelled(2, 101, &inner4(CAROL, ALICE, CAROL.mac, ALICE.mac, 64))
}

/// `frame` with `bytes` written over it at `at`.
fn patched(frame: &[u8], at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut frame = frame.to_vec();
    frame[at..at + bytes.len()].copy_from_slice(bytes);
    frame
}

fn outer_faults() -> Vec<Case> {
    let good = good();
    let inner = inner4(CAROL, ALICE, CAROL.mac, ALICE.mac, 64);
    let total = u16::try_from(good.len() - 14).unwrap();
    let lengths = |ip: u16, udp: u16| {
        let mut frame = patched(&patched(&good, 16, &ip.to_be_bytes()), 38, &udp.to_be_bytes());
        checksum::mend(&mut frame);
        frame
    };
    let malformed = Some(DropReason::Malformed);
    vec![
        case("a stranger", tunnelled(99, 101, &inner), Some(DropReason::UnknownVtep)),
        case("a VTEP of another network", tunnelled(5, 101, &inner), Some(DropReason::UnknownVtep)),
        case("a VTEP of another subnet", tunnelled(3, 101, &inner), Some(DropReason::UnknownVtep)),
        case("a VNI that is not here", tunnelled(2, 7777, &inner), Some(DropReason::UnknownVni)),
        case("no VNI flag", patched(&good, 42, &[0]), Some(DropReason::BadVxlanHeader)),
        case("VNI 0", patched(&good, 46, &[0; 3]), Some(DropReason::BadVxlanHeader)),
        case("longer than the frame", lengths(total + 1, total - 19), malformed),
        case("UDP shorter than IP", lengths(total, total - 21), malformed),
        case("UDP longer than IP", lengths(total, total - 19), malformed),
        case("no room for VXLAN", lengths(30, 10), malformed),
        case("another TTL than was summed up", patched(&good, 22, &[63]), malformed),
        case("no checksum", patched(&good, 24, &[0; 2]), malformed),
    ]
}

/// Whatever else may be wrong, or be somebody else's.
fn passed() -> Vec<Case> {
    let good = good();
    let inner = inner4(CAROL, ALICE, CAROL.mac, ALICE.mac, 64);
    let stranger = tunnelled(99, 101, &inner);
    let peer = vtep(2).default_router_mac();
    let not_ours = [
        ("another address", outer([192, 0, 2, 99], [192, 0, 2, 9], UDP_PORT, &stranger[42..])),
        ("another port", outer([192, 0, 2, 99], [192, 0, 2, 1], 4790, &stranger[42..])),
        ("for another station", patched(&stranger, 0, &NEXT_HOP_MAC.bytes())),
        ("broadcast", patched(&stranger, 0, &[0xff; 6])),
        ("multicast", patched(&stranger, 0, &[1, 0, 0x5e, 0, 0, 1])),
        ("a fragment", patched(&stranger, 20, &[0x20])),
        ("with IP options", patched(&stranger, 14, &[0x46])),
        ("TCP", patched(&stranger, 23, &[6])),
        ("ARP", patched(&stranger, 12, &[0x08, 0x06])),
        ("tagged", [&stranger[..12], &[0x81, 0, 0, 5], &stranger[12..]].concat()),
        ("short", stranger[..40].to_vec()),
    ];
    let inside = [
        ("an expired packet", tunnelled(2, 5001, &inner4(ERIN, ALICE, peer, ROUTER_MAC, 1))),
        ("past the router", tunnelled(2, 5001, &inner4(ERIN, ALICE, peer, GATEWAY_MAC, 63))),
        (
            "an unknown MAC",
            tunnelled(2, 101, &inner4(CAROL, ALICE, CAROL.mac, MacAddr::new([2, 9, 9, 9, 9, 9]), 64)),
        ),
        ("broadcast inside", tunnelled(2, 101, &inner4(CAROL, ALICE, CAROL.mac, MacAddr::BROADCAST, 64))),
        ("to another host", tunnelled(2, 101, &inner4(CAROL, FRANK, CAROL.mac, FRANK.mac, 64))),
        ("ARP inside", tunnelled(2, 101, &patched(&inner, 12, &[0x08, 0x06]))),
        ("a cut inner packet", tunnelled(2, 101, &inner[..20])),
        ("nothing inside", tunnelled(2, 101, &[])),
        ("no tunnel at all", good[..34].to_vec()),
    ];
    not_ours.into_iter().chain(inside).map(|(what, frame)| case(what, frame, None)).collect()
}

#[test]
fn the_guard_drops_what_from_underlay_would_for_its_outer_headers() {
    let Some(mut world) = World::load() else { return };
    for Case { what, frame, guarded } in outer_faults() {
        println!("{what}");
        let reason = guarded.unwrap();
        world.assert_dropped(FROM_UNDERLAY, &frame, reason);
        for program in [XDP_GUARD, XDP_FORWARD] {
            let mut expected = world.drops(0);
            *expected.entry(reason.name()).or_default() += 1;
            assert_eq!(world.run_xdp(program, &frame).verdict, XDP_DROP);
            assert_eq!(world.drops(0), expected);
        }
    }
}

#[test]
fn all_else_passes_untouched_and_uncounted() {
    let Some(mut world) = World::load() else { return };
    for Case { what, frame, .. } in passed() {
        for program in [XDP_GUARD, XDP_FORWARD] {
            let outcome = world.run_xdp(program, &frame);
            assert_eq!(outcome.verdict, XDP_PASS, "{what} at {program}");
            assert_eq!(outcome.frame, frame, "{what} at {program}");
        }
    }
    let outcome = world.run_xdp(XDP_GUARD, &good());
    assert_eq!((outcome.verdict, outcome.frame), (XDP_PASS, good()));
    assert_eq!(world.drops(0), [].into());
    assert_eq!((world.counters(0).from_port.packets, world.counters(ALICE_SLOT).to_port.packets), (0, 0));
}

/// Frames that both deliver, with what must come out written down here.
#[test]
fn delivered_as_from_underlay_does_byte_for_byte() {
    let Some(mut world) = World::load() else { return };
    let peer = vtep(2).default_router_mac();
    let switched =
        [inner4(CAROL, ALICE, CAROL.mac, ALICE.mac, 64), inner6(CAROL, ALICE, CAROL.mac, ALICE.mac, 64)];
    let mut cases: Vec<_> = switched.into_iter().map(|inner| (tunnelled(2, 101, &inner), inner)).collect();
    for (inner, expected) in [
        (inner4(ERIN, ALICE, peer, ROUTER_MAC, 63), inner4(ERIN, ALICE, GATEWAY_MAC, ALICE.mac, 62)),
        // The TTL's borrow reaches the other byte of the checksum.
        (inner4(ERIN, ALICE, peer, ROUTER_MAC, 2), inner4(ERIN, ALICE, GATEWAY_MAC, ALICE.mac, 1)),
        (inner6(ERIN, ALICE, peer, ROUTER_MAC, 63), inner6(ERIN, ALICE, GATEWAY_MAC, ALICE.mac, 62)),
    ] {
        cases.push((tunnelled(2, 5001, &inner), expected));
    }
    // Padding behind the outer packet stays behind the inner one, where its receiver cuts it off.
    let padded = [good().as_slice(), &[0; 6]].concat();
    let expected = padded[50..].to_vec();
    cases.push((padded, expected));
    for (packets, (frame, expected)) in (1_u64..).zip(cases) {
        let at_tc = world.run(FROM_UNDERLAY, &frame);
        assert_eq!((at_tc.verdict, &at_tc.frame), (REDIRECT, &expected));
        let outcome = world.run_xdp(XDP_FORWARD, &frame);
        assert_eq!((outcome.verdict, &outcome.frame), (XDP_REDIRECT, &expected));
        // Both count the same.
        assert_eq!(world.counters(ALICE_SLOT).to_port.packets, 2 * packets);
        assert_eq!(world.counters(0).from_port.packets, 2 * packets);
    }
    let sizes = world.counters(ALICE_SLOT).to_port.bytes;
    assert_eq!(world.counters(0).from_port.bytes, sizes + 2 * 6 * 50);
}

/// A frame larger than a page comes in pieces (MTU 9000).
#[test]
fn frames_in_pieces_are_guarded_and_left_to_tc() {
    let Some(mut world) = World::load() else { return };
    let mut large = inner4(CAROL, ALICE, CAROL.mac, ALICE.mac, 64);
    large.resize(8000, 0x77);
    let frame = tunnelled(2, 101, &large);
    for program in [XDP_GUARD, XDP_FORWARD] {
        let outcome = world.run_xdp(program, &frame);
        assert_eq!((outcome.verdict, &outcome.frame), (XDP_PASS, &frame), "{program}");
        let before = world.drops(0).get("unknown_vtep").copied().unwrap_or_default();
        assert_eq!(world.run_xdp(program, &tunnelled(99, 101, &large)).verdict, XDP_DROP, "{program}");
        assert_eq!(world.drops(0)["unknown_vtep"], before + 1);
    }
}

/// Until the daemon has told of the device, XDP leaves everything to TC.
#[test]
fn a_device_that_is_not_known_is_not_judged() {
    let Some(mut world) = World::load() else { return };
    world.forget_underlay();
    for program in [XDP_GUARD, XDP_FORWARD] {
        let stranger = tunnelled(99, 101, &inner4(CAROL, ALICE, CAROL.mac, ALICE.mac, 64));
        assert_eq!(world.run_xdp(program, &stranger).verdict, XDP_PASS);
        assert_eq!(world.run_xdp(program, &good()).verdict, XDP_PASS);
    }
    assert_eq!(world.drops(0), [].into());
}

/// In: a frame that is longer inside than its port's device takes, and one that just fits. Out: the first goes on to TC,
/// which delivers it whole, because the kernel would drop it without a name.
#[test]
fn what_a_ports_device_does_not_take_is_left_to_tc() {
    const MTU: u32 = 1000;
    let of_mtu = |excess: usize| {
        let mut inner = inner4(CAROL, ALICE, CAROL.mac, ALICE.mac, 64);
        inner.resize(14 + MTU as usize + excess, 0x77);
        tunnelled(2, 101, &inner)
    };
    let Some(mut world) = World::load() else { return };
    // Runs happen on the loopback device of the thread's namespace.
    let thread = std::thread::spawn(move || {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (connection, netlink, _) = rtnetlink::new_connection().unwrap();
            tokio::spawn(connection);
            let loopback = rtnetlink::LinkUnspec::new_with_index(1).mtu(MTU).build();
            netlink.link().set(loopback).execute().await.unwrap();
        });
        let verdicts = [0, 1].map(|excess| world.run_xdp(XDP_FORWARD, &of_mtu(excess)).verdict);
        assert_eq!(verdicts, [XDP_REDIRECT, XDP_PASS]);
        assert_eq!(world.run(FROM_UNDERLAY, &of_mtu(1)).verdict, REDIRECT);
    });
    thread.join().unwrap();
}
