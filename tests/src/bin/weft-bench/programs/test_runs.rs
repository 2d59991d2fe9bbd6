//! One packet at a time, by the kernel's test run.

use std::net::Ipv4Addr;
use std::os::fd::{AsFd as _, BorrowedFd};

use anyhow::{Context as _, Result};
use weft_dataplane_abi::programs::{FROM_POD, FROM_UNDERLAY};
use weft_tests::cloud::Cloud;

use super::{EMPTY, attached, kernel, packets, row};
use crate::plan::Plan;
use crate::report::Row;
use crate::statistics::Spread;

/// Runs of each program in a round; their median is the round's figure.
const RUNS: usize = 2000;
/// The kernel's verdict on a packet that goes on to another device (`linux/pkt_cls.h`).
const REDIRECT: u32 = 7;

/// Packets, and the program that meets one after the other.
struct Case {
    program: &'static str,
    host: usize,
    what: &'static str,
    frames: Vec<Vec<u8>>,
}

pub(super) fn measure(cloud: &Cloud<'_>, plan: &Plan) -> Result<Vec<Row>> {
    let empty = kernel::load_empty().context("an empty program")?;
    let (client, near, far) = (cloud.pod("client"), cloud.pod("near"), cloud.pod("far"));
    let mut rows = Vec::new();
    for case in [
        Case {
            program: FROM_POD,
            host: 0,
            what: "to-other-host",
            frames: vec![packets::between(client, far)?],
        },
        Case {
            program: FROM_POD,
            host: 0,
            what: "to-same-host",
            frames: vec![packets::between(client, near)?],
        },
        Case {
            program: FROM_UNDERLAY,
            host: 1,
            what: "from-other-host",
            frames: vec![packets::tunnelled(cloud)?],
        },
    ] {
        let test = format!("programs/{}/{}", case.program, case.what);
        let (ours, nothing) = case.rounds(cloud, empty.as_fd(), plan.rounds).context(test.clone())?;
        rows.push(row(&test, "weft", &ours, Some(&nothing)));
        rows.push(row(&test, EMPTY, &nothing, None));
    }
    Ok(rows)
}

/// Nanoseconds, in each round, of what the client's host does with packets to these addresses of other subnets.
pub(crate) fn to_any(cloud: &Cloud<'_>, addresses: &[Ipv4Addr], rounds: u32) -> Result<Vec<f64>> {
    let empty = kernel::load_empty().context("an empty program")?;
    let client = cloud.pod("client");
    let frames = addresses.iter().map(|address| packets::routed(client, *address)).collect::<Result<_>>()?;
    let case = Case { program: FROM_POD, host: 0, what: "to-any-route", frames };
    Ok(case.rounds(cloud, empty.as_fd(), rounds)?.0)
}

impl Case {
    /// The figures of each round: the program's, the empty one's.
    fn rounds(&self, cloud: &Cloud<'_>, empty: BorrowedFd<'_>, rounds: u32) -> Result<(Vec<f64>, Vec<f64>)> {
        let attached = attached::find(cloud, self.host, self.program)?;
        // In the host's namespace, where the devices are.
        cloud.machine(self.host).namespace.run(|| {
            for attached in attached {
                let program = attached.info.fd()?;
                let first = self.frames.first().context("no packet")?;
                // A pod's packet on another pod's device is dropped as forged.
                if kernel::test_run(program.as_fd(), first, attached.ifindex)?.verdict == REDIRECT {
                    let round = |_| self.round(program.as_fd(), empty, attached.ifindex);
                    return Ok((0..rounds).map(round).collect::<Result<Vec<_>>>()?.into_iter().unzip());
                }
            }
            anyhow::bail!("{} redirects the packet on no device", self.program)
        })?
    }

    fn round(&self, program: BorrowedFd<'_>, empty: BorrowedFd<'_>, ifindex: u32) -> Result<(f64, f64)> {
        let [mut ours, mut nothing] = [Vec::new(), Vec::new()];
        for frame in self.frames.iter().cycle().take(RUNS) {
            ours.push(kernel::test_run(program, frame, ifindex)?.nanoseconds.into());
            nothing.push(kernel::test_run(empty, frame, ifindex)?.nanoseconds.into());
        }
        Ok((Spread::of(&ours).median, Spread::of(&nothing).median))
    }
}
