//! BGP-4 with EVPN (RFC 4271, RFC 7432, RFC 8365), sans-I/O: bytes in, values out, and back.
//!
//! [`wire`] turns bytes into messages and messages into bytes. [`session`] speaks with a neighbour. [`rib`] keeps routes,
//! chooses among them and says what to announce. [`evpn`] makes routes of ports, and forwarding of routes. [`bfd`] tells
//! fast that a peer is gone. [`speaker`] puts them together; none of these opens a socket or reads a clock.
//! `transport` does, for a speaker; it needs the feature `sockets`.

pub mod bfd;
mod dice;
mod diff;
pub mod evpn;
pub mod peer;
pub mod rib;
pub mod session;
pub mod speaker;
#[cfg(feature = "sockets")]
pub mod transport;
pub mod wire;
