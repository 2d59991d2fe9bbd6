use core::net::{Ipv4Addr, Ipv6Addr};
use std::fmt::Debug;

use weft_vxlan::{MacAddr, Vni, Vtep};
use zerocopy::{FromZeros, IntoBytes};

use crate::{Endpoint, FloodMember, Gateways, HostRoute, NextHop, Scope, Sealed, VniEntry};

const MAC: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 7]);

fn vni(number: u32) -> Vni {
    Vni::new(number).unwrap()
}

fn vtep(last: u8) -> Vtep {
    Vtep::new([192, 0, 2, last].into()).unwrap()
}

/// The words of `one`, of which those that are in `mask` come from `other`.
fn mixed<T: Sealed + IntoBytes>(one: &T, other: &T, mask: u32) -> T {
    let mut bytes = one.as_bytes().to_vec();
    for word in (0..bytes.len() / 4).filter(|word| mask >> word & 1 == 1) {
        let range = word * 4..word * 4 + 4;
        bytes[range.clone()].copy_from_slice(&other.as_bytes()[range]);
    }
    T::read_from_bytes(&bytes).unwrap()
}

/// Neither value is believed for the other's scope, nor is anything that is made of words of both.
fn tell_apart<T: Sealed + IntoBytes + PartialEq + Debug>(
    (one, scope): (T, u32),
    (other, other_scope): (T, u32),
) {
    let (scope, other_scope) = (Scope::raw(scope), Scope::raw(other_scope));
    assert!(one.is_of(scope) && other.is_of(other_scope));
    assert!(!one.is_of(other_scope) && !other.is_of(scope));
    let words = size_of::<T>() / 4;
    // Of every mixture, or of those that begin with one and end with the other, either way.
    let masks: Vec<u32> = match words {
        ..=15 => (0..1 << words).collect(),
        _ => (0..words).flat_map(|word| [(1 << word) - 1, !0 << word, 1 << word]).collect(),
    };
    for mask in masks {
        let mixture = mixed(&one, &other, mask);
        assert_eq!(mixture.is_of(scope), mixture == one, "{mask:#b}: {mixture:?}");
        assert_eq!(mixture.is_of(other_scope), mixture == other, "{mask:#b}: {mixture:?}");
    }
    for bit in 0..words * 32 {
        let mut bytes = one.as_bytes().to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(!T::read_from_bytes(&bytes).unwrap().is_of(scope), "bit {bit}");
    }
}

#[test]
fn next_hops_of_two_scopes() {
    let (red, blue) = (vni(100), vni(101));
    let remote = |scope: Vni, last: u8| {
        (NextHop::remote(Scope::of(scope), vtep(last), scope, vtep(last).default_router_mac()), scope.get())
    };
    tell_apart(remote(red, 2), remote(blue, 3));
    let local =
        |scope: Vni, number: u32| (NextHop::local(Scope::of(scope), number, number, MAC), scope.get());
    tell_apart(local(red, 3), local(blue, 4));
    tell_apart(local(red, 3), remote(blue, 3));
    tell_apart((NextHop::gateway(Scope::of(red), MAC), 100), local(blue, 1));
}

#[test]
fn routes_of_two_networks() {
    let route = |network: u32, last: u8| {
        let (network, router) = (vni(network), vtep(last).default_router_mac());
        let next_hop = NextHop::remote(Scope::of(network), vtep(last), network, router);
        (HostRoute::new(Scope::of(network), next_hop, vni(900 + u32::from(last)), router), network.get())
    };
    tell_apart(route(100, 2), route(101, 3));
    let (first, network) = route(100, 2);
    let routed = HostRoute::routed(Scope::raw(101), NextHop::local(Scope::raw(101), 1, 1, MAC));
    tell_apart((first, network), (routed, 101));
    assert!(first.next_hop().is_of(Scope::raw(100)) && !first.next_hop().is_of(Scope::raw(101)));
}

#[test]
fn vnis_ports_and_members_of_lists() {
    tell_apart((VniEntry::subnet(vni(101), vni(100)), 101), (VniEntry::subnet(vni(201), vni(200)), 201));
    tell_apart((VniEntry::network_itself(vni(100)), 100), (VniEntry::subnet(vni(101), vni(100)), 101));
    let endpoint = |ifindex: u32, last: u8| {
        let addresses = (Some(Ipv4Addr::new(10, 0, 0, last)), Some(Ipv6Addr::from([last; 16])));
        let mac = MacAddr::new([2, 0, 0, 0, 0, last]);
        let gateways = Gateways::new(None, None, MAC);
        let (network, subnet) = (vni(u32::from(last)), vni(100 + u32::from(last)));
        (Endpoint::new(ifindex, network, subnet, ifindex, mac, addresses, gateways), ifindex)
    };
    tell_apart(endpoint(1, 10), endpoint(2, 11));
    let members = (FloodMember::port(vni(100), 3, 1), FloodMember::vtep(vni(101), vtep(2), vni(900)));
    tell_apart((members.0, 100), (members.1, 101));
}

#[test]
fn nothing_is_not_believed() {
    for scope in [1, 2, 100, 16_777_215].map(Scope::raw) {
        assert!(!NextHop::new_zeroed().is_of(scope) && !VniEntry::new_zeroed().is_of(scope));
        assert!(!Endpoint::new_zeroed().is_of(scope) && !HostRoute::new_zeroed().is_of(scope));
    }
}
