//! Adds up what a load cost: the CPU time of its ends, and of the kernel's own threads meanwhile.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::Result;

use crate::cpu::Ksoftirqd;

/// Any port on any address of a pod.
pub(crate) const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// A running account of CPU time.
pub(super) struct Meter {
    kernel: Ksoftirqd,
    before: Duration,
    ends: Duration,
}

impl Meter {
    /// From here on.
    pub(super) fn start() -> Result<Self> {
        let kernel = Ksoftirqd::find()?;
        let before = kernel.used();
        Ok(Self { kernel, before, ends: Duration::ZERO })
    }

    /// Takes down what an end used, and hands on its result.
    pub(super) fn add<R>(&mut self, (result, used): (R, Duration)) -> R {
        self.ends += used;
        result
    }

    /// CPU seconds up to here.
    pub(super) fn seconds(&self) -> f64 {
        (self.ends + self.kernel.used().saturating_sub(self.before)).as_secs_f64()
    }
}

/// A count as something to divide.
#[expect(clippy::cast_precision_loss, reason = "counts of a second's work are far below 2^52")]
pub(super) fn real(count: u64) -> f64 {
    count as f64
}
