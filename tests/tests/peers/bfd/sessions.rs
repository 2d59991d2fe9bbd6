//! Sessions come up whoever speaks first, and end in good order.

use std::net::{IpAddr, UdpSocket};

use anyhow::{Result, ensure};
use weft_bgp::bfd::driver::AddError;
use weft_bgp::bfd::{Hops, Peer, State};
use weft_tests::peers::{self, Program};
use weft_tests::underlay::{self, UPLINK};
use weft_tests::{End, Lab, PATIENCE, Wire, wait_for};

use super::{DETECTION, INTERVAL, Watch, bfdd, is_up, link_local, session, timers};
use crate::{A, B, hosts};

/// In: weft speaks first, over IPv4; bfdd is told of the session later. Out: up on both sides, at 3 × 100 ms.
#[test]
fn weft_speaks_first() -> Result<()> {
    peers::test(&[Program::Frr], |lab| {
        let [a, b] = hosts(lab)?;
        let peer = Peer::on_link(B);
        let mut weft = Watch::of(&a.namespace, peer)?;
        let frr = bfdd(lab, &b.namespace, "")?;
        ensure!(weft.status(peer)?.state == State::Down);
        let lines = ["configure", "bfd", &format!("peer {A}"), "detect-multiplier 3"];
        frr.vtysh(&[&lines[..], &["receive-interval 100", "transmit-interval 100"]].concat())?;
        weft.expect_up(peer)?;
        weft.wait_for_times(peer, INTERVAL, DETECTION)?;
        frr.wait_for_bfd(A, "bfdd's session", is_up)?;
        weft.expect_quiet()
    })
}

/// In: bfdd speaks first, over IPv6. Out: the same.
#[test]
fn bfdd_speaks_first_over_ipv6() -> Result<()> {
    peers::test(&[Program::Frr], |lab| {
        let underlay = underlay::two_hosts_over_ipv6(lab, Wire::default())?;
        let [a, b] = [&underlay.machines[0], &underlay.machines[1]];
        let [own, other] = [a.vtep.address(), b.vtep.address()];
        let frr = bfdd(lab, &b.namespace, &session(own, &format!(" local-address {other}")))?;
        frr.wait_for_bfd(own, "bfdd's session, down", |session| session.status == "down")?;
        let peer = Peer::on_link(other);
        let mut weft = Watch::of(&a.namespace, peer)?;
        weft.expect_up(peer)?;
        weft.wait_for_times(peer, INTERVAL, DETECTION)?;
        frr.wait_for_bfd(own, "bfdd's session", is_up)?;
        Ok(())
    })
}

/// In: between link-local addresses, which a has a second device for, that was there first; and bfdd says nothing until
/// it is spoken to. Out: the same.
///
/// ```text
/// c up0 ───── aside a up0 ───── up0 b
/// ```
#[test]
fn passive_bfdd_between_link_local_addresses() -> Result<()> {
    peers::test(&[Program::Frr], |lab| {
        let [a, b, c] = [lab.router("a")?, lab.router("b")?, lab.router("c")?];
        let end = |namespace, device| End { namespace, device, addresses: &[] };
        Wire::default().lay(end(&a, "aside"), end(&c, UPLINK))?;
        link_local(&a, "aside")?;
        Wire::default().lay(end(&a, UPLINK), end(&b, UPLINK))?;
        let ((own, interface), (other, _)) = (link_local(&a, UPLINK)?, link_local(&b, UPLINK)?);
        let passive = session(own, &format!(" local-address {other} interface {UPLINK}"))
            .replace(" !", "  passive-mode\n !");
        let frr = bfdd(lab, &b, &passive)?;
        let peer = Peer { interface: Some(interface), ..Peer::on_link(other) };
        let mut weft = Watch::of(&a, peer)?;
        weft.expect_up(peer)?;
        weft.wait_for_times(peer, INTERVAL, DETECTION)?;
        frr.wait_for_bfd(own, "bfdd's session", is_up)?;
        Ok(())
    })
}

/// In: a router between the two, which takes one off the TTL. Out: a session that allows one router is up on both
/// sides; when it allows none, no packet of bfdd's is believed, and it goes down.
#[test]
fn over_several_hops() -> Result<()> {
    peers::test(&[Program::Frr], |lab| {
        let underlay = underlay::through_a_router(lab, Wire::default(), false)?;
        let [a, b] = [&underlay.machines[0], &underlay.machines[1]];
        let [own, other] = [a.vtep.address(), b.vtep.address()];
        let frr = bfdd(lab, &b.namespace, &session(own, &format!(" multihop local-address {other}")))?;
        let behind = |minimum_ttl| Peer {
            remote: other,
            local: Some(own),
            interface: None,
            hops: Hops::Multiple { minimum_ttl },
        };
        let peer = behind(254);
        let mut weft = Watch::of(&a.namespace, peer)?;
        weft.expect_up(peer)?;
        frr.wait_for_bfd(own, "bfdd's session", is_up)?;
        let before = weft.report()?;
        ensure!(before.discarded.is_empty(), "{before:?}");

        let peer = behind(255);
        weft.add(peer, timers(100)?)?;
        let event = weft.expect_down(peer)?;
        ensure!(event.is_failure(), "{event:?}");
        let after = weft.report()?;
        ensure!(after.discarded.keys().eq([&"ttl"]), "{after:?}");
        Ok(())
    })
}

/// In: weft's administrator takes the session down and lets go; bfdd's does. Out: each time, the other side knows that
/// nothing failed, and the session comes back.
#[test]
fn administrators() -> Result<()> {
    peers::test(&[Program::Frr], |lab| {
        let [a, b] = hosts(lab)?;
        let frr = bfdd(lab, &b.namespace, &session(A, ""))?;
        let peer = Peer::on_link(B);
        let mut weft = Watch::of(&a.namespace, peer)?;
        weft.expect_up(peer)?;

        weft.set_admin_down(peer, true);
        let event = weft.expect_down(peer)?;
        ensure!(!event.is_failure(), "{event:?}");
        frr.wait_for_bfd(A, "word of weft's administrator", |session| {
            session.status == "down" && session.remote_diagnostic == "administratively down"
        })?;
        ensure!(weft.status(peer)?.state == State::AdminDown);
        weft.set_admin_down(peer, false);
        weft.expect_up(peer)?;
        frr.wait_for_bfd(A, "bfdd's session", is_up)?;

        let of = format!("peer {A}");
        frr.vtysh(&["configure", "bfd", &of, "shutdown"])?;
        let event = weft.expect_down(peer)?;
        // FRR gives no diagnostic with it: the state alone must do.
        ensure!(!event.is_failure() && weft.status(peer)?.peer_state == Some(State::AdminDown), "{event:?}");
        frr.vtysh(&["configure", "bfd", &of, "no shutdown"])?;
        weft.expect_up(peer)?;
        frr.wait_for_bfd(A, "bfdd's session", is_up)?;
        Ok(())
    })
}

/// In: a session is removed and added again; the driver ends and another one starts. Out: bfdd hears that it was taken
/// down, not that it failed; weft's owner is told nothing of what it did itself; each time the session comes back.
#[test]
fn farewells() -> Result<()> {
    peers::test(&[Program::Frr], |lab| {
        let [a, b] = hosts(lab)?;
        let frr = bfdd(lab, &b.namespace, &session(A, ""))?;
        let peer = Peer::on_link(B);
        let taken_down = |what: &str| {
            frr.wait_for_bfd(A, what, |session| {
                session.status == "down"
                    && session.diagnostic == "neighbor signaled session down"
                    && session.remote_diagnostic == "administratively down"
            })
        };
        let mut weft = Watch::of(&a.namespace, peer)?;
        weft.expect_up(peer)?;
        weft.remove(peer);
        taken_down("the end of the session")?;
        weft.expect_quiet()?;
        ensure!(weft.report()?.sessions.is_empty());
        weft.add(peer, timers(100)?)?;
        weft.expect_up(peer)?;
        frr.wait_for_bfd(A, "bfdd's session", is_up)?;

        weft.end()?;
        taken_down("the end of the driver")?;
        let mut weft = Watch::of(&a.namespace, peer)?;
        weft.expect_up(peer)?;
        frr.wait_for_bfd(A, "bfdd's session", is_up)?;
        Ok(())
    })
}

/// In: a driver where bfdd has the port. Out: the session is refused with the reason; after bfdd's end it is not.
#[test]
fn port_in_use() -> Result<()> {
    peers::test(&[Program::Frr], |lab| {
        let [_, b] = hosts(lab)?;
        let mut frr = bfdd(lab, &b.namespace, &session(A, ""))?;
        let weft = Watch::start(&b.namespace)?;
        match weft.add(Peer::on_link(A), timers(100)?) {
            Err(AddError::Port { port: 3784, .. }) => {}
            other => anyhow::bail!("{other:?}"),
        }
        ensure!(weft.report()?.sessions.is_empty());
        frr.bfdd()?.kill()?;
        Ok(weft.add(Peer::on_link(A), timers(100)?)?)
    })
}

/// In: while a session is up, what b sends from a socket of its own: a packet of a session that is Down, as from a
/// peer that has just started, but with a TTL that says that it came through a router; and rubbish. Out: both are
/// counted, and the session stays up.
#[test]
fn forged_packets() -> Result<()> {
    Lab::test(|lab| {
        let [a, b] = hosts(lab)?;
        let (peer, back) = (Peer::on_link(B), Peer::on_link(A));
        let mut weft = Watch::of(&a.namespace, peer)?;
        let mut other = Watch::of(&b.namespace, back)?;
        weft.expect_up(peer)?;
        other.expect_up(back)?;
        let down =
            [0x20, 0x40, 3, 24, 0, 0, 0, 9, 0, 0, 0, 0, 0, 15, 0x42, 0x40, 0, 15, 0x42, 0x40, 0, 0, 0, 0];
        b.namespace.run(|| -> Result<()> {
            let socket = UdpSocket::bind((B, 0))?;
            socket.set_ttl(254)?;
            socket.send_to(&down, (A, 3784))?;
            socket.set_ttl(255)?;
            socket.send_to(b"rubbish", (A, 3784))?;
            Ok(())
        })??;
        wait_for(PATIENCE, "two packets that are not believed", || match weft.report() {
            Ok(report)
                if report.discarded.get("ttl") == Some(&1) && report.discarded.get("short") == Some(&1) =>
            {
                Ok(())
            }
            other => Err(format!("{other:?}")),
        })?;
        weft.expect_quiet()?;
        other.expect_quiet()?;
        ensure!(weft.status(peer)?.state == State::Up);
        Ok(())
    })
}

/// In: an address to speak from that the host does not have yet. Out: no failure; when it comes, the session comes up.
#[test]
fn address_that_comes_later() -> Result<()> {
    Lab::test(|lab| {
        let [a, b] = hosts(lab)?;
        let late: IpAddr = "192.0.2.11".parse()?;
        let (peer, back) = (Peer { local: Some(late), ..Peer::on_link(B) }, Peer::on_link(late));
        let mut weft = Watch::of(&a.namespace, peer)?;
        let mut other = Watch::of(&b.namespace, back)?;
        wait_for(PATIENCE, "a packet that cannot be sent", || match weft.report() {
            Ok(report) if report.unsent > 0 && report.sent == 0 => Ok(()),
            other => Err(format!("{other:?}")),
        })?;
        a.namespace.add_address(UPLINK, "192.0.2.11/24".parse()?)?;
        weft.expect_up(peer)?;
        other.expect_up(back)
    })
}
