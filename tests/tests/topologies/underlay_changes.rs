//! The one cable between two hosts changes under traffic: its MTU, and whether it is there.
//!
//! ```text
//! red-1 10.0.0.11 ┐                                        ┌ red-2 10.0.0.12
//! red-3 10.0.1.13 ┴ h1 up0 ──────────────── up0 h2 ┴ red-4 10.0.1.14
//! ```

use std::net::IpAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use weft_tests::cloud::{Cloud, Intent, POD_DEVICE};
use weft_tests::probe::{ANSWER, Steady};
use weft_tests::underlay::{UPLINK, two_hosts, two_hosts_over_ipv6};
use weft_tests::{Lab, PATIENCE, Wire, wait_for};

/// So long after the cable is there again packets arrive, at the latest.
const BOUND: Duration = Duration::from_secs(3);
/// Datagrams a second.
const RATE: u32 = 500;

fn intent() -> Result<Intent> {
    Intent::default()
        .tenant("red", 100)?
        .pod("red-1", "red-a", 0, 11)?
        .pod("red-2", "red-a", 1, 12)?
        .pod("red-3", "red-b", 0, 13)?
        .pod("red-4", "red-b", 1, 14)
}

fn start(lab: &Lab, over_ipv6: bool) -> Result<Cloud<'_>> {
    let wire = Wire::default();
    let underlay = if over_ipv6 { two_hosts_over_ipv6(lab, wire) } else { two_hosts(lab, wire) };
    let mut cloud = Cloud::start(lab, underlay?)?;
    cloud.deploy(&intent()?)?;
    Ok(cloud)
}

/// Waits until the pods have so many bytes less than the cable, and both hosts know the MTU of the way to each other.
fn wait_for_mtus(cloud: &Cloud<'_>, cable: u32, overhead: u32) -> Result<()> {
    for pod in cloud.pods() {
        wait_for(PATIENCE, &format!("the MTU of {} on a cable of {cable}", pod.name), || {
            match pod.namespace.link(POD_DEVICE) {
                Ok(link) if link.mtu == cable - overhead => Ok(()),
                seen => Err(format!("{seen:?}")),
            }
        })?;
    }
    for daemon in cloud.daemons() {
        wait_for(PATIENCE, &format!("{} to know a way of {cable}", daemon.settings().name), || {
            let status = daemon.weft().status().map_err(|error| format!("{error:#}"))?;
            let known = status.vteps.iter().all(|vtep| vtep.mtu.map(u32::from) == Some(cable));
            if known && !status.vteps.is_empty() { Ok(()) } else { Err(format!("{:?}", status.vteps)) }
        })?;
    }
    Ok(())
}

/// In: the MTU of the cable is changed, to less and to more, over each family, while datagrams flow; and a pod is made
/// afterwards. Out: pods old and new get what the outer headers leave, `weft status` tells the way's MTU, packets that
/// fill it are answered, switched and routed, and no datagram is lost.
#[test]
fn pods_get_the_mtu_that_the_cable_leaves() -> Result<()> {
    for (over_ipv6, overhead) in [(false, 50), (true, 70)] {
        Lab::test(|lab| {
            let mut cloud = start(lab, over_ipv6)?;
            wait_for_mtus(&cloud, 1500, overhead)?;
            let (from, to) = (cloud.pod("red-1"), cloud.pod("red-2"));
            let flow = Steady::udp(&from.namespace, &to.namespace, to.v6.into(), RATE)?;
            for cable in [1450, 9000, 1500, 1400, 1600] {
                for host in [0, 1] {
                    cloud.machine(host).namespace.set_mtu(UPLINK, cable)?;
                }
                wait_for_mtus(&cloud, cable, overhead)?;
                for to in ["red-2", "red-4"].map(|name| cloud.pod(name)) {
                    for (address, headers) in to.addresses().into_iter().zip([28, 48]) {
                        let fills = usize::try_from(cable - overhead)? - headers;
                        let full = cloud.pod("red-1").namespace.ping_sized(address, fills, ANSWER)?;
                        ensure!(full.is_ok(), "{fills} bytes to {address} on a cable of {cable}: {full:?}");
                    }
                }
            }
            flow.wait_for_more(1)?;
            let tally = flow.stop()?;
            ensure!(tally.lost() == 0, "{tally:?}");
            cloud.deploy(&intent()?.pod("red-5", "red-a", 1, 15)?)?;
            let mtu = cloud.pod("red-5").namespace.link(POD_DEVICE)?.mtu;
            ensure!(mtu == 1600 - overhead, "a new pod has an MTU of {mtu}");
            cloud.pod("red-5").pings(cloud.pod("red-1"))
        })
        .with_context(|| format!("over IPv6: {over_ipv6}"))?;
    }
    Ok(())
}

/// What happens to the cable.
#[derive(Debug, Clone, Copy)]
enum Cut {
    /// h1's own end is set down, and its routes are gone.
    Down,
    /// The other end is, and h1's has no carrier.
    Carrier,
}

/// In: the only cable goes, and comes back, twice under datagrams and a TCP connection, over each family. Out: weftd
/// has no next hop while it is gone; datagrams arrive within [`BOUND`] after it is there; the connection goes on, and
/// nothing of it is lost.
#[test]
fn the_only_cable_goes_and_comes_back() -> Result<()> {
    for over_ipv6 in [false, true] {
        for cut in [Cut::Down, Cut::Carrier] {
            Lab::test(|lab| {
                let cloud = start(lab, over_ipv6)?;
                goes_and_comes_back(&cloud, cut)
            })
            .with_context(|| format!("{cut:?}, over IPv6: {over_ipv6}"))?;
        }
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the figures are of interest")]
fn goes_and_comes_back(cloud: &Cloud<'_>, cut: Cut) -> Result<()> {
    let (here, there) = (&cloud.machine(0).namespace, &cloud.machine(1).namespace);
    // Or the kernel takes IPv6 addresses off a device that goes down, and with them the VTEP's.
    [here, there].into_iter().try_for_each(|host| host.sysctl("ipv6/conf/up0/keep_addr_on_down", "1"))?;
    let end = match cut {
        Cut::Down => here,
        Cut::Carrier => there,
    };
    let (from, to) = (cloud.pod("red-1"), cloud.pod("red-4"));
    let address = IpAddr::from(to.v4);
    let tcp = Steady::tcp(&from.namespace, &to.namespace, to.v6.into(), 100)?;
    let udp = Steady::udp(&from.namespace, &to.namespace, address, RATE)?;
    for round in 1..=2 {
        udp.wait_for_more(u64::from(RATE) / 10)?;
        tcp.wait_for_more(10)?;
        end.set_up(UPLINK, false)?;
        let next_hops = |wanted: usize| {
            wait_for(PATIENCE, &format!("{wanted} next hops"), || {
                let status = cloud.daemon(0).weft().status().map_err(|error| format!("{error:#}"))?;
                let resolved = status.vteps[0].next_hops.iter().filter(|hop| hop.mac.is_some()).count();
                if resolved == wanted { Ok(()) } else { Err(format!("{:?}", status.vteps)) }
            })
        };
        next_hops(0)?;
        end.set_up(UPLINK, true)?;
        [here, there].into_iter().try_for_each(|host| host.wait_until_running(UPLINK))?;
        let start = Instant::now();
        udp.wait_for_more(1)?;
        let outage = start.elapsed();
        println!("{cut:?}, {}, round {round}: first datagram after {outage:?}", cloud.machine(0).vtep);
        ensure!(outage < BOUND, "round {round}: {outage:?}");
        next_hops(1)?;
        udp.wait_for_more(u64::from(RATE) / 10)?;
        tcp.wait_for_more(10)?;
    }
    udp.stop()?;
    let tally = tcp.stop()?;
    ensure!(tally.lost() == 0, "{tally:?}");
    from.pings(to)
}
