//! A message while it is built, outside of the packet that it is about: headers, and as much of that packet as the
//! standards want quoted.

use weft_dataplane_abi::DropReason;

use crate::checksum::fold;
use crate::headers::{ETHERNET_LEN, Ethernet, Ipv4, Ipv6, protocol};
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
        // The last word may be filled in part. Which one that is, is checked where the verifier sees it, though it cannot
        // fail: the compiler may have put the length away before the tests above.
        let last = core::hint::black_box(length / 4);
        *self.quote.get_mut(last).ok_or(DropReason::Malformed)? = [0; 4];
        skb.read(ETHERNET_LEN as u32, self.quote.as_flattened_mut(), length)?;
        Ok(length)
    }

    /// Makes the packet as long as this message with `quoted` bytes of quote, of which `transport` is the protocol right
    /// behind the IP header.
    #[inline(always)]
    pub fn make_room(&mut self, skb: &mut Skb, quoted: usize, transport: u8) -> Result<(), DropReason> {
        if skb.make_room((Self::HEADERS + quoted) as u32)? {
            return Ok(());
        }
        match transport {
            protocol::TCP => self.settle(quoted, size_of::<Ip>() + 16),
            protocol::UDP => self.settle(quoted, size_of::<Ip>() + 6),
            _ => Ok(()),
        }
    }

    /// Gives the quoted transport header, whose checksum is at `checksum`, the one value that the kernel leaves as it is
    /// should it fill that checksum in yet: the sum over the quote then stays right. Filled in, it is x = -(s + x), s
    /// being the sum of all from the transport header on. So x is half of -s: in one's complement, a rotation.
    #[inline(always)]
    fn settle(&mut self, quoted: usize, checksum: usize) -> Result<(), DropReason> {
        self.set(checksum, [0; 2]);
        let transport = size_of::<Ip>();
        let sum = self.sum(Self::HEADERS + transport, quoted.saturating_sub(transport))?;
        self.set(checksum, (!sum).rotate_right(1).to_be_bytes());
        Ok(())
    }

    #[inline(always)]
    fn set(&mut self, at: usize, bytes: [u8; 2]) {
        let word = &mut self.quote[at / 4];
        word[at % 4] = bytes[0];
        word[at % 4 + 1] = bytes[1];
    }

    /// One's complement sum of the IP header's bytes from `from` on, which are a multiple of four.
    #[inline(always)]
    pub fn sum_of_ip(&self, from: usize) -> Result<u16, DropReason> {
        self.sum(ETHERNET_LEN + from, size_of::<Ip>() - from)
    }

    /// One's complement sum of the ICMP message with `quoted` bytes of quote.
    #[inline(always)]
    pub fn sum_of_icmp(&self, quoted: usize) -> Result<u16, DropReason> {
        self.sum(ETHERNET_LEN + size_of::<Ip>(), size_of::<ErrorHeader>() + quoted)
    }

    /// One's complement sum of `length` bytes of the frame from `from` on, and of those up to a multiple of four, which
    /// are zero behind the quote.
    #[inline(always)]
    fn sum(&self, from: usize, length: usize) -> Result<u16, DropReason> {
        let mut left = (length + 3) & !3;
        let mut sum = 0;
        for chunk in self.bytes()[from..].chunks(CHUNK) {
            if left == 0 {
                break;
            }
            let part = if left < chunk.len() { left } else { chunk.len() };
            sum = skb::checksum(chunk, part, sum)?;
            left -= part;
        }
        Ok(u16::from_be_bytes(fold(sum).to_ne_bytes()))
    }

    /// Writes this message with `quoted` bytes of quote over the packet.
    #[inline(always)]
    pub fn write(&self, skb: &mut Skb, quoted: usize) -> Result<(), DropReason> {
        skb.write(self.bytes(), Self::HEADERS + quoted)
    }

    #[inline(always)]
    fn bytes(&self) -> &[u8] {
        let start = (&raw const self.ethernet).cast();
        // SAFETY: from the Ethernet header to the end of the quote there are bytes only, this many.
        unsafe { core::slice::from_raw_parts(start, Self::HEADERS + WORDS * 4) }
    }
}
