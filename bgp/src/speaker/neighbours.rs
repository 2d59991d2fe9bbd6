//! With whom the speaker speaks: who is configured, who is there, and what their sessions want.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use super::config::{Found, GroupConfig, Neighbours, PeerConfig};
use super::path::Path;
use super::restart::Restart;
use super::{Event, Output, Speaker};
use crate::bfd;
use crate::peer::PeerId;
use crate::session::{self, ConnectionId, Stop};
use crate::wire::Family;

/// A neighbour.
#[derive(Debug)]
pub struct Neighbour {
    /// What it is called: a member of a group by the group and its address.
    pub name: String,
    /// The group that it is a member of.
    pub group: Option<String>,
    pub(super) config: PeerConfig,
    pub(super) session: session::Peer,
    /// Families of which it was told that it has nearly too many routes.
    pub(super) warned: Vec<Family>,
}

impl Neighbour {
    /// How it is configured.
    #[must_use]
    pub const fn config(&self) -> &PeerConfig {
        &self.config
    }

    /// Its session.
    #[must_use]
    pub const fn session(&self) -> &session::Peer {
        &self.session
    }

    fn is_member(&self) -> bool {
        self.group.is_some()
    }
}

impl Speaker {
    /// With whom the speaker speaks from now on. Sessions with neighbours that stay as they were go on.
    pub fn set_neighbours(&mut self, neighbours: Neighbours, now: Instant) {
        self.neighbours = neighbours;
        let present: Vec<_> = self.peers.keys().copied().collect();
        for id in present {
            self.reconfigure(id, now);
        }
        let peers = self.neighbours.peers.iter();
        let missing = peers.filter(|(name, _)| self.peers.values().all(|peer| peer.name != **name));
        let missing: Vec<_> = missing.map(|(name, config)| (name.clone(), config.clone())).collect();
        for (name, config) in missing {
            self.add(name, None, config, now);
        }
        self.tell_wanted();
        self.pump(now);
    }

    /// Ends the session with a neighbour; whether it begins again, and when, is what [`Stop`] says. Whether there is one
    /// of the name.
    pub fn stop(&mut self, name: &str, stop: &Stop, now: Instant) -> bool {
        let Some(id) = self.find(name) else { return false };
        self.with_session(id, now, |session| session.handle_stop(stop, now));
        self.pump(now);
        true
    }

    /// The number of a neighbour.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<PeerId> {
        self.peers.iter().find(|(_, peer)| peer.name == name).map(|(id, _)| *id)
    }

    /// BFD has something to say of a neighbour.
    pub fn handle_bfd(&mut self, remote: IpAddr, event: bfd::Event, now: Instant) {
        let watched = self.peers.iter().find(|(_, peer)| peer.config.path.remote.ip() == remote);
        let Some((&id, _)) = watched else { return };
        if event.is_failure() {
            self.with_session(id, now, |session| session.handle_stop(&Stop::BfdDown, now));
            self.pump(now);
        } else if matches!(event, bfd::Event::Up) {
            self.with_session(id, now, |session| session.handle_reachable(now));
        }
    }

    /// Somebody connected. What the connection is called and what it must be like; `None` if nobody is expected from
    /// there, or not now: it is to be closed.
    pub fn handle_accepted(
        &mut self,
        local: SocketAddr,
        remote: SocketAddr,
        now: Instant,
    ) -> Option<(ConnectionId, Path)> {
        let id = match self.neighbours.find(remote.ip())? {
            Found::Peer(name) => self.find(name)?,
            Found::Member { group, config } => {
                let (group, config) = (group.to_owned(), config.clone());
                self.member(&group, &config, remote.ip(), now)?
            }
        };
        let peer = self.peers.get_mut(&id)?;
        let (path, accepted) = (peer.config.path.clone(), peer.session.handle_accepted(local, remote, now));
        self.perform(id, now);
        self.pump(now);
        accepted.map(|connection| (connection, path))
    }

    /// The member of a group that connects from `remote`, new or known; `None` if the group is full of members with a
    /// session.
    fn member(&mut self, group: &str, config: &GroupConfig, remote: IpAddr, now: Instant) -> Option<PeerId> {
        let members = || self.peers.iter().filter(|(_, peer)| peer.group.as_deref() == Some(group));
        let known = members().find(|(_, peer)| peer.config.path.remote.ip() == remote);
        if let Some((&id, _)) = known {
            return Some(id);
        }
        if members().count() >= config.most && !self.make_room(group, now) {
            return None;
        }
        let name = format!("{group}/{remote}");
        Some(self.add(name, Some(group.to_owned()), member_config(config, remote), now))
    }

    /// Lets go of the member that has been about to begin a session for longest: whoever only connects must not keep out
    /// those who mean it. Whether there was one.
    fn make_room(&mut self, group: &str, now: Instant) -> bool {
        let members = self.peers.iter().filter(|(_, peer)| peer.group.as_deref() == Some(group));
        let begun =
            members.filter(|(id, peer)| peer.session.established().is_none() && !self.rib.knows(**id));
        let oldest = begun.map(|(id, peer)| (peer.session.since(), *id)).min();
        if let Some((_, id)) = oldest {
            self.remove(id, &Stop::Crowded, now);
        }
        oldest.is_some()
    }

    fn add(&mut self, name: String, group: Option<String>, config: PeerConfig, now: Instant) -> PeerId {
        let id = PeerId(self.next_peer);
        self.next_peer += 1;
        if let Some(bfd) = config.bfd {
            let (path, config) = (config.path.clone(), Some(bfd));
            self.outputs.push_back(Output::Watch { path, config });
        }
        let session = session::Peer::new(id, self.session_config(&config), self.seed, now);
        self.peers.insert(id, Neighbour { name, group, config, session, warned: Vec::new() });
        self.with_session(id, now, |session| session.handle_start(now));
        id
    }

    /// What the configured session is like, as things are.
    fn session_config(&self, config: &PeerConfig) -> session::Config {
        let mut session = config.session.clone();
        if let Some(restart) = &mut session.restart {
            restart.restarted = self.restart.as_ref().is_some_and(Restart::is_silent);
        }
        session
    }

    fn remove(&mut self, id: PeerId, stop: &Stop, now: Instant) {
        self.with_session(id, now, |session| session.handle_stop(stop, now));
        self.forget(id);
    }

    fn forget(&mut self, id: PeerId) {
        if let Some(peer) = self.peers.remove(&id)
            && peer.config.bfd.is_some()
        {
            self.outputs.push_back(Output::Watch { path: peer.config.path, config: None });
        }
    }

    /// Makes a neighbour as it is configured now.
    fn reconfigure(&mut self, id: PeerId, now: Instant) {
        let Some(peer) = self.peers.get(&id) else { return };
        let remote = peer.config.path.remote.ip();
        let config = match &peer.group {
            None => self.neighbours.peers.get(&peer.name).cloned(),
            Some(group) => match self.neighbours.find(remote) {
                Some(Found::Member { group: of, config }) if of == group => {
                    Some(member_config(config, remote))
                }
                Some(Found::Member { .. } | Found::Peer(_)) | None => None,
            },
        };
        match config {
            None => self.remove(id, &Stop::Deconfigured, now),
            Some(config) if config == peer.config => {}
            Some(config) if config.is_same_session(&peer.config) => self.reroute(id, config, now),
            Some(config) if config.path.remote.ip() != remote => {
                let name = peer.name.clone();
                self.remove(id, &Stop::Deconfigured, now);
                self.add(name, None, config, now);
            }
            Some(config) => self.begin_anew(id, config, now),
        }
    }

    /// Ends the session, and lets the next one be as it is configured now. It is the same neighbour: what was kept of its
    /// routes is its own when it is back.
    fn begin_anew(&mut self, id: PeerId, config: PeerConfig, now: Instant) {
        let stop = match &config.session.shutdown {
            Some(text) => Stop::Shutdown(text.clone()),
            None => Stop::Reconfigured,
        };
        self.with_session(id, now, |session| session.handle_stop(&stop, now));
        let session = self.session_config(&config);
        let Some(peer) = self.peers.get_mut(&id) else { return };
        peer.session.set_config(session);
        let watched = config.bfd.map(|bfd| (config.path.clone(), bfd));
        let before = std::mem::replace(&mut peer.config, config);
        let watched_before = before.bfd.map(|bfd| (before.path, bfd));
        if watched != watched_before {
            let gone = watched_before.map(|(path, _)| Output::Watch { path, config: None });
            let new = watched.map(|(path, bfd)| Output::Watch { path, config: Some(bfd) });
            self.outputs.extend(gone.into_iter().chain(new));
        }
        self.with_session(id, now, |session| session.handle_start(now));
    }

    /// Tells the neighbour who the speaker is, what it was asked, and hands on what it says.
    pub(super) fn with_session(&mut self, id: PeerId, now: Instant, act: impl FnOnce(&mut session::Peer)) {
        if let Some(peer) = self.peers.get_mut(&id) {
            act(&mut peer.session);
            self.perform(id, now);
        }
    }

    /// Forgets members of groups that are gone, and of which nothing is kept.
    pub(super) fn forget_members(&mut self) {
        let gone = self.peers.iter().filter(|(id, peer)| {
            let idle = peer.session.state() < session::State::OpenSent;
            peer.is_member() && idle && !self.rib.knows(**id)
        });
        let gone: Vec<_> = gone.map(|(id, _)| *id).collect();
        for id in gone {
            self.forget(id);
        }
    }

    pub(super) fn tell(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }
}

/// What a member of a group is like: it is left to it to connect.
fn member_config(group: &GroupConfig, remote: IpAddr) -> PeerConfig {
    let mut config = group.template.clone();
    config.path.remote.set_ip(remote);
    config.session.passive = true;
    config
}
