//! A change, from its proposal to the store and the kernel: validated as a whole before anything is touched.

use std::sync::{Arc, PoisonError};

use tracing::info;
use weft_api::kind::Kind;
use weft_api::resource::Attachment;
use weft_api::view::{Action, Event, Outcome, Problem, ResourceChange};
use weft_dataplane::desired::Update;
use weft_dataplane::{NoRoom, Report};

use super::{Engine, EngineError};
use crate::change::{Candidate, Change, Refused};
use crate::desired;
use crate::intent::{Intent, reference};
use crate::model::Port;
use crate::netns;
use crate::store::{StoreError, Write};

/// What a change would make of the host.
struct Proposal {
    candidate: Candidate,
    update: Update,
    /// What takes it back.
    undo: Update,
}

impl Engine {
    /// Validate, commit, reconcile.
    pub(super) async fn change(
        &mut self,
        changes: Vec<Change>,
        dry_run: bool,
    ) -> Result<Outcome, EngineError> {
        let Proposal { candidate, update, .. } = self.propose(changes).await?;
        self.require_room(&candidate, &update).await?;
        if dry_run {
            return self.dry_run(candidate, update).await;
        }
        let resources = self.commit(candidate).await?;
        let report = self.make(update).await;
        self.publish();
        Ok(self.outcome(resources, &report))
    }

    /// Validate, make in the kernel, commit; undo in the kernel if it fails.
    pub(super) async fn attach(
        &mut self,
        port: String,
        attachment: Attachment,
        may_move: bool,
    ) -> Result<Outcome, EngineError> {
        let change = Change::Attach { port: port.clone(), attachment, may_move };
        let Proposal { candidate, update, undo } = self.propose(vec![change]).await?;
        let (report, took) = self.update(update).await;
        let failures = report.failures.iter().filter(|failure| failure.port.as_deref() == Some(&port));
        let problems: Vec<_> = failures
            .map(|failure| {
                let message = format_args!("it was not attached: {}", failure.cause);
                Problem::new(reference(Kind::Port, &port), message)
            })
            .collect();
        if !problems.is_empty() {
            self.make(undo).await;
            return Err(EngineError::Kernel(problems));
        }
        let resources = match self.commit(candidate).await {
            Ok(resources) => resources,
            Err(error) => {
                self.make(undo).await;
                return Err(error.into());
            }
        };
        self.observe(&report, took);
        self.publish();
        Ok(self.outcome(resources, &report))
    }

    /// What would be after `changes`.
    async fn propose(&mut self, changes: Vec<Change>) -> Result<Proposal, EngineError> {
        let (intent, model) = (Arc::clone(&self.intent), Arc::clone(&self.model));
        let host = self.host.clone();
        let work = compute(move || {
            let candidate =
                Candidate::build(&intent, &model, &host, &changes).map_err(EngineError::Refused)?;
            check_namespaces(&candidate, &intent)?;
            let update = desired::update(&model, &candidate.model, &host);
            let undo = desired::update(&candidate.model, &model, &host);
            Ok(Proposal { candidate, update, undo })
        });
        self.attend(work).await
    }

    /// That the rules of all ports fit into the kernel's tables, if they are others than before.
    async fn require_room(&mut self, candidate: &Candidate, update: &Update) -> Result<(), EngineError> {
        let Some(desired) = &update.local else { return Ok(()) };
        let same = |(name, port): (&String, &Port)| {
            let before = self.model.ports.get(name).map(|before| &before.security);
            before.is_some_and(|before| {
                before.ingress == port.security.ingress && before.egress == port.security.egress
            })
        };
        if candidate.model.ports.iter().all(same) {
            return Ok(());
        }
        let work = self.dataplane.require_room(desired);
        let problems: Vec<_> = self.attend(work).await?.iter().map(|lack| no_room(candidate, lack)).collect();
        if problems.is_empty() { Ok(()) } else { Err(EngineError::Refused(Refused::Invalid(problems))) }
    }

    async fn dry_run(&mut self, candidate: Candidate, update: Update) -> Result<Outcome, EngineError> {
        let work = self.dataplane.preview(update);
        let plan = self.attend(work).await?;
        Ok(Outcome {
            dry_run: true,
            revision: self.revision,
            resources: candidate.changes,
            kernel: plan.iter().map(ToString::to_string).collect(),
            failures: Vec::new(),
        })
    }

    /// Writes a candidate and takes it over. Nothing else changes while the disk is waited for.
    async fn commit(&mut self, candidate: Candidate) -> Result<Vec<ResourceChange>, StoreError> {
        if candidate.writes.is_empty() {
            return Ok(candidate.changes);
        }
        let (store, writes) = (Arc::clone(&self.store), candidate.writes);
        let work = compute(move || {
            // A store whose commit panicked opens its database anew, or says why it cannot.
            let revision = store.lock().unwrap_or_else(PoisonError::into_inner).commit(&writes)?;
            Ok::<_, StoreError>((revision, writes))
        });
        let (revision, writes) = self.attend(work).await?;
        let before = std::mem::replace(&mut self.intent, Arc::new(candidate.intent));
        self.model = Arc::new(candidate.model);
        self.revision = revision;
        let events = writes.into_iter().filter_map(|write| {
            let (action, resource) = match write {
                Write::Put(resource) if before.contains(&resource.reference()) => (Action::Replace, resource),
                Write::Put(resource) => (Action::Create, resource),
                Write::Delete(id) => (Action::Delete, before.get(&id)?),
            };
            let id = resource.reference();
            info!(object = %id, ?action, revision, "intent changed");
            match action {
                Action::Delete => self.revisions.remove(&id),
                Action::Create | Action::Replace | Action::Unchanged => self.revisions.insert(id, revision),
            };
            Some(Event { revision, action, resource: resource.masked() })
        });
        self.history.handle_commit(revision, events);
        Ok(candidate.changes)
    }

    fn outcome(&self, resources: Vec<ResourceChange>, report: &Report) -> Outcome {
        Outcome {
            dry_run: false,
            revision: self.revision,
            resources,
            kernel: report.changes.iter().map(ToString::to_string).collect(),
            failures: report.failures.iter().map(ToString::to_string).collect(),
        }
    }
}

/// What is to blame that rules do not fit: a group of the ports that changes, or a port.
fn no_room(candidate: &Candidate, lack: &NoRoom) -> Problem {
    let ports = lack.ports.join(", ");
    let first = lack.ports.first().map(String::as_str).unwrap_or_default();
    let groups =
        candidate.model.ports.get(first).map(|port| port.security_groups.as_slice()).unwrap_or_default();
    let changes = |group: &&String| {
        let id = reference(Kind::SecurityGroup, group).to_string();
        candidate.changes.iter().any(|change| change.resource == id && change.action != Action::Unchanged)
    };
    let (id, field) = match groups.iter().find(changes) {
        Some(group) => (reference(Kind::SecurityGroup, group), "rules"),
        None => (reference(Kind::Port, first), "security_groups"),
    };
    let message = format!(
        "the rules of all groups of port {ports} do not fit into the kernel: {}. The limit is sizes.rules in weftd.toml, for all ports \
         together; what was in force stays so",
        lack.cause
    );
    Problem::new(id, message).at(field)
}

/// That the places which ports are to get exist.
fn check_namespaces(candidate: &Candidate, before: &Intent) -> Result<(), EngineError> {
    let problems: Vec<_> = candidate
        .new_attachments(before)
        .filter_map(|(port, attachment)| {
            let error = netns::check(&attachment.netns).err()?;
            Some(Problem::new(reference(Kind::Port, port), error).at("attachment.netns"))
        })
        .collect();
    if problems.is_empty() { Ok(()) } else { Err(EngineError::Refused(Refused::Invalid(problems))) }
}

/// Does what takes long on a thread of its own.
async fn compute<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
