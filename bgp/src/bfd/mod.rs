//! BFD (RFC 5880) in asynchronous mode, over one hop (RFC 5881) or several (RFC 5883): tells within a fraction of a
//! second that a peer cannot be reached, where BGP's hold timer takes minutes.
//!
//! ```text
//! Table (which session?) ── Session (state, timers) ── Packet (bytes)
//! ```
//!
//! All of it is sans-I/O: whoever drives a [`Table`] has the sockets and the clock.

mod config;
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
