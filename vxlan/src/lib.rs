//! VXLAN as types and arithmetic (RFC 7348), shared by the kernel programs and user space.
//!
//! Nothing here does I/O or allocates. A value that exists is legal: a [`Vni`] fits in 24 bits and is not
//! zero, a [`Vtep`] is a unicast address.

#![cfg_attr(not(test), no_std)]

mod entropy;
mod header;
mod mac;
mod overhead;
#[cfg(feature = "serde")]
mod serde_text;
mod vni;
mod vtep;

pub use entropy::source_port;
pub use header::{HEADER_LEN, Header, HeaderError, UDP_PORT};
pub use mac::{MacAddr, MacAddrError};
pub use overhead::{OVERHEAD_IPV4, OVERHEAD_IPV6, inner_mtu, overhead};
pub use vni::{Vni, VniError};
pub use vtep::{Vtep, VtepError};
