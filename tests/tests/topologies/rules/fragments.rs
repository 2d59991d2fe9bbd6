//! Fragments of packets that a rule about ports decides.
//!
//! ```text
//! red-2, and red-3 on h2 ── datagrams in fragments ──► red-1 (lets UDP to port 2000 in)
//! ```

use std::net::{Ipv6Addr, SocketAddr, UdpSocket};
use std::ops::Range;

use anyhow::{Context as _, Result, ensure};
use weft_dataplane_abi::DropReason;
use weft_tests::cloud::{Cloud, POD_DEVICE};
use weft_tests::frame;
use weft_tests::probe::ANSWER;

use super::{between, family, intent, number, tell};

const RULES: &str = r#"[{"direction":"ingress","protocol":"udp","ports":2000}]"#;
const PORT: u16 = 2000;
const PARTS: [Range<usize>; 3] = [0..48, 48..96, 96..104];

/// In: datagrams of 20,000 bytes to the port that the rule is about, and to another. Then datagrams by hand, whose later
/// fragments come behind the first, before it, and without it. Out: those to the port arrive whole. Of those to the other the
/// first fragment is denied and the later ones dropped as without a first; so are those that come before theirs.
pub fn follow_their_first(cloud: &Cloud<'_>) -> Result<()> {
    tell(cloud, &intent(RULES, "[]")?)?;
    let to = cloud.pod("red-1");
    let weft = cloud.daemon(to.host).weft();
    let any = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), PORT);
    let inbox = to.namespace.run(|| UdpSocket::bind(any))??;
    inbox.set_read_timeout(Some(ANSWER))?;
    let mut buffer = vec![0; 65_536];
    for from in ["red-2", "red-3"].map(|name| cloud.pod(name)) {
        for way in between(from, to) {
            let what = || format!("{} over {}", from.name, family(way.source));
            let open = SocketAddr::new(way.destination, PORT);
            from.namespace.datagram(open, 20_000, libc::IP_PMTUDISC_DONT)??;
            let length = inbox.recv(&mut buffer).with_context(what)?;
            ensure!(length == 20_000, "{}: {length} bytes", what());

            let denied = weft.drops(DropReason::PolicyDenied)?;
            let orphans = weft.drops(DropReason::FragmentWithoutFirst)?;
            let shut = SocketAddr::new(way.destination, PORT + 1);
            from.namespace.datagram(shut, 20_000, libc::IP_PMTUDISC_DONT)??;
            weft.wait_for_drop(DropReason::PolicyDenied, denied).with_context(what)?;
            weft.wait_for_drop(DropReason::FragmentWithoutFirst, orphans).with_context(what)?;

            let payload: Vec<u8> = number().to_be_bytes().into_iter().cycle().take(96).collect();
            let id = number();
            let pieces = frame::pieces(&frame::udp(way, (number(), PORT), &payload)?, id, &PARTS)?;
            // What it sends, its own host judges first.
            let own = cloud.daemon(from.host).weft();
            let orphans = own.drops(DropReason::FragmentWithoutFirst)?;
            from.namespace.inject_all(POD_DEVICE, &pieces[1..])?;
            own.wait_for_drop(DropReason::FragmentWithoutFirst, orphans + 1).with_context(what)?;
            from.namespace.inject_all(POD_DEVICE, &pieces)?;
            let length = inbox.recv(&mut buffer).with_context(what)?;
            ensure!(buffer[..length] == payload, "{}: {length} bytes", what());
        }
    }
    println!("fragments follow their first, and none arrives without it");
    Ok(())
}
