//! Jumbo frames between the workloads, 1500 bytes between the hosts: every sender learns what fits.
//!
//! ```text
//! red-1 10.0.0.11 ─ h1 192.0.2.1 ─────── 192.0.2.2 h2 ┬ red-2 10.0.0.12
//!                                                      └ red-4 10.0.1.14
//! ```
//! The cable takes 9000 bytes, so weft gives the workloads 8950; the route between the hosts takes 1500, which leaves
//! 1450. Subnet red-a has red-1 and red-2, red-b has red-4: packets to the first are switched, to the other routed. The
//! cable has no offloads: each packet on it has the length that it would have on a wire.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use ipnet::IpNet;
use nix::errno::Errno;
use weft_dataplane_abi::DropReason;
use weft_tests::cloud::{Cloud, Intent, POD_DEVICE};
use weft_tests::probe::Refusals;
use weft_tests::{Capture, Lab, Offloads, Wire, underlay};

const CABLE: u32 = 9000;
const ROUTE: u32 = 1500;
const INSIDE: u32 = ROUTE - 50;

/// What a test finds: the cloud, and a capture on h1's cable of all that is too big for the route.
struct Narrow<'lab> {
    cloud: Cloud<'lab>,
    too_big: Capture,
}

impl<'lab> Narrow<'lab> {
    fn start(lab: &'lab Lab) -> Result<Self> {
        let wire = Wire { mtu: CABLE, offloads: Offloads::Off };
        let underlay = underlay::two_hosts(lab, wire)?;
        for (here, there) in [(0, 1), (1, 0)] {
            let vtep = underlay.machines[there].vtep.address();
            underlay.machines[here].namespace.add_route_of_mtu(IpNet::from(vtep), vtep, ROUTE)?;
        }
        let mut cloud = Cloud::start(lab, underlay)?;
        let intent = Intent::default()
            .tenant("red", 100)?
            .pod("red-1", "red-a", 0, 11)?
            .pod("red-2", "red-a", 1, 12)?
            .pod("red-4", "red-b", 1, 14)?;
        cloud.deploy(&intent)?;
        let mtu = cloud.pod("red-1").namespace.path_mtu(cloud.pod("red-2").v4.into())?;
        ensure!(mtu == CABLE - 50, "a workload's MTU is {mtu}");
        let longest = usize::try_from(ROUTE)? + 14;
        let too_big = Capture::start(&cloud.machine(0).namespace, underlay::UPLINK, move |packet| {
            packet.length > longest
        })?;
        Ok(Self { cloud, too_big })
    }

    /// The addresses of red-2 and red-4, with red-1's gateway of the same family.
    fn targets(&self) -> Vec<(IpAddr, IpAddr)> {
        let gateways = self.cloud.pod("red-1").gateways();
        let pods = ["red-2", "red-4"].map(|name| self.cloud.pod(name).addresses());
        pods.into_iter().flat_map(|addresses| addresses.into_iter().zip(gateways)).collect()
    }

    fn knows(&self, to: IpAddr) -> Result<()> {
        let mtu = self.cloud.pod("red-1").namespace.path_mtu(to)?;
        ensure!(mtu == INSIDE, "red-1 takes the path to {to} for one of {mtu} bytes");
        Ok(())
    }

    /// Nothing too big was on the cable, and what was dropped for it is counted.
    fn finish(self) -> Result<()> {
        let drops = self.cloud.daemon(0).weft().drops(DropReason::TooBig)?;
        ensure!(drops > 0, "nothing was dropped as too big");
        self.too_big.assert_none("larger than the route takes")
    }
}

/// In: pings that no one may fragment (ping -M do), too big, and then of the size that was told. Out: the gateway's
/// "fragmentation needed" and "packet too big" with an MTU of 1450 and right checksums; the kernel believes them; what
/// fits is answered.
#[test]
fn ping_is_told_what_fits() -> Result<()> {
    Lab::test(|lab| {
        let narrow = Narrow::start(lab)?;
        let from = &narrow.cloud.pod("red-1").namespace;
        for (to, gateway) in narrow.targets() {
            let refusals = Refusals::listen(from, to)?;
            let answer = from.ping_sized(to, 4000, Duration::from_millis(300))?;
            ensure!(answer.is_err(), "4000 bytes went through to {to}");
            let told = refusals.next(to)?;
            ensure!(told.mtu == INSIDE, "{told:?}");
            let expected = if to.is_ipv4() { (3, 4, 548) } else { (2, 0, 1232) };
            ensure!((told.kind, told.code, told.quoted) == expected, "{told:?}");
            ensure!(told.from == gateway, "{told:?}, not from {gateway}");
            narrow.knows(to)?;
            let headers = if to.is_ipv4() { 28 } else { 48 };
            let fits = usize::try_from(INSIDE)? - headers;
            ensure!(
                from.ping_sized(to, fits, Duration::from_secs(3))?.is_ok(),
                "{fits} bytes do not fit to {to}"
            );
            let answer = from.ping_sized(to, fits + 1, Duration::from_millis(300))?;
            ensure!(answer.is_err(), "{} bytes went through to {to}", fits + 1);
        }
        narrow.finish()
    })
}

/// In: 20 MB over TCP, whose first segments have 8910 bytes, sent as super-packets, and cut by the workload's kernel.
/// Out: the sender is told, cuts smaller segments, and all arrives.
#[test]
fn tcp_recovers() -> Result<()> {
    for offloads in [Offloads::On, Offloads::Off] {
        Lab::test(|lab| {
            let narrow = Narrow::start(lab)?;
            let from = narrow.cloud.pod("red-1");
            from.namespace.set_offloads(POD_DEVICE, offloads)?;
            for (to, _) in narrow.targets() {
                let pod = narrow.cloud.pods().find(|pod| pod.addresses().contains(&to));
                let receiver = &pod.context("no pod has the address")?.namespace;
                let before = narrow.cloud.daemon(0).weft().drops(DropReason::TooBig)?;
                from.namespace
                    .transfer(receiver, to, 20_000_000)
                    .context(format!("offloads {offloads:?}"))?;
                let after = narrow.cloud.daemon(0).weft().drops(DropReason::TooBig)?;
                ensure!(after > before, "TCP to {to} never sent anything too big");
                narrow.knows(to)?;
            }
            narrow.finish()
        })?;
    }
    Ok(())
}

/// In: datagrams of 4000 bytes, eight to a call (UDP GSO). Out: none arrives, the sender is told, and the kernel
/// refuses the next; datagrams that fit arrive, also in super-packets far longer than the path's MTU.
#[test]
fn udp_segmentation_is_told_what_fits() -> Result<()> {
    Lab::test(|lab| {
        let narrow = Narrow::start(lab)?;
        let from = &narrow.cloud.pod("red-1").namespace;
        for name in ["red-2", "red-4"] {
            let to = narrow.cloud.pod(name);
            for address in to.addresses() {
                let refusals = Refusals::listen(from, address)?;
                let arrived = from.segmented(&to.namespace, address, 8, 4000, 8)?;
                ensure!(arrived == 0, "{arrived} of 4000 bytes reached {address}");
                let told = refusals.next(address)?;
                ensure!(told.mtu == INSIDE, "{told:?}");
                narrow.knows(address)?;
                ensure!(
                    from.segmented(&to.namespace, address, 8, 4000, 8).is_err(),
                    "sent to {address} again"
                );
                let arrived = from.segmented(&to.namespace, address, 80, 1400, 40)?;
                ensure!(arrived == 80, "{arrived} of 80 datagrams reached {address}");
            }
        }
        narrow.finish()
    })
}

/// In: datagrams over IPv4 that routers may fragment (DF not set). Out: the first is refused and told as if DF were
/// set; the workload's kernel cuts the next into fragments, and it arrives.
#[test]
fn without_dont_fragment_the_sender_fragments() -> Result<()> {
    Lab::test(|lab| {
        let narrow = Narrow::start(lab)?;
        let (from, to) = (narrow.cloud.pod("red-1"), narrow.cloud.pod("red-4"));
        let inbox = to.namespace.run(|| UdpSocket::bind("0.0.0.0:0"))??;
        inbox.set_read_timeout(Some(Duration::from_millis(300)))?;
        let address = SocketAddr::new(to.v4.into(), inbox.local_addr()?.port());
        let send = |discovery| from.namespace.datagram(address, 4000, discovery);
        let refusals = Refusals::listen(&from.namespace, to.v4.into())?;
        send(libc::IP_PMTUDISC_DONT)?.context("the first")?;
        ensure!(inbox.recv(&mut [0; 8192]).is_err(), "a datagram that is too big has arrived");
        ensure!(refusals.next(to.v4.into())?.mtu == INSIDE, "told another MTU");
        narrow.knows(to.v4.into())?;
        inbox.set_read_timeout(Some(Duration::from_secs(3)))?;
        send(libc::IP_PMTUDISC_DONT)?.context("the second")?;
        ensure!(inbox.recv(&mut [0; 8192])? == 4000, "the second arrived cut");
        ensure!(send(libc::IP_PMTUDISC_DO)? == Err(Errno::EMSGSIZE), "with DF the kernel should refuse");
        narrow.finish()
    })
}
