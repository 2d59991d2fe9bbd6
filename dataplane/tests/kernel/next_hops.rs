//! Next hops of VTEPs: found by the kernel's routes, kept resolved by the kernel, written into the map.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use netlink_packet_route::link::LinkAttribute;
use netlink_packet_route::neighbour::{NeighbourAttribute, NeighbourExtFlags, NeighbourMessage};
use tokio::time::timeout;
use weft_dataplane::desired::RemoteHost;
use weft_dataplane::{Dataplane, NextHopState, VtepState};
use weft_vxlan::{MacAddr, Vni, Vtep};

use crate::host::{Pod, desired, eventually, index, links, on_host, owner, reconcile, up, vni};

/// One address, 10.9.0.1 of network 100, behind `vtep`.
pub fn remote(vtep: &str) -> BTreeMap<(Vni, IpAddr), RemoteHost> {
    let vtep: Vtep = vtep.parse().unwrap();
    let host = RemoteHost { vtep, router_mac: vtep.default_router_mac(), vni: vni(100), neighbour: None };
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
