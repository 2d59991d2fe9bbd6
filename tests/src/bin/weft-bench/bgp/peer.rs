//! A peer of a subject: sends bytes that are ready, and counts the distinct routes that it holds.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use socket2::SockRef;
use weft_bgp::wire::{Asn, Capability, Family, Frame, MessageKind, Open, RouterId};
use weft_tests::Namespace;
use weft_tests::peers::RawPeer;

use super::lab::{ASN, SUBJECT};
use super::routes::{Change, changes};

const PORT: u16 = 179;
const BUFFER: usize = 256 * 1024;

/// A session.
pub(super) struct Peer {
    stream: TcpStream,
    holding: Arc<Holding>,
    reader: Option<JoinHandle<()>>,
}

/// What a peer holds, as its reader last said.
#[derive(Default)]
struct Holding {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Distinct routes.
    routes: usize,
    /// When that was so.
    since: Option<Instant>,
    /// Why nothing more comes.
    end: Option<String>,
}

/// What all peers say first.
pub(super) fn open(address: Ipv4Addr, hold_time: u16) -> Result<Open> {
    let asn = Asn::new(ASN);
    Ok(Open {
        asn,
        hold_time,
        router_id: RouterId::new(address)?,
        capabilities: vec![Capability::Multiprotocol(Family::EVPN), Capability::FourOctetAs(asn)],
    })
}

impl Peer {
    /// Connects to the subject from an address of `namespace`; the session is established.
    pub(super) fn connect(namespace: &Namespace, from: Ipv4Addr, hold_time: u16) -> Result<Self> {
        let to = SocketAddr::new(IpAddr::V4(SUBJECT), PORT);
        let mut peer = RawPeer::connect(namespace, IpAddr::V4(from), to)?;
        peer.handshake(&open(from, hold_time)?).with_context(|| format!("the session of {from}"))?;
        Self::start(peer)
    }

    /// Goes on with a session that is established.
    pub(super) fn start(peer: RawPeer) -> Result<Self> {
        let (stream, early) = peer.into_stream();
        stream.set_read_timeout(None)?;
        let holding = Arc::new(Holding::default());
        let (source, told) = (stream.try_clone()?, Arc::clone(&holding));
        let reader = std::thread::spawn(move || {
            let end = match read(source, early, &told) {
                Ok(()) => "it closed the session".to_owned(),
                Err(error) => format!("{error:#}"),
            };
            told.state.lock().unwrap_or_else(PoisonError::into_inner).end = Some(end);
            told.changed.notify_all();
        });
        Ok(Self { stream, holding, reader: Some(reader) })
    }

    /// Sends `bytes` from a thread of its own; when the first was about to be sent.
    pub(super) fn send(&self, bytes: &Arc<Vec<u8>>) -> Result<(Instant, JoinHandle<Result<()>>)> {
        let (mut stream, bytes) = (self.stream.try_clone()?, Arc::clone(bytes));
        let start = Instant::now();
        Ok((start, std::thread::spawn(move || Ok(stream.write_all(&bytes)?))))
    }

    /// Waits until it holds so many routes; since when it does.
    pub(super) fn wait_until_holding(&self, routes: usize, patience: Duration) -> Result<Instant> {
        let deadline = Instant::now() + patience;
        let mut state = self.holding.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if state.routes == routes {
                // A peer that was told nothing holds nothing since ever.
                return Ok(state.since.unwrap_or_else(Instant::now));
            }
            if let Some(end) = &state.end {
                bail!("{} of {routes} routes, then {end}", state.routes);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                bail!("{} of {routes} routes after {patience:?}", state.routes);
            }
            let waited = self.holding.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Ends the session with a reset, as a host that loses power does; when.
    pub(super) fn reset(self) -> Result<Instant> {
        SockRef::from(&self.stream).set_linger(Some(Duration::ZERO))?;
        let now = Instant::now();
        drop(self);
        Ok(now)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // A reader at work holds the socket. A reset sends no FIN: the socket's last owner resets by closing it.
        let lingers = SockRef::from(&self.stream).linger().ok().flatten().is_some();
        let how = if lingers { Shutdown::Read } else { Shutdown::Both };
        drop(self.stream.shutdown(how));
        if let Some(reader) = self.reader.take() {
            drop(reader.join());
        }
    }
}

/// Reads until the other side ends.
fn read(mut stream: TcpStream, early: Vec<u8>, told: &Holding) -> Result<()> {
    let mut held: HashSet<u64, BuildHasherDefault<Hashed>> = HashSet::default();
    let mut bytes = early;
    let mut buffer = vec![0; BUFFER];
    loop {
        let used = take_messages(&bytes, |change| match change {
            Change::Come(key) => drop(held.insert(key)),
            Change::Gone(key) => drop(held.remove(&key)),
        })?;
        bytes.drain(..used);
        let mut state = told.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.routes != held.len() {
            state.routes = held.len();
            state.since = Some(Instant::now());
            told.changed.notify_all();
        }
        drop(state);
        match stream.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => bytes.extend_from_slice(buffer.get(..length).unwrap_or_default()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Looks into all messages that are whole; how many bytes they are.
fn take_messages(bytes: &[u8], mut each: impl FnMut(Change)) -> Result<usize> {
    let mut used = 0;
    while let Some(frame) = Frame::next(bytes.get(used..).unwrap_or_default(), false)? {
        used += frame.len();
        match frame.kind {
            MessageKind::Update => changes(frame.body, &mut each).context("an UPDATE that is cut short")?,
            MessageKind::Notification => bail!("a NOTIFICATION {:02x?}", frame.body),
            MessageKind::Open | MessageKind::Keepalive | MessageKind::RouteRefresh => {}
        }
    }
    Ok(used)
}

/// What is hashed already.
#[derive(Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |hash, byte| hash << 8 | u64::from(*byte));
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}
