//! ICMP errors on demand: a pod that provokes them gets no more than its limit, and takes nothing from others.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use etherparse::PacketBuilder;
use weft_dataplane_abi::DropReason;
use weft_tests::cloud::POD_DEVICE;
use weft_tests::{Direction, Lab, PATIENCE, wait_for};

use super::start;
use crate::witness::drops_of;

/// `limits.icmp_errors`, by default.
const PER_SECOND: u64 = 100;
const PACKETS: usize = 5000;
/// Packets that the kernel's queue behind a veth surely takes at once.
const AT_ONCE: usize = 500;

/// In: 5,000 packets from red-1 whose hops end at the gateway. Out: red-1 is told as often as its rate allows; all are
/// counted as `ttl_expired`; no other pod hears anything from the gateway; red-2, who tries a
/// port of the gateway, is told at once.
#[test]
fn stay_within_the_rate() -> Result<()> {
    Lab::test(|lab| {
        let cloud = start(lab)?;
        let (from, near, far) = (cloud.pod("red-1"), cloud.pod("red-2"), cloud.pod("red-3"));
        from.pings_address(from.gateway4.into())?;
        let neighbours = from.namespace.neighbours()?;
        let gateway = neighbours.iter().find(|one| one.address == IpAddr::V4(from.gateway4));
        let gateway = gateway.and_then(|one| one.mac).context("a gateway")?;
        let target = Ipv4Addr::from([10, 0, 0, 13]);
        ensure!(target == far.v4);
        let mut frame = Vec::new();
        PacketBuilder::ethernet2(from.mac.bytes(), gateway.bytes())
            .ipv4(from.v4.octets(), target.octets(), 1)
            .udp(9, 9)
            .write(&mut frame, b"where?")?;
        let is_error = |gateway: Ipv4Addr| {
            move |packet: &weft_tests::Packet| {
                let ip = packet.ip.as_ref();
                packet.direction == Direction::In
                    && ip.is_some_and(|ip| ip.source == IpAddr::V4(gateway) && ip.protocol == 1)
            }
        };
        let told = from.capture(is_error(from.gateway4))?;
        let [others, elsewhere] =
            [near.capture(is_error(from.gateway4))?, far.capture(is_error(from.gateway4))?];
        let drops = drops_of(&cloud, from, DropReason::TtlExpired)?;
        let begin = Instant::now();
        let frames = vec![frame; AT_ONCE];
        for round in 1..=PACKETS / AT_ONCE {
            from.namespace.inject_all(POD_DEVICE, &frames)?;
            let sent = u64::try_from(round * AT_ONCE)?;
            wait_for(PATIENCE, "the drops", || {
                match drops_of(&cloud, from, DropReason::TtlExpired).map(|now| now - drops) {
                    Ok(dropped) if dropped == sent => Ok(()),
                    other => Err(format!("{other:?} of {sent}")),
                }
            })?;
        }
        let most = PER_SECOND + PER_SECOND * (begin.elapsed().as_secs() + 1);
        let count = told.finish()?.count;
        ensure!((PER_SECOND..=most).contains(&count), "told {count} times, at most {most} are allowed");
        elsewhere.assert_none("an error that another caused")?;
        others.assert_none("an error that another caused")?;
        let own = near.namespace.trace(near.gateway4.into(), 1)?;
        ensure!(own.from == IpAddr::V4(near.gateway4), "{own:?}");
        Ok(())
    })
}
