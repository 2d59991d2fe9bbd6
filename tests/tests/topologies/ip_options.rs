//! IPv4 options and IPv6 extension headers on packets of real sockets.
//!
//! ```text
//! red-1 10.0.0.11 ┐
//! red-3 10.0.0.13 ┤                  ┌ red-2 10.0.0.12
//! red-5 10.0.1.15 ┴ h1 ────── h2 ┴ red-4 10.0.1.14
//! ```
//! red-1 sends to each of the others: switched and routed, on its own host and to the other. weft is no router that writes
//! into options: they are the same on arrival as when they were sent.

use std::net::IpAddr;

use anyhow::{Context as _, Result, ensure};
use weft_dataplane_abi::DropReason;
use weft_tests::cloud::{Cloud, Intent, POD_DEVICE};
use weft_tests::frame::{self, Between};
use weft_tests::probe::IpOptions;
use weft_tests::underlay::{two_hosts, two_hosts_over_ipv6};
use weft_tests::{Lab, Offloads, PATIENCE, Wire, wait_for, wait_until};
use weft_vxlan::MacAddr;

const BYTES: u64 = 3_000_000;
const SIZES: [usize; 8] = [4, 63, 1300, 1340, 1390, 1430, 4000, 40_000];
/// The gateways' MAC.
const GATEWAY: MacAddr = MacAddr::new([0, 0, 0x5e, 0, 1, 1]);

fn start(lab: &Lab, over_ipv6: bool, offloads: Offloads) -> Result<Cloud<'_>> {
    let wire = Wire { offloads, ..Wire::default() };
    let underlay = if over_ipv6 { two_hosts_over_ipv6(lab, wire) } else { two_hosts(lab, wire) };
    let mut cloud = Cloud::start(lab, underlay?)?;
    let intent = Intent::default()
        .tenant("red", 100)?
        .pod("red-1", "red-a", 0, 11)?
        .pod("red-2", "red-a", 1, 12)?
        .pod("red-3", "red-a", 0, 13)?
        .pod("red-4", "red-b", 1, 14)?
        .pod("red-5", "red-b", 0, 15)?;
    cloud.deploy(&intent)?;
    Ok(cloud)
}

/// IPv4 options, and how many of their bytes nobody on the way or at the end may write.
fn options_v4() -> Vec<(&'static str, IpOptions, usize)> {
    let recording = |kind: u8, length: u8, first: u8| {
        let mut option = vec![kind, length, first];
        option.resize(usize::from(length), 0);
        option.resize(40, 0);
        option
    };
    let route = recording(7, 39, 4);
    let times = recording(68, 36, 5);
    vec![
        ("router alert", IpOptions::v4(&[148, 4, 0, 0]), 4),
        ("padding", IpOptions::v4(&[1; 4]), 4),
        ("padding up to 60 bytes of header", IpOptions::v4(&[1; 40]), 40),
        ("a recorded route", IpOptions::v4(&route), 2),
        ("time stamps", IpOptions::v4(&times), 2),
    ]
}

/// Chains of extension headers that receivers accept: padding, options that whoever does not know them skips, a router
/// alert; and whether much is to be sent behind them.
fn options_v6() -> Vec<(&'static str, IpOptions, bool)> {
    let padding: &[u8] = &[0, 1, 4, 0, 0, 0, 0];
    let alert: &[u8] = &[0, 5, 2, 0, 0, 1, 0];
    // So many bytes of header, with one option of an experiment (RFC 4727).
    let long = |bytes: u8| {
        let mut body = vec![bytes / 8 - 1, 0x1e, bytes - 4];
        body.resize(usize::from(bytes) - 1, 0x5a);
        body
    };
    let (short, long, longest) = (long(64), long(128), long(248));
    let none = IpOptions::default;
    vec![
        ("hop-by-hop options", none().hop_by_hop(padding), true),
        ("a router alert", none().hop_by_hop(alert), true),
        ("destination options", none().destination(padding), true),
        ("both", none().hop_by_hop(alert).destination(padding), true),
        ("long destination options", none().destination(&long), true),
        ("long both", none().hop_by_hop(&long).destination(&short), true),
        // Of headers so long little is left for a stream; and a fragment header behind them would be out of reach.
        ("as many as weft reads", none().hop_by_hop(&longest).destination(&longest), false),
    ]
}

/// In: for each option and each chain of extension headers, between red-1 and every other pod, over an underlay of each
/// family, on cables with offloads and without: a datagram, 3 MB over TCP, and datagrams of many sizes, of which the large
/// ones go in fragments behind those headers. Out: the receiver's kernel finds the options that were sent; the same bytes;
/// every datagram; and no drop for what is no fault.
#[test]
fn arrive_as_they_were_sent() -> Result<()> {
    for (over_ipv6, offloads) in [(false, Offloads::On), (true, Offloads::Off)] {
        Lab::test(|lab| {
            let cloud = start(lab, over_ipv6, offloads)?;
            let from = &cloud.pod("red-1").namespace;
            for pod in cloud.pods().filter(|pod| pod.name != "red-1") {
                let all = |bulk: bool| (usize::MAX, bulk);
                let v4 = options_v4()
                    .into_iter()
                    .map(|(what, set, fixed)| (what, set, pod.v4.into(), (fixed, true)));
                let v6 =
                    options_v6().into_iter().map(|(what, set, bulk)| (what, set, pod.v6.into(), all(bulk)));
                for (what, options, to, (fixed, bulk)) in v4.chain(v6) {
                    let to: IpAddr = to;
                    let what = || format!("{what} to {}", pod.name);
                    let heard = from.options_heard(&pod.namespace, to, &options).with_context(what)?;
                    let same = heard.agrees(&options, fixed);
                    ensure!(same, "{}: {options:02x?} arrived as {heard:02x?}", what());
                    if !bulk {
                        continue;
                    }
                    from.transfer_with(&pod.namespace, to, BYTES, &options).with_context(what)?;
                    let lost = from.sizes_with(&pod.namespace, to, &SIZES, &options).with_context(what)?;
                    ensure!(lost.is_empty(), "{}: of these sizes did not arrive: {lost:?}", what());
                }
            }
            let weft = cloud.daemon(0).weft();
            for reason in [DropReason::Malformed, DropReason::ExtensionHeaders, DropReason::KernelRefused] {
                ensure!(weft.drops(reason)? == 0, "dropped as {}", reason.name());
            }
            Ok(())
        })
        .with_context(|| format!("over IPv6: {over_ipv6}, cable {offloads:?}"))?;
    }
    Ok(())
}

/// In: from red-1 by hand, for sockets send none such, datagrams behind a routing header that is done, behind a fragment
/// header of a whole packet, and behind all four kinds; the same chains, nine headers long. Out: the first arrive; the
/// last are dropped as `extension_headers`.
#[test]
fn chains_by_hand() -> Result<()> {
    Lab::test(|lab| {
        let cloud = start(lab, false, Offloads::On)?;
        let from = cloud.pod("red-1");
        let weft = cloud.daemon(0).weft();
        for to in cloud.pods().filter(|pod| pod.name != from.name) {
            let between = Between {
                source_mac: from.mac,
                destination_mac: if to.gateway4 == from.gateway4 { to.mac } else { GATEWAY },
                source: from.v6.into(),
                destination: to.v6.into(),
            };
            let behind = |chain: &[u8]| -> Result<Vec<u8>> {
                let plain = frame::udp(between, (1000, 2000), b"behind them")?;
                chain
                    .iter()
                    .rev()
                    .try_fold(plain, |frame, number| frame::behind_extension_header(&frame, *number))
            };
            for chain in
                [&[43][..], &[44], &[0, 60, 43, 44], &[0, 60, 43, 44, 60], &[0, 60, 60, 60, 60, 60, 43, 44]]
            {
                // What another test is about to start has the last one for a moment, until it is started.
                let port = wait_for(PATIENCE, "port 2000", || {
                    Ok::<_, anyhow::Error>(to.namespace.run(|| std::net::UdpSocket::bind("[::]:2000"))??)
                })?;
                port.set_read_timeout(Some(weft_tests::probe::ANSWER))?;
                from.namespace.inject(POD_DEVICE, &behind(chain)?)?;
                let mut said = [0; 64];
                let length =
                    port.recv(&mut said).with_context(|| format!("behind {chain:?} to {}", to.name))?;
                ensure!(&said[..length] == b"behind them");
            }
            let arrived = to.capture(|packet| packet.direction == weft_tests::Direction::In)?;
            let before = weft.drops(DropReason::ExtensionHeaders)?;
            from.namespace.inject(POD_DEVICE, &behind(&[0, 60, 60, 60, 60, 60, 60, 43, 44])?)?;
            wait_until(PATIENCE, "the long chain's drop", || {
                weft.drops(DropReason::ExtensionHeaders).is_ok_and(|drops| drops == before + 1)
            })?;
            arrived.assert_none("a chain without an end was delivered")?;
        }
        Ok(())
    })
}
