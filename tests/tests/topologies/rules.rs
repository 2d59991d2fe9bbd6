//! Every kind of rule between ports of one host and of two, in both families, and what connections have to bear.
//!
//! ```text
//! red-1 ┐                  ┌ red-2 (judges)
//!       ┴ h1 ────── h2 ┴ red-4 (of the same group as red-2)
//! ```
//! What comes to red-2 is denied unless a rule allows it.

use std::net::{IpAddr, SocketAddr, TcpListener};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use socket2::{Domain, SockAddr, Socket, Type};
use weft_api::view::Xdp;
use weft_dataplane_abi::DropReason;
use weft_tests::cloud::{Cloud, Intent, POD_DEVICE, Pod};
use weft_tests::frame::{self, Between, TcpFlags};
use weft_tests::probe::Steady;
use weft_tests::underlay::{SECOND_UPLINK, UPLINK, gateways, two_hosts, two_uplinks};
use weft_tests::{Capture, Direction, Lab, PATIENCE, Packet, Wire, wait_for, wait_until};

fn intent(rules: &str) -> Result<Intent> {
    Ok(Intent::default()
        .tenant("red", 100)?
        .closed("red")
        .security_group("own", "red", 7, rules)?
        .pod("red-1", "red-a", 0, 11)?
        .pod("red-2", "red-a", 1, 12)?
        .pod("red-4", "red-a", 1, 14)?
        .member("red-2", &["own"])
        .member("red-4", &["own"]))
}

fn cloud<'lab>(lab: &'lab Lab, intent: &Intent) -> Result<Cloud<'lab>> {
    let mut cloud = Cloud::start(lab, two_hosts(lab, Wire::default())?)?;
    cloud.deploy(intent)?;
    Ok(cloud)
}

/// A packet, by what rules look at: of TCP a SYN, of ICMP type and code.
#[derive(Debug, Clone, Copy)]
enum Probe {
    Tcp(u16),
    Udp(u16),
    Sctp(u16),
    Ping,
    /// Of IPv4 alone.
    Icmp(u8, u8),
    Protocol(u8),
}

impl Probe {
    /// In a frame. Each `number` is a connection of its own.
    fn frame(self, way: Between, number: u16) -> Result<Vec<u8>> {
        let source = 20_000 + number;
        let ports = |to: u16| [source.to_be_bytes(), to.to_be_bytes()].concat();
        match self {
            Self::Tcp(to) => {
                let syn = TcpFlags { syn: true, ..TcpFlags::default() };
                frame::tcp(way, (source, to), syn, u32::from(number) << 16)
            }
            Self::Udp(to) => frame::udp(way, (source, to), b"probe"),
            Self::Sctp(to) => frame::ip(way, 132, &[&ports(to)[..], &[0; 16]].concat()),
            Self::Ping => frame::echo(way, 64, b"probe"),
            Self::Icmp(kind, code) => frame::ip(way, 1, &[kind, code, 0, 0, 0, 7, 0, 1, 0, 0, 0, 0]),
            Self::Protocol(protocol) => frame::ip(way, protocol, &[0; 24]),
        }
    }
}

/// Rules of red-2, what comes to it by them, and what does not.
struct Case {
    rules: &'static str,
    allowed: &'static [Probe],
    denied: &'static [Probe],
    /// Whether packets from another host pass too; groups come with routes, which are given by hand here.
    from_elsewhere: bool,
}

const fn case(rules: &'static str, allowed: &'static [Probe], denied: &'static [Probe]) -> Case {
    Case { rules, allowed, denied, from_elsewhere: true }
}

const CASES: [Case; 14] = [
    case("[]", &[], &[Probe::Tcp(443), Probe::Udp(53), Probe::Ping, Probe::Protocol(47)]),
    case(
        r#"[{"direction":"ingress"}]"#,
        &[Probe::Tcp(443), Probe::Udp(53), Probe::Ping, Probe::Protocol(47)],
        &[],
    ),
    case(
        r#"[{"direction":"ingress","protocol":"tcp","ports":443}]"#,
        &[Probe::Tcp(443)],
        &[Probe::Tcp(442), Probe::Tcp(444), Probe::Udp(443), Probe::Ping],
    ),
    case(
        r#"[{"direction":"ingress","protocol":"udp","ports":"1000-1999"}]"#,
        &[Probe::Udp(1000), Probe::Udp(1500), Probe::Udp(1999)],
        &[Probe::Udp(999), Probe::Udp(2000), Probe::Tcp(1500)],
    ),
    case(
        r#"[{"direction":"ingress","protocol":"sctp","ports":5000}]"#,
        &[Probe::Sctp(5000)],
        &[Probe::Sctp(5001), Probe::Tcp(5000)],
    ),
    case(
        r#"[{"direction":"ingress","protocol":"icmp","icmp":{"type":8}},{"direction":"ingress","protocol":"icmpv6","icmp":{"type":128,"code":0}}]"#,
        &[Probe::Ping],
        &[Probe::Tcp(8), Probe::Protocol(47)],
    ),
    case(
        r#"[{"direction":"ingress","protocol":"icmp","icmp":{"type":13,"code":0},"stateless":true}]"#,
        &[Probe::Icmp(13, 0)],
        &[Probe::Ping, Probe::Tcp(13)],
    ),
    case(
        r#"[{"direction":"ingress","protocol":47}]"#,
        &[Probe::Protocol(47)],
        &[Probe::Protocol(46), Probe::Udp(47)],
    ),
    case(
        r#"[{"direction":"ingress","prefix":"10.0.0.8/29"},{"direction":"ingress","prefix":"fd00:a::8/125"}]"#,
        &[Probe::Tcp(1), Probe::Udp(2), Probe::Ping],
        &[],
    ),
    case(
        r#"[{"direction":"ingress","prefix":"10.0.0.0/29"},{"direction":"ingress","prefix":"fd00:a::/125"}]"#,
        &[],
        &[Probe::Tcp(1), Probe::Udp(2), Probe::Ping],
    ),
    case(
        r#"[{"direction":"ingress","protocol":"tcp"},{"direction":"ingress","protocol":"tcp","ports":22,"action":"deny","priority":5}]"#,
        &[Probe::Tcp(21), Probe::Tcp(23)],
        &[Probe::Tcp(22), Probe::Udp(21)],
    ),
    case(
        r#"[{"direction":"ingress","protocol":"tcp","ports":"1-99","priority":9,"action":"deny"},{"direction":"ingress","protocol":"tcp","ports":"50-150","priority":9}]"#,
        &[Probe::Tcp(100), Probe::Tcp(150)],
        &[Probe::Tcp(50), Probe::Tcp(99), Probe::Tcp(151)],
    ),
    case(
        r#"[{"direction":"ingress","protocol":"udp","ports":7,"stateless":true}]"#,
        &[Probe::Udp(7)],
        &[Probe::Udp(8)],
    ),
    Case {
        from_elsewhere: false,
        ..case(
            r#"[{"direction":"ingress","group":"own"}]"#,
            &[Probe::Tcp(443), Probe::Udp(53), Probe::Ping],
            &[],
        )
    },
];

/// Sends probes from one pod to red-2, and tells which came.
struct Prober<'a> {
    cloud: &'a Cloud<'a>,
    from: &'a Pod,
    /// So many were sent.
    number: u16,
}

impl Prober<'_> {
    fn way(&self, v6: bool) -> Between {
        let to = self.cloud.pod("red-2");
        let (source, destination): (IpAddr, IpAddr) =
            if v6 { (self.from.v6.into(), to.v6.into()) } else { (self.from.v4.into(), to.v4.into()) };
        Between { source_mac: self.from.mac, destination_mac: to.mac, source, destination }
    }

    /// Each of `probes` comes to red-2, or is denied there.
    fn expect(&mut self, probes: &[Probe], v6: bool, allowed: bool, what: &str) -> Result<()> {
        let weft = self.cloud.daemon(1).weft();
        let way = self.way(v6);
        for probe in probes.iter().filter(|probe| !v6 || !matches!(probe, Probe::Icmp(..))) {
            self.number += 1;
            let came = self.cloud.pod("red-2").capture(move |packet: &Packet| {
                packet.direction == Direction::In
                    && packet.ip.as_ref().is_some_and(|ip| ip.source == way.source)
            })?;
            let before = weft.drops(DropReason::PolicyDenied)?;
            self.from.namespace.inject(POD_DEVICE, &probe.frame(way, self.number)?)?;
            let what = || format!("{what}: {probe:?} from {} to {}", way.source, way.destination);
            if allowed {
                wait_until(PATIENCE, &what(), || came.count() > 0)?;
            } else {
                weft.wait_for_drop(DropReason::PolicyDenied, before).with_context(what)?;
                came.assert_none(&what())?;
            }
        }
        Ok(())
    }
}

/// In: rules of every kind, and packets that they are about and that they are not, from a port of the same host and from one of
/// another, over IPv4 and IPv6. Out: those that are allowed come, and the others are denied by the judging host.
#[test]
fn of_every_kind_on_one_host_and_on_two() -> Result<()> {
    Lab::test(|lab| {
        let cloud = cloud(lab, &intent("[]")?)?;
        let mut probers =
            ["red-4", "red-1"].map(|from| Prober { cloud: &cloud, from: cloud.pod(from), number: 0 });
        for Case { rules, allowed, denied, from_elsewhere } in &CASES {
            cloud.tell(1, &intent(rules)?)?;
            for prober in &mut probers {
                let passes = *from_elsewhere || prober.from.host == 1;
                for v6 in [false, true] {
                    prober.expect(allowed, v6, passes, rules)?;
                    prober.expect(denied, v6, false, rules)?;
                }
            }
        }
        let sent: u16 = probers.iter().map(|prober| prober.number).sum();
        println!("{} sets of rules, {sent} packets", CASES.len());
        Ok(())
    })
}

/// In: a rule about what a port sends. Out: it is judged where the port is: what is denied does not leave, and what is allowed
/// is judged once more where it arrives.
#[test]
fn what_a_port_sends_is_judged_where_it_is() -> Result<()> {
    Lab::test(|lab| {
        let rules = r#"[{"direction":"egress","protocol":"tcp","ports":25,"action":"deny"},
            {"direction":"ingress","protocol":"tcp","ports":80}]"#;
        let intent = intent(rules)?.member("red-1", &["own"]);
        let cloud = cloud(lab, &intent)?;
        for (from, here) in [("red-1", 0), ("red-4", 1)] {
            let mut prober = Prober { cloud: &cloud, from: cloud.pod(from), number: 0 };
            for v6 in [false, true] {
                prober.expect(&[Probe::Tcp(80)], v6, true, "what both allow")?;
                prober.expect(&[Probe::Tcp(81)], v6, false, "what only the sender allows")?;
                let weft = cloud.daemon(here).weft();
                let before = weft.drops(DropReason::PolicyDenied)?;
                let frame = Probe::Tcp(25).frame(prober.way(v6), 999)?;
                prober.from.namespace.inject(POD_DEVICE, &frame)?;
                weft.wait_for_drop(DropReason::PolicyDenied, before)?;
            }
        }
        Ok(())
    })
}

/// Binds to a port, connects, waits until the server has closed, and closes or aborts.
fn connect_from(from: &Pod, port: u16, to: SocketAddr, abort: bool) -> Result<()> {
    let own = SocketAddr::new(from.v4.into(), port);
    from.namespace.run(move || -> Result<()> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        socket.bind(&SockAddr::from(own))?;
        socket.connect_timeout(&SockAddr::from(to), Duration::from_secs(3))?;
        socket.set_read_timeout(Some(Duration::from_secs(3)))?;
        let mut greeting = [std::mem::MaybeUninit::new(0); 8];
        let length = socket.recv(&mut greeting)?;
        ensure!(length == 5, "{length} bytes of the greeting");
        if abort {
            socket.set_linger(Some(Duration::ZERO))?;
        } else {
            // The server's FIN.
            let end = socket.recv(&mut greeting)?;
            ensure!(end == 0, "{end} bytes behind the greeting");
        }
        Ok(())
    })?
}

/// In: a client that connects again and again from one port to one port, each time as soon as the connection before is over: by
/// FIN of both sides, and by RST. Out: every connection is a new one, and works.
#[test]
fn a_port_is_used_again_at_once() -> Result<()> {
    Lab::test(|lab| {
        let cloud = cloud(lab, &intent(r#"[{"direction":"ingress","protocol":"tcp","ports":8080}]"#)?)?;
        let server = cloud.pod("red-2");
        let listener = server.namespace.run(|| TcpListener::bind("0.0.0.0:8080"))??;
        drop(server.namespace.spawn(move || {
            for stream in listener.incoming() {
                std::io::Write::write_all(&mut stream?, b"hello")?;
            }
            Ok(())
        })?);
        let to = SocketAddr::new(server.v4.into(), 8080);
        for (abort, port) in [(false, 30_000), (true, 30_001)] {
            for time in 0..20 {
                connect_from(cloud.pod("red-1"), port, to, abort)
                    .with_context(|| format!("time {time} from port {port}, abort: {abort}"))?;
            }
        }
        Ok(())
    })
}

/// In: connections between two hosts with two uplinks, where requests take the one and answers the other. Out: all are
/// followed: nothing is denied, for it does not matter which way a packet comes.
#[test]
fn answers_may_take_another_way() -> Result<()> {
    Lab::test(|lab| {
        let underlay = two_uplinks(lab, Wire::default(), false)?;
        let mut cloud = Cloud::start_with(lab, underlay, |settings| settings.xdp = Xdp::Auto)?;
        for (number, here, there, uplink) in [(1, 0, 1, 0), (2, 1, 0, 1)] {
            let vtep = ipnet::IpNet::from(cloud.machine(there).vtep.address());
            let gateway = gateways(number, false)?[uplink];
            cloud.machine(here).namespace.replace_route(vtep, &[gateway])?;
        }
        cloud.deploy(&intent(r#"[{"direction":"ingress","prefix":"10.0.0.11/32"}]"#)?)?;
        let (from, to) = (cloud.pod("red-1"), cloud.pod("red-2"));
        from.namespace.ping_until(to.v4.into(), PATIENCE)?;
        let sent = |host: usize, device: &str| {
            let is_sent = |packet: &Packet| packet.direction == Direction::Out && packet.vxlan().is_some();
            Capture::start(&cloud.machine(host).namespace, device, is_sent)
        };
        let ways = [sent(0, UPLINK)?, sent(1, SECOND_UPLINK)?];
        let others = [sent(0, SECOND_UPLINK)?, sent(1, UPLINK)?];
        let server = to.serve()?;
        let steady = Steady::tcp(&from.namespace, &to.namespace, to.v4.into(), 200)?;
        for _ in 0..32 {
            from.namespace.tcp_echo(to.v4.into(), "hello")?;
            from.pings_address(to.v4.into())?;
        }
        steady.wait_for_more(200)?;
        let tally = steady.stop()?;
        ensure!(tally.lost() == 0, "{} of {} lost", tally.lost(), tally.sent);
        let weft = cloud.daemon(1).weft();
        ensure!(weft.drops(DropReason::PolicyDenied)? == 0 && weft.drops(DropReason::NoConnection)? == 0);
        let counts = wait_for(PATIENCE, "packets on both ways", || {
            let counts = ways.each_ref().map(Capture::count);
            if counts.iter().all(|count| *count > 200) { Ok(counts) } else { Err(counts) }
        })?;
        others.into_iter().try_for_each(|other| other.assert_none("the other way was taken"))?;
        println!("requests by one uplink, answers by another: {counts:?} packets");
        drop(server);
        Ok(())
    })
}
