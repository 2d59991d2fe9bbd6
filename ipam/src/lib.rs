//! Address management: which IP and MAC address a port gets, and why an address that was asked for is refused.
//!
//! Pure. A [`Pool`] is made from a prefix, its gateway and the addresses that are taken; it holds the gaps between
//! them, so an allocation costs the same in a /30, a /8 and a /64.

mod mac;
mod pool;
mod usable;

pub use mac::allocate_mac;
pub use pool::{Pool, PoolFull, Refusal};
pub use usable::first_usable;
