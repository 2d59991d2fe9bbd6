//! ICMP errors about connections, and about none.
//!
//! ```text
//! red-2, and red-3 on h2 (let nothing in) ── UDP, TCP ──► red-1 (lets UDP and TCP in, may start nothing)
//!                                         ◄── errors ──
//! ```

use std::net::{IpAddr, SocketAddr, UdpSocket};

use anyhow::{Context as _, Result, ensure};
use weft_dataplane_abi::{DropReason, flags};
use weft_tests::cloud::{Cloud, Pod};
use weft_tests::frame::{self, Between};
use weft_tests::probe::ANSWER;

use super::{Fate, Round, between, intent, number, tell};

const RULES: &str = r#"[{"direction":"egress","action":"deny","priority":2000},
    {"direction":"ingress","protocol":"udp"},{"direction":"ingress","protocol":"tcp"}]"#;
/// Where nobody listens.
const SHUT: u16 = 700;

/// In: datagrams to a port of red-1 where nobody listens, of which its kernel tells the sender, who lets nothing in; then errors
/// by hand, of every type, about packets of these connections, and about packets that are of none: with another port, another
/// protocol, of another pod, or without enough of it. Out: the senders' sockets hear of the first; of those by hand, the ones
/// about connections arrive, and the others are dropped as unrelated by the host of red-1.
pub fn pass_if_they_are_about_a_connection(cloud: &Cloud<'_>) -> Result<()> {
    tell(cloud, &intent(RULES, "[]")?)?;
    let teller = cloud.pod("red-1");
    for asker in ["red-2", "red-3"].map(|name| cloud.pod(name)) {
        for address in teller.addresses() {
            is_told(asker, address).with_context(|| format!("{} and {address}", asker.name))?;
        }
        forged(cloud, asker, teller)?;
    }
    Ok(())
}

/// That a socket hears that nobody listens.
fn is_told(asker: &Pod, address: IpAddr) -> Result<()> {
    let any = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = asker.namespace.run(|| UdpSocket::bind(any))??;
    socket.connect(SocketAddr::new(address, SHUT))?;
    socket.set_read_timeout(Some(ANSWER))?;
    socket.send(b"is anybody there?")?;
    let heard = socket.recv(&mut [0; 16]).err().and_then(|error| error.raw_os_error());
    ensure!(heard == Some(libc::ECONNREFUSED), "{heard:?}");
    Ok(())
}

fn forged(cloud: &Cloud<'_>, asker: &Pod, teller: &Pod) -> Result<()> {
    let mut round = Round::begin(cloud, &["red-1", &asker.name])?;
    let unrelated = Fate::Denied(teller.host, DropReason::UnrelatedError);
    for (way, to) in between(asker, teller).into_iter().zip(between(teller, asker)) {
        let ports = (number(), SHUT);
        let datagram = frame::udp(way, ports, &number().to_be_bytes())?;
        let segment = frame::tcp(way, ports, flags::SYN, (u32::from(number()), 0))?;
        round.send("UDP", asker, &datagram, Fate::Arrives)?;
        round.send("SYN", asker, &segment, Fate::Arrives)?;
        let kinds: &[_] = if way.source.is_ipv4() {
            &[(3, 0), (3, 1), (3, 3), (3, 4), (11, 0), (12, 0)]
        } else {
            &[(1, 0), (1, 4), (2, 0), (3, 0), (4, 0)]
        };
        for kind in kinds {
            for about in [&datagram, &segment] {
                let error = frame::icmp_error(to, *kind, about)?;
                round.send(&format!("an error {kind:?}"), teller, &error, Fate::Arrives)?;
            }
            for (what, about) in about_nothing(cloud, way, ports)? {
                let error = frame::icmp_error(to, *kind, &about)?;
                round.send(&format!("an error {kind:?} about {what}"), teller, &error, unrelated)?;
            }
            let short = frame::icmp(to, *kind, [0; 4], &datagram[14..34])?;
            round.send(&format!("an error {kind:?} about too little"), teller, &short, unrelated)?;
        }
    }
    let (passed, dropped) = round.end()?;
    println!("about what {} sends: {passed} arrived, {dropped} were dropped as unrelated", asker.name);
    Ok(())
}

/// Packets that are of no connection between two who have one between `ports`.
fn about_nothing(cloud: &Cloud<'_>, way: Between, ports: (u16, u16)) -> Result<Vec<(&'static str, Vec<u8>)>> {
    let other = cloud.pod("red-4").addresses()[usize::from(!way.source.is_ipv4())];
    let turned = Between { source: way.destination, destination: way.source, ..way };
    Ok(vec![
        ("another port of the receiver", frame::udp(way, (ports.0.wrapping_add(20_000), ports.1), b"x")?),
        ("another port of the sender", frame::tcp(way, (ports.0, ports.1 + 1), flags::SYN, (1, 0))?),
        ("another protocol", frame::ip(way, 47, b"anything at all")?),
        ("another pod's packet", frame::udp(Between { source: other, ..way }, ports, b"x")?),
        ("a packet to another pod", frame::udp(Between { destination: other, ..way }, ports, b"x")?),
        ("its own packet", frame::udp(turned, (ports.1, ports.0), b"x")?),
    ])
}
