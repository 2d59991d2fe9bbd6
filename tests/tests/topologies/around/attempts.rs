//! What red-1 tries, who must not hear of it, and how it is known that they would.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use etherparse::PacketBuilder;
use weft_tests::cloud::{Cloud, POD_DEVICE, Pod, SELF_TEST};
use weft_tests::frame::{self, Between};
use weft_tests::{Capture, Direction, Namespace, PATIENCE, underlay, wait_until};
use weft_vxlan::{MacAddr, Vni};

pub const WORD: &str = "around";
const PORT: u16 = 9999;
/// The addresses of the hosts over IPv4.
const TARGETS: [Ipv4Addr; 4] = [
    Ipv4Addr::new(192, 0, 2, 1),
    Ipv4Addr::new(192, 0, 2, 2),
    Ipv4Addr::new(198, 51, 100, 1),
    Ipv4Addr::new(203, 0, 113, 7),
];
/// Frames for each address and MAC.
const FORMS: u64 = 3;
/// Frames of all attempts that are sent to the gateway's MAC over IPv4.
pub const ROUTED: u64 = TARGETS.len() as u64 * FORMS;
/// How long a datagram could take from the pod's device to a socket of the same machine.
const ARRIVAL: Duration = Duration::from_millis(100);

/// A host's ears, on all its addresses.
struct Ears {
    udp: UdpSocket,
    tcp: TcpListener,
}

impl Ears {
    fn of(host: &Namespace) -> Result<Self> {
        let any = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), PORT);
        let (udp, tcp) =
            host.run(|| Ok::<_, std::io::Error>((UdpSocket::bind(any)?, TcpListener::bind(any)?)))??;
        udp.set_read_timeout(Some(PATIENCE))?;
        tcp.set_nonblocking(true)?;
        Ok(Self { udp, tcp })
    }

    /// Hears what `from`, which is another host, says to `address`.
    fn hear(&self, from: &Namespace, address: IpAddr) -> Result<()> {
        from.run(|| UdpSocket::bind("0.0.0.0:0")?.send_to(b"honest", (address, PORT)))??;
        let mut said = [0; 16];
        let length = self.udp.recv(&mut said).with_context(|| format!("UDP to {address}"))?;
        ensure!(said.get(..length) == Some(b"honest".as_slice()), "{said:?}");
        let _client =
            from.run(|| TcpStream::connect_timeout(&SocketAddr::new(address, PORT), PATIENCE))??;
        wait_until(PATIENCE, "TCP", || self.tcp.accept().is_ok())
    }

    fn assert_unheard(&self, host: usize) -> Result<()> {
        self.udp.set_read_timeout(Some(ARRIVAL))?;
        if let Ok((_, from)) = self.udp.recv_from(&mut [0; 16]) {
            bail!("h{} heard UDP from {from}", host + 1);
        }
        match self.tcp.accept() {
            Ok((_, from)) => bail!("h{} has a connection from {from}", host + 1),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// All that red-1 tries, and the ears that must not hear it.
pub struct Attempts {
    frames: Vec<Vec<u8>>,
    ears: [Ears; 2],
    answers: Capture,
}

impl Attempts {
    /// Makes the frames, and makes sure that the hosts would hear what gets through to them.
    pub fn new(cloud: &Cloud<'_>) -> Result<Self> {
        let [h1, h2] = [0, 1].map(|host| &cloud.machine(host).namespace);
        let ears = [Ears::of(h1)?, Ears::of(h2)?];
        for (to, from, targets) in [(0, h2, [TARGETS[0], TARGETS[2]]), (1, h1, [TARGETS[1], TARGETS[3]])] {
            targets.into_iter().try_for_each(|address| ears[to].hear(from, address.into()))?;
        }
        let pod = cloud.pod("red-1");
        // An answer of a host's kernel would be the proof that it listened: a reset, a port unreachable, a pong.
        let red = cloud.pod("red-2").addresses();
        let answers = pod.capture(move |packet| {
            let stranger = packet.ip.as_ref().is_some_and(|ip| {
                let is_target = matches!(ip.source, IpAddr::V4(source) if TARGETS.contains(&source));
                let is_link_local = matches!(ip.source, IpAddr::V6(source) if source.is_unicast_link_local());
                !red.contains(&ip.source) && (is_target || is_link_local)
            });
            packet.direction == Direction::In && stranger
        })?;
        Ok(Self { frames: frames(cloud, pod)?, ears, answers })
    }

    /// Tries all, and sees that no host has heard any of it by now.
    pub fn fail(&self, cloud: &Cloud<'_>) -> Result<()> {
        let host = &cloud.machine(0).namespace;
        let veth = veth(host)?;
        let seen = Capture::start(host, &veth, |packet| packet.direction == Direction::In)?;
        cloud.pod("red-1").namespace.inject_all(POD_DEVICE, &self.frames)?;
        let all = self.frames.len() as u64;
        wait_until(PATIENCE, "the frames at the host's end", || seen.count() >= all)?;
        self.ears.iter().enumerate().try_for_each(|(host, ears)| ears.assert_unheard(host))
    }

    /// No host has heard anything, or answered.
    pub fn assert_unheard(self) -> Result<()> {
        self.ears.iter().enumerate().try_for_each(|(host, ears)| ears.assert_unheard(host))?;
        self.answers.assert_none("a host has answered red-1")
    }
}

/// The host's end of its one workload's veth.
fn veth(host: &Namespace) -> Result<String> {
    let others = [underlay::UPLINK, SELF_TEST];
    let links = host.links()?.into_iter();
    let veths = links.filter(|link| link.kind == "veth" && !others.contains(&link.name.as_str()));
    veths.map(|link| link.name).next().context("no workload has a veth")
}

/// UDP, TCP's first segment, and VXLAN with a datagram for red-2 in it, to each address of the hosts and, at layer 2, to
/// each station that might pass it on; over IPv6 to the link-local addresses and to everybody.
fn frames(cloud: &Cloud<'_>, pod: &Pod) -> Result<Vec<Vec<u8>>> {
    let [h1, h2] = [0, 1].map(|host| &cloud.machine(host).namespace);
    let veth = veth(h1)?;
    pod.pings_address(pod.gateway4.into())?;
    let neighbours = pod.namespace.neighbours()?;
    let gateway = neighbours.iter().find(|one| one.address == IpAddr::V4(pod.gateway4));
    let gateway = gateway.and_then(|one| one.mac).context("a gateway")?;
    let stations =
        [gateway, h1.mac(&veth)?, h1.mac(underlay::UPLINK)?, h2.mac(underlay::UPLINK)?, MacAddr::BROADCAST];
    let other = cloud.pod("red-2");
    let inner = frame::udp(
        Between {
            source_mac: pod.mac,
            destination_mac: other.mac,
            source: pod.v4.into(),
            destination: other.v4.into(),
        },
        (PORT, PORT),
        WORD.as_bytes(),
    )?;
    let mut frames = Vec::new();
    let mut add = |source: IpAddr, destination_mac: MacAddr, destination: IpAddr| -> Result<()> {
        let between = Between { source_mac: pod.mac, destination_mac, source, destination };
        frames.push(frame::udp(between, (PORT, PORT), WORD.as_bytes())?);
        frames.push(syn(between)?);
        frames.push(frame::vxlan(between, Vni::new(101)?, &inner)?);
        Ok(())
    };
    for station in stations {
        for target in TARGETS {
            add(pod.v4.into(), station, target.into())?;
        }
    }
    let mut targets: Vec<(MacAddr, IpAddr)> = Vec::new();
    for (host, device) in [(h1, veth.as_str()), (h1, underlay::UPLINK), (h2, underlay::UPLINK)] {
        let addresses = host.addresses(device)?.into_iter().map(|net| net.addr());
        for address in addresses.filter(IpAddr::is_ipv6) {
            targets.extend(stations.map(|station| (station, address)));
        }
    }
    ensure!(!targets.is_empty(), "no host has an IPv6 address to be reached at");
    for group in ["ff02::1", "ff02::2"] {
        targets.push((MacAddr::new([0x33, 0x33, 0, 0, 0, 1]), group.parse()?));
    }
    for (station, target) in targets {
        add(pod.v6.into(), station, target)?;
    }
    Ok(frames)
}

fn syn(between: Between) -> Result<Vec<u8>> {
    let ethernet = PacketBuilder::ethernet2(between.source_mac.bytes(), between.destination_mac.bytes());
    let builder = match (between.source, between.destination) {
        (IpAddr::V4(from), IpAddr::V4(to)) => ethernet.ipv4(from.octets(), to.octets(), 64),
        (IpAddr::V6(from), IpAddr::V6(to)) => ethernet.ipv6(from.octets(), to.octets(), 64),
        (from, to) => bail!("{from} and {to} are not of one family"),
    };
    let mut frame = Vec::new();
    builder.tcp(PORT, PORT, 1, 1024).syn().write(&mut frame, &[])?;
    Ok(frame)
}
