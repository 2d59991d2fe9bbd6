//! Ports: what is in the workload's namespace and on the host, and what goes wrong.

use std::net::IpAddr;
use std::path::Path;

use futures_util::TryStreamExt;
use netlink_packet_route::address::AddressAttribute;
use netlink_packet_route::link::{LinkAttribute, LinkMessage};
use netlink_packet_route::route::{RouteAddress, RouteAttribute};
use rtnetlink::{Handle, LinkVeth, RouteMessageBuilder};
use weft_dataplane::desired::Port;
use weft_dataplane::{Change, Dataplane};

use crate::attached::attached;
use crate::host::{
    Pod, desired, desired_with_port, eventually, index, is_up, links, on_host, owner, port, reconcile, up,
};

/// Addresses of a device, with their prefix lengths.
async fn addresses(netlink: &Handle, index: u32) -> Vec<(IpAddr, u8)> {
    let all: Vec<_> = netlink.address().get().execute().try_collect().await.unwrap();
    let mut addresses: Vec<_> = all
        .into_iter()
        .filter(|message| message.header.index == index)
        .filter_map(|message| {
            let address = message.attributes.iter().find_map(|attribute| {
                if let AddressAttribute::Address(address) = attribute { Some(*address) } else { None }
            })?;
            Some((address, message.header.prefix_len))
        })
        .collect();
    addresses.sort();
    addresses
}

/// Gateways of the default routes.
async fn gateways(netlink: &Handle) -> Vec<RouteAddress> {
    let mut gateways = Vec::new();
    for message in [
        RouteMessageBuilder::<std::net::Ipv4Addr>::new().build(),
        RouteMessageBuilder::<std::net::Ipv6Addr>::new().build(),
    ] {
        let routes: Vec<_> = netlink.route().get(message).execute().try_collect().await.unwrap();
        gateways.extend(
            routes.into_iter().filter(|route| route.header.destination_prefix_length == 0).filter_map(
                |route| {
                    route.attributes.into_iter().find_map(|attribute| {
                        if let RouteAttribute::Gateway(gateway) = attribute { Some(gateway) } else { None }
                    })
                },
            ),
        );
    }
    gateways
}

fn mtu(link: &LinkMessage) -> u32 {
    let mtu = link
        .attributes
        .iter()
        .find_map(|attribute| if let LinkAttribute::Mtu(mtu) = attribute { Some(*mtu) } else { None });
    mtu.unwrap()
}

fn v4(text: &str) -> RouteAddress {
    RouteAddress::Inet(text.parse().unwrap())
}

fn v6(text: &str) -> RouteAddress {
    RouteAddress::Inet6(text.parse().unwrap())
}

#[test]
fn a_port_gets_mac_addresses_mtu_and_routes_and_a_second_look_changes_nothing() {
    on_host("port", async |host| {
        let pod = Pod::new();
        let desired = desired_with_port(&pod);
        let mut dataplane = Dataplane::open(host.options.clone(), owner()).await.unwrap();
        let planned = dataplane.plan(&desired).await.unwrap();
        let report = reconcile(&mut dataplane, &desired).await;
        assert!(planned.iter().any(|change| matches!(change, Change::CreatePort { .. })), "{planned:#?}");
        let state = &report.ports["a"];
        assert_eq!(state.mtu, 1450);

        let host_end = links(&host.netlink).await.remove(&state.device).unwrap();
        assert!(is_up(&host_end));
        assert_eq!(host_end.header.index, state.ifindex);
        assert_eq!(addresses(&host.netlink, state.ifindex).await, [], "nothing of the host answers there");

        let (link, addresses, gateways, loopback) = pod
            .run(|netlink| async move {
                let mut links = links(&netlink).await;
                let (link, loopback) = (links.remove("eth0").unwrap(), links.remove("lo").unwrap());
                let index = link.header.index;
                (link, addresses(&netlink, index).await, gateways(&netlink).await, loopback)
            })
            .await;
        assert!(link.attributes.contains(&LinkAttribute::Address(vec![2, 0, 0, 0, 0, 10])), "{link:?}");
        assert_eq!(mtu(&link), 1450);
        assert!(is_up(&link) && is_up(&loopback));
        let expected = [("10.0.0.10", 24), ("2001:db8::a", 64), ("fe80::ff:fe00:a", 64)];
        assert_eq!(addresses, expected.map(|(address, prefix)| (address.parse().unwrap(), prefix)));
        assert_eq!(gateways, [v4("10.0.0.1"), v6("2001:db8::1")]);

        assert_eq!(reconcile(&mut dataplane, &desired).await.changes, []);
        assert_eq!(dataplane.plan(&desired).await.unwrap(), []);
        assert!(dataplane.counters().unwrap().contains_key("a"));
    });
}

#[test]
fn what_differs_is_repaired_and_what_the_workload_added_stays() {
    on_host("repair", async |host| {
        let pod = Pod::new();
        let mut desired = desired_with_port(&pod);
        let mut dataplane = Dataplane::open(host.options.clone(), owner()).await.unwrap();
        reconcile(&mut dataplane, &desired).await;
        pod.run(|netlink| async move {
            let index = index(&netlink, "eth0").await.unwrap();
            crate::host::add_address(&netlink, index, "172.16.0.9", 24).await;
        })
        .await;

        let port = desired.ports.get_mut("a").unwrap();
        port.mac = "02:00:00:00:00:0b".parse().unwrap();
        port.ipv4 = Some([10, 0, 0, 11].into());
        port.ipv6 = None;
        let subnet = desired.subnets.values_mut().next().unwrap();
        subnet.ipv4 = Some(("10.0.0.0/24".parse().unwrap(), "10.0.0.254".parse().unwrap()));
        let under0 = index(&host.netlink, "under0").await.unwrap();
        let narrow = rtnetlink::LinkUnspec::new_with_index(under0).mtu(1400).build();
        host.netlink.link().set(narrow).execute().await.unwrap();

        let report = reconcile(&mut dataplane, &desired).await;
        let made =
            |change: &Change| matches!(change, Change::CreatePort { .. } | Change::RemoveDevice { .. });
        assert!(!report.changes.iter().any(made), "the port was not made anew: {:#?}", report.changes);
        let (mtu, addresses, gateways) = pod
            .run(|netlink| async move {
                let link = links(&netlink).await.remove("eth0").unwrap();
                (mtu(&link), addresses(&netlink, link.header.index).await, gateways(&netlink).await)
            })
            .await;
        assert_eq!((mtu, report.ports["a"].mtu), (1350, 1350));
        let expected = [("10.0.0.11", 24), ("172.16.0.9", 24), ("fe80::ff:fe00:b", 64)];
        assert_eq!(addresses, expected.map(|(address, prefix)| (address.parse().unwrap(), prefix)));
        assert_eq!(gateways, [v4("10.0.0.254")]);
        assert_eq!(reconcile(&mut dataplane, &desired).await.changes, []);
    });
}

#[test]
fn a_missing_namespace_fails_its_port_only() {
    on_host("missing-netns", async |host| {
        let pod = Pod::new();
        let mut desired = desired_with_port(&pod);
        desired.ports.insert("b".to_owned(), port(11, Path::new("/run/netns/weft-test-missing")));
        desired.ports.insert("c".to_owned(), port(12, Path::new("/etc/hostname")));
        desired.ports.insert("d".to_owned(), port(13, Path::new("/proc/thread-self/ns/net")));
        let mut dataplane = Dataplane::open(host.options.clone(), owner()).await.unwrap();
        let report = dataplane.reconcile(&desired).await;
        let failures: Vec<_> = report.failures.iter().map(ToString::to_string).collect();
        assert_eq!(failures.len(), 3, "{failures:#?}");
        assert_eq!(
            failures[0],
            "port b: network namespace /run/netns/weft-test-missing does not exist: create it, or detach the port"
        );
        assert!(failures[1].contains("port c: /etc/hostname is not a network namespace"), "{}", failures[1]);
        assert!(
            failures[2].contains("port d: /proc/thread-self/ns/net is the host's own"),
            "{}",
            failures[2]
        );
        assert_eq!(report.failures[0].port.as_deref(), Some("b"));
        assert_eq!(report.ports.keys().collect::<Vec<_>>(), ["a"]);
    });
}

#[test]
fn a_device_name_that_is_taken_in_the_namespace_is_named() {
    on_host("taken", async |host| {
        let pod = Pod::new();
        pod.run(|netlink| async move {
            netlink.link().add(LinkVeth::new("eth0", "other").build()).execute().await.unwrap();
            up(&netlink, index(&netlink, "eth0").await.unwrap()).await;
        })
        .await;
        let desired = desired_with_port(&pod);
        let mut dataplane = Dataplane::open(host.options.clone(), owner()).await.unwrap();
        let report = dataplane.reconcile(&desired).await;
        assert_eq!(report.failures.len(), 1, "{:#?}", report.failures);
        let failure = report.failures[0].to_string();
        assert!(failure.starts_with("port a: device eth0 already exists in /proc/"), "{failure}");
        let kept = pod.run(|netlink| async move { links(&netlink).await.contains_key("other") }).await;
        assert!(kept);
    });
}

#[test]
fn a_missing_underlay_device_is_named() {
    on_host("missing-underlay", async |host| {
        let pod = Pod::new();
        let mut desired = desired_with_port(&pod);
        desired.host.underlay = "eth7".to_owned();
        let mut dataplane = Dataplane::open(host.options.clone(), owner()).await.unwrap();
        let report = dataplane.reconcile(&desired).await;
        let failures: Vec<_> = report.failures.iter().map(ToString::to_string).collect();
        assert!(failures[0].starts_with("underlay device eth7: there is no such device"), "{failures:#?}");
        assert_eq!(failures.len(), 2, "{failures:#?}");
    });
}

#[test]
fn an_underlay_that_cannot_work_leaves_the_one_that_does() {
    on_host("wrong-underlay", async |host| {
        let pod = Pod::new();
        let mut working = desired_with_port(&pod);
        working.remote_hosts = crate::next_hops::remote("192.0.2.2");
        let mut dataplane = Dataplane::open(host.options.clone(), owner()).await.unwrap();
        reconcile(&mut dataplane, &working).await;
        eventually("the next hop to be resolved", async || {
            reconcile(&mut dataplane, &working).await.changes.is_empty().then_some(())
        })
        .await;

        let mut device = working.clone();
        device.host.underlay = "eth7".to_owned();
        let mut vtep = working.clone();
        vtep.host.vtep = "192.0.2.99".parse().unwrap();
        vtep.host.router_mac = vtep.host.vtep.default_router_mac();
        for wrong in [&device, &vtep] {
            assert_eq!(dataplane.plan(wrong).await.unwrap(), []);
            let report = dataplane.reconcile(wrong).await;
            assert_eq!(report.failures.len(), 1, "{:#?}", report.failures);
            assert_eq!(report.changes, [], "what works stays");
        }
        // Once it can work, it takes over.
        let under0 = index(&host.netlink, "under0").await.unwrap();
        crate::host::add_address(&host.netlink, under0, "192.0.2.99", 32).await;
        let changes = reconcile(&mut dataplane, &vtep).await.changes;
        let this_host = |change: &Change| matches!(change, Change::Table { map, .. } if *map == "HOST");
        assert!(changes.iter().any(this_host), "{changes:#?}");
    });
}

#[test]
fn a_port_that_is_not_desired_any_more_goes_with_all_that_was_its() {
    on_host("detach", async |host| {
        let pod = Pod::new();
        let mut dataplane = Dataplane::open(host.options.clone(), owner()).await.unwrap();
        let report = reconcile(&mut dataplane, &desired_with_port(&pod)).await;
        let state = &report.ports["a"];
        let from_pod = format!("from_pod-{}", state.ifindex);
        assert!(attached(&host).await.contains_key(&from_pod));

        let report = reconcile(&mut dataplane, &desired()).await;
        let entry = |change: &Change| matches!(change, Change::Table { .. });
        let device = |change: &Change| matches!(change, Change::RemoveDevice { .. });
        let last_entry = report.changes.iter().rposition(entry).unwrap();
        let removal = report.changes.iter().position(device).unwrap();
        assert!(last_entry < removal, "map entries go before the device: {:#?}", report.changes);
        assert!(!links(&host.netlink).await.contains_key(&state.device));
        assert!(!attached(&host).await.contains_key(&from_pod));
        assert_eq!(reconcile(&mut dataplane, &desired()).await.changes, []);
        assert!(!dataplane.counters().unwrap().contains_key("a"));
    });
}

#[test]
fn a_namespace_that_vanishes_fails_the_port_until_another_is_there() {
    on_host("vanish", async |host| {
        let pod = Pod::new();
        let mut desired = desired_with_port(&pod);
        let mut dataplane = Dataplane::open(host.options.clone(), owner()).await.unwrap();
        let device = reconcile(&mut dataplane, &desired).await.ports["a"].device.clone();
        drop(pod);
        eventually("the veth to go with the namespace", async || {
            (!links(&host.netlink).await.contains_key(&device)).then_some(())
        })
        .await;
        let report = dataplane.reconcile(&desired).await;
        assert!(report.failures[0].cause.contains("does not exist"), "{:#?}", report.failures);
        assert!(report.ports.is_empty());

        let pod = Pod::new();
        desired.ports.get_mut("a").unwrap().netns = pod.path.clone();
        let report = reconcile(&mut dataplane, &desired).await;
        assert_eq!(report.ports["a"].device, device);
        assert_eq!(attached(&host).await.len(), 3, "underlay, vxlan and the one port");
    });
}

#[test]
fn a_port_moves_to_another_namespace() {
    on_host("move", async |host| {
        let (old, new) = (Pod::new(), Pod::new());
        let mut desired = desired_with_port(&old);
        let mut dataplane = Dataplane::open(host.options.clone(), owner()).await.unwrap();
        reconcile(&mut dataplane, &desired).await;
        desired.ports.get_mut("a").unwrap().netns = new.path.clone();
        reconcile(&mut dataplane, &desired).await;
        let has = async |pod: &Pod| {
            pod.run(|netlink| async move { links(&netlink).await.contains_key("eth0") }).await
        };
        assert_eq!((has(&old).await, has(&new).await), (false, true));
        assert_eq!(reconcile(&mut dataplane, &desired).await.changes, []);
    });
}

#[test]
fn two_ports_in_a_namespace_share_it_and_one_has_the_default_route() {
    on_host("two-ports", async |host| {
        let pod = Pod::new();
        let mut desired = desired();
        for (name, number, device) in [("a", 10, "net1"), ("b", 11, "eth0")] {
            let port = Port { device: device.to_owned(), ..port(number, &pod.path) };
            desired.ports.insert(name.to_owned(), port);
        }
        let mut dataplane = Dataplane::open(host.options.clone(), owner()).await.unwrap();
        reconcile(&mut dataplane, &desired).await;
        assert_eq!(reconcile(&mut dataplane, &desired).await.changes, []);
        assert_eq!(default_devices(&pod).await, ["eth0", "eth0"]);

        // It stays where it is when another comes, and goes on to the other one when its port goes.
        let second = desired.ports.remove("b").unwrap();
        reconcile(&mut dataplane, &desired).await;
        reconcile(&mut dataplane, &desired).await;
        assert_eq!(default_devices(&pod).await, ["net1", "net1"]);
        desired.ports.insert("b".to_owned(), second);
        reconcile(&mut dataplane, &desired).await;
        assert_eq!(default_devices(&pod).await, ["net1", "net1"]);
    });
}

/// Devices of the default routes in a pod, of both families.
async fn default_devices(pod: &Pod) -> Vec<String> {
    pod.run(async move |netlink| {
        let mut names = std::collections::BTreeMap::new();
        for (name, link) in crate::host::links(&netlink).await {
            names.insert(link.header.index, name);
        }
        let mut devices = Vec::new();
        for message in [
            RouteMessageBuilder::<std::net::Ipv4Addr>::new().build(),
            RouteMessageBuilder::<std::net::Ipv6Addr>::new().build(),
        ] {
            let routes: Vec<_> = netlink.route().get(message).execute().try_collect().await.unwrap();
            let defaults = routes.into_iter().filter(|route| {
                let gateway = |attribute: &_| matches!(attribute, RouteAttribute::Gateway(_));
                route.header.destination_prefix_length == 0 && route.attributes.iter().any(gateway)
            });
            devices.extend(defaults.filter_map(|route| {
                route.attributes.iter().find_map(|attribute| {
                    if let RouteAttribute::Oif(index) = attribute { names.get(index).cloned() } else { None }
                })
            }));
        }
        devices
    })
    .await
}
