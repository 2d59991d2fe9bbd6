//! weftd's BGP speaker between a good neighbour and somebody who sends what he likes.
//!
//! ```text
//! red-1 ─ h1 192.0.2.1 ──┐
//!                        ├ sw ── 192.0.2.3 bad 10.250.0.0/16 and 10.66.0.0/16, all addresses of them
//! red-2 ─ h2 192.0.2.2 ──┘
//! ```
//! h1 takes everybody of 10.250.0.0/16 for a peer of its group `any`, and nobody of 10.66.0.0/16. h2 is the good neighbour.

mod facts;
mod hostile;
mod soft;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::{Context as _, Result, ensure};
use ipnet::{IpNet, Ipv4Net};
use weft_api::view::bgp::{Neighbor, PeerState, RibRoute};
use weft_bgp::wire::{Asn, Capability, Dialect, Family, Open, RouterId};
use weft_tests::cloud::{Cloud, Fabric, Intent};
use weft_tests::peers::RawPeer;
use weft_tests::probe::Steady;
use weft_tests::underlay;
use weft_tests::{Lab, Namespace, PATIENCE, Weft, Wire, wait_for};

/// The AS of h1 and h2.
const ASN: u32 = 65001;
/// What h1 calls h2.
const GOOD: &str = "h2";
/// Where h1 listens.
const TARGET: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 179);
/// The bad one on the wire.
const BAD: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 3);

/// The topology.
struct Stage<'lab> {
    cloud: Cloud<'lab>,
    bad: Namespace,
    /// h1's process, the good neighbour's session, and its routes, before anything bad.
    before: Good,
}

/// What must not change.
#[derive(Debug, PartialEq, Eq)]
struct Good {
    pid: Option<u32>,
    state: PeerState,
    established: u64,
    routes: Vec<RibRoute>,
}

impl<'lab> Stage<'lab> {
    /// `group`: the AS of the group's members, and further fields.
    fn set(lab: &'lab Lab, group: &str) -> Result<Self> {
        let mut below = underlay::three_hosts(lab, Wire::default())?;
        let bad = below.machines.pop().context("three hosts")?.namespace;
        for first in [[10, 250, 0, 1], [10, 66, 0, 1]] {
            // On `lo`, all addresses of the prefix are the host's own.
            let net = IpNet::V4(Ipv4Net::new(first.into(), 16)?);
            bad.add_address("lo", net)?;
            below.machines[0].namespace.add_route(net.trunc(), BAD.into())?;
        }
        let group = format!(
            r#"{{"kind":"peer-group","name":"any","ranges":["10.250.0.0/16"],"hold_time_s":90,
                "families":["evpn","ipv4-unicast"],{group}}}"#
        );
        let mut cloud = Cloud::start_evpn_with(
            lab,
            below,
            |vteps| Fabric {
                any_as: false,
                asns: vec![ASN; 2],
                documents: vec![
                    vec![group, Fabric::peer(GOOD, vteps[1], ASN, "")],
                    vec![Fabric::peer("h1", vteps[0], ASN, "")],
                ],
            },
            |settings| {
                settings.bgp = format!("router_id = \"10.0.0.{}\"\n", settings.name.trim_start_matches('h'))
            },
        )?;
        let intent = Intent::default().tenant("red", 100)?;
        cloud.deploy(&intent.pod("red-1", "red-a", 0, 11)?.pod("red-2", "red-a", 1, 12)?)?;
        let (near, far) = (cloud.pod("red-1"), cloud.pod("red-2"));
        for address in far.addresses() {
            near.namespace.ping_until(address, PATIENCE)?;
        }
        let before = Good::of(&cloud)?;
        ensure!(before.state == PeerState::Established && !before.routes.is_empty(), "{before:?}");
        Ok(Self { cloud, bad, before })
    }

    fn weft(&self) -> &Weft {
        self.cloud.daemon(0).weft()
    }

    /// A connection of the bad one, from one of its addresses.
    fn connect(&self, from: Ipv4Addr) -> Result<RawPeer> {
        RawPeer::connect(&self.bad, from.into(), TARGET)
    }

    /// A session of the bad one, established and known to be.
    fn established(&self, from: Ipv4Addr, asn: u32, hold_time: u16) -> Result<RawPeer> {
        let mut peer = self.connect(from)?;
        peer.handshake(&open(from, asn, hold_time)?)?;
        self.wait_for_neighbor(from, "to be established", |found| {
            found.is_some_and(|found| found.summary.state == PeerState::Established)
        })?;
        Ok(peer)
    }

    /// What h1 says of the bad one at this address, if it knows it.
    fn neighbor(&self, from: Ipv4Addr) -> Result<Option<Neighbor>> {
        let name = member(from);
        Ok(self.weft().neighbors()?.into_iter().find(|neighbor| neighbor.summary.name == name))
    }

    fn wait_for_neighbor(
        &self,
        from: Ipv4Addr,
        what: &str,
        mut right: impl FnMut(Option<&Neighbor>) -> bool,
    ) -> Result<Option<Neighbor>> {
        wait_for(PATIENCE, &format!("{from} {what}"), || match self.neighbor(from) {
            Ok(found) if right(found.as_ref()) => Ok(found),
            Ok(found) => Err(format!("{found:?}")),
            Err(error) => Err(format!("{error:#}")),
        })
    }

    /// The good neighbour's session and routes are as before, and h1 is the same process.
    fn assert_good(&self) -> Result<()> {
        let now = Good::of(&self.cloud)?;
        ensure!(now == self.before, "of the good neighbour: before {:?}, now {now:?}", self.before);
        Ok(())
    }

    /// Pings from pod to pod until it is stopped.
    fn ping(&self) -> Result<Steady> {
        let (near, far) = (self.cloud.pod("red-1"), self.cloud.pod("red-2"));
        Steady::ping(&near.namespace, far.v4.into(), 50)
    }
}

impl Good {
    fn of(cloud: &Cloud<'_>) -> Result<Self> {
        let daemon = cloud.daemon(0);
        let neighbors = daemon.weft().neighbors()?;
        let good = neighbors.iter().find(|neighbor| neighbor.summary.name == GOOD).context(GOOD)?;
        Ok(Self {
            pid: daemon.pid(),
            state: good.summary.state,
            established: good.established_count,
            routes: daemon.weft().rib(&["--in", GOOD])?,
        })
    }
}

/// What h1 calls the bad one at this address.
fn member(from: Ipv4Addr) -> String {
    format!("any/{from}")
}

fn open(from: Ipv4Addr, asn: u32, hold_time: u16) -> Result<Open> {
    let asn = Asn::new(asn);
    Ok(Open {
        asn,
        hold_time,
        router_id: RouterId::new(from)?,
        capabilities: vec![
            Capability::Multiprotocol(Family::EVPN),
            Capability::Multiprotocol(Family::IPV4_UNICAST),
            Capability::RouteRefresh,
            Capability::ExtendedMessage,
            Capability::FourOctetAs(asn),
        ],
    })
}

/// What is settled by such an OPEN.
fn dialect() -> Dialect {
    Dialect { four_octet_as: true, receive_extended: true, send_extended: true, ..Dialect::plain() }
}

fn assert_lossless(ping: Steady) -> Result<()> {
    let tally = ping.stop()?;
    ensure!(tally.lost() == 0 && tally.sent > 0, "{} of {} lost", tally.lost(), tally.sent);
    Ok(())
}
