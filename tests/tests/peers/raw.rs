//! The raw speaker at b against FRR at a.

use std::net::SocketAddr;

use anyhow::{Result, ensure};
use weft_bgp::wire::{Asn, Capability, Family, GracefulRestart, Message, NotificationCode, Open, RouterId};
use weft_tests::PATIENCE;
use weft_tests::peers::{self, Frr, FrrSettings, Heard, Program, RawListener, RawPeer};

use crate::{A, B, B4, frr_bgpd, hosts};

/// Length of a header of ones, an unknown type behind it.
const LENGTH: usize = 19;

fn open() -> Result<Open> {
    let asn = Asn::new(65002);
    Ok(Open {
        asn,
        hold_time: 90,
        router_id: RouterId::new(B4)?,
        capabilities: vec![
            Capability::Multiprotocol(Family::EVPN),
            Capability::FourOctetAs(asn),
            // FRR sends an End-of-RIB to whom it could matter only.
            Capability::GracefulRestart(GracefulRestart {
                restarted: false,
                notification: false,
                time: 120,
                families: vec![],
            }),
        ],
    })
}

/// In: a session that the raw speaker opens; then a header without its marker. Out: the session is established, FRR's
/// End-of-RIB arrives, and FRR ends it with "connection not synchronized" (RFC 4271 section 6.1).
#[test]
fn it_connects_shakes_hands_and_sends_rubbish() -> Result<()> {
    peers::test(&[Program::Frr], |lab| {
        let [a, b] = hosts(lab)?;
        let bgpd = frr_bgpd(&["l2vpn evpn"], "") + " neighbor 192.0.2.2 passive\n";
        let frr =
            Frr::start(lab, "frr", &a.namespace, FrrSettings { bgpd: &bgpd, ..FrrSettings::default() })?;
        let mut peer = RawPeer::connect(&b.namespace, B, SocketAddr::new(A, 179))?;
        let theirs = peer.handshake(&open()?)?;
        ensure!(theirs.asn == Asn::new(65001), "{theirs:?}");
        ensure!(peer.dialect.four_octet_as && !peer.dialect.internal, "{:?}", peer.dialect);
        frr.wait_established(B)?;
        let end = Message::EndOfRib(Family::EVPN);
        while peer.receive()?.message != end {}
        let mut header = [0xff; LENGTH];
        header[0] = 0;
        peer.send(&header)?;
        peer.expect_end(NotificationCode::MESSAGE_HEADER, 1)?;
        Ok(())
    })
}

/// In: FRR connects to the raw speaker, which answers with another AS than FRR expects. Out: "bad peer AS". And when it
/// connects again, the raw speaker resets the connection, and FRR comes back a third time.
#[test]
fn it_accepts_and_refuses() -> Result<()> {
    peers::test(&[Program::Frr], |lab| {
        let [a, b] = hosts(lab)?;
        let listener = RawListener::bind(&b.namespace, SocketAddr::new(B, 179))?;
        let bgpd = frr_bgpd(&["l2vpn evpn"], "");
        let frr =
            Frr::start(lab, "frr", &a.namespace, FrrSettings { bgpd: &bgpd, ..FrrSettings::default() })?;
        let mut first = listener.accept(PATIENCE)?;
        first.send_message(&Message::Open(Open { asn: Asn::new(65003), capabilities: vec![], ..open()? }))?;
        let refusal = first.receive_notification()?;
        ensure!((refusal.code, refusal.subcode) == (NotificationCode::OPEN, 2), "{refusal:?}");
        drop(first);
        listener.accept(PATIENCE)?.reset()?;
        let mut third = listener.accept(PATIENCE)?;
        third.handshake(&open()?)?;
        frr.wait_established(B)?;
        frr.vtysh(&["clear bgp *"])?;
        while let Heard::Message(_) = third.hear(PATIENCE)? {}
        Ok(())
    })
}
