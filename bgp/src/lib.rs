//! BGP-4 with EVPN (RFC 4271, RFC 7432, RFC 8365), sans-I/O: bytes in, values out, and back.
//!
//! [`wire`] turns bytes into messages and messages into bytes. [`rib`] keeps routes, chooses among them and says what
//! to announce. [`evpn`] makes routes of ports and forwarding of routes. [`bfd`] tells fast that a peer is gone. Nothing
//! here opens a socket or reads a clock.

pub mod bfd;
pub mod evpn;
pub mod peer;
pub mod rib;
pub mod wire;
