//! One packet at a time, by the kernel's test run.

use std::net::Ipv4Addr;
use std::os::fd::{AsFd as _, BorrowedFd};

use anyhow::{Context as _, Result};
use weft_api::view::Xdp;
use weft_dataplane_abi::programs::{FROM_POD, FROM_UNDERLAY, XDP_FORWARD, XDP_GUARD};
use weft_tests::Lab;
use weft_tests::cloud::Cloud;

use super::kernel::Hook;
use super::{EMPTY, attached, kernel, packets, row};
use crate::plan::Plan;
use crate::report::Row;
use crate::statistics::Spread;
use crate::subject::start_weft;

/// Runs of each program in a round; their median is the round's figure.
const RUNS: usize = 2000;

/// Packets, and the program that meets one after the other.
struct Case {
    program: &'static str,
    hook: Hook,
    host: usize,
    what: &'static str,
    frames: Vec<Vec<u8>>,
    /// What the program answers.
    verdict: u32,
}

/// The programs at TC on the cloud that is measured, and those of XDP, which that does not use, on clouds of their own.
pub(super) fn measure(cloud: &Cloud<'_>, plan: &Plan) -> Result<Vec<Row>> {
    let mut rows = at_tc(cloud, plan)?;
    for (xdp, program, verdict) in
        [(Xdp::Guard, XDP_GUARD, Hook::Xdp.pass()), (Xdp::Forward, XDP_FORWARD, Hook::Xdp.redirect())]
    {
        let lab = Lab::new()?;
        let cloud = start_weft(&lab, xdp).context(program)?;
        let frames = vec![packets::tunnelled(&cloud)?];
        let (hook, host, what) = (Hook::Xdp, 1, "from-other-host");
        rows.extend(Case { program, hook, host, what, frames, verdict }.rows(&cloud, plan)?);
    }
    Ok(rows)
}

fn at_tc(cloud: &Cloud<'_>, plan: &Plan) -> Result<Vec<Row>> {
    let (hook, verdict) = (Hook::Tc, Hook::Tc.redirect());
    let (client, near, far) = (cloud.pod("client"), cloud.pod("near"), cloud.pod("far"));
    let mut rows = Vec::new();
    for (program, host, what, frame) in [
        (FROM_POD, 0, "to-other-host", packets::between(client, far)?),
        (FROM_POD, 0, "to-same-host", packets::between(client, near)?),
        (FROM_UNDERLAY, 1, "from-other-host", packets::tunnelled(cloud)?),
    ] {
        let frames = vec![frame];
        rows.extend(Case { program, hook, host, what, frames, verdict }.rows(cloud, plan)?);
    }
    Ok(rows)
}

/// Nanoseconds, in each round, of what the client's host does with packets to these addresses of other subnets.
pub(crate) fn to_any(cloud: &Cloud<'_>, addresses: &[Ipv4Addr], rounds: u32) -> Result<Vec<f64>> {
    let client = cloud.pod("client");
    let (hook, verdict) = (Hook::Tc, Hook::Tc.redirect());
    let frames = addresses.iter().map(|address| packets::routed(client, *address)).collect::<Result<_>>()?;
    let case = Case { program: FROM_POD, hook, host: 0, what: "to-any-route", frames, verdict };
    Ok(case.rounds(cloud, rounds)?.0)
}

impl Case {
    fn rows(&self, cloud: &Cloud<'_>, plan: &Plan) -> Result<[Row; 2]> {
        let test = format!("programs/{}/{}", self.program, self.what);
        let (ours, nothing) = self.rounds(cloud, plan.rounds).context(test.clone())?;
        Ok([row(&test, "weft", &ours, Some(&nothing)), row(&test, EMPTY, &nothing, None)])
    }

    /// The figures of each round: the program's, the empty one's.
    fn rounds(&self, cloud: &Cloud<'_>, rounds: u32) -> Result<(Vec<f64>, Vec<f64>)> {
        let empty = kernel::load_empty(self.hook).context("an empty program")?;
        let attached = attached::find(cloud, self.host, self.program)?;
        // In the host's namespace, where the devices are.
        cloud.machine(self.host).namespace.run(|| {
            for attached in attached {
                let program = attached.info.fd()?;
                let first = self.frames.first().context("no packet")?;
                // A pod's packet on another pod's device is dropped as forged.
                let outcome = kernel::test_run(self.hook, program.as_fd(), first, attached.ifindex)?;
                if outcome.verdict == self.verdict {
                    let round = |_| self.round(program.as_fd(), empty.as_fd(), attached.ifindex);
                    return Ok((0..rounds).map(round).collect::<Result<Vec<_>>>()?.into_iter().unzip());
                }
            }
            anyhow::bail!("{} takes the packet on no device", self.program)
        })?
    }

    fn round(&self, program: BorrowedFd<'_>, empty: BorrowedFd<'_>, ifindex: u32) -> Result<(f64, f64)> {
        let [mut ours, mut nothing] = [Vec::new(), Vec::new()];
        for frame in self.frames.iter().cycle().take(RUNS) {
            ours.push(kernel::test_run(self.hook, program, frame, ifindex)?.nanoseconds.into());
            nothing.push(kernel::test_run(self.hook, empty, frame, ifindex)?.nanoseconds.into());
        }
        Ok((Spread::of(&ours).median, Spread::of(&nothing).median))
    }
}
