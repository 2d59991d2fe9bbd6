//! Addresses that move: between weft and FRR, and between two weft hosts.
//!
//! ```text
//! red-1 .11, red-m1 … m5 .31 … .35 ─ h1 (weft) ──── sw ──── (FRR) h2 ─ frr-2 .22, frr-m1 … m5 .31 … .35
//! red-1 .11, a-0 … a-19            ─ h1 (weft) ─────────── (weft) h2 ─ red-2 .12, b-0 … b-19
//! ```
//! What moves is there twice, with the same MAC and address; whoever came last has it.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};
use etherparse::ArpOperation;
use weft_api::view::bgp::RibRoute;
use weft_tests::cloud::{ASN, Cloud, Fabric, Intent, POD_DEVICE};
use weft_tests::peers::{self, Frr, FrrSettings, Pod, Program};
use weft_tests::probe::EchoServer;
use weft_tests::{Lab, Namespace, PATIENCE, Wire, frame, underlay, wait_for};
use weft_vxlan::MacAddr;

use crate::{bgpd, cloud_and_others, host, kernel, vtep};

/// In: each of five addresses moves to FRR and back, twice. Out: each time the old side follows, and the mobility sequence
/// grows. Printed: how long that took.
#[test]
fn to_frr_and_back() -> Result<()> {
    peers::test(&[Program::Frr], |lab| {
        let (mut cloud, others) =
            cloud_and_others(lab, 1, |vteps| Fabric::clients(vteps, vtep(2).unwrap(), ""))?;
        let mut intent = Intent::default().tenant("red", 100)?.pod("red-1", "red-a", 0, 11)?;
        for number in 1..=5 {
            intent = intent.pod(&format!("red-m{number}"), "red-a", 0, 30 + number)?;
        }
        cloud.deploy(&intent)?;
        let machine = kernel(&others[0]);
        machine.add_vni(101)?;
        machine.add_gateway(101, "10.0.0.1/24".parse()?, "02:00:00:00:00:42".parse()?)?;
        let bystander = machine.pod(lab, "frr-2", 101, "10.0.0.22/24".parse()?, None)?;
        let mut movers = Vec::new();
        for number in 1..=5 {
            let address = format!("10.0.0.{}/24", 30 + number).parse()?;
            let pod = machine.pod(lab, &format!("frr-m{number}"), 101, address, None)?;
            // It does not tell who asks: what it has is known by what it sent.
            pod.namespace.sysctl("ipv4/conf/eth0/arp_ignore", "8")?;
            pod.namespace.set_mac(POD_DEVICE, SILENT)?;
            movers.push(pod);
        }
        let evpn = "  advertise-all-vni\n  no dup-addr-detection\n";
        let bgpd = bgpd(2, ASN, &[(1, ASN)], "", evpn);
        let frr =
            Frr::start(lab, "frr", machine.underlay, FrrSettings { bgpd: &bgpd, ..FrrSettings::default() })?;
        frr.wait_established(host(1))?;
        bystander.namespace.ping_until("10.0.0.11".parse()?, PATIENCE)?;

        // Not to wait for what it asks again after a second.
        for pod in &movers {
            let mac =
                intent.pods().iter().find(|planned| pod.address.addr() == planned.v4).context("a mover")?.mac;
            bystander.namespace.add_neighbour(POD_DEVICE, pod.address.addr(), mac)?;
        }
        let servers = movers.iter().map(|pod| EchoServer::start(&pod.namespace, "frr"));
        let _servers = servers.collect::<Result<Vec<_>>>()?;
        let servers = (1..=5).map(|number| cloud.pod(&format!("red-m{number}")).serve());
        let _servers = servers.collect::<Result<Vec<_>>>()?;
        let (mut there, mut back) = (Vec::new(), Vec::new());
        for round in 0..2 {
            for (number, pod) in (1..).zip(&movers) {
                let name = format!("red-m{number}");
                let mac = cloud.pod(&name).mac;
                there.push(moves_to_frr(&cloud, pod, mac)?);
                cloud.daemon(0).weft().must(&["port", "detach", &name])?;
                let sequence = sequence(&cloud, mac)?;
                ensure!(sequence > round * 2, "{sequence} in round {round}");
                back.push(moves_to_weft(&cloud, &bystander, pod, &name)?);
                let after = self::sequence(&cloud, mac)?;
                ensure!(after > sequence, "{after} after {sequence}");
            }
        }
        print_median("weft follows to FRR", there);
        print_median("FRR follows to weft", back);
        Ok(())
    })
}

/// What a pod that has lost its address calls itself: it hears nothing any more, so it says nothing.
const SILENT: MacAddr = MacAddr::new([2, 0, 0, 0, 0xff, 1]);

/// The pod gets the MAC and asks for its gateway. How long until red-1 reaches it.
fn moves_to_frr(cloud: &Cloud<'_>, pod: &Pod, mac: MacAddr) -> Result<Duration> {
    let IpAddr::V4(address) = pod.address.addr() else { anyhow::bail!("{} is not IPv4", pod.address) };
    pod.namespace.set_mac(POD_DEVICE, mac)?;
    let gateway = (MacAddr::new([0; 6]), [10, 0, 0, 1].into());
    let question = frame::arp((mac, MacAddr::BROADCAST), ArpOperation::REQUEST, (mac, address), gateway)?;
    let start = Instant::now();
    pod.namespace.inject(POD_DEVICE, &question)?;
    answered_by(&cloud.pod("red-1").namespace, address.into(), "frr")?;
    Ok(start.elapsed())
}

/// The pod loses the MAC, and weft's port is attached again. How long until a pod behind FRR reaches that.
fn moves_to_weft(cloud: &Cloud<'_>, from: &Pod, pod: &Pod, name: &str) -> Result<Duration> {
    pod.namespace.set_mac(POD_DEVICE, SILENT)?;
    attach(cloud, 0, name)?;
    let start = Instant::now();
    answered_by(&from.namespace, pod.address.addr(), name)?;
    Ok(start.elapsed())
}

fn attach(cloud: &Cloud<'_>, host: usize, name: &str) -> Result<()> {
    let netns = cloud.pod(name).namespace.path().to_str().context("a path in UTF-8")?;
    cloud.daemon(host).weft().must(&["port", "attach", name, "--netns", netns]).map(drop)
}

/// Waits until the one who answers at the address is this one.
fn answered_by(from: &Namespace, address: IpAddr, who: &str) -> Result<()> {
    let wanted = format!("{who}:?");
    wait_for(PATIENCE, &format!("{who} at {address} from {}", from.name()), || {
        match from.udp_echo_within(address, "?", Duration::from_millis(20)) {
            Ok(answer) if answer == wanted => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
}

/// The highest mobility sequence of the MAC that weft knows.
fn sequence(cloud: &Cloud<'_>, mac: MacAddr) -> Result<u32> {
    let rib: Vec<RibRoute> =
        serde_json::from_str(&cloud.daemon(0).weft().must(&["bgp", "rib", "-o", "json"])?)?;
    let of_mac = rib.iter().filter(|route| route.route.contains(&format!("[{mac}]")));
    let attributes = of_mac.flat_map(|route| &route.paths).flat_map(|path| &path.attributes);
    let sequences = attributes.filter_map(|words| words.strip_prefix("mac-mobility ")?.parse().ok());
    Ok(sequences.max().unwrap_or_default())
}

/// In: 20 addresses, and in each of 50 rounds all of them change hosts, ten each way at once: the new host announces while
/// the old one still has the port, and in every other round the old one loses it in the same moment. Out: every time the
/// old host follows, and at the end both reach all. Printed: how long that took.
#[test]
fn a_thousand_between_two_hosts() -> Result<()> {
    Lab::test(|lab| {
        let below = underlay::two_hosts(lab, Wire::default())?;
        let mut cloud = Cloud::start_evpn_with(lab, below, Fabric::mesh, |settings| {
            "duplicate_moves = 60000\n".clone_into(&mut settings.bgp);
        })?;
        let mut intent = Intent::default()
            .tenant("red", 100)?
            .pod("red-1", "red-a", 0, 11)?
            .pod("red-2", "red-a", 1, 12)?;
        for number in 0..MOVERS {
            for (host, side) in SIDES.into_iter().enumerate() {
                intent = intent.pod(&format!("{side}-{number}"), "red-a", host, 30 + number)?;
            }
        }
        cloud.deploy(&intent)?;
        let servers = cloud.pods().map(|pod| pod.serve());
        let _servers = servers.collect::<Result<Vec<_>>>()?;
        // Even ones begin at h1, odd ones at h2.
        for number in 0..MOVERS {
            let without = usize::from(number % 2 == 0);
            detach(&cloud, without, number)?;
        }
        cloud.pod("red-1").namespace.ping_until(cloud.pod("red-2").v4.into(), PATIENCE)?;
        // Where an address is nowhere for a moment, who asks for it would ask again after a second.
        for planned in intent.pods().iter().filter(|planned| planned.host == 0 && planned.name != "red-1") {
            for prober in ["red-1", "red-2"] {
                cloud.pod(prober).namespace.add_neighbour(POD_DEVICE, planned.v4.into(), planned.mac)?;
            }
        }
        let mut times = Vec::new();
        for round in 0..ROUNDS {
            let cloud = &cloud;
            let half = |parity| {
                move || -> Result<Vec<Duration>> {
                    let numbers = (0..MOVERS).filter(|number| number % 2 == parity);
                    let to = usize::from((parity + round) % 2 == 0);
                    numbers.map(|number| moves_between(cloud, number, to, round % 2 == 1)).collect()
                }
            };
            let halves = std::thread::scope(|scope| {
                let [one, other] = [0, 1].map(|parity| scope.spawn(half(parity)));
                [one.join(), other.join()]
            });
            for half in halves {
                times.extend(half.map_err(|_| anyhow!("a mover panicked"))??);
            }
        }
        ensure!(times.len() == 1000, "{} moves", times.len());
        for number in 0..MOVERS {
            // After an even number of rounds, all are where they began.
            let (side, address) = (SIDES[usize::from(number % 2)], at(number));
            for from in ["red-1", "red-2"] {
                answered_by(&cloud.pod(from).namespace, address, &format!("{side}-{number}"))?;
            }
        }
        print_median("the old host follows", times);
        Ok(())
    })
}

const MOVERS: u8 = 20;
const ROUNDS: u8 = 50;
/// Names of what moves, on either host.
const SIDES: [&str; 2] = ["a", "b"];

fn at(number: u8) -> IpAddr {
    [10, 0, 0, 30 + number].into()
}

fn detach(cloud: &Cloud<'_>, host: usize, number: u8) -> Result<()> {
    let name = format!("{}-{number}", SIDES[host]);
    cloud.daemon(host).weft().must(&["port", "detach", &name]).map(drop)
}

/// Attaches the port at host `to` and detaches it at the other one, at the same time or once that follows. How long from
/// the order to attach until a pod of the other host reaches the port.
fn moves_between(cloud: &Cloud<'_>, number: u8, to: usize, at_once: bool) -> Result<Duration> {
    let (from, name) = (1 - to, format!("{}-{number}", SIDES[to]));
    let prober = &cloud.pod(["red-1", "red-2"][from]).namespace;
    std::thread::scope(|scope| {
        let detached = at_once.then(|| scope.spawn(|| detach(cloud, from, number)));
        attach(cloud, to, &name)?;
        let start = Instant::now();
        answered_by(prober, at(number), &name)?;
        let time = start.elapsed();
        match detached {
            Some(detached) => detached.join().map_err(|_| anyhow!("who detaches panicked"))??,
            None => detach(cloud, from, number)?,
        }
        Ok(time)
    })
}

#[expect(clippy::print_stdout, reason = "the numbers are what people run these for")]
fn print_median(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |part: usize| times.get((times.len() - 1) * part / 100).copied().unwrap_or_default();
    println!("{what}: median {:?}, 99 % {:?}, most {:?} of {} moves", at(50), at(99), at(100), times.len());
}
