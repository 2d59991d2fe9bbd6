//! Every kind of rule, between ports of one host and of two, over both families.
//!
//! ```text
//! red-1 the port with the rules ┐
//! red-2 friend                   ┼ h1 192.0.2.1 ─────── 192.0.2.2 h2 ┬ red-3 friend
//! red-4 nobody                   ┘                                   └ red-5 nobody
//! ```
//! What comes to a port is denied unless a rule allows it. Hosts learn of each other's ports, and of their groups, by
//! BGP-EVPN.

#![expect(clippy::print_stdout, reason = "the figures are of interest")]

mod answers;
mod egress;
mod errors;
mod fragments;
mod ingress;
mod pairs;
mod paths;
mod reuse;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::{Context as _, Result, ensure};
use weft_dataplane_abi::{DropReason, flags};
use weft_tests::cloud::{Cloud, Fabric, Intent, POD_DEVICE, Pod};
use weft_tests::foreign::Filter;
use weft_tests::frame::{self, Between};
use weft_tests::{Capture, Direction, Ip, Lab, PATIENCE, Packet, Wire, underlay, wait_closely, wait_for};

/// The pods besides red-1, by host.
const OTHERS: [(&str, usize); 4] = [("red-2", 0), ("red-4", 0), ("red-3", 1), ("red-5", 1)];
/// Lets everything in.
const OPEN: &str = r#"[{"direction":"ingress"}]"#;
const SCTP: u8 = 132;

/// red-1 is a member of `own`, which has the rules; red-2 and red-3 are friends; all others but red-1 have the rules of
/// `others`.
fn intent(own: &str, others: &str) -> Result<Intent> {
    let mut intent = Intent::default()
        .tenant("red", 100)?
        .closed("red")
        .security_group("own", "red", 1, own)?
        .security_group("friends", "red", 2, "[]")?
        .security_group("others", "red", 3, others)?
        .pod("red-1", "red-a", 0, 11)?
        .member("red-1", &["own"]);
    for (name, host) in OTHERS {
        let nth = 10 + name.trim_start_matches("red-").parse::<u8>()?;
        intent = intent.pod(name, "red-a", host, nth)?.member(name, &["others"]);
    }
    Ok(intent.member("red-2", &["friends"]).member("red-3", &["friends"]))
}

/// A cloud of two hosts whose pods have reached each other, with nothing forbidden yet.
fn start(lab: &Lab) -> Result<Cloud<'_>> {
    let below = underlay::two_hosts(lab, Wire::default())?;
    let mut cloud = Cloud::start_evpn(lab, below, Fabric::mesh)?;
    cloud.deploy(&intent(OPEN, OPEN)?)?;
    for (name, _) in OTHERS {
        for address in cloud.pod("red-1").addresses() {
            cloud.pod(name).namespace.ping_until(address, PATIENCE)?;
        }
    }
    Ok(cloud)
}

/// In: rules of every kind, and packets that match them and that do not. Out: what each rule says.
#[test]
fn decide_what_starts() -> Result<()> {
    Lab::test(|lab| {
        let cloud = start(lab)?;
        ingress::let_in_what_they_are_about(&cloud)?;
        ingress::members_of_a_group_that_names_itself(&cloud)?;
        egress::let_out_what_they_are_about(&cloud)
    })
}

/// In: what comes after the packet that a rule has let through: answers, errors, later fragments, and the next connection
/// between the same ports; and what looks so. Out: it arrives, and the other does not.
#[test]
fn leave_the_rest_to_connections() -> Result<()> {
    Lab::test(|lab| {
        let cloud = start(lab)?;
        fragments::follow_their_first(&cloud)?;
        reuse::of_ports_starts_another_connection(&cloud)?;
        errors::pass_if_they_are_about_a_connection(&cloud)?;
        let _silent = silence(&cloud)?;
        answers::follow_questions_only(&cloud)?;
        answers::start_connections_only(&cloud)
    })
}

fn tell(cloud: &Cloud<'_>, intent: &Intent) -> Result<()> {
    [0, 1].into_iter().try_for_each(|host| cloud.tell(host, intent))
}

/// Has the kernels of all pods send nothing, so that nobody answers but by hand.
fn silence(cloud: &Cloud<'_>) -> Result<Vec<Filter>> {
    cloud.pods().map(|pod| Filter::silence(&pod.namespace, POD_DEVICE)).collect()
}

/// A packet that starts something.
#[derive(Debug, Clone, Copy)]
enum Probe {
    /// SYN to a port.
    Tcp(u16),
    /// A datagram to a port.
    Udp(u16),
    /// Two ports and a tag.
    Sctp(u16),
    /// A ping.
    Echo,
    /// ICMP of a type and code; of the types, the second is for ICMPv6.
    Icmp([u8; 2], u8),
    /// Something of another protocol.
    Protocol(u8),
}

/// The next number that nobody has had: each probe is a connection of its own.
fn number() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(20_000);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// From one pod to another of its subnet.
fn between(from: &Pod, to: &Pod) -> [Between; 2] {
    let addresses = [(from.addresses()[0], to.addresses()[0]), (from.addresses()[1], to.addresses()[1])];
    addresses.map(|(source, destination)| Between {
        source_mac: from.mac,
        destination_mac: to.mac,
        source,
        destination,
    })
}

impl Probe {
    fn frame(self, between: Between) -> Result<Vec<u8>> {
        let number = number();
        let tag = number.to_be_bytes();
        match self {
            Self::Tcp(port) => frame::tcp(between, (number, port), flags::SYN, (1, 0)),
            Self::Udp(port) => frame::udp(between, (number, port), &tag),
            Self::Sctp(port) => {
                let ports = [number.to_be_bytes(), port.to_be_bytes()].concat();
                frame::ip(between, SCTP, &[&ports[..], &[0; 8]].concat())
            }
            Self::Echo => frame::echo(between, 64, &tag),
            Self::Icmp([v4, v6], code) => {
                let kind = if between.source.is_ipv4() { v4 } else { v6 };
                frame::icmp(between, (kind, code), [0; 4], &[&tag[..], &[0; 20]].concat())
            }
            Self::Protocol(protocol) => frame::ip(between, protocol, &[&tag[..], &[0; 20]].concat()),
        }
    }
}

/// What is sent, and what shall become of it.
struct Sent {
    what: String,
    /// As whoever gets it sees it.
    ip: Ip,
    fate: Fate,
}

/// What becomes of a packet.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Arrives,
    /// The host with this number drops it for this reason.
    Denied(usize, DropReason),
}

/// Probes under way.
struct Round<'a> {
    cloud: &'a Cloud<'a>,
    captures: BTreeMap<String, Capture>,
    before: Vec<BTreeMap<String, u64>>,
    sent: Vec<Sent>,
}

impl<'a> Round<'a> {
    /// Begins with captures at the pods that are to get something.
    fn begin(cloud: &'a Cloud<'a>, receivers: &[&str]) -> Result<Self> {
        let capture = |name: &&str| -> Result<_> {
            let arrives = |packet: &Packet| packet.direction == Direction::In && packet.ip.is_some();
            Ok(((*name).to_owned(), cloud.pod(name).capture(arrives)?))
        };
        let captures = receivers.iter().map(capture).collect::<Result<_>>()?;
        let before = cloud.daemons().iter().map(|daemon| daemon.weft().all_drops()).collect::<Result<_>>()?;
        Ok(Self { cloud, captures, before, sent: Vec::new() })
    }

    /// Sends a frame from a pod, and waits until it arrives if it shall: what comes after it may depend on it.
    fn send(&mut self, what: &str, from: &Pod, frame: &[u8], fate: Fate) -> Result<()> {
        let ip = Packet::parse(Direction::In, frame.len(), frame).and_then(|packet| packet.ip);
        let ip = ip.context("a frame of IP")?;
        let what = format!("{what} from {} to {}", from.name, ip.destination);
        from.namespace.inject_directly(POD_DEVICE, frame).with_context(|| what.clone())?;
        if matches!(fate, Fate::Arrives) {
            wait_closely(PATIENCE, &what, || {
                let mut captures = self.captures.values();
                Ok(captures.any(|capture| capture.has(|packet| packet.ip.as_ref() == Some(&ip))))
            })?;
        }
        self.sent.push(Sent { what, ip, fate });
        Ok(())
    }

    /// Waits until each has met its fate, and fails if one has met another.
    fn end(self) -> Result<(usize, usize)> {
        let mut denied = BTreeMap::<(usize, DropReason), u64>::new();
        for sent in &self.sent {
            if let Fate::Denied(host, reason) = sent.fate {
                *denied.entry((host, reason)).or_default() += 1;
            }
        }
        for ((host, reason), count) in &denied {
            let before = self.before[*host].get(reason.name()).copied().unwrap_or_default();
            wait_for(PATIENCE, &format!("{count} times {} at h{}", reason.name(), host + 1), || {
                let drops = self.cloud.daemon(*host).weft().all_drops();
                let drops = drops.map_err(|error| format!("{error:#}"))?;
                let now = drops.get(reason.name()).copied().unwrap_or_default();
                if now >= before + count { Ok(()) } else { Err(self.story(*host, &drops)) }
            })?;
        }
        let mut arrived = Vec::new();
        for capture in self.captures.into_values() {
            arrived.extend(capture.finish()?.packets.into_iter().filter_map(|packet| packet.ip));
        }
        for sent in &self.sent {
            let found = arrived.contains(&sent.ip);
            let wanted = matches!(sent.fate, Fate::Arrives);
            ensure!(found == wanted, "{}: {:?}, but it arrived: {found}", sent.what, sent.fate);
        }
        let denied = self.sent.iter().filter(|sent| !matches!(sent.fate, Fate::Arrives)).count();
        Ok((self.sent.len() - denied, denied))
    }

    /// What was sent that a host has not counted as it should.
    fn story(&self, host: usize, drops: &BTreeMap<String, u64>) -> String {
        let changed: BTreeMap<_, _> = drops
            .iter()
            .map(|(reason, now)| (reason, now - self.before[host].get(reason).unwrap_or(&0)))
            .filter(|(_, more)| *more > 0)
            .collect();
        let sent = self.sent.iter().map(|sent| format!("{}: {:?}", sent.what, sent.fate));
        format!("dropped {changed:?}; sent:\n{}", sent.collect::<Vec<_>>().join("\n"))
    }
}

/// No rule of the port of this host lets it through.
fn is_denied_by_policy(host: usize) -> Fate {
    Fate::Denied(host, DropReason::PolicyDenied)
}

fn family(address: IpAddr) -> &'static str {
    if address.is_ipv4() { "IPv4" } else { "IPv6" }
}
