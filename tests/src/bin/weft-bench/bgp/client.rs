//! A peer that does nothing but send what was made before, and count what it is sent.

use std::collections::HashSet;
use std::hash::BuildHasher as _;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use hashbrown::DefaultHashBuilder;
use weft_bgp::wire::{Asn, Capability, Family, Frame, Message, MessageKind, Open, RouterId};
use weft_tests::Namespace;
use weft_tests::peers::RawPeer;

use super::{ASN, stream};

/// A session, and a thread that reads from it.
pub(crate) struct Client {
    stream: TcpStream,
    seen: Arc<Seen>,
    reader: Option<JoinHandle<Result<()>>>,
}

/// What came.
#[derive(Default)]
struct Seen {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    routes: usize,
    at: Option<Instant>,
    ended: bool,
}

impl Client {
    /// Connects as a client of the reflector at `to`.
    pub(crate) fn connect(namespace: &Namespace, from: Ipv4Addr, to: Ipv4Addr) -> Result<Self> {
        let mut peer = RawPeer::connect(namespace, from.into(), SocketAddr::from((to, 179)))?;
        let capabilities =
            vec![Capability::Multiprotocol(Family::EVPN), Capability::FourOctetAs(Asn::new(ASN))];
        // Without keepalives: nothing but routes is to be measured.
        let open = Open { asn: Asn::new(ASN), hold_time: 0, router_id: RouterId::new(from)?, capabilities };
        peer.handshake(&open)?;
        let (stream, rest) = peer.into_parts();
        stream.set_read_timeout(None)?;
        let seen = Arc::new(Seen::default());
        let (reading, told) = (stream.try_clone()?, Arc::clone(&seen));
        let reader = thread::spawn(move || {
            let result = read(reading, rest, &told);
            told.lock().ended = true;
            told.changed.notify_all();
            result
        });
        Ok(Self { stream, seen, reader: Some(reader) })
    }

    /// Sends from another thread; when it began.
    pub(crate) fn send(&self, bytes: Arc<Vec<u8>>) -> Result<Instant> {
        let mut stream = self.stream.try_clone()?;
        let start = Instant::now();
        thread::spawn(move || {
            // A subject that closes is noticed by what does not arrive.
            let _ = stream.write_all(&bytes);
        });
        Ok(start)
    }

    /// Waits until it has so many routes; since when.
    pub(crate) fn wait_for(&self, routes: usize, patience: Duration) -> Result<Instant> {
        let deadline = Instant::now() + patience;
        let mut state = self.seen.lock();
        loop {
            if state.routes == routes
                && let Some(at) = state.at
            {
                return Ok(at);
            }
            ensure!(!state.ended, "the session ended at {} of {routes} routes", state.routes);
            let left = deadline.saturating_duration_since(Instant::now());
            ensure!(!left.is_zero(), "{} of {routes} routes within {patience:?}", state.routes);
            let waited = self.seen.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Ends the session as a host that dies does; when.
    pub(crate) fn close(mut self) -> Result<Instant> {
        let start = Instant::now();
        self.stream.shutdown(Shutdown::Both)?;
        if let Some(reader) = self.reader.take() {
            // It ends with the connection, whatever it thinks of that.
            let _ = reader.join();
        }
        Ok(start)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

impl Seen {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read(mut stream: TcpStream, mut bytes: Vec<u8>, seen: &Seen) -> Result<()> {
    let hasher = DefaultHashBuilder::default();
    let mut routes: HashSet<u64> = HashSet::new();
    let mut chunk = vec![0; 1 << 18];
    loop {
        let mut at = 0;
        while let Some(frame) = Frame::next(bytes.get(at..).unwrap_or_default(), false)? {
            at += frame.len();
            match frame.kind {
                MessageKind::Update => count(frame.body, &hasher, &mut routes)?,
                MessageKind::Notification => anyhow::bail!("a NOTIFICATION: {:02x?}", frame.body),
                MessageKind::Open | MessageKind::Keepalive | MessageKind::RouteRefresh => {}
            }
        }
        bytes.drain(..at);
        {
            let mut state = seen.lock();
            if state.routes != routes.len() || state.at.is_none() {
                (state.routes, state.at) = (routes.len(), Some(Instant::now()));
                seen.changed.notify_all();
            }
        }
        let length = stream.read(&mut chunk)?;
        if length == 0 {
            return Ok(());
        }
        bytes.extend_from_slice(chunk.get(..length).unwrap_or_default());
    }
}

/// Takes in what the multiprotocol attributes of an UPDATE say.
fn count(body: &[u8], hasher: &DefaultHashBuilder, routes: &mut HashSet<u64>) -> Result<()> {
    let word = |at: usize| body.get(at..at + 2).map(|two| usize::from(two[0]) << 8 | usize::from(two[1]));
    let withdrawn = word(0).context("a short UPDATE")?;
    let length = word(2 + withdrawn).context("a short UPDATE")?;
    let start = 4 + withdrawn;
    let mut attributes = body.get(start..start + length).context("attributes cross the end")?;
    while let [flags, code, rest @ ..] = attributes {
        let (length, rest) = match (flags & 0x10 != 0, rest) {
            (true, [high, low, rest @ ..]) => (usize::from(*high) << 8 | usize::from(*low), rest),
            (false, [length, rest @ ..]) => (usize::from(*length), rest),
            _ => anyhow::bail!("an attribute crosses the end"),
        };
        let (value, rest) = rest.split_at_checked(length).context("an attribute crosses the end")?;
        attributes = rest;
        match (code, value) {
            // Family, next hop, a reserved byte.
            (14, [_, _, _, next_hop, rest @ ..]) => {
                let nlri = rest.get(usize::from(*next_hop) + 1..).context("a short MP_REACH_NLRI")?;
                stream::keys(nlri, |rd, key| {
                    routes.insert(hasher.hash_one((rd, key)));
                })?;
            }
            (15, [_, _, _, nlri @ ..]) => stream::keys(nlri, |rd, key| {
                routes.remove(&hasher.hash_one((rd, key)));
            })?,
            _ => {}
        }
    }
    Ok(())
}

/// That a message can be written is seen before anything is measured.
pub(crate) fn end_of_rib() -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    Message::EndOfRib(Family::EVPN).encode(&stream::DIALECT, &mut bytes)?;
    Ok(bytes)
}
