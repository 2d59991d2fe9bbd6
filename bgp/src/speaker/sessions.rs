//! What sessions want: connections made and closed, bytes sent, and routes taken in.

use std::net::SocketAddr;
use std::time::Instant;

use super::{Event, Output, PeerConfig, Speaker};
use crate::peer::PeerId;
use crate::rib::Facts;
use crate::session::{Action, ConnectionId, Down, Established, Stop};
use crate::wire::{Family, Fault, RouteRefresh, RouteRefreshKind, Routes, Update};

/// How long a neighbour that knows route target membership may take to say what it wants.
const MEMBERSHIP_WAIT: std::time::Duration = std::time::Duration::from_secs(5);

impl Speaker {
    /// A connection that was asked for is there.
    pub fn handle_connected(
        &mut self,
        id: ConnectionId,
        local: SocketAddr,
        remote: SocketAddr,
        now: Instant,
    ) {
        self.with_session(id.peer, now, |session| session.handle_connected(id, local, remote, now));
        self.pump(now);
    }

    /// A connection that was asked for did not come about.
    pub fn handle_connect_failed(&mut self, id: ConnectionId, reason: String, now: Instant) {
        self.with_session(id.peer, now, |session| session.handle_connect_failed(id, reason, now));
    }

    /// Bytes came, cut anywhere.
    pub fn handle_received(&mut self, id: ConnectionId, bytes: &[u8], now: Instant) {
        self.with_session(id.peer, now, |session| session.handle_received(id, bytes, now));
        self.pump(now);
    }

    /// Bytes came that are still to be handled.
    pub fn handle_waiting(&mut self, id: ConnectionId, now: Instant) {
        if let Some(peer) = self.peers.get_mut(&id.peer) {
            peer.session.handle_waiting(id, now);
        }
    }

    /// The connection took some of the bytes that were to be sent.
    pub fn handle_written(&mut self, id: ConnectionId) {
        if let Some(peer) = self.peers.get_mut(&id.peer) {
            peer.session.handle_written(id);
        }
    }

    /// The other side closed the connection, or it broke.
    pub fn handle_closed(&mut self, id: ConnectionId, reason: String, now: Instant) {
        self.with_session(id.peer, now, |session| session.handle_closed(id, reason, now));
        self.pump(now);
    }

    /// Does what the session with a neighbour wants.
    pub(super) fn perform(&mut self, id: PeerId, now: Instant) {
        while let Some(peer) = self.peers.get_mut(&id)
            && let Some(action) = peer.session.poll_action()
        {
            match action {
                Action::Connect(connection) => {
                    let path = peer.config.path.clone();
                    self.outputs.push_back(Output::Connect { connection, path });
                }
                Action::Send { connection, bytes } => {
                    self.outputs.push_back(Output::Send { connection, bytes });
                }
                Action::Close(connection) => self.outputs.push_back(Output::Close(connection)),
                Action::Up(established) => self.up(id, &established, now),
                Action::Update { update, faults } => self.update(id, update, faults, now),
                Action::EndOfRib(family) => self.end_of_rib(id, family, now),
                Action::Refresh(refresh) => self.rib.handle_refresh(id, refresh, now),
                Action::Down(down) => self.down(id, down, now),
            }
        }
    }

    fn up(&mut self, id: PeerId, established: &Established, now: Instant) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        peer.warned.clear();
        let (name, facts) = (peer.name.clone(), facts(&peer.config, established));
        let gone: Vec<_> =
            established.families.iter().copied().filter(|family| !established.forwards(*family)).collect();
        self.rib.handle_up(id, facts, now);
        self.rib.forget_stale(id, &gone);
        if let Some(restart) = &mut self.restart {
            restart.handle_up(id, established);
        }
        self.tell(Event::Up { peer: name });
        self.check_restart(now);
    }

    fn update(&mut self, id: PeerId, mut update: Update, faults: Vec<Fault>, now: Instant) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        let Some(established) = peer.session.established() else { return };
        keep_agreed(&mut update, &established.families);
        let outcome = self.rib.handle_update(id, update);
        let mut events = Vec::new();
        if !faults.is_empty() {
            let faults = faults.iter().map(ToString::to_string).collect();
            events.push(Event::Faults { peer: peer.name.clone(), faults });
        }
        let mut stop = None;
        for (family, held) in outcome.held {
            let Some(most) = peer.config.routing.most.get(&family) else { continue };
            if held > most.limit {
                let limit = u32::try_from(most.limit).unwrap_or(u32::MAX);
                stop = Some(Stop::TooManyRoutes { family, limit, again: most.again });
            } else if held < most.warning {
                peer.warned.retain(|warned| *warned != family);
            } else if !peer.warned.contains(&family) {
                peer.warned.push(family);
                let (peer, limit) = (peer.name.clone(), most.limit);
                events.push(Event::ManyRoutes { peer, family, held, limit });
            }
        }
        if let Some(stop) = stop {
            peer.session.handle_stop(&stop, now);
        }
        events.into_iter().for_each(|event| self.tell(event));
    }

    fn end_of_rib(&mut self, id: PeerId, family: Family, now: Instant) {
        self.rib.handle_end_of_rib(id, family);
        if let Some(restart) = &mut self.restart {
            restart.handle_end_of_rib(id, family);
        }
        self.check_restart(now);
    }

    fn down(&mut self, id: PeerId, down: Down, now: Instant) {
        self.rib.handle_down(id, &down.retain, now);
        if let Some(restart) = &mut self.restart {
            restart.handle_down(id);
        }
        let kept = down.retain.families.iter().map(|kept| kept.family).collect();
        let peer = self.peers.get(&id).map(|peer| peer.name.clone()).unwrap_or_default();
        self.tell(Event::Down { peer, reason: down.reason, kept });
    }

    /// Tells a neighbour all routes again, and asks it for its own (RFC 2918); whether there is a session to do so.
    pub fn refresh(&mut self, name: &str, now: Instant) -> bool {
        let Some(id) = self.find(name) else { return false };
        self.request_refresh(id, now);
        let families = self.established_families(id);
        for family in &families {
            // As if it had asked for them.
            let refresh = RouteRefresh { family: *family, kind: RouteRefreshKind::Request };
            self.rib.handle_refresh(id, refresh, now);
        }
        !families.is_empty()
    }

    /// Asks a neighbour for its routes again.
    fn request_refresh(&mut self, id: PeerId, now: Instant) {
        for family in self.established_families(id) {
            let refresh = RouteRefresh { family, kind: RouteRefreshKind::Request };
            self.with_session(id, now, |session| {
                session.request_refresh(refresh, now);
            });
        }
    }

    fn established_families(&self, id: PeerId) -> Vec<Family> {
        let established = self.peers.get(&id).and_then(|peer| peer.session.established());
        established.map(|established| established.families.to_vec()).unwrap_or_default()
    }

    /// The neighbour is treated in another way from now on; its session goes on.
    pub(super) fn reroute(&mut self, id: PeerId, config: PeerConfig, now: Instant) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        let before = std::mem::replace(&mut peer.config, config);
        let (bfd, routing, path) = (peer.config.bfd, peer.config.routing.clone(), peer.config.path.clone());
        if bfd != before.bfd {
            self.outputs.push_back(Output::Watch { path, config: bfd });
        }
        if routing.export != before.routing.export {
            self.rib.set_export(id, routing.export);
        }
        if routing.import != before.routing.import {
            self.rib.set_import(id, routing.import);
            self.request_refresh(id, now);
        }
    }
}

/// What the RIB has to know.
fn facts(config: &PeerConfig, established: &Established) -> Facts {
    let routing = &config.routing;
    Facts {
        kind: established.kind,
        asn: established.asn,
        router_id: established.router_id,
        address: established.remote.ip(),
        own_address: established.local.ip(),
        dialect: established.dialect,
        families: established.families.clone(),
        next_hop: routing.next_hop,
        role: established.role,
        long_lived: established.long_lived.is_some(),
        enhanced_refresh: established.enhanced_refresh,
        import: routing.import.clone(),
        export: routing.export.clone(),
        membership_wait: MEMBERSHIP_WAIT,
    }
}

/// Leaves out what is of a family that was not agreed (RFC 4760 section 6).
fn keep_agreed(update: &mut Update, families: &[Family]) {
    if !families.contains(&Family::IPV4_UNICAST) {
        update.withdrawn.clear();
        update.announced.clear();
    }
    let agreed = |routes: &Routes| families.contains(&routes.family());
    update.unreachable.retain(agreed);
    update.reachable.take_if(|reachable| !agreed(&reachable.routes));
}
