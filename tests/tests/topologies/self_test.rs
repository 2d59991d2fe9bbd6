//! The self-test between hosts, on wires that carry all and on one that damages offloaded checksums.
//!
//! ```text
//! red-1 10.0.0.11 ─ h1 192.0.2.1 ──┐
//!                                  ├ sw ──── (forgets checksums) ──── 192.0.2.3 h3 ─ red-3 10.0.0.13
//! red-2 10.0.1.12 ─ h2 192.0.2.2 ──┘
//! ```
//! h1 and h2 reach each other as they should; what either sends to h3, and h3 to them, arrives with the checksum that lay
//! in the sender's memory.

use std::net::IpAddr;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use ipnet::IpNet;
use weft_api::view::SelfTestPhase;
use weft_tests::cloud::{Cloud, Intent, Pod};
use weft_tests::probe::Steady;
use weft_tests::{
    Capture, Damage, Direction, Forgetful, Lab, PATIENCE, Weft, Wire, underlay, wait_for, wait_until,
};

const BYTES: u64 = 8_000_000;
/// Enough to see that a flow goes on.
const SOME: u64 = 100;
/// weft's own device, which the kernel sends through.
const VXLAN: &str = "weft-vxlan";

fn intent() -> Result<Intent> {
    Intent::default()
        .tenant("red", 100)?
        .pod("red-1", "red-a", 0, 11)?
        .pod("red-2", "red-b", 1, 12)?
        .pod("red-3", "red-a", 2, 13)
}

fn start(lab: &Lab, self_test: bool) -> Result<(Cloud<'_>, Forgetful)> {
    let (underlay, wire) = underlay::three_hosts_one_forgotten(lab, Wire::default())?;
    let mut cloud = Cloud::start_with(lab, underlay, |settings| settings.self_test = self_test)?;
    cloud.deploy(&intent()?)?;
    Ok((cloud, wire))
}

/// Waits until `weft status` says this of checksums.
fn wait_for_words(weft: &Weft, words: &str) -> Result<()> {
    wait_for(PATIENCE, words, || {
        let status = weft.must(&["status"]).map_err(|error| format!("{error:#}"))?;
        let line = status.lines().find(|line| line.starts_with("checksums")).unwrap_or("nothing");
        if line == format!("checksums  {words}") { Ok(()) } else { Err(line.to_owned()) }
    })
}

/// Waits until each host has found out about both others.
fn wait_until_worked_around(cloud: &Cloud<'_>) -> Result<()> {
    let verified = "damaged: computed by this host (verified)";
    let words = [
        format!("1 host good, 192.0.2.3 {verified}"),
        format!("1 host good, 192.0.2.3 {verified}"),
        format!("192.0.2.1 and 192.0.2.2 {verified}"),
    ];
    cloud.daemons().iter().zip(words).try_for_each(|(daemon, words)| wait_for_words(daemon.weft(), &words))
}

/// Waits until both of two hosts have found the way to the other damaged; then everything must arrive.
fn two_find_and_work_around(cloud: &Cloud<'_>) -> Result<()> {
    for (here, there) in [(0, 1), (1, 0)] {
        let peer = cloud.machine(there).vtep;
        let words = format!("{peer} damaged: computed by this host (verified)");
        wait_for_words(cloud.daemon(here).weft(), &words)?;
    }
    let (a, b) = (cloud.pod("red-1"), cloud.pod("red-2"));
    let servers = cloud.pods().map(|pod| pod.serve()).collect::<Result<Vec<_>>>()?;
    moves_all(a, b)?;
    moves_all(b, a)?;
    drop(servers);
    Ok(())
}

/// Where h1's weftd keeps what was found.
fn kept(cloud: &Cloud<'_>) -> PathBuf {
    cloud.daemon(0).settings().folder.join("state/self-test.json")
}

/// Waits until h1 computes no checksums, and would not after a restart.
fn wait_until_forgotten(cloud: &Cloud<'_>) -> Result<()> {
    let host = &cloud.machine(0).namespace;
    wait_until(PATIENCE, "the device leaves checksums to others", || {
        host.takes_checksums(VXLAN).is_ok_and(|takes| takes) && !kept(cloud).exists()
    })
}

/// Bulk over TCP, single datagrams, and many to a send call, over both families.
fn moves_all(from: &Pod, to: &Pod) -> Result<()> {
    from.talks_to(to)?;
    for address in to.addresses() {
        from.namespace.transfer(&to.namespace, address, BYTES)?;
        let arrived = from.namespace.segmented(&to.namespace, address, 200, 1000, 40)?;
        ensure!(arrived == 200, "{arrived} of 200 datagrams from {} reached {address}", from.name);
    }
    Ok(())
}

/// In: the self-test is off. Out: the wire is as broken as the other tests need it: between h1 and h3 ping works, whose
/// checksums the sender's stack computes, and UDP and TCP do not, in either direction; h1 and h2 notice nothing.
#[test]
fn the_wire_damages_checksums() -> Result<()> {
    Lab::test(|lab| {
        let (cloud, wire) = start(lab, false)?;
        let (a, b, c) = (cloud.pod("red-1"), cloud.pod("red-2"), cloud.pod("red-3"));
        let servers = cloud.pods().map(|pod| pod.serve()).collect::<Result<Vec<_>>>()?;
        a.talks_to(b)?;
        for (from, to) in [(a, c), (c, a)] {
            from.pings(to)?;
            for address in to.addresses() {
                let answers =
                    [from.namespace.udp_echo(address, "lost"), from.namespace.tcp_echo(address, "lost")];
                ensure!(answers.iter().all(Result::is_err), "{} to {address}: {answers:?}", from.name);
            }
        }
        let status = cloud.daemon(0).weft().status()?;
        ensure!(status.self_test.is_some_and(|told| told.state == SelfTestPhase::Off));
        ensure!(status.vteps.iter().all(|vtep| vtep.checksums.is_none()));
        wait_for_words(cloud.daemon(0).weft(), "not tested (underlay.self_test = false)")?;
        drop(servers);
        wire.finish()
    })
}

/// In: UDP, TCP and 8 MB each way between all hosts. Out: each host says to whom checksums are damaged; everything
/// arrives; what goes to the healthy host does not go through weft's vxlan device, and what goes to the other does; of
/// the underlay's devices nothing was changed; and nobody sees the self-test among what is tenants'.
#[test]
fn what_is_damaged_is_found_and_worked_around() -> Result<()> {
    Lab::test(|lab| {
        let (cloud, wire) = start(lab, true)?;
        wait_until_worked_around(&cloud)?;
        let (a, b, c) = (cloud.pod("red-1"), cloud.pod("red-2"), cloud.pod("red-3"));
        let servers = cloud.pods().map(|pod| pod.serve()).collect::<Result<Vec<_>>>()?;
        for (from, to) in [(a, c), (c, a), (b, c), (c, b)] {
            moves_all(from, to)?;
        }
        let host = &cloud.machine(0).namespace;
        let sent = || Capture::start(host, VXLAN, |packet| packet.direction == Direction::Out);
        let around = sent()?;
        moves_all(a, c)?;
        ensure!(around.finish()?.count > 0, "what is damaged goes another way than thought");
        let straight = sent()?;
        moves_all(a, b)?;
        moves_all(b, a)?;
        straight.assert_none("what is for the healthy host goes through the kernel")?;
        ensure!(host.takes_checksums(underlay::UPLINK)? && !host.takes_checksums(VXLAN)?);
        drop(servers);

        let weft = cloud.daemon(0).weft();
        let kinds = ["networks", "subnets", "ports", "remotes"].map(|kind| vec!["get", kind]);
        for question in kinds.into_iter().chain([vec!["routes"], vec!["counters"]]) {
            let told = weft.must(&question)?;
            ensure!(!told.contains("self-test") && !told.contains("fd77:6566"), "{question:?}: {told}");
        }
        wire.finish()
    })
}

/// In: UDP and TCP at a steady rate between the damaged pair, while each side's weftd is killed and comes back. Out:
/// nothing is lost, and what was found is known, and verified again. A weftd without a self-test forgets it.
#[test]
fn a_restart_goes_on_with_what_was_found() -> Result<()> {
    Lab::test(|lab| {
        let (mut cloud, wire) = start(lab, true)?;
        wait_until_worked_around(&cloud)?;
        let (a, c) = (cloud.pod("red-1"), cloud.pod("red-3"));
        let flows = [
            Steady::udp(&a.namespace, &c.namespace, c.v4.into(), 500)?,
            Steady::udp(&c.namespace, &a.namespace, a.v6.into(), 500)?,
            Steady::tcp(&a.namespace, &c.namespace, c.v6.into(), 200)?,
        ];
        let go_on = || flows.iter().try_for_each(|flow| flow.wait_for_more(SOME));
        go_on()?;
        for host in [0, 2] {
            cloud.daemon_mut(host).kill()?;
            go_on()?;
            cloud.daemon_mut(host).start()?;
            wait_until_worked_around(&cloud)?;
            cloud.wait_until_up()?;
            go_on()?;
        }
        for flow in flows {
            let tally = flow.stop()?;
            ensure!(tally.lost() == 0, "{tally:?}");
        }
        let daemon = cloud.daemon_mut(0);
        daemon.terminate()?;
        daemon.reconfigure(|settings| settings.self_test = false)?;
        daemon.start()?;
        wait_until_forgotten(&cloud)?;
        wire.finish()
    })
}

/// In: the remote behind the broken wire is deleted; then weft is torn down. Out: first the vxlan device leaves checksums
/// to the underlay device again, and the healthy host is tested anew; then nothing of weft is left.
#[test]
fn what_goes_takes_its_workaround_along() -> Result<()> {
    Lab::test(|lab| {
        let (cloud, wire) = start(lab, true)?;
        wait_until_worked_around(&cloud)?;
        let (weft, host) = (cloud.daemon(0).weft(), &cloud.machine(0).namespace);
        ensure!(kept(&cloud).exists());
        weft.must(&["delete", "remote", "h3"])?;
        wait_for_words(weft, "1 host good")?;
        wait_until_forgotten(&cloud)?;
        let servers = cloud.pods().map(|pod| pod.serve()).collect::<Result<Vec<_>>>()?;
        moves_all(cloud.pod("red-1"), cloud.pod("red-2"))?;
        drop(servers);
        weft.must(&["teardown", "--yes"])?;
        let devices: Vec<_> = host.links()?.into_iter().map(|link| link.name).collect();
        ensure!(devices == ["lo", underlay::UPLINK], "{devices:?}");
        wire.finish()
    })
}

/// In: tunnels over IPv6. Out: the same.
#[test]
fn over_ipv6_too() -> Result<()> {
    Lab::test(|lab| {
        let (underlay, wire) = underlay::two_forgotten_over_ipv6(lab, Wire::default())?;
        let mut cloud = Cloud::start(lab, underlay)?;
        let intent = Intent::default().tenant("red", 100)?;
        cloud.deploy(&intent.pod("red-1", "red-a", 0, 11)?.pod("red-2", "red-b", 1, 12)?)?;
        two_find_and_work_around(&cloud)?;
        wire.finish()
    })
}

/// In: two hosts on a wire that carries all; then one starts while the other's weftd is away, which then comes. Out: good;
/// not tested; good.
#[test]
fn who_does_not_answer_is_tested_when_it_is_there() -> Result<()> {
    Lab::test(|lab| {
        let mut cloud = Cloud::start(lab, underlay::two_hosts(lab, Wire::default())?)?;
        let intent = Intent::default().tenant("red", 100)?;
        cloud.deploy(&intent.pod("red-1", "red-a", 0, 11)?.pod("red-2", "red-a", 1, 12)?)?;
        for daemon in cloud.daemons() {
            wait_for_words(daemon.weft(), "1 host good")?;
        }
        cloud.daemon_mut(1).kill()?;
        cloud.daemon_mut(0).kill()?;
        cloud.daemon_mut(0).start()?;
        wait_for_words(cloud.daemon(0).weft(), "192.0.2.2 not tested: no answer")?;
        let peer: IpAddr = cloud.pod("red-2").v4.into();
        cloud.pod("red-1").pings_address(peer).context("what is not tested works as before")?;
        cloud.daemon_mut(1).start()?;
        for daemon in cloud.daemons() {
            wait_for_words(daemon.weft(), "1 host good")?;
        }
        cloud.wait_until_tested()
    })
}

/// In: two uplinks, of which the second damages checksums. Out: whichever of the two a flow goes through, both hosts find
/// the damage, and everything arrives.
#[test]
fn one_damaged_uplink_of_two_is_found() -> Result<()> {
    Lab::test(|lab| {
        let (underlay, wire) = underlay::two_uplinks_one_forgotten(lab, Wire::default())?;
        for (number, here, there) in [(1, 0, 1), (2, 1, 0)] {
            let vtep = IpNet::from(underlay.machines[there].vtep.address());
            let gateways = underlay::gateways(number, false)?;
            underlay.machines[here].namespace.replace_route(vtep, &gateways)?;
        }
        let mut cloud = Cloud::start(lab, underlay)?;
        let intent = Intent::default().tenant("red", 100)?;
        cloud.deploy(&intent.pod("red-1", "red-a", 0, 11)?.pod("red-2", "red-b", 1, 12)?)?;
        two_find_and_work_around(&cloud)?;
        wire.finish()
    })
}

/// In: a wire that damages TCP alone, or UDP alone. Out: without a self-test the other protocol passes and it does not; with
/// one that is found, and everything arrives.
#[test]
fn one_damaged_protocol_is_found() -> Result<()> {
    for damage in [Damage::Tcp, Damage::Udp] {
        for self_test in [false, true] {
            Lab::test(|lab| {
                let (underlay, wire) = underlay::two_hosts_forgotten(lab, Wire::default(), damage)?;
                let mut cloud = Cloud::start_with(lab, underlay, |settings| settings.self_test = self_test)?;
                let intent = Intent::default().tenant("red", 100)?;
                cloud.deploy(&intent.pod("red-1", "red-a", 0, 11)?.pod("red-2", "red-b", 1, 12)?)?;
                if self_test {
                    two_find_and_work_around(&cloud)?;
                    return wire.finish();
                }
                let (from, to) = (&cloud.pod("red-1").namespace, cloud.pod("red-2"));
                let server = to.serve()?;
                for address in to.addresses() {
                    let pass = [from.udp_echo(address, "it"), from.tcp_echo(address, "it")]
                        .map(|answer| answer.is_ok());
                    let expected = [damage == Damage::Tcp, damage == Damage::Udp];
                    ensure!(pass == expected, "{damage:?} to {address}: UDP and TCP pass: {pass:?}");
                }
                drop(server);
                wire.finish()
            })?;
        }
    }
    Ok(())
}
