//! BFD (RFC 5880) in asynchronous mode, over one hop (RFC 5881) or several (RFC 5883): tells within a fraction of a
//! second that a peer cannot be reached, where BGP's hold timer takes minutes.
//!
//! ```text
//! Driver (a thread: sockets, clock) ── Table (which session?) ── Session (state, timers) ── Packet (bytes)
//! ```
//!
//! [`Table`] and what is below it are sans-I/O; `driver`, with the feature `sockets`, is the only part that knows sockets
//! and the time.

mod config;
#[cfg(feature = "sockets")]
pub mod driver;
mod interval;
mod packet;
mod peer;
mod session;
mod state;
mod table;
mod timers;

pub use config::{Config, ConfigError, MIN_INTERVAL};
pub use interval::Interval;
pub use packet::{PACKET_LEN, Packet, PacketError};
pub use peer::{Arrival, Hops, Peer};
pub use session::{Event, Session};
pub use state::{Diagnostic, State};
pub use table::{Discard, Status, Table};
