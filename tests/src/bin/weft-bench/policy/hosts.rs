//! A host of weft's seen from below: its programs with the devices that they meet packets on, and its pinned maps.

use std::os::fd::{AsFd as _, OwnedFd};
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use aya::programs::ProgramFd;
use weft_dataplane_abi::programs::{FROM_POD, FROM_UNDERLAY};
use weft_tests::Namespace;
use weft_tests::cloud::Cloud;

use crate::programs::attached;
use crate::programs::kernel::{Hook, test_run};
use crate::statistics::Spread;
use crate::subject::secured::PODS_BY_HOST;

/// A program as it is attached to a device.
pub(super) struct Attached {
    program: ProgramFd,
    ifindex: u32,
}

/// The programs of one host.
pub(super) struct Host<'a> {
    namespace: &'a Namespace,
    pub(super) from_pod: Attached,
    pub(super) from_underlay: Attached,
}

impl<'a> Host<'a> {
    /// Those of the host with this number.
    pub(super) fn of(cloud: &'a Cloud<'_>, host: usize) -> Result<Self> {
        let daemon = cloud.daemon(host);
        let namespace = &cloud.machine(host).namespace;
        let port = PODS_BY_HOST[host];
        let status = daemon.weft().status()?;
        let port = status.ports.into_iter().find(|status| status.name == port).context(port)?;
        let device = port.device.context("the port is not attached")?;
        let find = |program: &str, device: &str| {
            let ifindex = namespace.link(device)?.index;
            let mut all = attached::find(cloud, host, program)?.into_iter();
            let found = all.find(|attached| attached.ifindex == ifindex);
            let found = found.with_context(|| format!("{program} is not on {device}"))?;
            anyhow::Ok(Attached { program: found.info.fd()?, ifindex })
        };
        Ok(Self {
            namespace,
            from_pod: find(FROM_POD, &device)?,
            from_underlay: find(FROM_UNDERLAY, &daemon.settings().device)?,
        })
    }

    /// Has a program meet `frames` one after the other, all of which it lets through: the median of its times in nanoseconds.
    pub(super) fn meet<'f>(
        &self,
        attached: &Attached,
        frames: impl IntoIterator<Item = &'f [u8], IntoIter: Send> + Send,
    ) -> Result<f64> {
        self.inside(|| {
            let times = frames.into_iter().map(|frame| attached.run(frame)).collect::<Result<Vec<_>>>()?;
            Ok(Spread::of(&times).median)
        })
    }

    /// Does `work` where the devices are.
    pub(super) fn inside<R: Send>(&self, work: impl FnOnce() -> Result<R> + Send) -> Result<R> {
        self.namespace.run(work)?
    }
}

impl Attached {
    /// Meets a frame and lets it through, in the namespace of its host: nanoseconds.
    pub(super) fn run(&self, frame: &[u8]) -> Result<f64> {
        let outcome = test_run(Hook::Tc, self.program.as_fd(), frame, self.ifindex)?;
        ensure!(outcome.verdict == Hook::Tc.redirect(), "a program answers {}", outcome.verdict);
        Ok(outcome.nanoseconds.into())
    }
}

/// Nanoseconds of a program that does nothing.
pub(super) fn nothing(frame: &[u8], runs: usize) -> Result<f64> {
    let program: OwnedFd = crate::programs::kernel::load_empty(Hook::Tc)?;
    let time = |_| Ok(test_run(Hook::Tc, program.as_fd(), frame, 0)?.nanoseconds.into());
    let times = (0..runs).map(time).collect::<Result<Vec<f64>>>()?;
    Ok(Spread::of(&times).median)
}

/// Where the map of this name is pinned.
pub(super) fn pin(cloud: &Cloud<'_>, host: usize, map: &str) -> PathBuf {
    cloud.daemon(host).settings().pin_folder.join("maps").join(map)
}
