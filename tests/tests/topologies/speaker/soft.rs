//! Routes that are exchanged anew while the session stays.

use std::net::Ipv4Addr;

use anyhow::{Result, ensure};
use ipnet::Ipv4Net;
use weft_bgp::wire::{AsPath, Asn, Attributes, Family, Message, Origin, RouteRefreshKind, Update};
use weft_tests::Lab;
use weft_tests::peers::RawPeer;

use super::{Stage, member};

const TALKER: Ipv4Addr = Ipv4Addr::new(10, 250, 0, 1);
const READER: Ipv4Addr = Ipv4Addr::new(10, 250, 0, 2);

/// In: a route that h1 was told and has told; then `weft bgp clear --soft` of the one that it was told to, and of one that
/// is not there. Out: it is told the route again and asked for its own in each family, in the same session; the other
/// command fails, and says that there is no session.
#[test]
fn routes_are_told_and_asked_for_again() -> Result<()> {
    Lab::test(|lab| {
        let stage = Stage::set(lab, r#""asn":"external""#)?;
        let mut talker = stage.established(TALKER, 65002, 0)?;
        let mut reader = stage.established(READER, 65003, 0)?;
        let route: Ipv4Net = "20.1.0.0/16".parse()?;
        let attributes = Attributes {
            origin: Some(Origin::Igp),
            as_path: Some(AsPath::sequence([Asn::new(65002)])),
            next_hop: Some(TALKER),
            ..Attributes::default()
        };
        let update = Update { attributes, announced: vec![route.into()], ..Update::default() };
        talker.send_message(&Message::Update(update))?;
        read_until_told(&mut reader, route)?;

        stage.weft().must(&["bgp", "clear", &member(READER), "--soft"])?;
        let mut asked = read_until_told(&mut reader, route)?;
        while asked.len() < 2 {
            asked.extend(refresh(&reader.receive()?.message));
        }
        asked.sort_unstable();
        ensure!(asked == [Family::IPV4_UNICAST, Family::EVPN], "{asked:?}");
        ensure!(
            stage.neighbor(READER)?.is_some_and(|reader| reader.established_count == 1),
            "another session"
        );

        let nobody = r#"{"kind":"peer","name":"nobody","address":"192.0.2.99","asn":65001}"#;
        let file = lab.folder().join("nobody.json");
        std::fs::write(&file, nobody)?;
        stage.weft().must(&["apply", "-f", &file.display().to_string()])?;
        let refused = stage.weft().run(&["bgp", "clear", "nobody", "--soft"])?;
        ensure!(!refused.success && refused.stderr.contains("no session"), "{refused:?}");
        stage.assert_good()
    })
}

/// Reads until the route is told; the families that were asked for until then.
fn read_until_told(peer: &mut RawPeer, route: Ipv4Net) -> Result<Vec<Family>> {
    let mut asked = Vec::new();
    loop {
        let message = peer.receive()?.message;
        asked.extend(refresh(&message));
        let Message::Update(update) = message else { continue };
        if update.announced.iter().any(|nlri| nlri.route == route) {
            return Ok(asked);
        }
    }
}

/// The family that a message asks for.
fn refresh(message: &Message) -> Option<Family> {
    let Message::RouteRefresh(refresh) = message else { return None };
    (refresh.kind == RouteRefreshKind::Request).then_some(refresh.family)
}
