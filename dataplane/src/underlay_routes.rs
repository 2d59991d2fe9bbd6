//! Routes of the underlay that this host learned, in the kernel's main table.
//!
//! They stay when their owner goes, and the next one takes them over: what it is not told until [`UnderlayRoutes::sweep`]
//! goes then.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::error::chain;
use crate::names::PROTOCOL;
use crate::netlink::{Netlink, NetlinkError};
use crate::{Failure, ObserveError};

/// The learned routes of the network namespace of the thread that opened them.
#[derive(Debug)]
pub struct UnderlayRoutes {
    netlink: Netlink,
    /// Gateways by prefix, in their order.
    wanted: BTreeMap<IpNet, Vec<IpAddr>>,
    /// The same of what was in the kernel when that was read or changed last.
    held: BTreeMap<IpNet, Vec<IpAddr>>,
    /// Whether all that is not wanted is to go.
    swept: bool,
}

impl UnderlayRoutes {
    /// Without routes; those that are in the kernel stay for now.
    ///
    /// # Errors
    /// The kernel cannot be asked.
    pub fn open() -> Result<Self, ObserveError> {
        let mut netlink = Netlink::open().map_err(|error| unread(&error))?;
        let held = netlink.learned_routes(PROTOCOL).map_err(|error| unread(&error))?;
        Ok(Self { netlink, wanted: BTreeMap::new(), held, swept: false })
    }

    /// Each prefix is behind these gateways from now on, or behind none. Returns what the kernel refused;
    /// [`UnderlayRoutes::reconcile`] tries that again.
    pub fn change(&mut self, changes: impl IntoIterator<Item = (IpNet, Vec<IpAddr>)>) -> Vec<Failure> {
        let mut failures = Vec::new();
        for (prefix, mut gateways) in changes {
            gateways.sort_unstable();
            let done = if gateways.is_empty() {
                self.wanted.remove(&prefix);
                self.remove(prefix)
            } else {
                self.wanted.insert(prefix, gateways.clone());
                self.set(prefix, gateways)
            };
            failures.extend(done.err());
        }
        failures
    }

    /// Removes routes from before that no change has confirmed.
    ///
    /// # Errors
    /// The kernel cannot be asked.
    pub fn sweep(&mut self) -> Result<Vec<Failure>, ObserveError> {
        self.swept = true;
        self.reconcile()
    }

    /// Makes the kernel's table as wanted, which others may have changed: it forgets routes whose link goes down.
    ///
    /// # Errors
    /// The kernel cannot be asked.
    pub fn reconcile(&mut self) -> Result<Vec<Failure>, ObserveError> {
        self.held = self.netlink.learned_routes(PROTOCOL).map_err(|error| unread(&error))?;
        let missing: Vec<_> = self
            .wanted
            .iter()
            .filter(|(prefix, gateways)| self.held.get(prefix) != Some(gateways))
            .map(|(prefix, gateways)| (*prefix, gateways.clone()))
            .collect();
        let mut failures: Vec<_> =
            missing.into_iter().filter_map(|(prefix, gateways)| self.set(prefix, gateways).err()).collect();
        if self.swept {
            let gone: Vec<_> =
                self.held.keys().filter(|prefix| !self.wanted.contains_key(prefix)).copied().collect();
            failures.extend(gone.into_iter().filter_map(|prefix| self.remove(prefix).err()));
        }
        Ok(failures)
    }

    fn set(&mut self, prefix: IpNet, gateways: Vec<IpAddr>) -> Result<(), Failure> {
        let is_there = self.held.contains_key(&prefix);
        let mut done = self.netlink.set_learned_route(prefix, &gateways, is_there, PROTOCOL);
        if done.as_ref().is_err_and(|error| is_there && error.errno() == Some(libc::ENOENT)) {
            done = self.netlink.set_learned_route(prefix, &gateways, false, PROTOCOL);
        }
        done.map_err(|error| failure(prefix, &error))?;
        self.held.insert(prefix, gateways);
        Ok(())
    }

    fn remove(&mut self, prefix: IpNet) -> Result<(), Failure> {
        self.netlink.remove_learned_route(prefix, PROTOCOL).map_err(|error| failure(prefix, &error))?;
        self.held.remove(&prefix);
        Ok(())
    }
}

/// Removes all of them. Returns what was removed, in words, and what the kernel refused.
pub(crate) fn teardown(netlink: &mut Netlink) -> Result<(Vec<String>, Vec<Failure>), NetlinkError> {
    let (mut removed, mut failures) = (Vec::new(), Vec::new());
    for prefix in netlink.learned_routes(PROTOCOL)?.into_keys() {
        match netlink.remove_learned_route(prefix, PROTOCOL) {
            Ok(()) => removed.push(format!("remove route {prefix}")),
            Err(error) => failures.push(failure(prefix, &error)),
        }
    }
    Ok((removed, failures))
}

fn failure(prefix: IpNet, error: &NetlinkError) -> Failure {
    let cause = match error.errno() {
        Some(libc::EEXIST) => {
            "there is one of its metric that weft did not make: give that another metric".to_owned()
        }
        _ => chain(error),
    };
    Failure::new(format!("route {prefix}"), cause)
}

fn unread(error: &NetlinkError) -> ObserveError {
    ObserveError::Netlink { what: "routes", cause: chain(error) }
}
