//! A message while it is built, outside of the packet that it is about: headers, and as much of that packet as the
//! standards want quoted.

use weft_dataplane_abi::DropReason;

use crate::checksum::{fold, words};
use crate::headers::{ETHERNET_LEN, Ethernet, Ipv4, Ipv6};
use crate::skb::{self, Skb};

/// What [`skb::checksum`] takes at once.
const CHUNK: usize = 512;

/// The first bytes of every error: type, code, checksum, and four bytes that the type gives a meaning, such as an MTU.
#[repr(C)]
pub struct ErrorHeader {
    pub kind: u8,
    pub code: u8,
    pub checksum: [u8; 2],
    pub rest: [u8; 4],
}

/// The frame of an error with an IP header of type `Ip` and room for `WORDS` words of quote, of which the last is only
/// there to be zero behind the others.
#[repr(C)]
pub struct Message<Ip, const WORDS: usize> {
    /// Puts what follows the Ethernet header at multiples of four bytes.
    padding: [u8; 2],
    pub ethernet: Ethernet,
    pub ip: Ip,
    pub icmp: ErrorHeader,
    quote: [[u8; 4]; WORDS],
}

/// At most 576 bytes of IP packet (RFC 1812 section 4.3.2.3).
pub type MessageV4 = Message<Ipv4, { (576 - 20 - 8) / 4 + 1 }>;
/// At most the minimum MTU of IPv6 (RFC 4443 section 2.4 c).
pub type MessageV6 = Message<Ipv6, { (1280 - 40 - 8) / 4 + 1 }>;

impl<Ip, const WORDS: usize> Message<Ip, WORDS> {
    const HEADERS: usize = ETHERNET_LEN + size_of::<Ip>() + size_of::<ErrorHeader>();

    /// Quotes the packet behind its Ethernet header, of which `length` bytes are of interest: how many are quoted.
    #[inline(always)]
    pub fn quote(&mut self, skb: &mut Skb, length: usize) -> Result<usize, DropReason> {
        let most = (WORDS - 1) * 4;
        let length = if length > most { most } else { length };
        if length < size_of::<Ip>() {
            return Err(DropReason::Malformed);
        }
        // The last word may be filled in part.
        self.quote[length / 4] = [0; 4];
        skb.read(ETHERNET_LEN as u32, self.quote.as_flattened_mut(), length)?;
        Ok(length)
    }

    /// One's complement sum of the ICMP message with `quoted` bytes of quote, its checksum taken for zero.
    #[inline(always)]
    pub fn sum(&self, quoted: usize) -> Result<u32, DropReason> {
        let ErrorHeader { kind, code, rest, .. } = &self.icmp;
        let header = u16::from_be_bytes([*kind, *code]) as u32 + words(rest);
        let mut left = (quoted + 3) & !3;
        let mut sum = 0;
        for chunk in self.quote.as_flattened().chunks(CHUNK) {
            if left == 0 {
                break;
            }
            let part = if left < chunk.len() { left } else { chunk.len() };
            sum = skb::checksum(chunk, part, sum)?;
            left -= part;
        }
        Ok(header + u16::from_be_bytes(fold(sum).to_ne_bytes()) as u32)
    }

    /// Makes the packet this message with `quoted` bytes of quote.
    #[inline(always)]
    pub fn replace(&self, skb: &mut Skb, quoted: usize) -> Result<(), DropReason> {
        let start = (&raw const self.ethernet).cast();
        // SAFETY: from the Ethernet header to the end of the quote there are bytes only, this many.
        let frame = unsafe { core::slice::from_raw_parts(start, Self::HEADERS + WORDS * 4) };
        skb.replace(frame, Self::HEADERS + quoted)
    }
}
