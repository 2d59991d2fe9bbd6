//! Every fact of `cases.txt` over TCP, in pieces of three kinds, against one weftd that lives through all of them.

#[path = "../../../../bgp/tests/conformance/file.rs"]
#[expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]
mod file;

use std::io::ErrorKind;
use std::net::Ipv4Addr;

use anyhow::{Context as _, Result, bail, ensure};
use file::{Case, Expected};
use weft_api::view::bgp::{Neighbor, PeerState};
use weft_bgp::wire::{Attributes, Frame, HEADER_LEN, Message, Reachable, Received, Update};
use weft_tests::peers::{Heard, RawPeer};
use weft_tests::{Lab, PATIENCE};

use super::{Stage, assert_lossless, dialect, member};

const UPDATE: u8 = 2;
const NOTIFICATION: u8 = 3;
const KEEPALIVE: [u8; HEADER_LEN] = {
    let mut bytes = [0xff; HEADER_LEN];
    bytes[16] = 0;
    bytes[17] = 19;
    bytes[18] = 4;
    bytes
};

/// How bytes are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    /// The state is reached, and then the case's bytes come at once.
    Whole,
    /// Or one by one.
    Bytewise,
    /// What reaches the state and the case's bytes come at once.
    Coalesced,
}

/// In: each case three times, each time from another address. Out: the reaction of the file; and after each one the good
/// neighbour has its session and its routes, and weftd is the same process. No ping is lost meanwhile.
#[test]
fn every_case_is_followed_by_what_its_rfc_says() -> Result<()> {
    let (open, cases) = file::read(include_str!("../../../../bgp/tests/conformance/cases.txt"));
    ensure!(cases.len() >= 150, "{} cases", cases.len());
    Lab::test(|lab| {
        let stage = Stage::set(lab, r#""asn":65002"#)?;
        let good = Samples::of(&cases)?;
        let ping = stage.ping()?;
        let mut wrong = Vec::new();
        let mut addresses = (1..=u16::MAX).map(|number| {
            let [high, low] = number.to_be_bytes();
            Ipv4Addr::new(10, 250, high, low)
        });
        for case in &cases {
            for cut in [Cut::Whole, Cut::Bytewise, Cut::Coalesced] {
                let from = addresses.next().context("an address for each case")?;
                let play = Play { stage: &stage, case, cut, from, open: &open, good: &good };
                if let Err(error) = play.run() {
                    let Case { line, what, section, .. } = case;
                    wrong.push(format!("line {line}, {cut:?}: {what} ({section}): {error:#}"));
                }
                stage.assert_good().with_context(|| format!("after line {}, {cut:?}", case.line))?;
            }
        }
        ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
        println!("{} cases, each in three ways", cases.len());
        assert_lossless(ping)
    })
}

/// UPDATEs that are good, to announce what a case withdraws.
struct Samples {
    ipv4: Attributes,
    evpn: (Attributes, Reachable),
}

impl Samples {
    fn of(cases: &[Case]) -> Result<Self> {
        let find = |what: &str| {
            let case = cases.iter().find(|case| case.what == what).with_context(|| what.to_owned())?;
            updates(&case.bytes)?.pop().with_context(|| what.to_owned())
        };
        let evpn = find("a good EVPN route")?;
        let reachable = evpn.reachable.context("an EVPN route")?;
        Ok(Self { ipv4: find("a good IPv4 route")?.attributes, evpn: (evpn.attributes, reachable) })
    }

    /// UPDATEs with which all routes of `updates` come.
    fn announce(&self, updates: Vec<Update>) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        for update in updates {
            let reachable = update.unreachable.into_iter().map(|routes| Update {
                attributes: self.evpn.0.clone(),
                reachable: Some(Reachable { routes, ..self.evpn.1.clone() }),
                ..Update::default()
            });
            let mut all: Vec<_> = reachable.collect();
            if !update.withdrawn.is_empty() {
                let (attributes, announced) = (self.ipv4.clone(), update.withdrawn);
                all.push(Update { attributes, announced, ..Update::default() });
            }
            for update in all {
                Message::Update(update).encode(&dialect(), &mut bytes)?;
            }
        }
        Ok(bytes)
    }
}

/// A case, in one way.
struct Play<'a> {
    stage: &'a Stage<'a>,
    case: &'a Case,
    cut: Cut,
    from: Ipv4Addr,
    open: &'a [u8],
    good: &'a Samples,
}

impl Play<'_> {
    fn run(&self) -> Result<()> {
        let mut peer = self.stage.connect(self.from)?;
        let earlier = self.earlier()?;
        let steps = match self.case.state.as_str() {
            "open-sent" => vec![],
            "open-confirm" => vec![self.open],
            "established" => vec![self.open, &KEEPALIVE, &earlier],
            other => bail!("{other} is no state"),
        };
        match self.cut {
            Cut::Coalesced => send(&mut peer, &[steps.concat(), self.case.bytes.clone()].concat())?,
            Cut::Whole | Cut::Bytewise => {
                self.reach(&mut peer, &steps)?;
                let size = if self.cut == Cut::Bytewise { 1 } else { self.case.bytes.len() };
                for piece in self.case.bytes.chunks(size) {
                    send(&mut peer, piece)?;
                }
            }
        }
        let before = messages(&steps.concat());
        self.follow(&mut peer, before)
    }

    /// What has to come before, so that the case has something to withdraw.
    fn earlier(&self) -> Result<Vec<u8>> {
        match &self.case.expected {
            Expected::Word(word) if word == "withdraw" || word == "withdrawn" => {
                self.good.announce(updates(&self.case.bytes)?)
            }
            Expected::Word(_) | Expected::Notification { .. } => Ok(Vec::new()),
        }
    }

    /// Sends the steps, each one when the one before is done.
    fn reach(&self, peer: &mut RawPeer, steps: &[&[u8]]) -> Result<()> {
        let heard = |peer: &mut RawPeer| match peer.hear(PATIENCE)? {
            Heard::Message(_) => Ok(()),
            nothing @ (Heard::End | Heard::Silence) => bail!("on the way there: {nothing:?}"),
        };
        heard(peer)?;
        let Some((open, rest)) = steps.split_first() else { return Ok(()) };
        send(peer, open)?;
        heard(peer)?;
        send(peer, &rest.concat())?;
        let (expected, earlier) = match rest {
            [] => (PeerState::OpenConfirm, false),
            more => (PeerState::Established, more.iter().skip(1).any(|step| !step.is_empty())),
        };
        let reached = self.wait_until_received(messages(&steps.concat()))?;
        ensure!(reached.summary.state == expected, "{reached:?}");
        ensure!(self.has_routes()? == earlier, "routes before: {:?}", reached.summary.routes);
        Ok(())
    }

    /// h1 has read so many messages.
    fn wait_until_received(&self, count: u64) -> Result<Neighbor> {
        let what = format!("to have {count} messages read");
        let found = self.stage.wait_for_neighbor(self.from, &what, |found| {
            found.is_some_and(|found| {
                let received = found.messages.received;
                received.open + received.update + received.keepalive + received.route_refresh >= count
            })
        })?;
        found.context("a neighbour with messages")
    }

    fn has_routes(&self) -> Result<bool> {
        Ok(!self.stage.weft().rib(&["--in", &member(self.from)])?.is_empty())
    }

    /// Checks what follows.
    fn follow(&self, peer: &mut RawPeer, before: u64) -> Result<()> {
        let word = match &self.case.expected {
            Expected::Notification { code, subcode, data } => {
                let told = last_word(peer)?.context("it closes without a NOTIFICATION")?;
                let [found_code, found_subcode, found_data @ ..] = told.as_slice() else { bail!("{told:?}") };
                ensure!([found_code, found_subcode] == [code, subcode], "NOTIFICATION {told:02x?}");
                let found_data = without_membership(found_data);
                ensure!(data.as_ref().is_none_or(|data| *data == found_data), "NOTIFICATION {told:02x?}");
                return Ok(());
            }
            Expected::Word(word) if word == "close" => {
                let told = last_word(peer)?;
                ensure!(told.is_none(), "NOTIFICATION {told:02x?}");
                return Ok(());
            }
            Expected::Word(word) => word.as_str(),
        };
        let neighbor = self.wait_until_received(before + messages(&self.case.bytes))?;
        let state = if word == "open-confirm" { PeerState::OpenConfirm } else { PeerState::Established };
        ensure!(neighbor.summary.state == state, "{neighbor:?}");
        if state == PeerState::OpenConfirm {
            return Ok(());
        }
        let wants_routes = word == "announce" || word == "discard";
        ensure!(self.has_routes()? == wants_routes, "{:?}", neighbor.summary.routes);
        let faulty = word == "withdraw" || word == "discard";
        // What is of no family of the session is no fault of the route's, and may be counted or not.
        let counted = neighbor.faulty_updates > 0;
        ensure!(counted == faulty || word == "nothing", "counted as a fault: {counted}");
        if word == "refresh" && self.cut != Cut::Coalesced {
            self.hear_routes_again(peer)?;
        }
        Ok(())
    }

    /// Of the two answers, the one that is not asked for may have come before.
    fn hear_routes_again(&self, peer: &mut RawPeer) -> Result<()> {
        let mut seen = Vec::new();
        loop {
            match peer.hear(PATIENCE)? {
                Heard::Message(bytes) if bytes.get(18) == Some(&UPDATE) => {
                    if seen.contains(&bytes) {
                        return Ok(());
                    }
                    seen.push(bytes);
                }
                Heard::Message(_) => {}
                nothing @ (Heard::End | Heard::Silence) => bail!("no route again, but {nothing:?}"),
            }
        }
    }
}

/// The NOTIFICATION, without its header, that comes before the end; `None` if none does.
fn last_word(peer: &mut RawPeer) -> Result<Option<Vec<u8>>> {
    let mut told = None;
    loop {
        match peer.hear(PATIENCE)? {
            Heard::Message(bytes) if bytes.get(18) == Some(&NOTIFICATION) => {
                told = Some(bytes.get(HEADER_LEN..).unwrap_or_default().to_owned());
            }
            Heard::Message(bytes) => ensure!(told.is_none(), "after a NOTIFICATION: {bytes:02x?}"),
            Heard::End => return Ok(told),
            Heard::Silence => bail!("the connection stays, after {told:02x?}"),
        }
    }
}

/// The capabilities that are missed, without the one that weftd has and the speaker of the cases has not.
fn without_membership(capabilities: &[u8]) -> Vec<u8> {
    const MEMBERSHIP: [u8; 6] = [1, 4, 0, 1, 0, 132];
    let at = capabilities.windows(MEMBERSHIP.len()).position(|six| six == MEMBERSHIP);
    let mut rest = capabilities.to_owned();
    if let Some(at) = at {
        rest.drain(at..at + MEMBERSHIP.len());
    }
    rest
}

/// Sends, unless the other side ended it before: what it said of that is still to be read.
fn send(peer: &mut RawPeer, bytes: &[u8]) -> Result<()> {
    let Err(error) = peer.send(bytes) else { return Ok(()) };
    let kind = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
    match kind {
        Some(ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => Ok(()),
        Some(_) | None => Err(error),
    }
}

/// How many whole messages these bytes are.
fn messages(mut bytes: &[u8]) -> u64 {
    let mut count = 0;
    while let Ok(Some(frame)) = Frame::next(bytes, true) {
        bytes = bytes.get(frame.len()..).unwrap_or_default();
        count += 1;
    }
    count
}

/// The UPDATEs among them, as they are to be read.
fn updates(mut bytes: &[u8]) -> Result<Vec<Update>> {
    let mut all = Vec::new();
    while let Some(frame) = Frame::next(bytes, true)? {
        bytes = bytes.get(frame.len()..).unwrap_or_default();
        if let Message::Update(update) = Received::decode(frame, &dialect())?.message {
            all.push(update);
        }
    }
    Ok(all)
}
