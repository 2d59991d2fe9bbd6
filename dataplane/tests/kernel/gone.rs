//! Devices that go while no weftd runs, or while one takes over what holds its programs there: it starts all the same.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;

use rtnetlink::Handle;
use weft_dataplane::desired::{Desired, Xdp};
use weft_dataplane::{Dataplane, Options};

use crate::attached::attached;
use crate::held::LinkUpdates;
use crate::host::{Pod, TestHost, desired_with_port, index, on_host, owner, reconcile};

/// A host with all kinds of programs on its devices: with a port, and with XDP on two uplinks.
async fn occupied(host: &TestHost, pod: &Pod) -> (Dataplane, Desired) {
    crate::xdp::second_uplink(&host.netlink).await;
    let mut dataplane = Dataplane::open(host.options.clone(), owner()).await.unwrap();
    let mut desired = desired_with_port(pod);
    desired.host.xdp = Xdp::Guard;
    desired.remote_hosts = crate::next_hops::remote("198.51.100.7");
    reconcile(&mut dataplane, &desired).await;
    (dataplane, desired)
}

/// Removes devices. Their links stay pinned and are dead; their filters go.
async fn remove(netlink: &Handle, devices: &[u32]) {
    for device in devices {
        netlink.link().del(*device).execute().await.unwrap();
    }
}

/// Opens a data plane, and removes devices when it has read which links there are, and has opened the first of them.
async fn open_and_remove(options: Options, netlink: &Handle, devices: &[u32]) -> Dataplane {
    let updates = LinkUpdates::hold().unwrap();
    let mut opening = pin!(Dataplane::open(options, owner()));
    let mut left = devices;
    let opened = loop {
        tokio::select! {
            opened = &mut opening => break opened,
            held = updates.next() => {
                remove(netlink, std::mem::take(&mut left)).await;
                held.unwrap().go_on().unwrap();
            }
        }
    };
    assert!(left.is_empty(), "no link was taken over");
    opened.unwrap()
}

/// The devices of a port and of an uplink go `before` the start, or in the middle of it. What is on the others is replaced
/// in place, of theirs no pin is left, and the port is made anew.
async fn devices_go(host: TestHost, before: bool) {
    let pod = Pod::new();
    let (dataplane, desired) = occupied(&host, &pod).await;
    drop(dataplane);
    let held = attached(&host).await;
    let port = held.keys().find_map(|name| name.strip_prefix("from_pod-")).unwrap().parse().unwrap();
    let going = [port, index(&host.netlink, "under1").await.unwrap()];
    let goes = |name: &str| going.iter().any(|device| name.ends_with(&format!("-{device}")));
    let lost: BTreeSet<_> = held.keys().filter(|name| goes(name)).cloned().collect();
    assert_eq!((held.len(), lost.len()), (6, 3), "{held:?}");

    let options = host.options.clone();
    let mut dataplane = if before {
        remove(&host.netlink, &going).await;
        Dataplane::open(options, owner()).await.unwrap()
    } else {
        open_and_remove(options, &host.netlink, &going).await
    };
    let left: BTreeMap<_, _> = held.into_iter().filter(|(name, _)| !lost.contains(name)).collect();
    let now = attached(&host).await;
    assert!(now.keys().eq(left.keys()), "{now:?}, not {left:?}");
    for (name, (link, program)) in left {
        assert_eq!(now[&name].0, link, "{name} was never detached");
        assert_ne!(now[&name].1, program, "{name} holds the new program");
    }

    let report = reconcile(&mut dataplane, &desired).await;
    assert_ne!(report.ports["a"].ifindex, port);
    let uplinks: Vec<_> = report.xdp.iter().map(|state| state.device.as_str()).collect();
    assert_eq!(uplinks, ["under0"]);
    assert_eq!(attached(&host).await.len(), 4, "with the new port's");
    assert_eq!(reconcile(&mut dataplane, &desired).await.changes, []);
}

#[test]
fn devices_go_before_a_start() {
    on_host("gone-before", |host| devices_go(host, true));
}

#[test]
fn devices_go_while_their_links_are_taken_over() {
    on_host("gone-amid", |host| devices_go(host, false));
}
