//! XDP on underlay devices of a real kernel: attached, adopted, exchanged under traffic, and never in the place of
//! somebody else's.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use aya::programs::{Xdp as Program, XdpMode as Attach, loaded_programs};
use netlink_packet_route::link::{LinkAttribute, LinkXdp, XdpAttached};
use netlink_packet_route::route::RouteMessage;
use rtnetlink::{Handle, LinkUnspec, LinkVeth, RouteMessageBuilder, RouteNextHopBuilder};
use weft_dataplane::desired::{Desired, Xdp};
use weft_dataplane::{Dataplane, Report, XdpMode, XdpState};

use crate::host::{Pod, desired, desired_with_port, eventually, index, links, on_host, owner, reconcile, up};

fn with(xdp: Xdp) -> Desired {
    let mut desired = desired();
    desired.host.xdp = xdp;
    desired
}

/// The XDP program of a device: mode, id and name.
async fn program(netlink: &Handle, device: &str) -> Option<(XdpAttached, u32, String)> {
    let link = links(netlink).await.remove(device).unwrap();
    let parts = link
        .attributes
        .into_iter()
        .find_map(|attribute| if let LinkAttribute::Xdp(parts) = attribute { Some(parts) } else { None })?;
    let mode =
        parts.iter().find_map(|part| if let LinkXdp::Attached(mode) = part { Some(*mode) } else { None })?;
    let id = parts.iter().find_map(|part| if let LinkXdp::ProgId(id) = part { Some(*id) } else { None })?;
    let info = loaded_programs().flatten().find(|program| program.id() == id).unwrap();
    Some((mode, id, info.name_as_str().unwrap().to_owned()))
}

async fn name(netlink: &Handle, device: &str) -> Option<String> {
    let (mode, _, name) = program(netlink, device).await?;
    assert_eq!(mode, XdpAttached::Driver, "native");
    Some(name)
}

fn state(configured: Xdp, effective: XdpMode, reason: &str) -> Vec<XdpState> {
    vec![XdpState { device: "under0".to_owned(), configured, effective, reason: reason.to_owned() }]
}

#[test]
fn as_configured_adopted_and_torn_down() {
    on_host("xdp", async |host| {
        let netlink = &host.netlink;
        let pins = || {
            let pins = host.options.pin_folder.join("links").read_dir().unwrap();
            let names = pins.map(|pin| pin.unwrap().file_name().into_string().unwrap());
            names.filter(|name| name.starts_with("xdp")).collect::<Vec<_>>()
        };
        let under0 = index(netlink, "under0").await.unwrap();
        let mut dataplane = Dataplane::open(host.options.clone(), owner()).await.unwrap();
        reconcile(&mut dataplane, &desired()).await;
        for (asked, effective, reason, expected) in [
            (Xdp::Auto, XdpMode::Off, "veth, where native XDP costs bulk throughput", None),
            (Xdp::Guard, XdpMode::Guard, "as configured", Some("xdp_guard")),
            (Xdp::Forward, XdpMode::Forward, "as configured", Some("xdp_forward")),
            (Xdp::Guard, XdpMode::Guard, "as configured", Some("xdp_guard")),
            (Xdp::Off, XdpMode::Off, "as configured", None),
            (Xdp::Forward, XdpMode::Forward, "as configured", Some("xdp_forward")),
        ] {
            let planned = dataplane.plan(&with(asked)).await.unwrap();
            let report = reconcile(&mut dataplane, &with(asked)).await;
            assert!(report.changes.ends_with(&planned), "{asked:?}: {planned:#?}, {:#?}", report.changes);
            assert_eq!(report.xdp, state(asked, effective, reason));
            assert_eq!(name(netlink, "under0").await.as_deref(), expected, "{asked:?}");
            let pinned: Vec<_> = expected.iter().map(|name| format!("{name}-{under0}")).collect();
            assert_eq!(pins(), pinned, "{asked:?}");
            assert_eq!(reconcile(&mut dataplane, &with(asked)).await.changes, []);
        }

        let (_, before, _) = program(netlink, "under0").await.unwrap();
        drop(dataplane);
        assert!(program(netlink, "under0").await.is_some(), "it stays without a daemon");
        let mut dataplane = Dataplane::open(host.options.clone(), owner()).await.unwrap();
        let (_, after, name) = program(netlink, "under0").await.unwrap();
        assert!(
            before != after && name == "xdp_forward",
            "a new program in the old one's place: {after} {name}"
        );
        assert_eq!(reconcile(&mut dataplane, &with(Xdp::Forward)).await.changes, []);
        drop(dataplane);

        Dataplane::teardown(&host.options).await.unwrap();
        eventually("XDP to go", async || program(netlink, "under0").await.is_none().then_some(())).await;
    });
}

/// The pin of a link that took another program over, but was not renamed any more.
#[test]
fn an_exchange_that_was_cut_short_is_finished() {
    on_host("xdp-cut", async |host| {
        let mut dataplane = Dataplane::open(host.options.clone(), owner()).await.unwrap();
        reconcile(&mut dataplane, &with(Xdp::Forward)).await;
        drop(dataplane);
        let under0 = index(&host.netlink, "under0").await.unwrap();
        let pin = |program: &str| host.options.pin_folder.join(format!("links/{program}-{under0}"));
        std::fs::rename(pin("xdp_forward"), pin("xdp_guard")).unwrap();
        let mut dataplane = Dataplane::open(host.options.clone(), owner()).await.unwrap();
        assert_eq!(name(&host.netlink, "under0").await.as_deref(), Some("xdp_guard"));
        reconcile(&mut dataplane, &with(Xdp::Forward)).await;
        assert_eq!(name(&host.netlink, "under0").await.as_deref(), Some("xdp_forward"));
        assert!(pin("xdp_forward").exists() && !pin("xdp_guard").exists());
    });
}

/// Attaches a program of nobody's; it stays while what is returned does.
fn attach_foreign(device: &str, mode: Attach) -> (aya::Ebpf, u32) {
    static OBJECT: &[u8] = aya::include_bytes_aligned!(env!("WEFT_BPF_OBJECT"));
    let mut ebpf = aya::Ebpf::load(OBJECT).unwrap();
    let program: &mut Program = ebpf.program_mut("xdp_guard").unwrap().try_into().unwrap();
    program.load().unwrap();
    program.attach(device, mode).unwrap();
    let id = program.info().unwrap().id();
    (ebpf, id)
}

#[test]
fn a_foreign_program_stays_and_tc_goes_on() {
    for mode in [Attach::Driver, Attach::Skb] {
        on_host(&format!("xdp-foreign-{mode:?}"), async move |host| {
            let netlink = &host.netlink;
            let (foreign, id) = attach_foreign("under0", mode);
            let mut dataplane = Dataplane::open(host.options.clone(), owner()).await.unwrap();
            for asked in [Xdp::Guard, Xdp::Forward] {
                let report = dataplane.reconcile(&with(asked)).await;
                let failures: Vec<_> = report.failures.iter().map(ToString::to_string).collect();
                assert_eq!(failures.len(), 1, "{failures:#?}");
                assert!(
                    failures[0]
                        .starts_with("XDP on device under0: there is an XDP program that is not weft's")
                        && failures[0].contains("`ip link set dev under0 xdp off`"),
                    "{failures:#?}"
                );
                assert_eq!(report.xdp, state(asked, XdpMode::Off, &format!("foreign program {id}")));
                assert_eq!(program(netlink, "under0").await.unwrap().1, id);
            }
            assert!(dataplane.plan(&desired()).await.unwrap().is_empty(), "TC is all in place");
            for unasked in [Xdp::Auto, Xdp::Off] {
                reconcile(&mut dataplane, &with(unasked)).await;
                assert_eq!(program(netlink, "under0").await.unwrap().1, id);
            }
            drop(foreign);
            reconcile(&mut dataplane, &with(Xdp::Guard)).await;
            let (attached, ours, _) = program(netlink, "under0").await.unwrap();
            assert!(attached == XdpAttached::Driver && ours != id);
            drop(dataplane);
            Dataplane::teardown(&host.options).await.unwrap();

            let (_foreign, id) = attach_foreign("under0", mode);
            let mut dataplane = Dataplane::open(host.options.clone(), owner()).await.unwrap();
            reconcile(&mut dataplane, &desired()).await;
            drop(dataplane);
            Dataplane::teardown(&host.options).await.unwrap();
            assert_eq!(program(netlink, "under0").await.unwrap().1, id, "a teardown leaves it");
        });
    }
}

#[test]
fn it_moves_with_the_underlay_and_goes_with_its_device() {
    on_host("xdp-moves", async |host| {
        let netlink = &host.netlink;
        netlink.link().add(LinkVeth::new("under1", "peer1").build()).execute().await.unwrap();
        let under1 = index(netlink, "under1").await.unwrap();
        up(netlink, under1).await;
        let mut dataplane = Dataplane::open(host.options.clone(), owner()).await.unwrap();
        let mut desired = with(Xdp::Guard);
        reconcile(&mut dataplane, &desired).await;
        desired.host.underlay = "under1".to_owned();
        reconcile(&mut dataplane, &desired).await;
        assert_eq!(name(netlink, "under0").await, None);
        assert_eq!(name(netlink, "under1").await.as_deref(), Some("xdp_guard"));
        // While there is no underlay device, what there was stays.
        desired.host.underlay = "under9".to_owned();
        let report = dataplane.reconcile(&desired).await;
        assert!(!report.failures.is_empty() && report.xdp.is_empty());
        assert_eq!(name(netlink, "under1").await.as_deref(), Some("xdp_guard"));
        netlink.link().del(under1).execute().await.unwrap();
        desired.host.underlay = "under0".to_owned();
        reconcile(&mut dataplane, &desired).await;
        let pins = host.options.pin_folder.join("links").read_dir().unwrap();
        assert_eq!(
            pins.filter(|pin| pin.as_ref().unwrap().file_name().to_str().unwrap().starts_with("xdp")).count(),
            1
        );
    });
}

/// What is on the underlay devices, as the report tells it.
fn effective(report: &Report) -> Vec<(&str, XdpMode)> {
    report.xdp.iter().map(|state| (state.device.as_str(), state.effective)).collect()
}

/// Adds a second device, under1, with a route through it beside one through under0, to VTEP 198.51.100.7.
pub async fn second_uplink(netlink: &Handle) -> RouteMessage {
    netlink.link().add(LinkVeth::new("under1", "peer1").build()).execute().await.unwrap();
    let (under0, under1) = (index(netlink, "under0").await.unwrap(), index(netlink, "under1").await.unwrap());
    crate::host::add_address(netlink, under1, "203.0.113.1", 24).await;
    up(netlink, under1).await;
    up(netlink, index(netlink, "peer1").await.unwrap()).await;
    let hops = [(under0, [192, 0, 2, 254]), (under1, [203, 0, 113, 2])].map(|(device, gateway)| {
        let hop = RouteNextHopBuilder::new_ipv4().interface(device).via(IpAddr::from(gateway)).unwrap();
        hop.build()
    });
    let route = RouteMessageBuilder::<Ipv4Addr>::new()
        .destination_prefix([198, 51, 100, 7].into(), 32)
        .multipath(hops.to_vec())
        .build();
    netlink.route().add(route.clone()).execute().await.unwrap();
    route
}

/// A second uplink has what the first has, keeps it while its carrier is away, and loses it with its route.
#[test]
fn every_uplink_has_it() {
    on_host("xdp-uplinks", async |host| {
        let netlink = &host.netlink;
        let route = second_uplink(netlink).await;
        let mut dataplane = Dataplane::open(host.options.clone(), owner()).await.unwrap();
        let mut desired = desired();
        desired.remote_hosts = crate::next_hops::remote("198.51.100.7");
        reconcile(&mut dataplane, &desired).await;
        for (asked, mode, expected) in [
            (Xdp::Auto, XdpMode::Off, None),
            (Xdp::Guard, XdpMode::Guard, Some("xdp_guard")),
            (Xdp::Forward, XdpMode::Forward, Some("xdp_forward")),
            (Xdp::Off, XdpMode::Off, None),
            (Xdp::Guard, XdpMode::Guard, Some("xdp_guard")),
        ] {
            desired.host.xdp = asked;
            let planned = dataplane.plan(&desired).await.unwrap();
            let report = reconcile(&mut dataplane, &desired).await;
            assert!(report.changes.ends_with(&planned), "{asked:?}: {planned:#?}, {:#?}", report.changes);
            assert_eq!(effective(&report), [("under0", mode), ("under1", mode)], "{asked:?}");
            for device in ["under0", "under1"] {
                assert_eq!(name(netlink, device).await.as_deref(), expected, "{asked:?} on {device}");
            }
            assert_eq!(reconcile(&mut dataplane, &desired).await.changes, []);
        }

        let (_, before, _) = program(netlink, "under1").await.unwrap();
        let peer1 = index(netlink, "peer1").await.unwrap();
        netlink.link().set(LinkUnspec::new_with_index(peer1).down().build()).execute().await.unwrap();
        let vtep = "198.51.100.7".parse().unwrap();
        eventually("the hop without a carrier to be left out", async || {
            let report = reconcile(&mut dataplane, &desired).await;
            assert_eq!(effective(&report), [("under0", XdpMode::Guard), ("under1", XdpMode::Guard)]);
            (report.vteps[&vtep].next_hops.len() == 1).then_some(())
        })
        .await;
        assert_eq!(program(netlink, "under1").await.unwrap().1, before, "it was never taken off");

        netlink.route().del(route).execute().await.unwrap();
        let report = reconcile(&mut dataplane, &desired).await;
        assert_eq!(effective(&report), [("under0", XdpMode::Guard)]);
        assert_eq!(name(netlink, "under1").await, None);
        assert_eq!(name(netlink, "under0").await.as_deref(), Some("xdp_guard"));
    });
}

/// Of two uplinks one has somebody else's program: that one is named, and the other has weft's.
#[test]
fn each_uplink_is_judged_by_itself() {
    on_host("xdp-uplink-foreign", async |host| {
        let netlink = &host.netlink;
        second_uplink(netlink).await;
        let (_foreign, id) = attach_foreign("under1", Attach::Driver);
        let mut dataplane = Dataplane::open(host.options.clone(), owner()).await.unwrap();
        let mut desired = with(Xdp::Guard);
        desired.remote_hosts = crate::next_hops::remote("198.51.100.7");
        let report = dataplane.reconcile(&desired).await;
        let failures: Vec<_> = report.failures.iter().map(ToString::to_string).collect();
        assert!(
            failures.len() == 1 && failures[0].starts_with("XDP on device under1: there is an XDP program"),
            "{failures:#?}"
        );
        assert_eq!(effective(&report), [("under0", XdpMode::Guard), ("under1", XdpMode::Off)]);
        assert_eq!(program(netlink, "under1").await.unwrap().1, id);
        desired.host.xdp = Xdp::Auto;
        let report = reconcile(&mut dataplane, &desired).await;
        let reasons: Vec<_> = report.xdp.iter().map(|state| state.reason.as_str()).collect();
        let foreign = format!("foreign program {id}");
        assert_eq!(reasons, ["veth, where native XDP costs bulk throughput", foreign.as_str()]);
    });
}

/// An MTU for which one page does not do.
#[test]
fn large_frames_are_taken_in_pieces() {
    on_host("xdp-jumbo", async |host| {
        let set = |netlink: Handle, device: &'static str| async move {
            let index = index(&netlink, device).await.unwrap();
            netlink.link().set(LinkUnspec::new_with_index(index).mtu(9000).build()).execute().await.unwrap();
        };
        set(host.netlink.clone(), "under0").await;
        host.far.run(move |netlink| set(netlink, "eth0")).await;
        let mut dataplane = Dataplane::open(host.options.clone(), owner()).await.unwrap();
        for asked in [Xdp::Guard, Xdp::Forward] {
            reconcile(&mut dataplane, &with(asked)).await;
        }
        // It goes through the program, is not ours, and is whole.
        let here = UdpSocket::bind("192.0.2.1:7000").unwrap();
        here.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let there = crate::traffic::socket(&host.far, "192.0.2.2").await;
        let word: Vec<u8> = (0..8900_u32).map(|at| at.to_be_bytes()[3]).collect();
        eventually("a large datagram", async || {
            there.send_to(&word, "192.0.2.1:7000").unwrap();
            let mut buffer = vec![0; 9000];
            let (length, _) = here.recv_from(&mut buffer).ok()?;
            (buffer[..length] == word).then_some(())
        })
        .await;
    });
}

#[test]
fn a_driver_without_native_xdp_is_named() {
    on_host("xdp-none", async |host| {
        let netlink = &host.netlink;
        let bridge = rtnetlink::LinkBridge::new("br0").build();
        netlink.link().add(bridge).execute().await.unwrap();
        let mut dataplane = Dataplane::open(host.options.clone(), owner()).await.unwrap();
        let mut desired = with(Xdp::Guard);
        desired.host.underlay = "br0".to_owned();
        let report = dataplane.reconcile(&desired).await;
        let failures: Vec<_> = report.failures.iter().map(ToString::to_string).collect();
        let words = "XDP on device br0: driver bridge has no native XDP: set underlay.xdp";
        assert!(failures.len() == 1 && failures[0].starts_with(words), "{failures:#?}");
        desired.host.xdp = Xdp::Auto;
        let report = reconcile(&mut dataplane, &desired).await;
        assert_eq!(report.xdp[0].reason, "driver bridge has no native XDP");
    });
}

/// A workload's device takes nothing from XDP while its GRO is off, as it is at first.
#[test]
fn workloads_get_gro_for_forward_only() {
    on_host("xdp-gro", async |host| {
        let pod = Pod::new();
        let mut dataplane = Dataplane::open(host.options.clone(), owner()).await.unwrap();
        let mut desired = desired_with_port(&pod);
        let switched = |changes: &[weft_dataplane::Change]| {
            changes.iter().filter(|change| change.to_string().contains("GRO on")).count()
        };
        for (asked, expected) in [(Xdp::Off, 0), (Xdp::Guard, 0), (Xdp::Forward, 1), (Xdp::Forward, 0)] {
            desired.host.xdp = asked;
            let report = reconcile(&mut dataplane, &desired).await;
            assert_eq!(switched(&report.changes), expected, "{asked:?}: {:#?}", report.changes);
        }
    });
}

/// Datagrams from the far end to the host, a thousand a second.
struct Flow {
    stop: Sender<()>,
    stopped: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    sender: JoinHandle<()>,
    /// Counts until nothing more comes after the stop.
    receiver: JoinHandle<u64>,
}

impl Flow {
    async fn start(far: &Pod) -> Self {
        let here = UdpSocket::bind("192.0.2.1:7000").unwrap();
        here.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        let there = crate::traffic::socket(far, "192.0.2.2").await;
        // The neighbour is resolved before the first datagram that counts.
        crate::traffic::arrives(&there, &here, "192.0.2.1", b"first").await;
        while here.recv(&mut [0; 64]).is_ok() {}
        let (stopped, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stop, clock) = channel::<()>();
        let count = Arc::clone(&sent);
        let sender = std::thread::spawn(move || {
            while clock.recv_timeout(Duration::from_millis(1)) == Err(RecvTimeoutError::Timeout) {
                there.send_to(b"number", "192.0.2.1:7000").unwrap();
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
        let theirs = Arc::clone(&stopped);
        let receiver = std::thread::spawn(move || {
            let mut arrived = 0;
            loop {
                // Read first: what was sent by then is waited for.
                let stopped = theirs.load(Ordering::Relaxed);
                match here.recv(&mut [0; 64]) {
                    Ok(_) => arrived += 1,
                    Err(_) if stopped => return arrived,
                    Err(_) => {}
                }
            }
        });
        Self { stop, stopped, sent, sender, receiver }
    }

    /// Waits until some more were sent.
    async fn go_on(&self) {
        let goal = self.sent.load(Ordering::Relaxed) + 20;
        eventually("more datagrams", async || (self.sent.load(Ordering::Relaxed) >= goal).then_some(()))
            .await;
    }

    /// Sent, and lost.
    fn finish(self) -> (u64, u64) {
        drop(self.stop);
        self.sender.join().unwrap();
        self.stopped.store(true, Ordering::Relaxed);
        let arrived = self.receiver.join().unwrap();
        let sent = self.sent.load(Ordering::Relaxed);
        (sent, sent - arrived)
    }
}

/// Programs are exchanged without loss, by configuration and by a new daemon; also attached and taken off.
#[test]
fn nothing_is_lost_meanwhile() {
    on_host("xdp-loss", async |host| {
        let mut dataplane = Dataplane::open(host.options.clone(), owner()).await.unwrap();
        reconcile(&mut dataplane, &with(Xdp::Off)).await;
        let flow = Flow::start(&host.far).await;
        let mut switches = 0;
        for _ in 0..5 {
            for asked in [Xdp::Guard, Xdp::Forward, Xdp::Off, Xdp::Forward, Xdp::Guard, Xdp::Auto] {
                reconcile(&mut dataplane, &with(asked)).await;
                switches += 1;
                flow.go_on().await;
            }
        }
        reconcile(&mut dataplane, &with(Xdp::Forward)).await;
        for _ in 0..3 {
            drop(dataplane);
            dataplane = Dataplane::open(host.options.clone(), owner()).await.unwrap();
        }
        let (sent, lost) = flow.finish();
        println!("{switches} switches and 3 replacements: {lost} of {sent} datagrams lost");
        assert!(sent > 500 && lost == 0, "{lost} of {sent} datagrams lost");
    });
}
