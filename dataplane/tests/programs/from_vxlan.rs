//! The kernel's vxlan device tells where a packet came from in its metadata, which a test run cannot give: the
//! checks that follow are those of `from_underlay`, and the tests in namespaces send super-packets through them.

use etherparse::PacketBuilder;
use weft_dataplane_abi::DropReason;
use weft_dataplane_abi::programs::FROM_VXLAN;

use crate::world::*;

#[test]
fn without_tunnel_metadata_nothing_is_delivered() {
    let Some(mut world) = World::load() else { return };
    let mut frame = Vec::new();
    PacketBuilder::ethernet2(CAROL.mac.bytes(), BOB.mac.bytes())
        .ipv4(CAROL.ipv4.octets(), BOB.ipv4.octets(), 64)
        .udp(4000, 5000)
        .write(&mut frame, &[0; 64])
        .unwrap();
    world.assert_dropped(FROM_VXLAN, &frame, DropReason::KernelRefused);
    assert_eq!(world.counters(BOB_SLOT).to_port.packets, 0);
}
