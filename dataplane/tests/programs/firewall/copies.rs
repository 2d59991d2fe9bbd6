//! Broadcast and multicast: a rule lets them out of a port and into each other one. BOB's device is there, as in `flood.rs`.

use weft_dataplane_abi::programs::FROM_POD;
use weft_dataplane_abi::{DropReason, port_flags};
use weft_vxlan::MacAddr;

use crate::flood::in_namespace;
use crate::reference::checksum;
use crate::world::*;

/// What ALICE says to all.
fn to_all() -> Vec<u8> {
    let mut frame = udp(ALICE, BOB, (4000, 5000));
    frame[..6].copy_from_slice(&MacAddr::BROADCAST.bytes());
    frame
}

/// How many packets BOB was given.
fn copies(world: &World) -> u64 {
    world.counters(BOB_SLOT).to_port.packets
}

/// In: a broadcast of ALICE's, to BOB who is open, who is closed, and who lets it in by default. Out: he has a copy unless he
/// is closed.
#[test]
fn come_only_where_they_may() {
    in_namespace(|mut world| {
        world.flood_to_bob(100);
        world.run(FROM_POD, &to_all());
        assert_eq!(copies(&world), 1);
        world.firewall(BOB_SLOT, port_flags::FIREWALL | port_flags::EGRESS_ALLOWED);
        world.assert_dropped(FROM_POD, &to_all(), DropReason::Multicast);
        assert_eq!(copies(&world), 1);
        world.firewall(BOB_SLOT, port_flags::FIREWALL | port_flags::INGRESS_ALLOWED);
        world.run(FROM_POD, &to_all());
        assert_eq!(copies(&world), 2);
    });
}

/// In: the same, when ALICE may send nothing. Out: it is dropped, and BOB, who is open, hears nothing.
#[test]
fn leave_only_where_they_may() {
    in_namespace(|mut world| {
        world.flood_to_bob(100);
        world.firewall(ALICE_SLOT, port_flags::FIREWALL | port_flags::INGRESS_ALLOWED);
        world.assert_dropped(FROM_POD, &to_all(), DropReason::PolicyDenied);
        assert_eq!(copies(&world), 0);
    });
}

/// In: a broadcast whose transport header is not whole. Out: a port that judges nothing has it as it is; one that judges, and
/// lets everything in, has not.
#[test]
fn what_nobody_judges_need_not_be_understood() {
    in_namespace(|mut world| {
        world.flood_to_bob(100);
        let mut frame = to_all();
        // TCP, but too short to be that.
        frame[23] = 6;
        checksum::mend(&mut frame);
        world.run(FROM_POD, &frame);
        assert_eq!(copies(&world), 1);
        world.firewall(BOB_SLOT, port_flags::FIREWALL | port_flags::INGRESS_ALLOWED);
        world.assert_dropped(FROM_POD, &frame, DropReason::Multicast);
        assert_eq!(copies(&world), 1);
    });
}
