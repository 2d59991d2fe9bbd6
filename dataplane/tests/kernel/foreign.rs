//! What is not weft's stays, and what is goes.

use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;

use aya::maps::{Array, Map, MapData};
use aya::programs::{SchedClassifier, TcAttachType};
use futures_util::TryStreamExt;
use netlink_packet_route::link::LinkAttribute;
use netlink_packet_route::neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourMessage};
use rtnetlink::{LinkUnspec, LinkVeth, LinkVxlan};
use weft_dataplane::Dataplane;
use weft_dataplane_abi::maps;

use crate::attached::programs;
use crate::host::{Pod, desired, desired_with_port, eventually, index, links, on_host, owner, reconcile};

/// Neighbours of IPv4 by address.
async fn neighbours(netlink: &rtnetlink::Handle) -> BTreeMap<IpAddr, NeighbourMessage> {
    let all: Vec<_> = netlink.neighbours().get().execute().try_collect().await.unwrap();
    let address = |message: &NeighbourMessage| {
        message.attributes.iter().find_map(|attribute| {
            if let NeighbourAttribute::Destination(NeighbourAddress::Inet(v4)) = attribute {
                Some(IpAddr::from(*v4))
            } else {
                None
            }
        })
    };
    all.into_iter().filter_map(|message| Some((address(&message)?, message))).collect()
}

#[test]
fn teardown_removes_ours_and_nothing_else() {
    on_host("teardown", async |host| {
        let (netlink, folder) = (&host.netlink, &host.options.pin_folder);
        // Foreign: a veth with a name like ours, a vxlan device, a neighbour, a program beside ours, a pin.
        netlink
            .link()
            .add(LinkVeth::new("weft00000000000", "weft00000000001").build())
            .execute()
            .await
            .unwrap();
        netlink.link().add(LinkVxlan::new("vxlan9", 9).port(4790).build()).execute().await.unwrap();
        let under0 = index(netlink, "under0").await.unwrap();
        let stranger: IpAddr = "192.0.2.77".parse().unwrap();
        let neighbour = netlink.neighbours().add(under0, stranger);
        neighbour.link_layer_address(&[2, 0, 0, 0, 0, 77]).execute().await.unwrap();

        let pod = Pod::new();
        let mut desired = desired_with_port(&pod);
        desired.remote_hosts = crate::next_hops::remote("192.0.2.2");
        let mut dataplane = Dataplane::open(host.options.clone(), owner()).await.unwrap();
        let report = reconcile(&mut dataplane, &desired).await;
        drop(dataplane);
        let ours = programs(netlink, "under0").await;
        let theirs = attach_foreign_program("under0");
        let abi = MapData::from_pin(folder.join("maps").join(maps::ABI)).unwrap();
        let pin = folder.with_file_name(format!("{}-foreign", folder.file_name().unwrap().to_str().unwrap()));
        abi.pin(&pin).unwrap();

        let removed = Dataplane::teardown(&host.options).await;
        let kept_pin = pin.exists();
        fs::remove_file(&pin).unwrap();
        let removed = removed.unwrap();
        assert!(kept_pin && !folder.exists());
        assert!(removed.iter().any(|line| line.contains("remove port a")), "{removed:#?}");
        let left = links(netlink).await;
        for foreign in ["weft00000000000", "weft00000000001", "vxlan9", "under0", "lo"] {
            assert!(left.contains_key(foreign), "{foreign} has gone");
        }
        assert!(!left.contains_key("weft-vxlan") && !left.contains_key(&report.ports["a"].device));
        let left = neighbours(netlink).await;
        assert!(left.contains_key(&stranger));
        assert!(!left.values().any(crate::next_hops::is_managed), "{left:#?}");
        assert_eq!(ours.len(), 1);
        eventually("our program to go from the underlay", async || {
            (programs(netlink, "under0").await == [theirs.1]).then_some(())
        })
        .await;
        assert_eq!(Dataplane::teardown(&host.options).await.unwrap(), Vec::<String>::new());
    });
}

/// Attaches a program of nobody's to the ingress of `device`; it stays while what is returned does.
pub fn attach_foreign_program(device: &str) -> (aya::Ebpf, u32) {
    static OBJECT: &[u8] = aya::include_bytes_aligned!(env!("WEFT_BPF_OBJECT"));
    let mut ebpf = aya::Ebpf::load(OBJECT).unwrap();
    let program: &mut SchedClassifier = ebpf.program_mut("from_underlay").unwrap().try_into().unwrap();
    program.load().unwrap();
    // Without tcx it is a filter, and needs a clsact; one that is there is as good.
    let _ = aya::programs::tc::qdisc_add_clsact(device);
    program.attach(device, TcAttachType::Ingress).unwrap();
    let id = program.info().unwrap().id();
    (ebpf, id)
}

#[test]
fn a_foreign_vxlan_device_on_our_port_is_named_and_stays() {
    on_host("vxlan-port", async |host| {
        let vxlan = LinkVxlan::new("vxlan9", 9).port(4789).build();
        host.netlink.link().add(vxlan).execute().await.unwrap();
        let mut dataplane = Dataplane::open(host.options.clone(), owner()).await.unwrap();
        let report = dataplane.reconcile(&desired()).await;
        assert_eq!(report.failures.len(), 1, "{:#?}", report.failures);
        assert_eq!(
            report.failures[0].to_string(),
            "device weft-vxlan: the vxlan device vxlan9 holds UDP port 4789: remove it, or configure another port on \
             all hosts"
        );
        let vxlan9 = index(&host.netlink, "vxlan9").await.unwrap();
        host.netlink.link().del(vxlan9).execute().await.unwrap();
        reconcile(&mut dataplane, &desired()).await;
    });
}

#[test]
fn a_program_that_has_our_udp_port_open_is_hinted_at() {
    on_host("udp-port", async |host| {
        let socket = std::net::UdpSocket::bind("0.0.0.0:4789").unwrap();
        let mut dataplane = Dataplane::open(host.options.clone(), owner()).await.unwrap();
        let report = dataplane.reconcile(&desired()).await;
        let failures: Vec<_> = report.failures.iter().map(ToString::to_string).collect();
        assert!(
            failures[0].starts_with("device weft-vxlan: another program has its UDP port open"),
            "{failures:#?}"
        );
        drop(socket);
        reconcile(&mut dataplane, &desired()).await;
    });
}

#[test]
fn a_foreign_device_with_our_name_is_not_touched() {
    on_host("our-name", async |host| {
        let pod = Pod::new();
        let port_device = {
            let mut dataplane = Dataplane::open(host.options.clone(), owner()).await.unwrap();
            let report = reconcile(&mut dataplane, &desired_with_port(&pod)).await;
            reconcile(&mut dataplane, &desired()).await;
            report.ports["a"].device.clone()
        };
        Dataplane::teardown(&host.options).await.unwrap();
        for name in [port_device.as_str(), "weft-vxlan", "weft-headroom"] {
            let veth = LinkVeth::new(name, &format!("p{}", &name[5..])).build();
            host.netlink.link().add(veth).execute().await.unwrap();
        }
        let mut dataplane = Dataplane::open(host.options.clone(), owner()).await.unwrap();
        let report = dataplane.reconcile(&desired_with_port(&pod)).await;
        let failures: Vec<_> = report.failures.iter().map(ToString::to_string).collect();
        assert_eq!(failures.len(), 3, "{failures:#?}");
        assert!(failures.iter().all(|failure| failure.contains("is not weft's: rename or remove it")));
        drop(dataplane);
        Dataplane::teardown(&host.options).await.unwrap();
        let left = links(&host.netlink).await;
        assert!(
            [port_device.as_str(), "weft-vxlan", "weft-headroom"].iter().all(|name| left.contains_key(*name))
        );
    });
}

#[test]
fn a_device_that_a_crash_left_without_its_alias_is_made_anew() {
    on_host("unfinished", async |host| {
        let group = u32::from_be_bytes(*b"weft");
        let unfinished = LinkVxlan::new("weft-vxlan", 9).port(4789).link_group(group).build();
        host.netlink.link().add(unfinished).execute().await.unwrap();
        let mut dataplane = Dataplane::open(host.options.clone(), owner()).await.unwrap();
        reconcile(&mut dataplane, &desired()).await;
        let vxlan = links(&host.netlink).await.remove("weft-vxlan").unwrap();
        assert!(vxlan.attributes.contains(&LinkAttribute::IfAlias("weft vxlan".to_owned())));
        assert!(crate::host::is_up(&vxlan));
        let addresses: Vec<_> = host.netlink.address().get().execute().try_collect().await.unwrap();
        assert!(addresses.iter().all(|address| address.header.index != vxlan.header.index), "{addresses:#?}");
        host.netlink
            .link()
            .set(LinkUnspec::new_with_index(vxlan.header.index).mtu(1400).build())
            .execute()
            .await
            .unwrap();
        assert_eq!(reconcile(&mut dataplane, &desired()).await.changes.len(), 1);
    });
}

#[test]
fn the_abi_map_holds_the_version() {
    on_host("abi-value", async |host| {
        let _dataplane = Dataplane::open(host.options.clone(), owner()).await.unwrap();
        let data = MapData::from_pin(host.options.pin_folder.join("maps").join(maps::ABI)).unwrap();
        let abi: Array<_, u32> = Map::from_map_data(data).unwrap().try_into().unwrap();
        assert_eq!(abi.get(&0, 0).unwrap(), weft_dataplane_abi::ABI_VERSION);
    });
}
