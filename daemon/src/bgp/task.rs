//! The task that owns the speaker and its sockets.
//!
//! It waits for a socket or a timer ([`Driver::wait`]), for a question (a channel of the API server's), for another model
//! (a watch of the engine's: of several changes only the last one counts), and for room to hand more to the engine. That has
//! a batch of changes to work on and another one that waits; further changes of the same address replace each other in the
//! speaker.
//!
//! It has a thread of its own ([`start`]): a burst of routes keeps it busy for long, and what it wakes is to run meanwhile.
//! It ends when nobody is left to ask it: connections break without a word, and peers that know graceful restart keep this
//! host's routes. Before a teardown it takes leave of them instead: what it announced leads nowhere any more.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ipnet::IpNet;
use tokio::runtime;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;
use tracing::{debug, error, info, warn};
use weft_bgp::bfd;
use weft_bgp::evpn::{self, Forwarding, LocalPort, Subject};
use weft_bgp::session::Stop;
use weft_bgp::speaker::{Event, Speaker, SpeakerConfig};
use weft_bgp::transport::Driver;
use weft_bgp::wire::Family;
use weft_dataplane::desired::RouteDelta;

use super::answers::Answers;
use super::command::{BgpError, Command};
use super::groups::community;
use super::learned;
use super::neighbours::neighbours;
use super::plan::{Plan, plan};
use super::underlay::Underlay;
use crate::desired;
use crate::engine::Handle;
use crate::model::{Host, Model};

/// How often it is tried again to listen, and routes of the underlay are looked for in the kernel, which forgets those whose
/// link goes down.
const RECONCILE: Duration = Duration::from_secs(5);
/// Changes that the engine is handed at once.
const BATCH: usize = 4096;

/// What the task has to do with the rest of weftd.
#[derive(Debug)]
pub struct Ends {
    /// What the speaker is asked.
    pub commands: mpsc::Receiver<Command>,
    /// What is intended.
    pub models: watch::Receiver<Arc<Model>>,
    /// Brings routes into the kernel.
    pub engine: Handle,
    /// Whether packets were forwarded before weftd started, by routes that are still in the kernel.
    pub adopted: bool,
}

/// The task at work.
struct Task {
    driver: Driver,
    host: Host,
    plan: Plan,
    model: Arc<Model>,
    /// Ports as the speaker knows them.
    ports: BTreeMap<String, LocalPort>,
    forwarding: bool,
    /// How often a session was established with each peer.
    established: BTreeMap<String, u64>,
    /// To the engine. While it works, the next is made ready, and no more.
    hand: mpsc::Sender<Hand>,
    /// Ends with `hand`, when all is done that was handed over.
    handing: JoinHandle<()>,
    /// Whether there may be more to hand over once there is room.
    may_have_more: bool,
    /// What the engine is to be told again, because what it was told by hand instead is gone.
    again: Vec<Subject>,
    /// What was kept and nobody told is to go, once all else was handed over.
    sweep: bool,
    /// When to try again to listen, where that failed.
    listen_again: Option<Instant>,
    /// What a bad peer can say as often as it likes is not logged as often.
    seldom: Seldom,
}

/// Speaks, on a thread of its own, until nobody has a [`super::command::Handle`] any more. Without `[bgp]` there is nothing to
/// do.
///
/// # Panics
/// Outside of a runtime: that does the I/O.
pub fn start(host: Host, ends: Ends) -> JoinHandle<()> {
    let runtime = runtime::Handle::current();
    tokio::task::spawn_blocking(move || runtime.block_on(run(host, ends)))
}

async fn run(host: Host, mut ends: Ends) {
    let model = Arc::clone(&ends.models.borrow_and_update());
    let Some(plan) = plan(&model, &host) else { return };
    let mut task = Task::start(host, plan, model, &ends);
    loop {
        task.flush();
        tokio::select! {
            input = task.driver.wait() => task.driver.handle(input, Instant::now()),
            command = ends.commands.recv() => match command {
                Some(Command::Leave { reply }) => {
                    info!("leaving: peers are told that this host is torn down");
                    task.driver.leave("torn down").await;
                    // Nothing more comes into the kernel from here on. If it panicked, it has told so.
                    drop(task.hand);
                    let _ = task.handing.await;
                    let _ = reply.send(Ok(()));
                    return;
                }
                Some(command) => task.answer(command).await,
                None => return,
            },
            changed = ends.models.changed() => {
                if changed.is_err() {
                    return;
                }
                let model = Arc::clone(&ends.models.borrow_and_update());
                task.set_model(model);
            }
            () = room(&task.hand), if task.may_have_more => {}
            () = until(task.listen_again) => task.listen(),
        }
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

/// What the engine is to do.
enum Hand {
    Learn(RouteDelta),
    Underlay(Vec<(IpNet, Vec<IpAddr>)>),
    Sweep,
}

/// Waits until the engine has begun with what waited.
async fn room(hand: &mpsc::Sender<Hand>) {
    // Without anybody to hand over to, there never is any.
    if hand.reserve().await.is_err() {
        std::future::pending().await
    }
}

/// Hands one after the other to the engine, and routes of the underlay to the kernel.
async fn hand_over(engine: Handle, installs: bool, adopted: bool, mut handed: mpsc::Receiver<Hand>) {
    // Of a start that adopts nothing there is no end after which to sweep.
    let mut underlay = Underlay::open(installs && adopted);
    let mut look = tokio::time::interval(RECONCILE);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let hand = tokio::select! {
            hand = handed.recv() => hand,
            _ = look.tick(), if installs => {
                underlay.reconcile();
                continue;
            }
        };
        let (done, left) = match hand {
            Some(Hand::Learn(routes)) => (engine.learn(routes).await, "learned routes are not in the kernel"),
            Some(Hand::Underlay(routes)) => {
                underlay.change(routes);
                continue;
            }
            Some(Hand::Sweep) => {
                underlay.sweep();
                (engine.sweep().await, "routes from before the start stay")
            }
            None => return,
        };
        // An engine that has ended has no kernel to bring routes into.
        if let Err(error) = done {
            warn!(%error, "{left}");
        }
    }
}

impl Task {
    fn start(host: Host, plan: Plan, model: Arc<Model>, ends: &Ends) -> Self {
        let now = Instant::now();
        let local = weft_bgp::rib::Local {
            asn: plan.speaker.asn,
            router_id: plan.speaker.router_id,
            cluster_id: plan.speaker.cluster_id,
        };
        let longest = Duration::from_secs(plan.speaker.restart_time_s.into());
        let config = SpeakerConfig {
            local,
            deferral: ends.adopted.then_some(longest),
            learns_unicast: plan.speaker.install_routes,
        };
        let seed = u64::from(u32::from(plan.speaker.router_id.get())) << 32 | u64::from(std::process::id());
        let (hand, handed) = mpsc::channel(1);
        let installs = plan.speaker.install_routes;
        let handing = tokio::spawn(hand_over(ends.engine.clone(), installs, ends.adopted, handed));
        let driver = Driver::new(Speaker::new(&config, plan.host.clone(), seed, now));
        let mut task = Self {
            driver,
            host,
            plan,
            model: Arc::default(),
            ports: BTreeMap::new(),
            forwarding: ends.adopted,
            established: BTreeMap::new(),
            hand,
            handing,
            may_have_more: false,
            again: Vec::new(),
            sweep: false,
            listen_again: None,
            seldom: Seldom::default(),
        };
        task.listen();
        task.set_model(model);
        task
    }

    /// Listens wherever it does not yet. A port that somebody has is free some day.
    fn listen(&mut self) {
        let of = &self.plan.speaker;
        let addresses: Vec<_> = of.listen.iter().map(|address| SocketAddr::new(*address, of.port)).collect();
        let done = self.driver.listen(&addresses);
        let failed_before = self.listen_again.is_some();
        self.listen_again = done.is_err().then(|| Instant::now() + RECONCILE);
        match done {
            Err(error) if !failed_before => {
                error!(%error, "peers cannot connect as they should; weftd connects to them, and tries again");
            }
            Ok(()) if failed_before => info!("listening wherever peers are to connect"),
            Err(_) | Ok(()) => {}
        }
    }

    /// Makes the speaker as is intended now.
    fn set_model(&mut self, model: Arc<Model>) {
        let now = Instant::now();
        let Some(plan) = plan(&model, &self.host) else { return };
        let before = std::mem::replace(&mut self.model, model);
        self.again.extend(desired::no_longer_static(&before, &self.model));
        let speaker = self.driver.speaker_mut();
        // Ports of a subnet that goes leave it first, and those of one that comes wait for it.
        let ports = local_ports(&self.model);
        for gone in self.ports.keys().filter(|name| !ports.contains_key(*name)) {
            speaker.remove_port(gone, now);
        }
        if let Err(error) = speaker.set_instances(&plan.instances, now) {
            error!(%error, "networks and subnets are announced as they were before");
        }
        for (name, port) in ports.iter().filter(|(name, port)| self.ports.get(*name) != Some(*port)) {
            if let Err(error) = speaker.set_port(name, port.clone(), now) {
                error!(port = name, %error, "a port is not announced");
            }
        }
        for (network, prefixes) in own_prefixes(&self.model) {
            speaker.set_prefixes(&network, prefixes, now);
        }
        speaker.set_addresses(own_addresses(&plan), now);
        self.ports = ports;
        if let Err(error) = self.driver.set_neighbours(neighbours(&plan, self.forwarding), now) {
            error!(%error, "a peer's connections are not signed");
        }
        self.plan = plan;
    }

    /// Does what the speaker wants done.
    fn flush(&mut self) {
        let now = Instant::now();
        for event in self.driver.flush(now) {
            self.note(event);
        }
        let room = self.hand.try_reserve();
        self.may_have_more = room.is_err();
        let Ok(room) = room else { return };
        let speaker = self.driver.speaker_mut();
        // The way to a VTEP before what is behind it.
        let underlay: Vec<_> = std::iter::from_fn(|| speaker.poll_unicast()).take(BATCH).collect();
        if !underlay.is_empty() {
            self.may_have_more = true;
            return room.send(Hand::Underlay(underlay));
        }
        let again = std::mem::take(&mut self.again);
        let mut changes: Vec<Forwarding> =
            again.into_iter().map(|subject| speaker.forwarding(subject)).collect();
        while changes.len() < BATCH
            && let Some(change) = speaker.poll_forwarding()
        {
            changes.push(change);
        }
        self.may_have_more = !changes.is_empty();
        if self.may_have_more {
            room.send(Hand::Learn(learned::delta(changes)));
        } else if std::mem::take(&mut self.sweep) {
            room.send(Hand::Sweep);
        }
    }

    fn note(&mut self, event: Event) {
        match event {
            Event::Up { peer } => {
                info!(peer, "BGP session established");
                *self.established.entry(peer).or_default() += 1;
            }
            Event::Down { peer, reason, kept } => {
                let kept: Vec<_> = kept.iter().map(ToString::to_string).collect();
                warn!(peer, reason, kept = kept.join(" "), "BGP session ended");
            }
            Event::Faults { peer, faults } => {
                if let Some(unsaid) = self.seldom.may_say(Instant::now()) {
                    warn!(peer, ?faults, unsaid, "an UPDATE had faults");
                }
            }
            Event::ManyRoutes { peer, family, held, limit } => {
                warn!(peer, %family, held, limit, "a peer has nearly as many routes as it may have");
            }
            Event::Converged => {
                info!("all peers have told their routes since the start");
                self.sweep = true;
            }
            Event::Evpn(evpn::Event::Refused { route, reason, .. }) => {
                if let Some(unsaid) = self.seldom.may_say(Instant::now()) {
                    warn!(?route, %reason, unsaid, "a route is of no use");
                }
            }
            Event::Evpn(event) => note_evpn(&event),
        }
    }

    async fn answer(&mut self, command: Command) {
        let bfd = match (&command, self.driver.bfd()) {
            (Command::Neighbors { .. } | Command::Neighbor { .. }, Some(handle)) => {
                handle.report().await.map(|report| report.sessions).unwrap_or_default()
            }
            _ => Vec::new(),
        };
        let answers = self.answers(&bfd);
        // A caller that does not wait any more is no error.
        match command {
            Command::Summary { reply } => drop(reply.send(Ok(answers.summary()))),
            Command::Neighbors { reply } => drop(reply.send(Ok(answers.neighbors()))),
            Command::Neighbor { name, reply } => drop(reply.send(answers.neighbor(&name))),
            Command::Rib { wanted, reply } => drop(reply.send(answers.rib(&wanted))),
            Command::Routes { network, reply } => {
                drop(reply.send(Ok(answers.forwarding(network.as_deref()))));
            }
            Command::Explain { subject, network, reply } => {
                drop(reply.send(answers.explain(subject, network.as_deref())));
            }
            Command::Clear { peer, soft, reply } => drop(reply.send(self.clear(peer.as_deref(), soft))),
            // The run loop takes it, for it ends the task.
            Command::Leave { .. } => {}
        }
    }

    fn answers<'a>(&'a self, bfd: &'a [bfd::Status]) -> Answers<'a> {
        Answers {
            speaker: self.driver.speaker(),
            plan: &self.plan,
            model: &self.model,
            established: &self.established,
            bfd,
            now: Instant::now(),
        }
    }

    fn clear(&mut self, peer: Option<&str>, soft: bool) -> Result<Vec<String>, BgpError> {
        let now = Instant::now();
        let speaker = self.driver.speaker_mut();
        let mut names: Vec<_> = speaker
            .peers()
            .values()
            .map(|peer| peer.name.clone())
            .filter(|name| peer.is_none_or(|peer| peer == name))
            .collect();
        if let (Some(peer), true) = (peer, names.is_empty()) {
            return Err(BgpError::NoPeer(peer.to_owned()));
        }
        if !soft {
            for name in &names {
                speaker.stop(name, &Stop::Reset("cleared".to_owned()), now);
            }
            return Ok(names);
        }
        names.retain(|name| speaker.refresh(name, now));
        match peer {
            Some(peer) if names.is_empty() => Err(BgpError::NoSession(peer.to_owned())),
            _ => Ok(names),
        }
    }
}

/// One line a second, and how many were not said since the last one.
#[derive(Debug, Default)]
struct Seldom {
    last: Option<Instant>,
    unsaid: u64,
}

impl Seldom {
    fn may_say(&mut self, now: Instant) -> Option<u64> {
        if self.last.is_some_and(|last| now.duration_since(last) < Duration::from_secs(1)) {
            self.unsaid += 1;
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.unsaid))
    }
}

fn note_evpn(event: &evpn::Event) {
    match event {
        evpn::Event::Moved { subject, from, to, sequence } => {
            debug!(?subject, %from, %to, sequence, "an address moved");
        }
        evpn::Event::Duplicate { subject, .. } => {
            warn!(?subject, "an address moves too often: it stays where it is for now");
        }
        evpn::Event::Recovered { subject } => info!(?subject, "an address may move again"),
        evpn::Event::Sticky { subject, vtep } => {
            warn!(?subject, %vtep, "a port has an address that is not to move from another host");
        }
        // Said by the caller, seldom.
        evpn::Event::Refused { .. } => {}
    }
}

/// The ports that are attached here, as the speaker announces them.
fn local_ports(model: &Model) -> BTreeMap<String, LocalPort> {
    let attached = model.ports.iter().filter(|(_, port)| port.attachment.is_some());
    let ports = attached.map(|(name, port)| {
        let local = LocalPort {
            subnet: port.subnet.clone(),
            mac: port.mac,
            ips: port.addresses().collect(),
            groups: port.security.groups.iter().map(community).collect(),
            sticky: false,
        };
        (name.clone(), local)
    });
    ports.collect()
}

/// The own VTEP, if peers may exchange routes of its family: whoever routes for the underlay learns where it is.
fn own_addresses(plan: &Plan) -> Option<IpAddr> {
    let vtep = plan.host.vtep.address();
    let family = if vtep.is_ipv4() { Family::IPV4_UNICAST } else { Family::IPV6_UNICAST };
    let sessions = plan.peers.iter().map(|peer| &peer.session);
    let mut all = sessions.chain(plan.groups.iter().map(|group| &group.session));
    all.any(|session| session.families.contains(&family)).then_some(vtep)
}

/// The prefixes that are behind this host: those of subnets that a port here is in.
fn own_prefixes(model: &Model) -> BTreeMap<String, BTreeSet<ipnet::IpNet>> {
    let mut all: BTreeMap<_, BTreeSet<_>> =
        model.networks.keys().map(|network| (network.clone(), BTreeSet::new())).collect();
    let here: BTreeSet<_> = model
        .ports
        .values()
        .filter(|port| port.attachment.is_some())
        .map(|port| port.subnet.as_str())
        .collect();
    for subnet in here.into_iter().filter_map(|name| model.subnets.get(name)) {
        all.entry(subnet.network.clone()).or_default().extend(subnet.prefixes());
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::tests::bgp::speaking_host;
    use crate::model::tests::{GOOD, intent};

    #[test]
    fn ports_are_announced_with_their_groups() {
        let group = r#"{"kind":"security-group","name":"web","tenant":"red","id":7}"#;
        let member = GOOD[2].replace("\"mac\"", r#""security_groups":["web"],"mac""#);
        let mut documents = GOOD.to_vec();
        let before = local_ports(&Model::build(&intent(&documents), &speaking_host(), &[]).unwrap());
        documents[2] = &member;
        documents.push(group);
        let after = local_ports(&Model::build(&intent(&documents), &speaking_host(), &[]).unwrap());
        assert!(before["red-1"].groups.is_empty());
        assert_eq!(after["red-1"].groups, [community(weft_policy::GroupId(7))].into());
        // It is announced anew, for it is not what it was.
        assert_ne!(before["red-1"], after["red-1"]);
    }

    #[test]
    fn one_line_a_second_says_how_many_it_stands_for() {
        let (mut seldom, now) = (Seldom::default(), Instant::now());
        let at = |milliseconds| now + Duration::from_millis(milliseconds);
        let said = [0, 1, 999, 1000, 1500, 3000].map(|time| seldom.may_say(at(time)));
        assert_eq!(said, [Some(0), None, None, Some(2), None, Some(1)]);
    }
}
