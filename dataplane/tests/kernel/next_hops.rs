//! Next hops of VTEPs: found by the kernel's routes, kept resolved by the kernel, written into the map.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use netlink_packet_route::link::LinkAttribute;
use netlink_packet_route::neighbour::{NeighbourAttribute, NeighbourExtFlags, NeighbourMessage};
use netlink_packet_route::route::RouteScope;
use netlink_packet_route::rule::{RuleAction, RuleMessage};
use rtnetlink::{Handle, LinkVeth, RouteMessageBuilder};
use tokio::time::timeout;
use weft_dataplane::desired::{Desired, Path, RemoteHost};
use weft_dataplane::{Dataplane, NextHopState, VtepState};
use weft_policy::GroupSet;
use weft_vxlan::{MacAddr, Vni, Vtep};

use crate::host::{Pod, desired, eventually, index, links, on_host, owner, reconcile, up, vni};

/// One address, 10.9.0.1 of network 100, behind `vtep`.
pub fn remote(vtep: &str) -> BTreeMap<(Vni, IpAddr), RemoteHost> {
    let vtep: Vtep = vtep.parse().unwrap();
    let path = Path { vtep, vni: vni(100), mac: vtep.default_router_mac() };
    let host = RemoteHost { paths: path.into(), neighbour: None, groups: GroupSet::empty() };
    BTreeMap::from([((vni(100), IpAddr::from([10, 9, 0, 1])), host)])
}

pub fn is_managed(neighbour: &NeighbourMessage) -> bool {
    neighbour.attributes.iter().any(|attribute| {
        matches!(attribute, NeighbourAttribute::ExtFlags(flags) if flags.contains(NeighbourExtFlags::Managed))
    })
}

fn is_resolved(state: &VtepState) -> bool {
    state.next_hops.iter().any(|hop| hop.mac.is_some())
}

async fn mac_of(pod: &Pod, device: &'static str) -> MacAddr {
    pod.run(move |netlink| async move {
        let link = links(&netlink).await.remove(device).unwrap();
        let mac = link.attributes.into_iter().find_map(|attribute| {
            if let LinkAttribute::Address(bytes) = attribute { Some(bytes) } else { None }
        });
        MacAddr::new(mac.unwrap().try_into().unwrap())
    })
    .await
}

#[test]
fn a_vtep_on_the_link_and_one_behind_a_gateway_are_resolved() {
    on_host("resolve", async |host| {
        let expected = mac_of(&host.far, "eth0").await;
        let mut dataplane = Dataplane::open(host.options.clone(), owner()).await.unwrap();
        for vtep in ["192.0.2.2", "198.51.100.7"] {
            let mut desired = desired();
            desired.remote_hosts = remote(vtep);
            let vtep: Vtep = vtep.parse().unwrap();
            let state = eventually("the next hop to be resolved", async || {
                let report = reconcile(&mut dataplane, &desired).await;
                is_resolved(&report.vteps[&vtep]).then(|| report.vteps[&vtep].clone())
            })
            .await;
            let next_hops = vec![NextHopState { device: "under0".to_owned(), mac: Some(expected) }];
            assert_eq!(state, VtepState { next_hops, mtu: 1500 }, "{vtep}");
            assert_eq!(reconcile(&mut dataplane, &desired).await.changes, []);
        }
    });
}

#[test]
fn resolution_wakes_whoever_waits_for_the_kernel_and_then_it_rests() {
    on_host("wake", async |host| {
        let mut desired = desired();
        desired.remote_hosts = remote("192.0.2.2");
        let mut dataplane = Dataplane::open(host.options.clone(), owner()).await.unwrap();
        let vtep: Vtep = "192.0.2.2".parse().unwrap();
        // Every reconciliation but the first is called for by the kernel.
        while !is_resolved(&reconcile(&mut dataplane, &desired).await.vteps[&vtep]) {
            timeout(Duration::from_secs(10), dataplane.kernel_changed()).await.unwrap();
        }
        let mut idle = 0;
        while timeout(Duration::from_millis(300), dataplane.kernel_changed()).await.is_ok() {
            idle += 1;
            assert!(idle < 20, "reconciling calls for reconciling");
            reconcile(&mut dataplane, &desired).await;
        }
        let under0 = index(&host.netlink, "under0").await.unwrap();
        let narrow = rtnetlink::LinkUnspec::new_with_index(under0).mtu(1400).build();
        host.netlink.link().set(narrow).execute().await.unwrap();
        timeout(Duration::from_secs(10), dataplane.kernel_changed()).await.expect("a changed MTU wakes");
    });
}

#[test]
fn a_vtep_without_a_route_is_left_to_the_kernel_and_taken_up_when_there_is_one() {
    on_host("no-route", async |host| {
        let mut desired = desired();
        desired.remote_hosts = remote("203.0.113.9");
        let vtep: Vtep = "203.0.113.9".parse().unwrap();
        let mut dataplane = Dataplane::open(host.options.clone(), owner()).await.unwrap();
        let report = reconcile(&mut dataplane, &desired).await;
        assert_eq!(report.vteps[&vtep], VtepState { next_hops: Vec::new(), mtu: 1500 });

        let under0 = index(&host.netlink, "under0").await.unwrap();
        crate::host::add_address(&host.netlink, under0, "203.0.113.1", 24).await;
        up(&host.netlink, under0).await;
        let report = reconcile(&mut dataplane, &desired).await;
        assert_eq!(report.vteps[&vtep].next_hops[0].device, "under0");
    });
}

#[test]
fn where_the_way_damages_checksums_the_vxlan_device_computes_them() {
    on_host("checksums", async |host| {
        let vtep: Vtep = "192.0.2.2".parse().unwrap();
        let mut desired = desired();
        desired.remote_hosts = remote("192.0.2.2");
        let mut dataplane = Dataplane::open(host.options.clone(), owner()).await.unwrap();
        reconcile(&mut dataplane, &desired).await;
        let settings = [
            (true, "device weft-vxlan: compute checksums before it encapsulates"),
            (false, "device weft-vxlan: leave checksums to the underlay device"),
        ];
        for (software, words) in settings {
            desired.host.software_checksums = software.then_some(vtep).into_iter().collect();
            let changes = reconcile(&mut dataplane, &desired).await.changes;
            assert!(changes.iter().any(|change| change.to_string() == words), "{changes:?}");
            // The kernel says that it is so, and nothing calls for more.
            assert_eq!(reconcile(&mut dataplane, &desired).await.changes, []);
        }
    });
}

#[test]
fn next_hops_are_looked_after_alone() {
    on_host("refresh", async |host| {
        let mut desired = desired();
        desired.remote_hosts = remote("192.0.2.2");
        let vtep: Vtep = "192.0.2.2".parse().unwrap();
        let mut dataplane = Dataplane::open(host.options.clone(), owner()).await.unwrap();
        let report = dataplane.refresh_next_hops().await;
        assert!(report.changes.is_empty() && report.vteps.is_empty(), "nothing was desired yet: {report:#?}");
        eventually("the next hop to be resolved", async || {
            is_resolved(&reconcile(&mut dataplane, &desired).await.vteps[&vtep]).then_some(())
        })
        .await;
        let under0 = index(&host.netlink, "under0").await.unwrap();
        let narrow = rtnetlink::LinkUnspec::new_with_index(under0).mtu(1400).build();
        host.netlink.link().set(narrow).execute().await.unwrap();
        let report = dataplane.refresh_next_hops().await;
        let changes: Vec<_> = report.changes.iter().map(ToString::to_string).collect();
        assert_eq!(changes, ["map VTEPS: replace VTEP 192.0.2.2"]);
        assert_eq!(report.vteps[&vtep].mtu, 1400);
        assert!(dataplane.refresh_next_hops().await.changes.is_empty());
    });
}

/// A second device, and in table 100 another way through it to all of `prefix` than the main table's through under0.
/// `neighbour` has its MAC for good on both: the kernel tells of no attempts to find it.
async fn two_ways(netlink: &Handle, prefix: IpAddr, neighbour: IpAddr) {
    netlink.link().add(LinkVeth::new("under1", "peer1").build()).execute().await.unwrap();
    for (device, table) in [("peer1", None), ("under1", Some(100)), ("under0", Some(254))] {
        let index = index(netlink, device).await.unwrap();
        up(netlink, index).await;
        let Some(table) = table else { continue };
        let length = if prefix.is_ipv6() { 64 } else { 24 };
        let scope = if prefix.is_ipv6() { RouteScope::Universe } else { RouteScope::Link };
        let route = RouteMessageBuilder::<IpAddr>::new().destination_prefix(prefix, length).unwrap();
        let route = route.output_interface(index).table_id(table).scope(scope).build();
        netlink.route().add(route).execute().await.unwrap();
        let known = netlink.neighbours().add(index, neighbour).link_layer_address(&[2, 0, 0, 0, 0, 9]);
        known.execute().await.unwrap();
    }
}

/// Has table 100 asked first for what comes from `source`.
async fn add_rule(netlink: &Handle, source: IpAddr) -> RuleMessage {
    let rule = netlink.rule().add().table_id(100).priority(100).action(RuleAction::ToTable);
    match source {
        IpAddr::V4(source) => {
            let mut rule = rule.v4().source_prefix(source, 32);
            let message = rule.message_mut().clone();
            rule.execute().await.unwrap();
            message
        }
        IpAddr::V6(source) => {
            let mut rule = rule.v6().source_prefix(source, 128);
            let message = rule.message_mut().clone();
            rule.execute().await.unwrap();
            message
        }
    }
}

/// Waits until the kernel calls for nothing any more.
async fn rest(dataplane: &mut Dataplane, desired: &Desired) {
    eventually("the kernel to rest", async || {
        if timeout(Duration::from_millis(300), dataplane.kernel_changed()).await.is_err() {
            return Some(());
        }
        reconcile(dataplane, desired).await;
        None
    })
    .await;
}

/// Waits until the kernel tells of a change; the device by which the VTEP is then reached.
async fn device_after_change(dataplane: &mut Dataplane, vtep: Vtep) -> String {
    timeout(Duration::from_secs(5), dataplane.kernel_changed()).await.expect("a change of rules is told");
    let report = dataplane.refresh_next_hops().await;
    assert!(report.failures.is_empty(), "{:#?}", report.failures);
    report.vteps[&vtep].next_hops[0].device.clone()
}

#[test]
fn a_rule_by_source_moves_the_way_and_back() {
    for (name, ours, theirs, prefix) in [
        ("rule-ipv4", "192.0.2.1", "203.0.113.9", "203.0.113.0"),
        ("rule-ipv6", "2001:db8:1::1", "2001:db8:9::9", "2001:db8:9::"),
    ] {
        on_host(name, async move |host| {
            let netlink = &host.netlink;
            two_ways(netlink, prefix.parse().unwrap(), theirs.parse().unwrap()).await;
            let mut desired = desired();
            desired.remote_hosts = remote(theirs);
            let (vtep, source): (Vtep, IpAddr) = (theirs.parse().unwrap(), ours.parse().unwrap());
            if source.is_ipv6() {
                desired.host.vtep = ours.parse().unwrap();
                let under0 = index(netlink, "under0").await.unwrap();
                crate::host::add_address(netlink, under0, ours, 64).await;
            }
            let mut dataplane = Dataplane::open(host.options.clone(), owner()).await.unwrap();
            let report = reconcile(&mut dataplane, &desired).await;
            assert_eq!(report.vteps[&vtep].next_hops[0].device, "under0");
            rest(&mut dataplane, &desired).await;
            let rule = add_rule(netlink, source).await;
            assert_eq!(device_after_change(&mut dataplane, vtep).await, "under1");
            // A reconciliation sees the same.
            let report = reconcile(&mut dataplane, &desired).await;
            assert_eq!(report.vteps[&vtep].next_hops[0].device, "under1");
            rest(&mut dataplane, &desired).await;
            netlink.rule().del(rule).execute().await.unwrap();
            assert_eq!(device_after_change(&mut dataplane, vtep).await, "under0");
        });
    }
}

/// While this host has not the address of its VTEP, no source can be asked for: the way is anybody's.
#[test]
fn without_the_vteps_address_the_way_of_any_packet_counts() {
    on_host("rule-no-vtep", async |host| {
        let netlink = &host.netlink;
        two_ways(netlink, IpAddr::from([203, 0, 113, 0]), IpAddr::from([203, 0, 113, 9])).await;
        add_rule(netlink, IpAddr::from([192, 0, 2, 77])).await;
        let mut desired = desired();
        desired.host.vtep = "192.0.2.77".parse().unwrap();
        desired.remote_hosts = remote("203.0.113.9");
        let vtep: Vtep = "203.0.113.9".parse().unwrap();
        let mut dataplane = Dataplane::open(host.options.clone(), owner()).await.unwrap();
        let report = dataplane.reconcile(&desired).await;
        assert_eq!(report.vteps[&vtep].next_hops[0].device, "under0");
        let under0 = index(netlink, "under0").await.unwrap();
        crate::host::add_address(netlink, under0, "192.0.2.77", 24).await;
        let report = reconcile(&mut dataplane, &desired).await;
        assert_eq!(report.vteps[&vtep].next_hops[0].device, "under1");
    });
}

#[test]
fn what_cannot_be_a_next_hop_is_named() {
    on_host("no-next-hop", async |host| {
        let mut dataplane = Dataplane::open(host.options.clone(), owner()).await.unwrap();
        let cases = [
            ("2001:db8:1::1", "VTEP 2001:db8:1::1: it is not of the family of this host's VTEP 192.0.2.1"),
            ("192.0.2.1", "VTEP 192.0.2.1: it is an address of this host"),
        ];
        for (vtep, expected) in cases {
            let mut desired = desired();
            desired.remote_hosts = remote(vtep);
            let report = dataplane.reconcile(&desired).await;
            let failures: Vec<_> = report.failures.iter().map(ToString::to_string).collect();
            assert_eq!(failures.len(), 1, "{failures:#?}");
            assert!(failures[0].starts_with(expected), "{failures:#?}");
        }
        let mut desired = desired();
        desired.host.vtep = "192.0.2.200".parse().unwrap();
        let report = dataplane.reconcile(&desired).await;
        assert!(report.failures[0].to_string().starts_with("VTEP 192.0.2.200 of this host: no device has"));
    });
}
