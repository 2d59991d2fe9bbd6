//! TCP as far as a firewall without windows can follow it (RFC 9293 section 3.3.2): strict in what opens a connection, and
//! in who may end it.
//!
//! Sequence numbers are not looked at, so a packet of an open connection is believed. A RST that a third party forged is
//! undone by the next packet of the side that it was forged for: that side has not aborted anything. One side alone never
//! brings a connection further than to ask for it.

use super::{Flow, Phase, Side, Step};

/// Bits of the flags octet (RFC 9293 section 3.1).
pub mod flags {
    /// No more data from the sender.
    pub const FIN: u8 = 0x01;
    /// Synchronize sequence numbers.
    pub const SYN: u8 = 0x02;
    /// Reset the connection.
    pub const RST: u8 = 0x04;
    /// The acknowledgment field is significant.
    pub const ACK: u8 = 0x10;
}

const DECISIVE: u8 = flags::FIN | flags::SYN | flags::RST | flags::ACK;
/// In the place of a side.
const NOBODY: u8 = 2;
const SYN_ACK: u8 = flags::SYN | flags::ACK;

/// Whether a segment asks for a connection: SYN, and nothing that speaks against it.
#[inline(always)]
pub(super) const fn asks(flags: u8) -> bool {
    flags & DECISIVE == flags::SYN
}

/// Whether a segment contradicts itself: no stack sends it.
#[inline(always)]
const fn is_nonsense(flags: u8) -> bool {
    let kind = flags & DECISIVE;
    // Of SYN, FIN and RST at most one; and one of them or ACK.
    kind == 0
        || kind & (flags::SYN | flags::FIN) == flags::SYN | flags::FIN
        || kind & (flags::SYN | flags::RST) == flags::SYN | flags::RST
        || kind & (flags::FIN | flags::RST) == flags::FIN | flags::RST
        || kind == flags::FIN
}

impl Flow {
    #[inline(always)]
    pub(super) fn advance_tcp(&mut self, flags: u8, side: Side, now: u32) -> Step {
        let phase = self.phase();
        if is_nonsense(flags) || phase == Phase::Revoked {
            return Step::Invalid;
        }
        let from_starter = side as u8 == self.starter;
        if flags & flags::RST != 0 {
            // What was only asked for has no other state to come back to.
            self.closer = match phase {
                Phase::Single | Phase::Opening => NOBODY,
                Phase::Reset | Phase::Revoked => self.closer,
                Phase::Agreed | Phase::Open | Phase::HalfClosed | Phase::Closed => side as u8,
            };
            self.phase = Phase::Reset as u8;
            self.seen = now;
            return Step::Belongs;
        }
        let next = match phase {
            // Ports are used again; whoever asks is judged for itself.
            Phase::Closed | Phase::Reset if asks(flags) => return Step::Starts,
            Phase::Opening | Phase::Single => match (flags & DECISIVE, from_starter) {
                (flags::SYN, true) => Phase::Opening,
                // Both ask at the same time (RFC 9293 section 3.5).
                (flags::SYN, false) => {
                    self.closer = side as u8;
                    Phase::Opening
                }
                (SYN_ACK, false) => Phase::Agreed,
                (SYN_ACK, true) if self.closer != self.starter => Phase::Agreed,
                // The other side still has an older connection, and says so (RFC 5961 section 4).
                (flags::ACK, false) => Phase::Opening,
                _ => return Step::Invalid,
            },
            Phase::Agreed => match (flags & DECISIVE, from_starter) {
                (flags::ACK, true) => Phase::Open,
                (kind, _) if kind & flags::FIN != 0 => return self.close(side, now),
                _ => Phase::Agreed,
            },
            Phase::Open | Phase::HalfClosed if flags & flags::FIN != 0 => return self.close(side, now),
            Phase::Open => Phase::Open,
            Phase::HalfClosed => Phase::HalfClosed,
            // Late packets; they keep nothing open.
            Phase::Closed => return Step::Belongs,
            // Who has aborted sends nothing more: then it was somebody else.
            Phase::Reset if side as u8 == self.closer => Phase::Open,
            Phase::Reset => return Step::Belongs,
            Phase::Revoked => return Step::Invalid,
        };
        self.phase = next as u8;
        self.seen = now;
        Step::Belongs
    }

    /// A side has nothing more to send.
    #[inline(always)]
    fn close(&mut self, side: Side, now: u32) -> Step {
        let both = self.phase() == Phase::HalfClosed && self.closer != side as u8;
        self.phase = if both { Phase::Closed as u8 } else { Phase::HalfClosed as u8 };
        if !both {
            self.closer = side as u8;
        }
        self.seen = now;
        Step::Belongs
    }
}
