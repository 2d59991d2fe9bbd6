//! What a device's driver can do for XDP: the generic netlink family `netdev` (Linux 6.3; `netdev.yaml` among the
//! kernel's netlink specifications).

use std::collections::BTreeMap;
use std::io;

use netlink_packet_core::NlasIterator;
use netlink_sys::protocols::NETLINK_GENERIC;
use netlink_sys::{Socket, SocketAddr};

use super::{ALIGN, HEADER_LEN, split};

/// `NETDEV_XDP_ACT_BASIC`: native XDP that passes and drops.
pub(crate) const XDP_BASIC: u64 = 1;
/// `NETDEV_XDP_ACT_REDIRECT`: and redirects.
pub(crate) const XDP_REDIRECT: u64 = 2;

/// `NETDEV_XDP_ACT_NDO_XMIT`: takes what other devices redirect into it.
pub(crate) const XDP_TAKES: u64 = 4;

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
/// `NLM_F_REQUEST`, `NLM_F_DUMP`.
const REQUEST: u16 = 1;
const DUMP: u16 = 0x300;
/// `NLMSG_ERROR`, `NLMSG_DONE`.
const ERROR: u16 = 2;
const DONE: u16 = 3;

/// The XDP features of all devices of the calling thread's network namespace, by interface index; `None` if the kernel
/// is too old to tell.
pub(crate) fn xdp_features() -> io::Result<Option<BTreeMap<u32, u64>>> {
    let mut socket = Socket::new(NETLINK_GENERIC)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    let family = match ask(&socket, &request(CONTROL, REQUEST, GET_FAMILY, Some((FAMILY_NAME, b"netdev\0"))))
    {
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => return Ok(None),
        answers => answers?.iter().find_map(|answer| Some(u16::from_ne_bytes(attribute(answer, FAMILY_ID)?))),
    };
    let Some(family) = family else { return Ok(None) };
    let devices = ask(&socket, &request(family, REQUEST | DUMP, GET_DEVICE, None))?;
    let features = devices.iter().filter_map(|device| {
        let ifindex = u32::from_ne_bytes(attribute(device, IFINDEX)?);
        Some((ifindex, u64::from_ne_bytes(attribute(device, XDP_FEATURES)?)))
    });
    Ok(Some(features.collect()))
}

/// Sends a request; the attributes of each answer, up to the end of a dump.
fn ask(socket: &Socket, request: &[u8]) -> io::Result<Vec<Vec<u8>>> {
    let is_dump = request.get(6..8) == Some(&(REQUEST | DUMP).to_ne_bytes());
    socket.send(request, 0)?;
    let mut answers = Vec::new();
    loop {
        let (bytes, _) = socket.recv_from_full()?;
        for message in split(&bytes) {
            let (header, body) = message.split_at(HEADER_LEN);
            let half =
                |at: usize| header.get(at..at + 2).map_or(0, |half| u16::from_ne_bytes([half[0], half[1]]));
            match half(4) {
                DONE => return Ok(answers),
                ERROR => {
                    let code = body.first_chunk().map_or(-libc::EIO, |code| i32::from_ne_bytes(*code));
                    return Err(io::Error::from_raw_os_error(-code));
                }
                _ => answers.push(body.get(GENERIC_LEN..).unwrap_or_default().to_vec()),
            }
            // The answers of this family's dumps are not marked as parts of one.
            if !is_dump {
                return Ok(answers);
            }
        }
    }
}

/// The first `N` bytes of the attribute of this kind.
fn attribute<const N: usize>(attributes: &[u8], kind: u16) -> Option<[u8; N]> {
    let mut all = NlasIterator::new(attributes).flatten();
    all.find(|attribute| attribute.kind() == kind)?.value().first_chunk().copied()
}

fn request(family: u16, flags: u16, command: u8, attribute: Option<(u16, &[u8])>) -> Vec<u8> {
    const ATTRIBUTE_LEN: usize = 4;
    // Sequence and port: one question is asked at a time, and the kernel knows whose socket it is.
    let mut bytes = [&[0; 4][..], &family.to_ne_bytes(), &flags.to_ne_bytes(), &[0; 8]].concat();
    // Command, version 1, two bytes that are reserved.
    bytes.extend([command, 1, 0, 0]);
    if let Some((kind, value)) = attribute {
        let length = u16::try_from(ATTRIBUTE_LEN + value.len()).unwrap_or(u16::MAX);
        bytes.extend(length.to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(value);
    }
    bytes.resize(bytes.len().next_multiple_of(ALIGN), 0);
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    bytes.splice(..4, length.to_ne_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_aligned_and_says_its_length() {
        let bytes = request(CONTROL, REQUEST, GET_FAMILY, Some((FAMILY_NAME, b"netdev\0")));
        assert_eq!(bytes.len(), 32);
        assert_eq!(bytes[..4], 32_u32.to_ne_bytes());
        assert_eq!(bytes[20..22], 11_u16.to_ne_bytes());
        assert_eq!(bytes[24..], *b"netdev\0\0");
        assert_eq!(request(CONTROL, REQUEST | DUMP, GET_DEVICE, None).len(), 20);
    }

    #[test]
    fn this_kernel_tells_of_loopback() {
        // Loopback's driver has none; a kernel before 6.3 cannot tell.
        let features = xdp_features().unwrap();
        assert!(features.is_none_or(|features| features[&1] == 0));
    }
}
