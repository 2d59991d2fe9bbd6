//! The engine's side of the self-test: what it needs, what it is told, and what is done about what it finds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::sync::watch;
use tracing::warn;
use weft_api::view::{ChecksumState, ChecksumStatus, SelfTestPhase, SelfTestStatus, Workaround};
use weft_vxlan::Vtep;

use super::{Engine, Handle};
use crate::config::Config;
use crate::desired;
use crate::model::Host;
use crate::self_test::address;
use crate::self_test::core::{self, Finding, Reason, Targets};
use crate::self_test::kept::Kept;
use crate::self_test::namespace::{Namespace, Sockets};
use crate::self_test::task::{Ends, Findings};

/// What the engine has of it.
#[derive(Debug)]
pub(super) struct SelfTest {
    /// Keeps the port's namespace; why there is none.
    namespace: Result<Namespace, String>,
    /// Until the task takes them.
    sockets: Option<Sockets>,
    kept: Kept,
    targets: watch::Sender<Arc<Targets>>,
    findings: watch::Sender<Findings>,
}

impl SelfTest {
    /// Makes the namespace, unless the self-test is switched off, and puts into `host` what follows.
    pub(super) fn prepare(config: &Config, host: &mut Host) -> Self {
        let kept = Kept::in_folder(config.state.folder.as_path());
        let (targets, findings) = (watch::Sender::default(), watch::Sender::default());
        if !host.self_test {
            if let Err(error) = kept.forget() {
                warn!(file = %kept.file().display(), %error, "what an earlier self-test found cannot be removed");
            }
            let namespace = Err("it is switched off".to_owned());
            return Self { namespace, sockets: None, kept, targets, findings };
        }
        // What was found is in force from the first packet on, whether or not it can be tested again.
        host.software_checksums = kept.load();
        match Namespace::make() {
            Ok((namespace, sockets)) => {
                host.self_test_netns = Some(namespace.path());
                Self { namespace: Ok(namespace), sockets: Some(sockets), kept, targets, findings }
            }
            Err(error) => {
                warn!(%error, "the self-test cannot have a network namespace; ways to other hosts are not tested");
                let cause =
                    format!("it cannot have a network namespace of its own and sockets in it: {error}");
                Self { namespace: Err(cause), sockets: None, kept, targets, findings }
            }
        }
    }
}

impl Engine {
    /// What the self-test's task needs; `None` if there is nothing to do for it, and from the second time on.
    pub fn self_test(&mut self, engine: Handle) -> Option<(Sockets, Ends)> {
        let sockets = self.self_test.sockets.take()?;
        let ends = Ends {
            targets: self.self_test.targets.subscribe(),
            findings: self.self_test.findings.clone(),
            engine,
            kept: self.self_test.kept.clone(),
            own: (self.host.vtep, self.host.gateway_mac),
            software: self.host.software_checksums.clone(),
        };
        Some((sockets, ends))
    }

    /// Tells the self-test whom there is to test.
    pub(super) fn tell_self_test(&self) {
        let resolved = |vtep| {
            let state = self.observed.vtep(vtep);
            state.is_some_and(|state| state.next_hops.iter().any(|hop| hop.mac.is_some()))
        };
        let given = self.model.remotes.values().map(|remote| remote.vtep);
        let vteps = given.chain(self.host.learned_vteps.iter().copied()).map(|vtep| (vtep, resolved(vtep)));
        let targets = Targets { ready: self.observed.has_port(address::PORT), vteps: vteps.collect() };
        self.self_test.targets.send_if_modified(|held| {
            let differ = **held != targets;
            if differ {
                *held = Arc::new(targets);
            }
            differ
        });
    }

    /// Has packets to `vteps` leave with checksums that this host computed. What fails is tried again.
    pub(super) async fn compute_checksums(&mut self, vteps: BTreeSet<Vtep>) {
        self.host.software_checksums = vteps;
        let update = desired::update(&self.model, &self.model, &self.host);
        self.make(update).await;
    }

    pub(super) fn self_test_status(&self) -> SelfTestStatus {
        let (state, reason) = match (&self.self_test.namespace, self.model.no_self_test_for) {
            (_, _) if !self.host.self_test => (SelfTestPhase::Off, None),
            (Err(cause), _) => (SelfTestPhase::Failed, Some(cause.clone())),
            (Ok(_), Some(key)) => {
                let reason =
                    format!("the workloads leave it no room: raise sizes.{key} in weftd.toml, restart weftd");
                (SelfTestPhase::Failed, Some(reason))
            }
            (Ok(_), None) => (SelfTestPhase::On, None),
        };
        SelfTestStatus { state, reason }
    }

    /// What is known of the ways to other hosts.
    pub(super) fn checksums(&self) -> BTreeMap<Vtep, ChecksumStatus> {
        let findings = self.self_test.findings.borrow().clone();
        findings.iter().map(|(vtep, finding)| (*vtep, view(*finding))).collect()
    }
}

fn view(finding: Finding) -> ChecksumStatus {
    let told = |state, workaround, reason: Option<Reason>| ChecksumStatus {
        state,
        workaround,
        reason: reason.map(|reason| words(reason).to_owned()),
    };
    match finding {
        Finding::Testing => told(ChecksumState::Testing, None, None),
        Finding::Good => told(ChecksumState::Good, None, None),
        Finding::NotTested(reason) => told(ChecksumState::NotTested, None, Some(reason)),
        Finding::Damaged(workaround) => {
            let (workaround, reason) = match workaround {
                core::Workaround::Testing => (Workaround::Testing, None),
                core::Workaround::Verified => (Workaround::Verified, None),
                core::Workaround::Failing => (Workaround::Failing, None),
                core::Workaround::NotTested(reason) => (Workaround::NotTested, Some(reason)),
            };
            told(ChecksumState::Damaged, Some(workaround), reason)
        }
    }
}

fn words(reason: Reason) -> &'static str {
    match reason {
        Reason::NoWay => "no next hop is resolved",
        Reason::Silent => "no answer",
        Reason::Lossy => "too many packets are lost",
    }
}
