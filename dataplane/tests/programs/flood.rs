//! What is for a whole subnet is copied along the subnet's lists, in a namespace with a vxlan device to send by.
//!
//! ```text
//!   lo (ALICE)    bob0 (BOB, ifindex 12)    weft77 (vxlan, ifindex 77) ── under0 10.255.0.1 ── 10.255.0.2 ── VTEPs 10.254.0.0/16
//! ```

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;
use std::{fs, thread};

use etherparse::PacketBuilder;
use nix::sched::{CloneFlags, unshare};
use rtnetlink::packet_route::link::{InfoData, InfoKind, InfoVeth, InfoVxlan, LinkAttribute, LinkMessage};
use rtnetlink::packet_route::neighbour::NeighbourState;
use rtnetlink::{
    Handle, LinkBridge, LinkMessageBuilder, LinkUnspec, LinkVeth, LinkVxlan, RouteMessageBuilder,
};
use weft_dataplane_abi::programs::FROM_POD;
use weft_dataplane_abi::{DropReason, FloodMember, MOST_FLOOD_VTEPS, flood_group};
use weft_vxlan::{MacAddr, Vtep};

use crate::world::*;

const RED_A: u32 = 101;

/// Runs a test in the namespace of the drawing.
pub fn in_namespace(test: impl FnOnce(World) + Send + 'static) {
    let outcome = thread::spawn(move || {
        let Some(world) = World::load() else { return };
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        // The kernel's own greetings would be counted with what the programs send.
        std::fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1").unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (connection, netlink, _) = rtnetlink::new_connection().unwrap();
            tokio::spawn(connection);
            lay(&netlink).await;
        });
        test(world);
    })
    .join();
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}

async fn lay(netlink: &Handle) {
    let mut end = LinkMessage::default();
    end.attributes = vec![LinkAttribute::IfName("bob1".to_owned())];
    let veth = LinkMessageBuilder::<LinkVeth>::new_with_info_kind(InfoKind::Veth)
        .name("bob0")
        .index(12)
        .set_info_data(InfoData::Veth(InfoVeth::Peer(end)))
        .build();
    netlink.link().add(veth).execute().await.unwrap();
    // A bridge without ports takes everything at once, where a veth's backlog has an end at 1,000 packets.
    let bridge = LinkMessageBuilder::<LinkBridge>::new_with_info_kind(InfoKind::Bridge);
    netlink.link().add(bridge.name("under0").index(9).build()).execute().await.unwrap();
    let vxlan = LinkMessageBuilder::<LinkVxlan>::new_with_info_kind(InfoKind::Vxlan)
        .name("weft77")
        .index(VXLAN_IFINDEX)
        .set_info_data(InfoData::Vxlan(vec![InfoVxlan::CollectMetadata(true), InfoVxlan::Port(4789)]))
        .build();
    netlink.link().add(vxlan).execute().await.unwrap();
    for device in ["lo", "bob0", "bob1", "under0", "weft77"] {
        up(netlink, device).await;
    }
    let own = vtep(1).address();
    netlink.address().add(1, own, 32).execute().await.unwrap();
    netlink.address().add(9, IpAddr::from([10, 255, 0, 1]), 30).execute().await.unwrap();
    let next_hop = IpAddr::from([10, 255, 0, 2]);
    netlink
        .neighbours()
        .add(9, next_hop)
        .link_layer_address(&NEXT_HOP_MAC.bytes())
        .state(NeighbourState::Permanent)
        .execute()
        .await
        .unwrap();
    let route = RouteMessageBuilder::<Ipv4Addr>::new()
        .destination_prefix([10, 254, 0, 0].into(), 16)
        .gateway([10, 255, 0, 2].into())
        .build();
    netlink.route().add(route).execute().await.unwrap();
}

async fn up(netlink: &Handle, device: &str) {
    netlink.link().set(LinkUnspec::new_with_name(device).up().build()).execute().await.unwrap();
}

/// Packets that a device of the namespace has sent.
fn sent_by(device: &str) -> u64 {
    let table = fs::read_to_string("/proc/thread-self/net/dev").unwrap();
    let line = table.lines().find_map(|line| line.trim().strip_prefix(&format!("{device}:"))).unwrap();
    // The second group of columns is what was sent: bytes, packets, …
    line.split_whitespace().nth(9).unwrap().parse().unwrap()
}

fn far_vtep(number: u16) -> Vtep {
    let [high, low] = number.to_be_bytes();
    Vtep::new([10, 254, high, low].into()).unwrap()
}

/// ALICE and BOB are ports of red-a, and `vteps` other hosts take part in it.
fn fill(world: &mut World, vteps: u16) {
    let subnet = vni(RED_A);
    for (index, member) in
        [(0, FloodMember::port(vni(101), 1, ALICE_SLOT)), (1, FloodMember::port(vni(101), 12, BOB_SLOT))]
    {
        world.put_flood(subnet, flood_group::PORTS, index, member);
    }
    for number in 0..vteps {
        world.put_vtep(far_vtep(number), 1500);
        let member = FloodMember::vtep(subnet, far_vtep(number), subnet);
        world.put_flood(subnet, flood_group::VTEPS, number.into(), member);
    }
}

fn frame(to: MacAddr, from: Ipv4Addr, payload: usize) -> Vec<u8> {
    let mut frame = Vec::new();
    PacketBuilder::ethernet2(ALICE.mac.bytes(), to.bytes())
        .ipv4(from.octets(), [10, 0, 0, 255], 64)
        .udp(4000, 5000)
        .write(&mut frame, &vec![0x5a; payload])
        .unwrap();
    frame
}

#[test]
fn everybody_but_the_sender_gets_a_copy() {
    in_namespace(|mut world| {
        fill(&mut world, 3);
        assert_eq!(world.run(FROM_POD, &frame(MacAddr::BROADCAST, ALICE.ipv4, 64)).verdict, DROP);
        assert_eq!((sent_by("bob0"), sent_by("weft77")), (1, 3));
        assert_eq!(world.drops(ALICE_SLOT), [].into());
        let (alice, bob) = (world.counters(ALICE_SLOT), world.counters(BOB_SLOT));
        assert_eq!((alice.from_port.packets, alice.to_port.packets, bob.to_port.packets), (1, 0, 1));
        // An unknown station is on another host, if it is.
        let stranger = MacAddr::new([2, 9, 9, 9, 9, 9]);
        assert_eq!(world.run(FROM_POD, &frame(stranger, ALICE.ipv4, 64)).verdict, DROP);
        assert_eq!((sent_by("bob0"), sent_by("weft77")), (1, 6));
    });
}

#[test]
fn lies_and_noise_get_nowhere() {
    in_namespace(|mut world| {
        fill(&mut world, 3);
        world.assert_dropped(FROM_POD, &frame(MacAddr::BROADCAST, BOB.ipv4, 64), DropReason::SpoofedIp);
        let nobody = frame(MacAddr::BROADCAST, Ipv4Addr::UNSPECIFIED, 64);
        world.assert_dropped(FROM_POD, &nobody, DropReason::Multicast);
        let mut report = frame(MacAddr::BROADCAST, ALICE.ipv4, 64);
        report[23] = 2;
        world.assert_dropped(FROM_POD, &report, DropReason::Multicast);
        let mut tagged = frame(MacAddr::BROADCAST, ALICE.ipv4, 64);
        tagged[12..14].copy_from_slice(&[0x81, 0x00]);
        world.assert_dropped(FROM_POD, &tagged, DropReason::UnsupportedEthertype);
        assert_eq!((sent_by("bob0"), sent_by("weft77")), (0, 0));
    });
}

#[test]
fn too_big_for_the_way_to_other_hosts() {
    in_namespace(|mut world| {
        fill(&mut world, 3);
        let stranger = MacAddr::new([2, 9, 9, 9, 9, 9]);
        world.assert_dropped(FROM_POD, &frame(stranger, ALICE.ipv4, 1451 - 28), DropReason::TooBig);
        assert_eq!(world.run(FROM_POD, &frame(stranger, ALICE.ipv4, 1450 - 28)).verdict, DROP);
        assert_eq!(sent_by("weft77"), 3);
    });
}

#[test]
fn a_second_s_worth_and_no_more() {
    in_namespace(|mut world| {
        fill(&mut world, 1);
        let frame = frame(MacAddr::BROADCAST, ALICE.ipv4, 64);
        for _ in 0..1500 {
            world.run(FROM_POD, &frame);
        }
        let dropped = world.drops(ALICE_SLOT)["flood_limited"];
        // The bucket fills again while it is emptied: 1,000 a second.
        assert!((1..=500).contains(&dropped), "{dropped}");
        assert_eq!(sent_by("weft77") + dropped, 1500);
    });
}

#[test]
fn the_longest_list() {
    in_namespace(|mut world| {
        // One more than may be there.
        let most = u16::try_from(MOST_FLOOD_VTEPS).unwrap();
        fill(&mut world, most + 1);
        let frame = frame(MacAddr::BROADCAST, ALICE.ipv4, 64);
        let mut times = Vec::new();
        for run in 1..=10 {
            times.push(world.time(FROM_POD, &frame));
            assert_eq!(sent_by("weft77"), u64::from(MOST_FLOOD_VTEPS) * run);
        }
        times.sort_unstable();
        let median: Duration = times[times.len() / 2];
        println!("{MOST_FLOOD_VTEPS} copies into tunnels: {median:?}, from {:?} to {:?}", times[0], times[9]);
    });
}
