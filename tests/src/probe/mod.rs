//! What tenants' workloads would do: ping, talk UDP and TCP, move data, and keep at it while something happens.

mod customers;
mod echo;
mod ip_options;
mod mesh;
mod numbered;
mod ping;
mod refusals;
mod segmented;
mod sizes;
mod steady;
mod transfer;

pub use customers::{Customers, Served, Way};
pub use echo::{ECHO_PORT, EchoServer};
pub use ip_options::IpOptions;
pub use mesh::{Flow, Mesh, Report, Stream};
pub use ping::PingError;
pub(crate) use refusals::sum;
pub use refusals::{Hop, IcmpError, Refusals};
pub use steady::{Steady, Tally};
pub use transfer::Transfer;

use std::time::Duration;

/// How long a probe waits for one answer: far longer than any path here takes on a busy machine.
pub const ANSWER: Duration = Duration::from_secs(3);
