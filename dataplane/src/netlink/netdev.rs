//! What a device's driver can do for XDP: the generic netlink family `netdev` (Linux 6.3; `netdev.yaml` among the
//! kernel's netlink specifications).

use std::io;

use netlink_packet_core::NlasIterator;
use netlink_sys::protocols::NETLINK_GENERIC;
use netlink_sys::{Socket, SocketAddr};

use super::{HEADER_LEN, split};

/// `NETDEV_XDP_ACT_BASIC`: native XDP that passes and drops.
pub(crate) const XDP_BASIC: u64 = 1;
/// `NETDEV_XDP_ACT_REDIRECT`: and redirects.
pub(crate) const XDP_REDIRECT: u64 = 2;

/// `nlctrl`, which knows the other families, and `CTRL_CMD_GETFAMILY`, `CTRL_ATTR_FAMILY_NAME`, `CTRL_ATTR_FAMILY_ID`.
const CONTROL: u16 = 0x10;
const GET_FAMILY: u8 = 3;
const FAMILY_ID: u16 = 1;
const FAMILY_NAME: u16 = 2;
/// `NETDEV_CMD_DEV_GET`, `NETDEV_A_DEV_IFINDEX`, `NETDEV_A_DEV_XDP_FEATURES`.
const GET_DEVICE: u8 = 1;
const IFINDEX: u16 = 1;
const XDP_FEATURES: u16 = 3;

/// Bytes of the generic netlink header.
const GENERIC_LEN: usize = 4;
const REQUEST: u16 = 1;
/// `NLMSG_ERROR`.
const ERROR: u16 = 2;

/// The XDP features of the device `ifindex` of the calling thread's network namespace; `None` if the kernel is too old
/// to tell.
pub(crate) fn xdp_features(ifindex: u32) -> io::Result<Option<u64>> {
    let mut socket = Socket::new(NETLINK_GENERIC)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    let family = ask(&socket, CONTROL, GET_FAMILY, FAMILY_NAME, b"netdev\0", FAMILY_ID);
    let family = match family {
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => return Ok(None),
        family => family?.as_deref().and_then(|id| Some(u16::from_ne_bytes(*id.first_chunk()?))),
    };
    let Some(family) = family else { return Ok(None) };
    let features = ask(&socket, family, GET_DEVICE, IFINDEX, &ifindex.to_ne_bytes(), XDP_FEATURES)?;
    Ok(features.as_deref().and_then(|bits| Some(u64::from_ne_bytes(*bits.first_chunk()?))))
}

/// Sends a command with one attribute; the attribute `answer` of what comes back.
fn ask(
    socket: &Socket,
    family: u16,
    command: u8,
    kind: u16,
    value: &[u8],
    answer: u16,
) -> io::Result<Option<Vec<u8>>> {
    socket.send(&request(family, command, kind, value), 0)?;
    let (bytes, _) = socket.recv_from_full()?;
    let Some(message) = split(&bytes).next() else { return Ok(None) };
    let (header, body) = message.split_at(HEADER_LEN);
    if header.get(4..6) == Some(&ERROR.to_ne_bytes()) {
        let code = body.first_chunk().map_or(-libc::EIO, |code| i32::from_ne_bytes(*code));
        return Err(io::Error::from_raw_os_error(-code));
    }
    let attributes = body.get(GENERIC_LEN..).unwrap_or_default();
    let found = NlasIterator::new(attributes).flatten().find(|attribute| attribute.kind() == answer);
    Ok(found.map(|attribute| attribute.value().to_vec()))
}

fn request(family: u16, command: u8, kind: u16, value: &[u8]) -> Vec<u8> {
    const ATTRIBUTE_LEN: usize = 4;
    let short = |length: usize| u16::try_from(length).unwrap_or(u16::MAX).to_ne_bytes();
    let attribute = ATTRIBUTE_LEN + value.len();
    let padded = attribute.next_multiple_of(super::ALIGN);
    let length = u32::try_from(HEADER_LEN + GENERIC_LEN + padded).unwrap_or(u32::MAX);
    let mut bytes = length.to_ne_bytes().to_vec();
    bytes.extend(family.to_ne_bytes());
    bytes.extend(REQUEST.to_ne_bytes());
    // Sequence and port: one question is asked at a time, and the kernel knows whose socket it is.
    bytes.extend([0; 8]);
    // Command, version 1, two bytes that are reserved.
    bytes.extend([command, 1, 0, 0]);
    bytes.extend(short(attribute));
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len() + padded - attribute, 0);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_aligned_and_says_its_length() {
        let bytes = request(CONTROL, GET_FAMILY, FAMILY_NAME, b"netdev\0");
        assert_eq!(bytes.len(), 32);
        assert_eq!(bytes[..4], 32_u32.to_ne_bytes());
        assert_eq!(bytes[20..22], 11_u16.to_ne_bytes());
        assert_eq!(bytes[24..], *b"netdev\0\0");
    }

    #[test]
    fn this_kernel_tells_of_loopback() {
        // Loopback's driver has none; a kernel before 6.3 cannot tell.
        assert!(matches!(xdp_features(1), Ok(None | Some(0))));
        assert!(xdp_features(u32::MAX >> 1).is_err() || xdp_features(1).unwrap().is_none());
    }
}
