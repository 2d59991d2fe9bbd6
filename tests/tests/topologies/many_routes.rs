//! weftd restarts with 100,000 learned routes in the kernel.
//!
//! ```text
//! red-1 ─ h1 192.0.2.1 ──┐
//!                        ├ sw ── 192.0.2.3 a reflector, and 192.0.2.9, where all its routes lead to
//! red-2 ─ h2 192.0.2.2 ──┘
//! ```

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use weft_bgp::wire::{
    AsPath, Asn, Attributes, Capability, EthernetSegmentId, EthernetTag, EvpnRoute, ExtendedCommunity,
    Family, GracefulRestart, Label, MacIp, Message, NextHop, Nlri, Open, Origin, Reachable, RestartFamily,
    RouterId, Routes, Update,
};
use weft_tests::cloud::{ASN, Cloud, Fabric, Intent, KernelHosts};
use weft_tests::peers::{RawListener, RawPeer};
use weft_tests::probe::Steady;
use weft_tests::underlay::{self, UPLINK};
use weft_tests::{Lab, Namespace, PATIENCE, Wire, wait_for};
use weft_vxlan::{MacAddr, Vni};

const ROUTES: u32 = 100_000;
/// Of them, those that the reflector tells again after the restart.
const AGAIN: u32 = 99_000;
const NETWORK: u32 = 100;
const SUBNET: u32 = 101;
const REFLECTOR: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 3);
const FAR: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 9);
/// For what all routes have to go through: an unoptimised weftd on a busy machine.
const LONG: Duration = Duration::from_secs(120);
const UPDATE_ROUTES: usize = 1000;

/// Two hosts that are each other's peers; h1 has the reflector too.
struct Stage<'lab> {
    cloud: Cloud<'lab>,
    reflector: Namespace,
}

impl<'lab> Stage<'lab> {
    /// `bgp`: further lines of `[bgp]`.
    fn set(lab: &'lab Lab, bgp: &str) -> Result<Self> {
        let mut below = underlay::three_hosts(lab, Wire::default())?;
        let reflector = below.machines.pop().context("three hosts")?.namespace;
        reflector.add_address(UPLINK, format!("{FAR}/24").parse()?)?;
        let fabric = |vteps: &[weft_vxlan::Vtep]| -> Fabric {
            let mut fabric = Fabric::mesh(vteps);
            let document = format!(r#"{{"kind":"peer","name":"rr","address":"{REFLECTOR}","asn":{ASN}}}"#);
            fabric.documents[0].push(document);
            fabric
        };
        let mut cloud = Cloud::start_evpn_with(lab, below, fabric, |settings| {
            settings.addresses = 262_144;
            settings.self_test = false;
            bgp.clone_into(&mut settings.bgp);
        })?;
        let intent = Intent::default().network("red", NETWORK)?;
        let intent = intent.subnet("red-a", "red", SUBNET, "10.0.0.0/8", "fd00:a::/64")?;
        cloud.deploy(&intent.pod("red-1", "red-a", 0, 11)?.pod("red-2", "red-a", 1, 12)?)?;
        let (near, far) = (cloud.pod("red-1"), cloud.pod("red-2"));
        near.namespace.ping_until(far.v4.into(), PATIENCE)?;
        Ok(Self { cloud, reflector })
    }

    fn listen(&self) -> Result<RawListener> {
        RawListener::bind(&self.reflector, SocketAddr::new(REFLECTOR.into(), 179))
    }

    /// Has h1 learn all routes; h1's kernel.
    #[expect(clippy::print_stdout, reason = "a measurement, to be read in the output of the test")]
    fn learn(&self, listener: &RawListener) -> Result<(RawPeer, KernelHosts)> {
        let (mut peer, _) = accept(listener)?;
        let since = Instant::now();
        tell(&mut peer, 0..ROUTES)?;
        let table = self.cloud.kernel_hosts(0)?;
        wait_until_held(&table, ROUTES - 1, true)?;
        println!("{ROUTES} routes learned in {:?}", since.elapsed());
        Ok((peer, table))
    }

    /// Ping one way, and UDP the other way.
    fn traffic(&self) -> Result<[Steady; 2]> {
        let (near, far) = (self.cloud.pod("red-1"), self.cloud.pod("red-2"));
        Ok([
            Steady::ping(&near.namespace, far.v4.into(), 100)?,
            Steady::udp(&far.namespace, &near.namespace, near.v6.into(), 200)?,
        ])
    }

    /// Kills h1's weftd, and starts it again after a second of traffic; when that was.
    #[expect(clippy::print_stdout, reason = "a measurement, to be read in the output of the test")]
    fn restart(&mut self, traffic: &[Steady; 2]) -> Result<Instant> {
        self.cloud.daemon_mut(0).kill()?;
        traffic[0].wait_for_more(100)?;
        let since = Instant::now();
        self.cloud.daemon_mut(0).start()?;
        println!("weftd answers {:?} after its start", since.elapsed());
        Ok(since)
    }

    /// What weftd says of how many addresses it has.
    fn told(&self) -> Result<usize> {
        let status = self.cloud.daemon(0).weft().status()?;
        let table = status.tables.iter().find(|table| table.name == "HOSTS");
        Ok(table.with_context(|| format!("{:?}", status.tables))?.entries)
    }
}

/// A session of the reflector with h1, and what h1's OPEN was.
fn accept(listener: &RawListener) -> Result<(RawPeer, Open)> {
    let mut peer = listener.accept(PATIENCE)?;
    let asn = Asn::new(ASN);
    let theirs = peer.handshake(&Open {
        asn,
        hold_time: 0,
        router_id: RouterId::new(REFLECTOR)?,
        capabilities: vec![
            Capability::Multiprotocol(Family::EVPN),
            Capability::RouteRefresh,
            Capability::ExtendedMessage,
            Capability::FourOctetAs(asn),
            Capability::GracefulRestart(GracefulRestart {
                restarted: false,
                notification: true,
                time: 120,
                families: vec![RestartFamily { family: Family::EVPN, forwarding: true }],
            }),
        ],
    })?;
    Ok((peer, theirs))
}

/// The address of the route with this number.
fn address(number: u32) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 128, 0, 0)) + number)
}

/// Tells these routes, and that these are all.
fn tell(peer: &mut RawPeer, numbers: std::ops::Range<u32>) -> Result<()> {
    let routes = numbers.map(|number| -> Result<Nlri<EvpnRoute>> {
        let [_, a, b, c] = number.to_be_bytes();
        let route = MacIp {
            rd: format!("{FAR}:1").parse()?,
            segment: EthernetSegmentId::ZERO,
            tag: EthernetTag(0),
            mac: MacAddr::new([2, 0xaa, 0, a, b, c]),
            ip: Some(address(number).into()),
            label: Label::from(Vni::new(SUBNET)?),
            l3_label: Some(Label::from(Vni::new(NETWORK)?)),
        };
        Ok(EvpnRoute::MacIp(route).into())
    });
    let routes = routes.collect::<Result<Vec<_>>>()?;
    let target = |vni: u32| -> Result<ExtendedCommunity> {
        Ok(format!("{ASN}:{vni}").parse::<weft_bgp::wire::RouteTarget>()?.into())
    };
    let attributes = Attributes {
        origin: Some(Origin::Igp),
        as_path: Some(AsPath::default()),
        local_pref: Some(100),
        extended_communities: vec![
            target(SUBNET)?,
            target(NETWORK)?,
            ExtendedCommunity::VXLAN,
            ExtendedCommunity::router_mac(MacAddr::new([2, 0, 192, 0, 2, 9])),
        ],
        ..Attributes::default()
    };
    for some in routes.chunks(UPDATE_ROUTES) {
        let reachable = Reachable { next_hop: NextHop::V4(FAR), routes: Routes::Evpn(some.to_owned()) };
        let update =
            Update { attributes: attributes.clone(), reachable: Some(reachable), ..Update::default() };
        peer.send_message(&Message::Update(update))?;
    }
    peer.send_message(&Message::EndOfRib(Family::EVPN))
}

/// No neighbour had to wait for a word until the hold time was over.
fn assert_never_silent(cloud: &Cloud<'_>) -> Result<()> {
    for daemon in cloud.daemons() {
        let log = std::fs::read_to_string(daemon.settings().log())?;
        let ended = log.lines().find(|line| line.contains("hold time"));
        ensure!(ended.is_none(), "{}: {ended:?}", daemon.settings().name);
    }
    Ok(())
}

/// Waits until the kernel has a route, or has it no more.
fn wait_until_held(table: &KernelHosts, number: u32, held: bool) -> Result<()> {
    let network = Vni::new(NETWORK)?;
    wait_for(LONG, &format!("route {number} in the kernel: {held}"), || {
        match table.has(network, IpAddr::V4(address(number))) {
            Ok(found) if found == held => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
}

fn assert_lossless(traffic: [Steady; 2]) -> Result<()> {
    for flow in traffic {
        let tally = flow.stop()?;
        ensure!(tally.lost() == 0 && tally.sent > 0, "{} of {} lost", tally.lost(), tally.sent);
    }
    Ok(())
}

/// In: weftd killed and started again under traffic; the reflector tells all routes again but for 1,000. Out: nothing is
/// lost; all routes are in the kernel, and counted, until it says that these are all; then the 1,000 go, and no others.
#[test]
fn those_that_are_told_again_stay() -> Result<()> {
    Lab::test(|lab| {
        let mut stage = Stage::set(lab, "")?;
        let listener = stage.listen()?;
        let (first, table) = stage.learn(&listener)?;
        let before = table.count()?;
        let traffic = stage.traffic()?;
        traffic[0].wait_for_more(20)?;
        stage.restart(&traffic)?;
        drop(first);
        let (mut again, theirs) = accept(&listener)?;
        let restart = theirs.capabilities.iter().find_map(|capability| {
            if let Capability::GracefulRestart(restart) = capability { Some(restart) } else { None }
        });
        let restart = restart.context("graceful restart")?;
        ensure!(restart.restarted && restart.families.iter().all(|family| family.forwarding), "{restart:?}");
        let kept = (table.count()?, stage.told()?);
        println!("{kept:?} addresses are kept, in the kernel and as weftd says; {before} before");
        ensure!(kept == (before, before), "{kept:?} of {before}");

        let since = Instant::now();
        tell(&mut again, 0..AGAIN)?;
        wait_until_held(&table, ROUTES - 1, false)?;
        let gone = usize::try_from(ROUTES - AGAIN)?;
        wait_for(LONG, "the sweep", || match (table.count(), stage.told()) {
            (Ok(kernel), Ok(told)) if (kernel, told) == (before - gone, before - gone) => Ok(()),
            other => Err(format!("{other:?}")),
        })?;
        println!("{AGAIN} told again and the others swept in {:?}", since.elapsed());
        for number in [0, AGAIN / 2, AGAIN - 1] {
            wait_until_held(&table, number, true)?;
        }
        wait_until_held(&table, AGAIN, false)?;
        assert_never_silent(&stage.cloud)?;
        assert_lossless(traffic)
    })
}

/// Longer than an unoptimised weftd takes to start with so many routes, or the other host would forget this one too.
const RESTART_TIME: Duration = Duration::from_secs(30);

/// In: the same, but the reflector does not come back. Out: after the restart time all of its routes go, not before;
/// those of the other host stay, and nothing of its traffic is lost.
#[test]
fn those_of_one_that_does_not_come_back_go() -> Result<()> {
    Lab::test(|lab| {
        let mut stage = Stage::set(lab, &format!("restart_time_s = {}\n", RESTART_TIME.as_secs()))?;
        let listener = stage.listen()?;
        let (first, table) = stage.learn(&listener)?;
        let before = table.count()?;
        let traffic = stage.traffic()?;
        traffic[0].wait_for_more(20)?;
        drop(listener);
        let started = stage.restart(&traffic)?;
        drop(first);
        ensure!(table.count()? == before, "{} of {before}", table.count()?);
        wait_until_held(&table, 0, false)?;
        let after = started.elapsed();
        println!("the first of {ROUTES} routes went {after:?} after the start");
        ensure!(after > RESTART_TIME, "{after:?}");
        let rest = before - usize::try_from(ROUTES)?;
        wait_for(LONG, "the sweep", || match (table.count(), stage.told()) {
            (Ok(kernel), Ok(told)) if (kernel, told) == (rest, rest) => Ok(()),
            other => Err(format!("{other:?}")),
        })?;
        println!("all of them {:?} after the start", started.elapsed());
        assert_never_silent(&stage.cloud)?;
        assert_lossless(traffic)
    })
}
