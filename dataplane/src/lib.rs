//! Keeps a host's kernel as the daemon wants it.

pub mod desired;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use desired::Desired;
use weft_dataplane_abi::PortCounters;

/// Where weft's pins live and how large its maps are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// A folder of weft's own on a bpffs, such as `/sys/fs/bpf/weft`; created if missing.
    pub pin_folder: PathBuf,
    /// Sizes of the maps.
    pub sizes: Sizes,
}

/// How many entries the maps have room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// Ports of this host.
    pub ports: u32,
    /// VNIs that this host takes part in, L2 and L3.
    pub vnis: u32,
    /// Other hosts.
    pub vteps: u32,
    /// Single addresses, and MACs, here and on other hosts.
    pub addresses: u32,
    /// Prefixes.
    pub prefixes: u32,
}

/// The data plane of one host.
#[derive(Debug)]
pub struct Dataplane {}

/// Why the data plane could not be opened. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {}

/// Why a question to the kernel failed.
#[derive(Debug, thiserror::Error)]
pub enum ObserveError {}

/// One thing that differs between the kernel and what is desired, and is made equal by applying it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {}

impl fmt::Display for Change {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {}
    }
}

/// A change that could not be made. The others were.
#[derive(Debug, thiserror::Error)]
#[error("{object}: {cause}")]
pub struct Failure {
    /// What it was about, such as `port red-web-1`.
    pub object: String,
    /// The port's name, if it was about a port.
    pub port: Option<String>,
    /// What happened and what to do.
    pub cause: String,
}

/// What a reconciliation did.
#[derive(Debug, Default)]
pub struct Report {
    /// Changes made, in order.
    pub changes: Vec<Change>,
    /// Changes that failed.
    pub failures: Vec<Failure>,
    /// State of every desired port.
    pub ports: BTreeMap<String, PortState>,
    /// State of the host's VTEPs: address and whether the next hop is resolved.
    pub vteps: BTreeMap<weft_vxlan::Vtep, VtepState>,
}

/// A port as the kernel has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortState {
    /// The host end of its veth.
    pub device: String,
    /// Interface index of the host end.
    pub ifindex: u32,
    /// MTU of the workload's end.
    pub mtu: u32,
}

/// The way to another host, as the kernel has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VtepState {
    /// Device that leads there, if a route does.
    pub device: Option<String>,
    /// MAC of the next hop, once resolved. Until then the kernel's vxlan device sends.
    pub next_hop: Option<weft_vxlan::MacAddr>,
}

impl Dataplane {
    /// Loads the programs, creates or adopts the pinned maps, and replaces the programs on every pinned link.
    ///
    /// # Errors
    /// [`OpenError`]; the kernel is then as it was.
    pub async fn open(options: Options) -> Result<Self, OpenError> {
        let _ = options;
        Ok(Self {})
    }

    /// Makes the kernel as `desired`. Goes on past failures and reports them all; doing it again repairs.
    pub async fn reconcile(&mut self, desired: &Desired) -> Report {
        let _ = desired;
        Report::default()
    }

    /// What [`Dataplane::reconcile`] would change.
    ///
    /// # Errors
    /// [`ObserveError`] if the kernel does not answer.
    pub async fn plan(&mut self, desired: &Desired) -> Result<Vec<Change>, ObserveError> {
        let _ = desired;
        Ok(Vec::new())
    }

    /// Counters of each port by its name, summed over CPUs; those of no port under the empty name.
    ///
    /// # Errors
    /// [`ObserveError`] if the kernel does not answer.
    pub fn counters(&self) -> Result<BTreeMap<String, PortCounters>, ObserveError> {
        Ok(BTreeMap::new())
    }

    /// Waits until a link, address, route or neighbour of the kernel changed in a way that may call for
    /// [`Dataplane::reconcile`]. Cancel safe.
    pub async fn kernel_changed(&mut self) {
        std::future::pending().await
    }

    /// Removes everything that weft made in this network namespace and its pins, and nothing else. Returns what
    /// was removed. Needs no open data plane.
    ///
    /// # Errors
    /// All failures; what could be removed was.
    pub async fn teardown(options: &Options) -> Result<Vec<String>, Vec<Failure>> {
        let _ = options;
        Ok(Vec::new())
    }
}
