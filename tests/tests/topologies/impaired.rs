//! Two hosts on a bad line: it loses, delays and reorders what they send. weft adds nothing to that: no loss, no second
//! copy, no other order, no changed byte.
//!
//! ```text
//! red-1 10.0.0.11 ─ h1 up0 ── netem ── up0 h2 ─ red-2 10.0.1.12
//! ```
//! Needs netem, which not every kernel has.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Result, ensure};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use weft_tests::cloud::{Cloud, Intent, Pod};
use weft_tests::{Impairment, Lab, Offloads, Wire, underlay, without_netem};

/// A line as bad as people still use: both directions.
const BAD: Impairment = Impairment {
    loss: 0.02,
    delay: Duration::from_millis(5),
    jitter: Duration::from_millis(2),
    reorder: 0.1,
};

/// Runs `work` on pods of two hosts and a line that is impaired, once they know each other. Each packet is on the line by
/// itself: a super-packet would be lost or overtaken whole.
#[expect(clippy::print_stderr, reason = "cargo test has no other way to tell why a test was skipped")]
fn on_a_bad_line(line: Impairment, work: impl FnOnce(&Cloud<'_>, &Pod, &Pod) -> Result<()>) -> Result<()> {
    Lab::test(|lab| {
        if let Some(reason) = without_netem(&lab.namespace("netem")?)? {
            eprintln!("skipped, because {reason}");
            return Ok(());
        }
        let wire = Wire { offloads: Offloads::Off, ..Wire::default() };
        let mut cloud = Cloud::start(lab, underlay::two_hosts(lab, wire)?)?;
        let intent = Intent::default()
            .tenant("red", 100)?
            .pod("red-1", "red-a", 0, 11)?
            .pod("red-2", "red-b", 1, 12)?;
        cloud.deploy(&intent)?;
        let (a, b) = (cloud.pod("red-1"), cloud.pod("red-2"));
        a.pings(b)?;
        for host in 0..2 {
            cloud.machine(host).namespace.impair(underlay::UPLINK, line)?;
        }
        work(&cloud, a, b)
    })
}

/// In: 1 MB over TCP each way, over IPv4 and IPv6. Out: the same bytes.
#[test]
fn transfers_arrive_whole() -> Result<()> {
    on_a_bad_line(BAD, |_, a, b| {
        for (from, to) in [(a, b), (b, a)] {
            for address in to.addresses() {
                let transfer = from.namespace.transfer(&to.namespace, address, 1_000_000)?;
                println!("to {address}: {:.1} Mbit/s", transfer.bits_per_second() / 1e6);
            }
        }
        Ok(())
    })
}

/// In: 4,000 numbered datagrams, small ones and such as fill the MTU. Out: no more than were sent, none twice, none
/// changed; some are missing, and some overtook others, for that is the line; and what the hosts counted is what was sent
/// and what arrived: every missing one is the line's.
#[test]
fn datagrams_are_lost_by_the_line_alone() -> Result<()> {
    const COUNT: u32 = 4000;
    on_a_bad_line(BAD, |cloud, a, b| {
        for (address, length) in
            b.addresses().into_iter().flat_map(|address| [(address, 64), (address, 1380)])
        {
            let (sent, delivered) = counted(cloud)?;
            let arrived = a.namespace.numbered(&b.namespace, address, COUNT, length)?;
            let (sent, delivered) = (counted(cloud)?.0 - sent, counted(cloud)?.1 - delivered);
            let different: BTreeSet<_> = arrived.iter().collect();
            let overtaken = arrived.windows(2).filter(|pair| pair[1] < pair[0]).count();
            let count = arrived.len();
            println!("{length} bytes to {address}: {count} of {COUNT} arrived, {overtaken} were overtaken");
            ensure!(different.len() == count, "{} datagrams arrived twice", count - different.len());
            ensure!(count < COUNT as usize && count > COUNT as usize * 9 / 10, "{count} arrived");
            ensure!(overtaken > 0, "the line reordered nothing");
            // Neighbour solicitations and the like go the same way: a few, not a per cent of these.
            let others = 20;
            ensure!(
                (u64::from(COUNT)..=u64::from(COUNT) + others).contains(&sent),
                "{sent} counted from red-1"
            );
            ensure!(
                (count as u64..=count as u64 + others).contains(&delivered),
                "{delivered} counted to red-2"
            );
        }
        Ok(())
    })
}

/// In: 4,000 numbered datagrams over a line that delays and loses, but keeps the order. Out: those that arrive do so in
/// the order in which they were sent. The sender stays on one CPU, for two have a queue each; the kernel may still have
/// another one send on what the line held back, which shows as an overtaking or two.
#[test]
fn the_order_is_the_line_s() -> Result<()> {
    let line = Impairment { loss: 0.05, delay: Duration::from_millis(5), ..Impairment::default() };
    on_a_bad_line(line, |_, a, b| {
        let mut first = CpuSet::new();
        first.set(0)?;
        sched_setaffinity(Pid::from_raw(0), &first)?;
        for address in b.addresses() {
            let arrived = a.namespace.numbered(&b.namespace, address, 4000, 64)?;
            ensure!(arrived.len() > 3500, "{} arrived", arrived.len());
            let overtaken = arrived.windows(2).filter(|pair| pair[1] <= pair[0]).count();
            ensure!(overtaken <= 2, "{overtaken} were overtaken: {arrived:?}");
        }
        Ok(())
    })
}

/// Packets from red-1 and to red-2, by weft's count. Nothing is dropped by weft.
fn counted(cloud: &Cloud<'_>) -> Result<(u64, u64)> {
    let of = |host: usize, port: &str| -> Result<(u64, u64)> {
        let counters = cloud.daemon(host).weft().counters()?;
        let port = counters.iter().find(|counters| counters.port == port);
        Ok(port.map_or((0, 0), |port| (port.from_port.packets, port.to_port.packets)))
    };
    Ok((of(0, "red-1")?.0, of(1, "red-2")?.1))
}
