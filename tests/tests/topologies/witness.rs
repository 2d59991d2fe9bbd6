//! Captures that have proved that they see: each has caught honest packets before what must not appear is sent.

use anyhow::{Result, ensure};
use weft_dataplane_abi::DropReason;
use weft_tests::cloud::{Cloud, Pod};
use weft_tests::{Capture, Direction, PATIENCE, Packet, wait_until};

use std::net::UdpSocket;

/// A port that nobody listens on: the datagram itself is all that is wanted.
const DISCARD: u16 = 9;

/// A capture, and how much of what it caught was honest.
#[derive(Debug)]
pub struct Witness {
    capture: Capture,
    honest: u64,
}

impl Witness {
    /// Has the capture see `packets` packets, which `send` sends.
    pub fn of(capture: Capture, packets: u64, send: impl FnOnce() -> Result<()>) -> Result<Self> {
        let before = capture.count();
        send()?;
        let honest = before + packets;
        wait_until(PATIENCE, &format!("the honest packets on {}", capture.name()), || {
            capture.count() >= honest
        })?;
        Ok(Self { capture, honest })
    }

    /// Fails if it caught anything but what was honest.
    pub fn assert_silent(self, what: &str) -> Result<()> {
        let name = self.capture.name().to_owned();
        let caught = self.capture.finish()?;
        ensure!(
            caught.count == self.honest,
            "{what}: {} instead of {} on {name}, the last {:#?}",
            caught.count,
            self.honest,
            caught.packets.last()
        );
        Ok(())
    }
}

/// Whether it is a datagram that says `word`, and not what its receiver's kernel says about it.
pub fn is_datagram_of(packet: &Packet, word: &str) -> bool {
    packet.says(word) && packet.ip.as_ref().is_some_and(|ip| ip.ports.is_some())
}

/// Says `word` to a pod from another, over both families.
pub fn say(from: &Pod, to: &Pod, word: &str) -> Result<()> {
    for address in to.addresses() {
        from.namespace.run(|| -> std::io::Result<usize> {
            let any = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
            UdpSocket::bind(any)?.send_to(word.as_bytes(), (address, DISCARD))
        })??;
    }
    Ok(())
}

/// Witnesses at all pods but `liar`, of what arrives there and says `word`, or is `strange`. Each has heard the word from
/// a pod of its own tenant on another host, over both families.
pub fn at_the_others(
    cloud: &Cloud<'_>,
    liar: &Pod,
    word: &'static str,
    strange: impl Fn(&Packet) -> bool + Clone + Send + 'static,
) -> Result<Vec<Witness>> {
    let mut witnesses = Vec::new();
    for pod in cloud.pods().filter(|pod| pod.name != liar.name) {
        let strange = strange.clone();
        let capture = pod.capture(move |packet| {
            packet.direction == Direction::In && (is_datagram_of(packet, word) || strange(packet))
        })?;
        let tenant = |pod: &Pod| pod.name.split('-').next().map(str::to_owned);
        let elsewhere =
            |other: &&Pod| other.name != liar.name && other.host != pod.host && tenant(other) == tenant(pod);
        let Some(other) = cloud.pods().find(elsewhere) else { continue };
        // What a pod asks its neighbours is not strange, and comes before.
        other.pings(pod)?;
        witnesses.push(Witness::of(capture, 2, || say(other, pod, word))?);
    }
    Ok(witnesses)
}

/// What the port of `pod` has had dropped for `reason`, by its host's count.
pub fn drops_of(cloud: &Cloud<'_>, pod: &Pod, reason: DropReason) -> Result<u64> {
    let counters = cloud.daemon(pod.host).weft().counters()?;
    let of_pod = counters.iter().filter(|port| port.port == pod.name);
    Ok(of_pod.filter_map(|port| port.drops.get(reason.name())).sum())
}
