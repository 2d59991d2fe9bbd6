//! A whole cloud on an [`Underlay`]: a weftd on every host, networks, and pods that are attached to them.

mod connections;
mod fabric;
mod holdings;
mod intent;
mod kernel_hosts;
mod pod;
mod reflectors;
mod uncounted;
mod watch;

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context as _, Result};
use weft_api::view::{ChecksumState, PortPhase, VtepStatus};

use weft_vxlan::Vtep;

use crate::underlay::{Machine, Underlay};
use crate::{Lab, PATIENCE, Settings, Weftd, wait_for};

pub use connections::Connections;
pub use fabric::{ASN, Fabric};
pub use holdings::Holdings;
pub use intent::Intent;
pub use kernel_hosts::KernelHosts;
pub use pod::{POD_DEVICE, Pod, SECOND_DEVICE};
pub use reflectors::{Reflector, Reflectors};
pub use uncounted::Uncounted;
pub use watch::Watch;

/// The host's end of weftd's own port, from which it tests the ways to other hosts. It goes with the process, and comes
/// with the next under another index.
pub const SELF_TEST: &str = "weft6b71a893c80";

/// Hosts with weftd, and the pods on them.
#[derive(Debug)]
pub struct Cloud<'lab> {
    lab: &'lab Lab,
    /// The network below.
    pub underlay: Underlay,
    daemons: Vec<Weftd>,
    pods: BTreeMap<String, Pod>,
    /// How hosts learn of each other; `None`: they are told.
    fabric: Option<Fabric>,
}

impl<'lab> Cloud<'lab> {
    /// Starts a weftd on every host.
    ///
    /// # Errors
    /// One does not come up.
    pub fn start(lab: &'lab Lab, underlay: Underlay) -> Result<Self> {
        Self::start_with(lab, underlay, |_| {})
    }

    /// The same with settings that `adapt` changed.
    ///
    /// # Errors
    /// As [`Cloud::start`].
    pub fn start_with(lab: &'lab Lab, underlay: Underlay, adapt: impl Fn(&mut Settings)) -> Result<Self> {
        Self::start_all(lab, underlay, None, adapt)
    }

    /// Hosts that learn of each other by BGP-EVPN. The fabric is made for their VTEPs.
    ///
    /// # Errors
    /// As [`Cloud::start`], or a weftd refuses its peers.
    pub fn start_evpn(
        lab: &'lab Lab,
        underlay: Underlay,
        fabric: impl FnOnce(&[Vtep]) -> Fabric,
    ) -> Result<Self> {
        Self::start_evpn_with(lab, underlay, fabric, |_| {})
    }

    /// The same with settings that `adapt` changed.
    ///
    /// # Errors
    /// As [`Cloud::start_evpn`].
    pub fn start_evpn_with(
        lab: &'lab Lab,
        underlay: Underlay,
        fabric: impl FnOnce(&[Vtep]) -> Fabric,
        adapt: impl Fn(&mut Settings),
    ) -> Result<Self> {
        let vteps: Vec<_> = underlay.machines.iter().map(|machine| machine.vtep).collect();
        let cloud = Self::start_all(lab, underlay, Some(fabric(&vteps)), adapt)?;
        let fabric = cloud.fabric.iter().flat_map(|fabric| &fabric.documents);
        for (daemon, documents) in cloud.daemons.iter().zip(fabric) {
            apply(daemon, "fabric.yaml", &documents.join("\n---\n"))?;
        }
        Ok(cloud)
    }

    fn start_all(
        lab: &'lab Lab,
        underlay: Underlay,
        fabric: Option<Fabric>,
        adapt: impl Fn(&mut Settings),
    ) -> Result<Self> {
        let mut daemons = Vec::new();
        for (host, machine) in underlay.machines.iter().enumerate() {
            let mut settings = Settings::new(lab, &machine.name, crate::underlay::UPLINK, machine.vtep);
            settings.asn = fabric.as_ref().and_then(|fabric| fabric.asns.get(host).copied());
            adapt(&mut settings);
            let mut daemon = Weftd::new(lab, settings, &machine.namespace)?;
            daemon.launch()?;
            daemons.push(daemon);
        }
        daemons.iter_mut().try_for_each(Weftd::wait_until_ready)?;
        Ok(Self { lab, underlay, daemons, pods: BTreeMap::new(), fabric })
    }

    /// Tells every host its part of `intent`, makes the pods that are new and attaches them.
    ///
    /// # Errors
    /// weft refuses something, or a port does not come up.
    pub fn deploy(&mut self, intent: &Intent) -> Result<()> {
        for host in 0..self.daemons.len() {
            self.tell(host, intent)?;
        }
        for planned in intent.pods() {
            self.attach_one(intent, &planned.name)?;
        }
        self.wait_until_up()
    }

    /// Tells one host its part of `intent`.
    ///
    /// # Errors
    /// weft refuses something.
    pub fn tell(&self, host: usize, intent: &Intent) -> Result<()> {
        let vteps: Vec<_> = self.underlay.machines.iter().map(|machine| machine.vtep).collect();
        let documents = match &self.fabric {
            Some(fabric) => intent.documents_of_learner(host, fabric.any_as)?,
            None => intent.documents(host, &vteps)?,
        };
        if documents.is_empty() { Ok(()) } else { apply(self.daemon(host), "intent.yaml", &documents) }
    }

    /// Makes a pod of `intent` if it is new, and attaches it.
    ///
    /// # Errors
    /// There is none of the name, or its port does not come up.
    pub fn attach_one(&mut self, intent: &Intent, name: &str) -> Result<()> {
        if self.pods.contains_key(name) {
            return Ok(());
        }
        let planned = intent.pods().iter().find(|pod| pod.name == name).context(name.to_owned())?;
        let namespace = match &planned.inside {
            Some(first) => self.pod(first).namespace.again()?,
            None => self.lab.namespace(&planned.name)?,
        };
        let pod = Pod::new(planned, namespace);
        self.attach(&pod)?;
        self.pods.insert(pod.name.clone(), pod);
        Ok(())
    }

    fn attach(&self, pod: &Pod) -> Result<()> {
        let netns = pod.namespace.path().to_str().context("a namespace's path is UTF-8")?;
        self.daemon(pod.host).weft().must(&[
            "port",
            "attach",
            &pod.name,
            "--netns",
            netns,
            "--device",
            &pod.device,
        ])?;
        pod.namespace.wait_until_running(&pod.device)
    }

    /// Waits until every host has all its ports up and nothing left undone.
    ///
    /// # Errors
    /// That does not happen in time; what is missing.
    pub fn wait_until_up(&self) -> Result<()> {
        for daemon in &self.daemons {
            wait_for(PATIENCE, &format!("the ports of {}", daemon.settings().name), || {
                let status = daemon.weft().status().map_err(|error| format!("{error:#}"))?;
                let down = status.ports.iter().any(|port| port.state != PortPhase::Up);
                if down || !status.failures.is_empty() { Err(format!("{status:#?}")) } else { Ok(()) }
            })?;
        }
        Ok(())
    }

    /// Waits until the self-test of every host has found every way good: from then on it says and sends nothing more.
    ///
    /// # Errors
    /// That does not happen in time; what it found.
    pub fn wait_until_tested(&self) -> Result<()> {
        for daemon in &self.daemons {
            wait_for(PATIENCE, &format!("the self-test of {}", daemon.settings().name), || {
                let vteps = daemon.weft().status().map_err(|error| format!("{error:#}"))?.vteps;
                let good = |vtep: &VtepStatus| {
                    vtep.checksums.as_ref().is_some_and(|found| found.state == ChecksumState::Good)
                };
                if vteps.iter().all(good) { Ok(()) } else { Err(format!("{vteps:?}")) }
            })?;
        }
        Ok(())
    }

    /// The lab that it is in.
    #[must_use]
    pub fn lab(&self) -> &'lab Lab {
        self.lab
    }

    /// The weftd of the host with this number, from 0.
    ///
    /// # Panics
    /// There is no such host.
    #[must_use]
    pub fn daemon(&self, host: usize) -> &Weftd {
        &self.daemons[host]
    }

    /// All weftds, in the order of the hosts.
    #[must_use]
    pub fn daemons(&self) -> &[Weftd] {
        &self.daemons
    }

    /// The host with this number, from 0.
    ///
    /// # Panics
    /// There is no such host.
    #[must_use]
    pub fn machine(&self, host: usize) -> &Machine {
        &self.underlay.machines[host]
    }

    /// The same weftd, to stop and start it.
    ///
    /// # Panics
    /// There is no such host.
    pub fn daemon_mut(&mut self, host: usize) -> &mut Weftd {
        &mut self.daemons[host]
    }

    /// A pod by its name.
    ///
    /// # Panics
    /// There is no such pod.
    #[must_use]
    pub fn pod(&self, name: &str) -> &Pod {
        &self.pods[name]
    }

    /// All pods, by name.
    pub fn pods(&self) -> impl Iterator<Item = &Pod> {
        self.pods.values()
    }
}

/// Has a weftd take over `documents`, by way of a file of that name.
fn apply(daemon: &Weftd, file: &str, documents: &str) -> Result<()> {
    let file = daemon.settings().folder.join(file);
    fs::write(&file, documents)?;
    let file = file.to_str().context("the temporary folder's name is not UTF-8")?;
    daemon.weft().must(&["apply", "-f", file]).with_context(|| daemon.settings().name.clone()).map(drop)
}
