//! The bridge that has the kernel leave headroom in what workloads send.

use netlink_packet_route::link::LinkAttribute;
use rtnetlink::{LinkUnspec, LinkVeth};
use weft_dataplane::Dataplane;

use crate::host::{Pod, desired_with_port, index, is_up, links, on_host, owner, reconcile};

/// In: a port; then its host end is taken out of the bridge, and the bridge brought up. Out: both as before.
#[test]
fn our_devices_are_ports_of_a_bridge_that_is_down() {
    on_host("headroom", async |host| {
        let pod = Pod::new();
        let mut dataplane = Dataplane::open(host.options.clone(), owner()).await.unwrap();
        let report = reconcile(&mut dataplane, &desired_with_port(&pod)).await;
        let ours = [report.ports["a"].device.clone(), "weft-vxlan".to_owned()];
        let check = async || {
            let links = links(&host.netlink).await;
            let bridge = &links["weft-headroom"];
            assert!(!is_up(bridge));
            let member = LinkAttribute::Controller(bridge.header.index);
            for name in &ours {
                assert!(links[name].attributes.contains(&member), "{name} is no port of the bridge");
            }
            (bridge.header.index, links[&ours[0]].header.index)
        };
        let (bridge, host_end) = check().await;
        for message in [
            LinkUnspec::new_with_index(host_end).nocontroller().build(),
            LinkUnspec::new_with_index(bridge).up().build(),
        ] {
            host.netlink.link().set(message).execute().await.unwrap();
        }
        assert_eq!(reconcile(&mut dataplane, &desired_with_port(&pod)).await.changes.len(), 2);
        check().await;
        drop(dataplane);
        Dataplane::teardown(&host.options).await.unwrap();
        assert!(!links(&host.netlink).await.contains_key("weft-headroom"));
    });
}

/// In: a bridge that somebody filled with ports, as many as the kernel lets it have; then a port. Out: the port works, and
/// nothing failed.
#[test]
fn a_port_works_without_headroom() {
    /// With the vxlan device, what a bridge can have.
    const FOREIGN: usize = 1022;
    on_host("headroom-full", async |host| {
        let netlink = &host.netlink;
        let mut dataplane = Dataplane::open(host.options.clone(), owner()).await.unwrap();
        let pod = Pod::new();
        let mut desired = desired_with_port(&pod);
        let ports = std::mem::take(&mut desired.ports);
        reconcile(&mut dataplane, &desired).await;
        let bridge = index(netlink, "weft-headroom").await.unwrap();
        let mut joined = 0;
        for pair in 0..=FOREIGN / 2 {
            let names = [format!("a{pair}"), format!("b{pair}")];
            netlink.link().add(LinkVeth::new(&names[0], &names[1]).build()).execute().await.unwrap();
            for name in names {
                let end = LinkUnspec::new_with_name(&name).controller(bridge).build();
                joined += usize::from(netlink.link().set(end).execute().await.is_ok());
            }
        }
        assert_eq!(joined, FOREIGN, "the kernel lets a bridge have another number of ports");
        desired.ports = ports;
        let report = reconcile(&mut dataplane, &desired).await;
        assert!(is_up(&links(netlink).await[&report.ports["a"].device]));
    });
}
