//! The self-test at work.
//!
//! Three tasks, all aborted: they only ask and tell, and what they asked of the engine it does to its end.
//! [`answer_bulk`] answers others' probes over TCP. [`answer`] answers all others, and tells who asked through a channel of
//! [`ASKERS`], from which more may be lost: the next probe says it again. [`run`] waits for what is to be tested, for
//! answers, for askers and for its own deadline, and hands each to the core.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::UdpSocket;
use tokio::sync::{mpsc, watch};
use tracing::{debug, info, warn};
use weft_vxlan::{MacAddr, Vtep};

use super::core::{Core, Finding, Reason, Targets, Workaround};
use super::flows::Flows;
use super::kept::Kept;
use super::namespace::Sockets;
use super::probe::{self, Probe};
use super::{address, bulk};
use crate::engine::Handle;

/// Hosts that asked us and are not noticed yet.
pub const ASKERS: usize = 64;

/// Pause after an error of a socket, which may last.
const REST: Duration = Duration::from_secs(1);

/// What was found, by VTEP.
pub type Findings = Arc<BTreeMap<Vtep, Finding>>;

/// What the self-test has to do with the rest of weftd.
#[derive(Debug)]
pub struct Ends {
    /// What is to be tested.
    pub targets: watch::Receiver<Arc<Targets>>,
    /// What was found.
    pub findings: watch::Sender<Findings>,
    /// Does what follows from it.
    pub engine: Handle,
    /// Outlives us.
    pub kept: Kept,
    /// This host's VTEP, and the MAC of its gateways.
    pub own: (Vtep, MacAddr),
    /// VTEPs that checksums are computed for already.
    pub software: BTreeSet<Vtep>,
}

enum Input {
    Targets,
    Answer(Ipv6Addr, usize, Probe),
    Asked(Ipv6Addr),
    Due,
}

/// Tests until weftd stops.
///
/// # Errors
/// The sockets cannot be used.
pub async fn run(sockets: Sockets, mut ends: Ends) -> io::Result<()> {
    let service = UdpSocket::from_std(sockets.service)?;
    let flows = Flows::new(sockets.flows, sockets.bulk, ends.own)?;
    let (asking, mut asked) = mpsc::channel(ASKERS);
    // Ends with this task, which drops its handle.
    let mut answering = tokio::task::JoinSet::new();
    let service = Arc::new(service);
    answering.spawn(answer_bulk(UdpSocket::from_std(sockets.bulk_service)?, Arc::clone(&service)));
    answering.spawn(answer(service, asking));
    let mut core = Core::new(std::mem::take(&mut ends.software), RandomState::new().build_hasher().finish());
    core.handle_targets(Instant::now(), &ends.targets.borrow_and_update().clone());
    loop {
        let input = tokio::select! {
            // An answer that has come counts before a deadline that has passed.
            biased;
            (from, flow, answer) = flows.answer() => Input::Answer(from, flow, answer),
            Some(from) = asked.recv() => Input::Asked(from),
            changed = ends.targets.changed() => match changed {
                Ok(()) => Input::Targets,
                Err(_) => return Ok(()),
            },
            () = until(core.next_deadline()) => Input::Due,
        };
        let now = Instant::now();
        match input {
            Input::Targets => core.handle_targets(now, &ends.targets.borrow_and_update().clone()),
            Input::Answer(from, flow, answer) => core.handle_answer(now, from, flow, answer),
            Input::Asked(from) => core.handle_request(now, from),
            Input::Due => core.handle_timeout(now),
        }
        while let Some(round) = core.poll_round() {
            flows.send(&round);
        }
        while let Some((vtep, finding)) = core.poll_news() {
            tell(vtep, finding);
        }
        if let Some(vteps) = core.poll_software() {
            follow(&mut core, &ends, vteps).await;
        }
        if let Some(findings) = core.poll_findings() {
            ends.findings.send_replace(Arc::new(findings));
        }
    }
}

/// Has checksums computed for these VTEPs, now and after a restart.
async fn follow(core: &mut Core, ends: &Ends, vteps: BTreeSet<Vtep>) {
    if let Err(error) = ends.kept.save(&vteps) {
        warn!(
            file = %ends.kept.file().display(),
            %error,
            "which hosts checksums are computed for cannot be kept: a restart finds it out again"
        );
    }
    if ends.engine.compute_checksums(vteps.clone()).await.is_ok() {
        core.handle_applied(Instant::now(), vteps);
    }
}

/// Answers probes; whoever sent one is told of.
async fn answer(service: Arc<UdpSocket>, asking: mpsc::Sender<Ipv6Addr>) {
    let mut datagram = [0; probe::LEN];
    loop {
        let (len, from) = match service.recv_from(&mut datagram).await {
            Ok(got) => got,
            Err(error) => {
                debug!(%error, "probes of other hosts cannot be read");
                tokio::time::sleep(REST).await;
                continue;
            }
        };
        let Some(answer) = datagram.get(..len).and_then(probe::answer) else { continue };
        if let Err(error) = service.try_send_to(&answer, from) {
            debug!(to = %from, %error, "a probe of another host was not answered");
        }
        if let IpAddr::V6(from) = from.ip() {
            let _ = asking.try_send(from);
        }
    }
}

/// Answers probes over TCP, with datagrams. Nobody else can be made to get one: what is answered came through our port, so
/// its sender's weft lets it have that address.
async fn answer_bulk(reader: UdpSocket, service: Arc<UdpSocket>) {
    let mut packet = vec![0; 1 << 16];
    loop {
        let (len, from) = match reader.recv_from(&mut packet).await {
            Ok(got) => got,
            Err(error) => {
                debug!(%error, "probes of other hosts over TCP cannot be read");
                tokio::time::sleep(REST).await;
                continue;
            }
        };
        let Some((port, segments)) = packet.get(..len).and_then(bulk::segments) else { continue };
        let to = match from.ip() {
            IpAddr::V6(from) if address::is_of_a_host(from) => SocketAddr::new(from.into(), port),
            IpAddr::V4(_) | IpAddr::V6(_) => continue,
        };
        for answer in segments.take(usize::from(probe::SEGMENTS)).filter_map(probe::answer) {
            if let Err(error) = service.try_send_to(&answer, to) {
                debug!(%to, %error, "a probe of another host was not answered");
            }
        }
    }
}

fn tell(vtep: Vtep, finding: Finding) {
    match finding {
        Finding::Testing => debug!(%vtep, "the way is to be tested for checksum offload"),
        Finding::Good => info!(%vtep, "checksums that are left to the underlay device arrive right"),
        Finding::Damaged(Workaround::Testing) => warn!(
            %vtep,
            "checksums that are left to the underlay device do not arrive right: this host computes them, which costs \
             throughput. The device, its driver or something on the way is at fault"
        ),
        Finding::Damaged(Workaround::Verified) => {
            info!(%vtep, "packets whose checksums this host computes arrive");
        }
        Finding::Damaged(Workaround::Failing) => warn!(
            %vtep,
            "packets with checksums do not arrive even if this host computes them: something on the way loses them"
        ),
        Finding::Damaged(Workaround::NotTested(reason)) => {
            warn!(%vtep, ?reason, "whether packets whose checksums this host computes arrive is not known");
        }
        Finding::NotTested(reason @ (Reason::NoWay | Reason::Silent | Reason::Lossy)) => {
            info!(%vtep, ?reason, "the way could not be tested for checksum offload; trying again now and then");
        }
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}
