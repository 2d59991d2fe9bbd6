//! Whether a packet fits through the tunnel (docs/design/datapath.md, "Too big" and "Super-packets").

use weft_dataplane_abi::DropReason;

use super::extension_headers::{Leads, follow};
use super::parse::{ETHERNET, Family, Ip, TCP, UDP, byte};

/// Says that the sender has cut a super-packet into whole packets already (SCTP).
const CUT_ALREADY: u32 = 0xffff;

pub fn fits(frame: &[u8], ip: &Ip, gso_size: u32, mtu: usize) -> Result<bool, DropReason> {
    match gso_size {
        0 => Ok(frame.len() - ETHERNET <= mtu),
        CUT_ALREADY => Ok(true),
        payload => {
            let segment = headers(frame, ip)? + usize::try_from(payload).unwrap();
            Ok(segment <= mtu)
        }
    }
}

/// Bytes in front of each segment's payload.
fn headers(frame: &[u8], ip: &Ip) -> Result<usize, DropReason> {
    let (transport, at) = match ip.family {
        Family::V4 => (ip.protocol, ETHERNET + ip.header),
        Family::V6 => match follow(frame, 0) {
            Ok(Leads::To(transport, at)) => (transport, at),
            Ok(Leads::Nowhere) => (0, ETHERNET + ip.header),
            Err(_) => return Err(DropReason::Malformed),
        },
    };
    let transport = match transport {
        // One that is cut short counts for nothing: no kernel makes a super-packet of it.
        TCP if byte(frame, at + 13).is_some() => usize::from(frame[at + 12] >> 4) * 4,
        UDP => 8,
        _ => 0,
    };
    Ok(at - ETHERNET + transport)
}
