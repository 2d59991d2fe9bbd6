//! The harness itself, proved by what the kernel does without weft.
//!
//! ```text
//! a eth0 ───── left r right ───── eth0 b
//! 10.1.0.2    10.1.0.1  10.2.0.1    10.2.0.2
//! fd01::2     fd01::1   fd02::1     fd02::2
//! ```

use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use ipnet::IpNet;
use weft_tests::frame::{self, Between};
use weft_tests::probe::{EchoServer, PingError, Steady};
use weft_tests::{Capture, Direction, End, Lab, Namespace, Offloads, PATIENCE, Wire, foreign, wait_until};
use weft_vxlan::Vni;

struct Line {
    a: Namespace,
    b: Namespace,
    router: Namespace,
}

const A: [&str; 2] = ["10.1.0.2", "fd01::2"];
const B: [&str; 2] = ["10.2.0.2", "fd02::2"];

fn line(lab: &Lab, wire: Wire) -> Result<Line> {
    let (a, b, router) = (lab.namespace("a")?, lab.namespace("b")?, lab.router("r")?);
    for (host, device, own, gateway) in [
        (&a, "left", ["10.1.0.2/24", "fd01::2/64"], ["10.1.0.1/24", "fd01::1/64"]),
        (&b, "right", ["10.2.0.2/24", "fd02::2/64"], ["10.2.0.1/24", "fd02::1/64"]),
    ] {
        wire.lay(
            End { namespace: host, device: "eth0", addresses: &nets(own)? },
            End { namespace: &router, device, addresses: &nets(gateway)? },
        )?;
        for (all, gateway) in ["0.0.0.0/0", "::/0"].into_iter().zip(nets(gateway)?) {
            host.add_route(all.parse()?, gateway.addr())?;
        }
    }
    Ok(Line { a, b, router })
}

fn nets(texts: [&str; 2]) -> Result<[IpNet; 2]> {
    Ok([texts[0].parse()?, texts[1].parse()?])
}

fn ip(text: &str) -> Result<IpAddr> {
    Ok(text.parse()?)
}

/// In: ping, UDP and TCP from a to b, both families, and to an address that nobody has. Out: answers from b, and
/// none from nobody; the router's captures see each ping go in on one side and out on the other.
#[test]
fn probes_and_captures() -> Result<()> {
    Lab::test(|lab| {
        let line = line(lab, Wire::default())?;
        let _server = EchoServer::start(&line.b, "b")?;
        let address = ip(B[0])?;
        let picked = move |packet: &weft_tests::Packet| {
            packet.ip.as_ref().is_some_and(|ip| ip.protocol == 1 && ip.destination == address)
        };
        let left = Capture::start(&line.router, "left", picked)?;
        let right = Capture::start(&line.router, "right", picked)?;
        let silent = Capture::start(&line.router, "right", |packet| packet.says("never said"))?;
        for b in B {
            line.a.ping_until(ip(b)?, PATIENCE)?;
            let answer = line.a.ping(ip(b)?)?;
            ensure!(answer.is_ok(), "{answer:?}");
            ensure!(line.a.udp_echo(ip(b)?, "hello")? == "b:hello");
            ensure!(line.a.tcp_echo(ip(b)?, "hello")? == "b:hello");
        }
        let nobody = line.a.ping_sized(ip("10.2.0.99")?, 56, Duration::from_millis(300))?;
        ensure!(matches!(nobody, Err(PingError::Timeout)), "{nobody:?}");
        ensure!(line.a.tcp_echo(ip("10.2.0.99")?, "hello").is_err());

        let (left, right) = (left.finish()?, right.finish()?);
        ensure!(left.count >= 2 && left.count == right.count, "{} in, {} out", left.count, right.count);
        ensure!(left.packets.iter().all(|packet| packet.direction == Direction::In));
        ensure!(right.packets.iter().all(|packet| packet.direction == Direction::Out));
        silent.assert_none("nobody said it")
    })
}

/// In: 20 MB over TCP, both ways, with offloads on and off. Out: the same bytes; super-packets on the wire only with
/// offloads on.
#[test]
fn transfers_with_offloads_on_and_off() -> Result<()> {
    Lab::test(|lab| {
        for offloads in [Offloads::On, Offloads::Off] {
            let lab_line =
                line(lab_or_new(lab, offloads)?.as_ref().unwrap_or(lab), Wire { mtu: 1500, offloads })?;
            let wide = Capture::start(&lab_line.router, "left", |packet| packet.length > 1514)?;
            lab_line.a.transfer(&lab_line.b, ip(B[0])?, 20_000_000)?;
            lab_line.b.transfer(&lab_line.a, ip(A[1])?, 20_000_000)?;
            let wide = wide.finish()?.count;
            ensure!((wide > 0) == (offloads == Offloads::On), "{offloads:?}: {wide} super-packets");
        }
        Ok(())
    })
}

/// Names are unique within a lab: the second line gets one of its own.
fn lab_or_new(_: &Lab, offloads: Offloads) -> Result<Option<Lab>> {
    (offloads == Offloads::Off).then(Lab::new).transpose()
}

/// In: ping, UDP and TCP at a fixed rate, while the router's wire is cut for a while. Out: nothing is lost before;
/// what is lost during the cut is counted; TCP goes on.
#[test]
fn steady_flows_count_what_is_lost() -> Result<()> {
    Lab::test(|lab| {
        let line = line(lab, Wire::default())?;
        let (to, to6) = (ip(B[0])?, ip(B[1])?);
        // A fresh IPv6 address is deaf to solicitations until the kernel comes round to it.
        line.a.ping_until(to6, PATIENCE)?;
        let whole = [
            Steady::ping(&line.a, to6, 200)?,
            Steady::udp(&line.a, &line.b, to6, 200)?,
            Steady::tcp(&line.a, &line.b, to6, 200)?,
        ];
        for flow in whole {
            flow.wait_for_more(40)?;
            let tally = flow.stop()?;
            ensure!(tally.lost() == 0 && tally.answered >= 40, "{tally:?}");
        }

        let (ping, udp) = (Steady::ping(&line.a, to, 200)?, Steady::udp(&line.a, &line.b, to, 200)?);
        let tcp = Steady::tcp(&line.a, &line.b, to, 200)?;
        for flow in [&ping, &udp, &tcp] {
            flow.wait_for_more(20)?;
        }
        let arriving = Capture::start(&line.router, "left", |_| true)?;
        line.router.set_up("right", false)?;
        wait_until(PATIENCE, "packets into the cut wire", || arriving.count() > 20)?;
        line.router.set_up("right", true)?;
        for flow in [&ping, &udp, &tcp] {
            flow.wait_for_more(20)?;
        }
        ensure!(ping.stop()?.lost() > 0);
        ensure!(udp.stop()?.lost() > 0);
        ensure!(tcp.stop()?.lost() == 0);
        Ok(())
    })
}

/// In: a capture that is ended while pings go through all the time, faster than it looks up. Out: it ends.
#[test]
fn a_capture_ends_though_frames_go_on_arriving() -> Result<()> {
    Lab::test(|lab| {
        let line = line(lab, Wire::default())?;
        let pings = Steady::ping(&line.a, ip(B[0])?, 1000)?;
        pings.wait_for_more(20)?;
        let (ended, end) = std::sync::mpsc::channel();
        let capture = Capture::start(&line.router, "left", |_| true)?;
        std::thread::spawn(move || ended.send(capture.finish()));
        end.recv_timeout(PATIENCE).context("the capture does not end")??;
        ensure!(pings.stop()?.lost() == 0);
        Ok(())
    })
}

/// In: a frame of VXLAN made by hand. Out: at the other end of the wire, taken apart, all that was put in.
#[test]
fn a_forged_frame_arrives_as_it_is() -> Result<()> {
    Lab::test(|lab| {
        let line = line(lab, Wire::default())?;
        let inner = Between {
            source_mac: "02:00:00:00:00:0a".parse()?,
            destination_mac: "02:00:00:00:00:0b".parse()?,
            source: ip("10.0.0.1")?,
            destination: ip("10.0.0.2")?,
        };
        let outer = Between {
            source_mac: line.a.mac("eth0")?,
            destination_mac: line.router.mac("left")?,
            source: ip(A[0])?,
            destination: ip("10.1.0.1")?,
        };
        let capture = Capture::start(&line.router, "left", |packet| packet.vxlan().is_some())?;
        let inner = frame::udp(inner, (1, 2), b"forged")?;
        line.a.inject("eth0", &frame::vxlan(outer, Vni::new(77)?, &inner)?)?;
        wait_until(PATIENCE, "the frame", || capture.count() == 1)?;
        let caught = capture.finish()?;
        let packet = caught.packets.first().context("a packet")?;
        let vxlan = packet.vxlan().context("VXLAN")?;
        ensure!(vxlan.vni == 77 && vxlan.inner.says("forged"), "{packet:#?}");
        ensure!(vxlan.inner.has_address(ip("10.0.0.2")?) && !packet.has_address(ip("10.0.0.2")?));
        Ok(())
    })
}

/// In: a filter and a pin that are nobody's. Out: both are found, and the filter passes packets on.
#[test]
fn foreign_filters_and_pins() -> Result<()> {
    Lab::test(|lab| {
        let line = line(lab, Wire::default())?;
        let filter = foreign::Filter::attach(&line.router, "left", foreign::Hook::Ingress)?;
        ensure!(foreign::filters(&line.router, "left", foreign::Hook::Ingress)?.len() == 1);
        ensure!(foreign::filters(&line.router, "left", foreign::Hook::Egress)?.is_empty());
        line.a.ping_until(ip(B[0])?, PATIENCE)?;
        let ends_with_us = filter.ends_with_us();
        drop(filter);
        let gone = || {
            !ends_with_us
                || foreign::filters(&line.router, "left", foreign::Hook::Ingress)
                    .is_ok_and(|left| left.is_empty())
        };
        wait_until(PATIENCE, "the end of the filter", gone)?;

        let folder = lab.pin_folder("foreign");
        fs::create_dir(&folder)?;
        foreign::pin_map(&folder.join("map"))?;
        ensure!(folder.join("map").exists());
        Ok(())
    })
}

/// In: a lab that ends by a panic, and one whose process is gone. Out: neither leaves a namespace, a pin or a file.
#[test]
fn nothing_is_left() -> Result<()> {
    Lab::test(|lab| {
        let (mut name, mut pins) = (String::new(), Path::new("").to_owned());
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let lab = Lab::new().expect("a second lab");
            name = lab.name().to_owned();
            let line = line(&lab, Wire::default()).expect("a line");
            pins = lab.pin_folder("foreign");
            fs::create_dir(&pins).expect("a folder on the bpffs");
            foreign::pin_map(&pins.join("map")).expect("a pin");
            assert!(Path::new("/run/netns").join(line.a.name()).exists());
            std::panic::resume_unwind(Box::new("as planned"));
        }));
        ensure!(panicked.is_err());
        ensure!(!pins.exists(), "{} is left", pins.display());
        let left: Vec<_> = fs::read_dir("/run/netns")?
            .flatten()
            .filter(|entry| entry.file_name().to_string_lossy().starts_with(&format!("{name}-")))
            .collect();
        ensure!(left.is_empty(), "{left:?}");
        ensure!(!std::env::temp_dir().join(&name).exists());

        // No process has this number: it is above the largest that the kernel gives (2^22).
        let dead = std::env::temp_dir().join("weft-t4194305-0");
        fs::create_dir_all(&dead)?;
        drop(Lab::new()?);
        ensure!(!dead.exists());
        ensure!(lab.folder().exists());
        Ok(())
    })
}
