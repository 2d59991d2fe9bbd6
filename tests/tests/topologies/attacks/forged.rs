//! Packets that belong to no connection, from a workload and from a host that does not look: segments without a SYN, answers that
//! nobody asked for, errors about nothing, fragments without their first.

use anyhow::{Context as _, Result};
use weft_dataplane_abi::DropReason;
use weft_tests::cloud::{Cloud, POD_DEVICE};
use weft_tests::frame::{self, Between, TcpFlags};
use weft_tests::{Direction, Lab, underlay};
use weft_vxlan::Vni;

use super::{Legitimate, between, cloud, intent};

const WORD: &[u8] = b"forged forged forged forged forged forged forged forged";
/// L2 VNI of red-a.
const SUBNET: u32 = 101;

/// Frames, and why the first or the last of them is dropped: by the host of the workload that sends them, which is one that looks;
/// and by the receiver's, if they come from a host that does not.
struct Forged {
    what: &'static str,
    frames: Vec<Vec<u8>>,
    by_sender: Option<DropReason>,
    by_receiver: DropReason,
}

fn all(cloud: &Cloud<'_>) -> Result<Vec<Forged>> {
    let (from, to) = (cloud.pod("red-3"), cloud.pod("red-2"));
    let v4 = between(from, to);
    let v6 = Between { source: from.v6.into(), destination: to.v6.into(), ..v4 };
    let flags = |syn, ack, fin, rst| TcpFlags { syn, ack, fin, rst };
    let none = DropReason::NoConnection;
    let mut all = Vec::new();
    let mut add =
        |what, frames, by_sender, by_receiver| all.push(Forged { what, frames, by_sender, by_receiver });
    for way in [v4, v6] {
        let segment = |flags| Ok::<_, anyhow::Error>(vec![frame::tcp(way, (40_000, 7), flags, 1)?]);
        add("ACK without SYN", segment(flags(false, true, false, false))?, Some(none), none);
        add("SYN and ACK that nobody asked for", segment(flags(true, true, false, false))?, Some(none), none);
        add("FIN of no connection", segment(flags(false, true, true, false))?, Some(none), none);
        add("RST of no connection", segment(flags(false, true, false, true))?, Some(none), none);
        let answer = vec![frame::udp(way, (53, 40_000), WORD)?];
        add("an answer that nobody asked for", answer, None, DropReason::PolicyDenied);
        let back = Between { source: way.destination, destination: way.source, ..way };
        let quoted = frame::udp(back, (40_001, 53), WORD)?;
        let error = vec![frame::port_unreachable(way, &quoted)?];
        let unrelated = DropReason::UnrelatedError;
        add("an error about no connection", error, Some(unrelated), unrelated);

        let allowed = frame::udp(way, (40_000, 1500), WORD)?;
        let denied = frame::udp(way, (40_000, 2500), WORD)?;
        let request = frame::tcp(way, (40_000, 7), flags(true, false, false, false), 1)?;
        let part = |frame: &[u8], id, part: std::ops::Range<usize>| {
            frame::pieces(frame, id, std::slice::from_ref(&part))
        };
        let alone = DropReason::FragmentWithoutFirst;
        add("later fragments without a first", part(&allowed, 71, 24..63)?, Some(alone), alone);
        add("fragments whose first is denied", frame::pieces(&denied, 72, &[0..24, 24..63])?, None, alone);
        let divided = DropReason::FragmentedHeader;
        add("a first fragment that divides the header", part(&request, 73, 0..8)?, Some(divided), divided);
        add("a fragment over the header", part(&request, 74, 8..20)?, Some(divided), divided);
    }
    Ok(all)
}

/// In: all of it from red-3 by its own host, and then from h1 as if that did not look. Out: each is dropped by the name that it
/// should be, nothing of it comes to the server, and what the server and its client have with each other goes on.
#[test]
fn what_belongs_to_no_connection_is_dropped_by_its_name() -> Result<()> {
    Lab::test(|lab| {
        let cloud = cloud(lab, "", &intent()?)?;
        let legitimate = Legitimate::start(&cloud)?;
        let (from, to) = (cloud.pod("red-3"), cloud.pod("red-2"));
        let came = to.capture({
            let sources = from.addresses();
            move |packet| {
                packet.direction == Direction::In
                    && packet.ip.as_ref().is_some_and(|ip| sources.contains(&ip.source))
            }
        })?;
        let all = all(&cloud)?;
        let machine = cloud.machine(0);
        let outer = Between {
            source_mac: machine.namespace.mac(underlay::UPLINK)?,
            destination_mac: cloud.machine(1).namespace.mac(underlay::UPLINK)?,
            source: machine.vtep.address(),
            destination: cloud.machine(1).vtep.address(),
        };
        for Forged { what, frames, by_sender, by_receiver } in &all {
            let (host, reason) = by_sender.map_or((1, *by_receiver), |reason| (0, reason));
            let weft = cloud.daemon(host).weft();
            let before = weft.drops(reason)?;
            from.namespace.inject_all(POD_DEVICE, frames)?;
            weft.wait_for_drop(reason, before).with_context(|| format!("{what}, from red-3"))?;

            let weft = cloud.daemon(1).weft();
            let before = weft.drops(*by_receiver)?;
            let tunnelled = frames.iter().map(|frame| frame::vxlan(outer, Vni::new(SUBNET)?, frame));
            machine.namespace.inject_all(underlay::UPLINK, &tunnelled.collect::<Result<Vec<_>>>()?)?;
            weft.wait_for_drop(*by_receiver, before).with_context(|| format!("{what}, from h1"))?;
        }
        came.assert_none("what belongs to no connection came to the server")?;
        println!(
            "{}",
            legitimate.finish(&format!("{} forgeries, each from a workload and from a host", all.len()))?
        );
        Ok(())
    })
}
