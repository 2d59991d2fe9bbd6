//! Values that are not whole, or of another scope than the entry that they are read from, as the kernel may show them
//! while it gives an entry's memory to another one. They are planted in the maps, and never believed.

use weft_dataplane_abi::programs::{FROM_POD, FROM_UNDERLAY, XDP_FORWARD, XDP_GUARD};
use weft_dataplane_abi::{
    DropReason, Endpoint, FloodKey, FloodMember, HostRoute, IpKey, MacKey, NextHop, Scope, Sealed, VniEntry,
    flood_group, maps,
};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::arp;
use crate::from_underlay::{inner4, tunnelled};
use crate::world::*;

/// Loopback, where the runs happen, is ALICE's.
const ALICE_IFINDEX: u32 = 1;

/// XDP's verdict (`linux/bpf.h`).
const XDP_DROP: i32 = 1;

/// A value in the place of `value`: `other`, which is another scope's; nothing; and `value` with a bit changed, in each
/// word. That those are all that there is to know is a matter of `Sealed`'s own tests.
fn wrong<V: Sealed + FromBytes + IntoBytes + Immutable>(value: V, other: V) -> Vec<(String, V)> {
    let mut wrong = vec![("another scope's".to_owned(), other), ("zeros".to_owned(), V::new_zeroed())];
    for word in 0..size_of::<V>() / 4 {
        let mut bytes = value.as_bytes().to_vec();
        bytes[word * 4 + word % 4] ^= 1 << (word % 8);
        wrong.push((format!("word {word}"), V::read_from_bytes(&bytes).unwrap()));
    }
    wrong
}

/// Asserts that a program drops a frame since a table changed, and counts that for the slot.
#[track_caller]
fn assert_not_believed(world: &mut World, program: &str, frame: &[u8], slot: u32, what: &str) {
    let mut expected = world.drops(slot);
    *expected.entry(DropReason::TableChanged.name()).or_default() += 1;
    let outcome = world.run(program, frame);
    assert_eq!(outcome.verdict, DROP, "{program}: {what}");
    assert_eq!(world.drops(slot), expected, "{program}: {what}");
}

/// Asserts that `frame` is sent on or answered while the entry is as it is, and with wrong ones of `others` is dropped.
fn never_believed<K: Copy, V: Sealed + FromBytes + IntoBytes + Immutable + 'static>(
    world: &mut World,
    (map, key, other): (&str, K, V),
    program: &str,
    frame: &[u8],
    slot: u32,
) where
    Raw<K>: aya::Pod,
    Raw<V>: aya::Pod,
{
    assert_eq!(world.run(program, frame).verdict, REDIRECT, "{map}");
    let value = world.get::<K, V>(map, key);
    for (what, wrong) in wrong(value, other) {
        world.put(map, key, wrong);
        assert_not_believed(world, program, frame, slot, &what);
    }
    world.put(map, key, value);
    assert_eq!(world.run(program, frame).verdict, REDIRECT, "{map}");
}

fn from_alice(to: Station, mac: weft_vxlan::MacAddr) -> Vec<u8> {
    inner4(ALICE, to, ALICE.mac, mac, 64)
}

fn from_carol(number: u32, mac: weft_vxlan::MacAddr) -> Vec<u8> {
    tunnelled(2, number, &inner4(CAROL, BOB, CAROL.mac, mac, 64))
}

/// In: a packet that is switched, to this host and to another, and from another host, while its MAC's entry is wrong.
#[test]
fn a_mac_of_another_subnet() {
    let Some(mut world) = World::load() else { return };
    for (station, blue) in [(BOB, BOB), (CAROL, CAROL)] {
        let key = MacKey::new(vni(101), station.mac);
        let other = world.get::<_, NextHop>(maps::FDB, MacKey::new(vni(201), blue.mac));
        let frame = from_alice(station, station.mac);
        never_believed(&mut world, (maps::FDB, key, other), FROM_POD, &frame, ALICE_SLOT);
    }
    let key = MacKey::new(vni(101), BOB.mac);
    let other = world.get::<_, NextHop>(maps::FDB, MacKey::new(vni(201), BOB.mac));
    let frame = from_carol(101, BOB.mac);
    never_believed(&mut world, (maps::FDB, key, other), FROM_UNDERLAY, &frame, 0);
}

/// In: a packet that is routed, to this host, to another, and from another, while its address's next hop is wrong.
#[test]
fn an_address_of_another_network() {
    let Some(mut world) = World::load() else { return };
    let blue = world.get::<_, HostRoute>(maps::HOSTS, IpKey::new(vni(6001), BOB.ipv4.into()));
    for station in [DAVE, ERIN] {
        let frame = from_alice(station, GATEWAY_MAC);
        routed(&mut world, station, *blue.next_hop(), FROM_POD, &frame, ALICE_SLOT);
    }
    routed(&mut world, BOB, *blue.next_hop(), FROM_UNDERLAY, &from_carol(red().get(), ROUTER_MAC), 0);
}

/// Who routes reads the next hop only.
fn routed(world: &mut World, to: Station, other: NextHop, program: &str, frame: &[u8], slot: u32) {
    let key = IpKey::new(red(), to.ipv4.into());
    assert_eq!(world.run(program, frame).verdict, REDIRECT);
    let route = world.get::<_, HostRoute>(maps::HOSTS, key);
    for (what, next_hop) in wrong(*route.next_hop(), other) {
        world.put(maps::HOSTS, key, HostRoute::new(key.scope(), next_hop, vni(101), to.mac));
        assert_not_believed(world, program, frame, slot, &what);
    }
    world.put(maps::HOSTS, key, route);
    assert_eq!(world.run(program, frame).verdict, REDIRECT);
}

/// In: ARP for a neighbour, whose entry is wrong.
#[test]
fn a_neighbour_of_another_network() {
    let Some(mut world) = World::load() else { return };
    let other = world.get::<_, HostRoute>(maps::HOSTS, IpKey::new(vni(6001), BOB.ipv4.into()));
    let key = IpKey::new(red(), BOB.ipv4.into());
    let frame = arp::frame(&arp::request(BOB.ipv4.octets()), weft_vxlan::MacAddr::BROADCAST);
    never_believed(&mut world, (maps::HOSTS, key, other), FROM_POD, &frame, ALICE_SLOT);
}

/// In: a packet to an address within a prefix, whose entry is wrong.
#[test]
fn a_prefix_of_another_network() {
    let Some(mut world) = World::load() else { return };
    let frame = from_alice(Station { ipv4: [10, 9, 0, 1].into(), ..BOB }, GATEWAY_MAC);
    let key = IpKey::new(red(), "10.9.0.0".parse().unwrap());
    let next_hop = |scope| NextHop::remote(scope, vtep(3), red(), vtep(3).default_router_mac());
    for (what, wrong) in wrong(next_hop(key.scope()), next_hop(Scope::raw(6001))) {
        world.put_prefix(key, 16, wrong);
        assert_not_believed(&mut world, FROM_POD, &frame, ALICE_SLOT, &what);
    }
    world.put_prefix(key, 16, next_hop(key.scope()));
    assert_eq!(world.run(FROM_POD, &frame).verdict, REDIRECT);
}

/// In: a packet from a port whose entry is wrong. It is counted for no port: whose it is, is not known.
#[test]
fn another_port() {
    let Some(mut world) = World::load() else { return };
    let other = world.get::<_, Endpoint>(maps::ENDPOINTS, 14);
    let frame = from_alice(BOB, BOB.mac);
    never_believed(&mut world, (maps::ENDPOINTS, ALICE_IFINDEX, other), FROM_POD, &frame, 0);
}

/// In: a packet from another host for a VNI whose entry is wrong, at TC and before. `xdp_forward` leaves all but unknown
/// VNIs and VTEPs to `from_underlay`.
#[test]
fn another_vni() {
    let Some(mut world) = World::load() else { return };
    let frame = from_carol(101, BOB.mac);
    let other = world.get::<_, VniEntry>(maps::VNIS, 201);
    never_believed(&mut world, (maps::VNIS, 101, other), FROM_UNDERLAY, &frame, 0);
    world.put(maps::VNIS, 101, other);
    let before = world.drops(0)["table_changed"];
    assert_eq!(world.run_xdp(XDP_GUARD, &frame).verdict, XDP_DROP);
    assert_eq!(world.drops(0)["table_changed"], before + 1);
    let outcome = world.run_xdp(XDP_FORWARD, &frame);
    assert_eq!((outcome.frame, world.drops(0)["table_changed"]), (frame, before + 1));
}

/// In: a broadcast of a subnet where all others who should get a copy are wrong.
#[test]
fn a_member_of_another_subnets_list() {
    let Some(mut world) = World::load() else { return };
    world.flood_to_bob(1000);
    let key = FloodKey::new(vni(101), flood_group::PORTS, 1);
    let frame = from_alice(BOB, weft_vxlan::MacAddr::BROADCAST);
    let value = world.get::<_, FloodMember>(maps::FLOOD, key);
    for (what, wrong) in wrong(value, FloodMember::port(vni(201), 14, BLUE_SLOT)) {
        world.put(maps::FLOOD, key, wrong);
        assert_not_believed(&mut world, FROM_POD, &frame, ALICE_SLOT, &what);
    }
}
