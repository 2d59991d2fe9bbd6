//! A change to the intent, before it is made: what it would be afterwards, or why it cannot be.
//!
//! Pure. The engine commits what comes out of [`Candidate::build`], or shows it on a dry run.

use std::collections::BTreeSet;
use std::net::IpAddr;

use weft_api::kind::{Kind, Reference};
use weft_api::resource::{self, Attachment, Resource};
use weft_api::view::{Action, Problem, ResourceChange};

use crate::intent::{Intent, reference};
use crate::model::{Host, Model};
use crate::store::Write;

/// One thing that a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A resource that must be new.
    Create(Resource),
    /// A resource that must be there already.
    Replace(Resource),
    /// A resource, new or not.
    Apply(Resource),
    /// A resource goes; a port is detached first.
    Delete(Reference),
    /// A port gets a place in a namespace.
    Attach {
        /// The port's name.
        port: String,
        /// The place.
        attachment: Attachment,
        /// Whether it may lose the place that it has.
        may_move: bool,
    },
    /// A port loses its place.
    Detach {
        /// The port's name.
        port: String,
    },
}

/// What the intent would be.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// As resources, complete.
    pub intent: Intent,
    /// The same, checked.
    pub model: Model,
    /// What happens to each object: those asked for in their order, then those that were completed because of them.
    pub changes: Vec<ResourceChange>,
    /// What is to be written.
    pub writes: Vec<Write>,
}

/// Why a change is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// Objects that do not exist.
    Missing(Vec<Reference>),
    /// Objects that exist already.
    Exists(Vec<Reference>),
    /// Objects that others refer to.
    Needed(Vec<Problem>),
    /// Ports that workloads elsewhere use.
    Elsewhere(Vec<Problem>),
    /// The outcome would be inconsistent.
    Invalid(Vec<Problem>),
}

impl Candidate {
    /// What `current` becomes by all of `changes`. `before` is what was made of it.
    ///
    /// # Errors
    /// [`Refused`], with everything that is wrong.
    pub fn build(current: &Intent, before: &Model, host: &Host, changes: &[Change]) -> Result<Self, Refused> {
        let ids: Vec<_> = changes.iter().map(Change::id).collect();
        check_presence(current, changes)?;
        check_repeats(&ids)?;
        check_moves(current, changes)?;
        let mut intent = current.clone();
        for change in changes {
            change.make(&mut intent);
        }
        for change in changes {
            change.carry_over(current, &mut intent);
            change.keep_secret(current, &mut intent);
        }
        check_orphans(&intent, &ids)?;
        let model = before.rebuild(&intent, host, &ids).map_err(Refused::Invalid)?;
        let intent = model.to_intent();
        let (changes, writes) = compare(current, &intent, ids);
        Ok(Self { intent, model, changes, writes })
    }

    /// The places that ports get which they did not have.
    pub fn new_attachments<'a>(
        &'a self,
        current: &'a Intent,
    ) -> impl Iterator<Item = (&'a str, &'a Attachment)> {
        self.intent.ports.values().filter_map(|port| {
            let attachment = port.attachment.as_ref()?;
            let before = current.ports.get(&port.name).and_then(|port| port.attachment.as_ref());
            (before != Some(attachment)).then_some((port.name.as_str(), attachment))
        })
    }
}

impl Change {
    /// The object that it is about.
    #[must_use]
    pub fn id(&self) -> Reference {
        match self {
            Self::Create(resource) | Self::Replace(resource) | Self::Apply(resource) => resource.reference(),
            Self::Delete(id) => id.clone(),
            Self::Attach { port, .. } | Self::Detach { port } => reference(Kind::Port, port),
        }
    }

    fn make(&self, intent: &mut Intent) {
        match self {
            Self::Create(resource) | Self::Replace(resource) | Self::Apply(resource) => {
                intent.insert(resource.clone());
            }
            Self::Delete(id) => intent.remove(id),
            Self::Attach { port, attachment, .. } => {
                if let Some(port) = intent.ports.get_mut(port) {
                    port.attachment = Some(attachment.clone());
                }
            }
            Self::Detach { port } => {
                if let Some(port) = intent.ports.get_mut(port) {
                    port.attachment = None;
                }
            }
        }
    }

    /// What a port's document leaves out and weft once filled in stays: its MAC and addresses while they are of its
    /// subnet, and its place.
    fn carry_over(&self, current: &Intent, intent: &mut Intent) {
        let (Self::Create(Resource::Port(port))
        | Self::Replace(Resource::Port(port))
        | Self::Apply(Resource::Port(port))) = self
        else {
            return;
        };
        let (Some(before), Some(port)) = (current.ports.get(&port.name), intent.ports.get_mut(&port.name))
        else {
            return;
        };
        if port.attachment.is_none() {
            port.attachment.clone_from(&before.attachment);
        }
        let Some(subnet) = intent.subnets.get(&port.subnet).filter(|_| port.subnet == before.subnet) else {
            return;
        };
        port.mac = port.mac.or(before.mac);
        for old in before.addresses.iter().filter(|old| in_prefix(subnet, **old)) {
            if !port.addresses.iter().any(|new| new.is_ipv4() == old.is_ipv4()) {
                port.addresses.push(*old);
            }
        }
    }
}

impl Change {
    /// A mask in the place of a password, as weft shows it, means the one that is stored.
    fn keep_secret(&self, current: &Intent, intent: &mut Intent) {
        let id = self.id();
        if !matches!(id.kind, Kind::Peer | Kind::PeerGroup) {
            return;
        }
        let (Some(mut before), Some(mut after)) = (current.get(&id), intent.get(&id)) else { return };
        if let (Some(stored), Some(given)) = (before.password_mut(), after.password_mut())
            && given.is_mask()
        {
            given.clone_from(stored);
            intent.insert(after);
        }
    }
}

fn check_presence(current: &Intent, changes: &[Change]) -> Result<(), Refused> {
    let (mut missing, mut existing) = (Vec::new(), Vec::new());
    for change in changes {
        let id = change.id();
        match change {
            Change::Create(_) if current.contains(&id) => existing.push(id),
            Change::Replace(_) | Change::Delete(_) | Change::Attach { .. } | Change::Detach { .. }
                if !current.contains(&id) =>
            {
                missing.push(id);
            }
            Change::Create(_)
            | Change::Replace(_)
            | Change::Apply(_)
            | Change::Delete(_)
            | Change::Attach { .. }
            | Change::Detach { .. } => {}
        }
    }
    if !missing.is_empty() {
        return Err(Refused::Missing(missing));
    }
    if existing.is_empty() { Ok(()) } else { Err(Refused::Exists(existing)) }
}

fn check_repeats(ids: &[Reference]) -> Result<(), Refused> {
    let mut seen = BTreeSet::new();
    let repeated = ids.iter().filter(|id| !seen.insert(*id));
    let problems: Vec<_> =
        repeated.map(|id| Problem::new(id, "it is in the input more than once; keep one of them")).collect();
    if problems.is_empty() { Ok(()) } else { Err(Refused::Invalid(problems)) }
}

/// A NIC is not taken away from the workload that uses it by naming the wrong port.
fn check_moves(current: &Intent, changes: &[Change]) -> Result<(), Refused> {
    let mut problems = Vec::new();
    for change in changes {
        let Change::Attach { port, attachment, may_move: false } = change else { continue };
        let Some(place) = current.ports.get(port).and_then(|port| port.attachment.as_ref()) else { continue };
        if place != attachment {
            let message = format!(
                "it is attached to {} as {}; detach it first, or attach with --move (in the API: move=true), which \
                 takes it away from there",
                place.netns.display(),
                place.device
            );
            problems.push(Problem::new(change.id(), message));
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(Refused::Elsewhere(problems)) }
}

fn in_prefix(subnet: &resource::Subnet, address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => subnet.ipv4.is_some_and(|prefix| prefix.contains(&address)),
        IpAddr::V6(address) => subnet.ipv6.is_some_and(|prefix| prefix.contains(&address)),
    }
}

/// Whoever deletes a network or subnet deletes what is in it too, or before.
fn check_orphans(intent: &Intent, ids: &[Reference]) -> Result<(), Refused> {
    const NAMED: usize = 5;
    let mut problems = Vec::new();
    for id in ids.iter().filter(|id| !intent.contains(id)) {
        let dependants = intent.dependants(id);
        if dependants.is_empty() {
            continue;
        }
        let names: Vec<_> = dependants.iter().take(NAMED).map(ToString::to_string).collect();
        let more = match dependants.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let names = names.join(", ");
        let message = format!("{names}{more} would be left without it; delete them first, or together");
        problems.push(Problem::new(id, message));
    }
    if problems.is_empty() { Ok(()) } else { Err(Refused::Needed(problems)) }
}

fn compare(before: &Intent, after: &Intent, ids: Vec<Reference>) -> (Vec<ResourceChange>, Vec<Write>) {
    let (mut changes, mut writes) = (Vec::new(), Vec::new());
    let asked: BTreeSet<_> = ids.iter().cloned().collect();
    let completed = after.ids().filter(|id| !asked.contains(id) && !before.agrees(after, id));
    for id in ids.into_iter().chain(completed) {
        let action = match (before.get(&id), after.get(&id)) {
            (Some(old), Some(new)) if old == new => Action::Unchanged,
            (old, Some(new)) => {
                writes.push(Write::Put(new));
                if old.is_some() { Action::Replace } else { Action::Create }
            }
            (Some(_), None) => {
                writes.push(Write::Delete(id.clone()));
                Action::Delete
            }
            (None, None) => Action::Unchanged,
        };
        changes.push(ResourceChange { action, resource: id.to_string() });
    }
    (changes, writes)
}

#[cfg(test)]
mod tests;
