//! A verdict as one number, for functions that are not inlined: the kernel wants them to answer a number, and the compiler
//! moves about what an enumeration does not have, which the kernel's verifier takes for a fault.

use weft_dataplane_abi::DropReason;

use crate::flood::Reach;
use crate::icmp_error::Refusal;
use crate::ip::Version;
use crate::subprogram;
use crate::verdict::{Action, Verdict};

/// From the lowest bit: 32 of an interface index or an MTU, 24 of a slot or a reason, one flag, and what it is.
#[derive(Clone, Copy)]
pub struct Outcome(u64);

const PASS: u64 = 0;
const REPLY: u64 = 1;
const DELIVER: u64 = 2;
const TRANSMIT: u64 = 3;
const FLOOD: u64 = 4;
const TOO_BIG: u64 = 5;
const TIME_EXCEEDED: u64 = 6;
const PORT_UNREACHABLE: u64 = 7;
const ANSWER: u64 = 8;
const UNANSWERED: u64 = 9;
const COPIED: u64 = 10;
const DROP: u64 = 11;
/// No verdict yet: a packet that may go on.
const IPV4: u64 = 12;
const IPV6: u64 = 13;

const fn pack(kind: u64, number: u32, other: u32, flag: bool) -> u64 {
    kind << 57 | (flag as u64) << 56 | (other as u64 & 0xff_ffff) << 32 | number as u64
}

impl Outcome {
    /// What a stage decided.
    #[inline(always)]
    pub fn of(verdict: Verdict) -> Self {
        Self(match verdict {
            Ok(Action::Pass) => pack(PASS, 0, 0, false),
            Ok(Action::Reply) => pack(REPLY, 0, 0, false),
            Ok(Action::Deliver { ifindex, slot, firewalled }) => pack(DELIVER, ifindex, slot, firewalled),
            Ok(Action::Transmit { ifindex }) => pack(TRANSMIT, ifindex, 0, false),
            Ok(Action::Flood { reach, reason }) => pack(FLOOD, 0, reason as u32, reach == Reach::All),
            Ok(Action::Refuse(Refusal::TooBig { mtu })) => pack(TOO_BIG, mtu, 0, false),
            Ok(Action::Refuse(Refusal::TimeExceeded)) => pack(TIME_EXCEEDED, 0, 0, false),
            Ok(Action::Refuse(Refusal::PortUnreachable)) => pack(PORT_UNREACHABLE, 0, 0, false),
            Ok(Action::Answer { reason, ifindex }) => pack(ANSWER, ifindex, reason as u32, false),
            Ok(Action::Unanswered { reason }) => pack(UNANSWERED, 0, reason as u32, false),
            Ok(Action::Copied) => pack(COPIED, 0, 0, false),
            Err(reason) => pack(DROP, 0, reason as u32, false),
        })
    }

    /// A drop.
    #[inline(always)]
    pub fn drop(reason: DropReason) -> Self {
        Self(pack(DROP, 0, reason as u32, false))
    }

    /// A packet that may go on.
    #[inline(always)]
    pub fn packet(version: Version) -> Self {
        let kind = if version == Version::V4 { IPV4 } else { IPV6 };
        Self(pack(kind, 0, 0, false))
    }

    /// The version, if it may go on.
    #[inline(always)]
    pub fn version(self) -> Option<Version> {
        match self.0 >> 57 {
            IPV4 => Some(Version::V4),
            IPV6 => Some(Version::V6),
            _ => None,
        }
    }

    /// Where it goes, if a port of this host gets it that judges it first.
    #[inline(always)]
    pub fn firewalled(self) -> Option<(u32, u32)> {
        let judged = self.0 >> 56 == DELIVER << 1 | 1;
        judged.then_some((self.number(), self.other()))
    }

    /// What was decided.
    #[inline(always)]
    pub fn verdict(self) -> Verdict {
        let (ifindex, flag) = (self.number(), self.0 >> 56 & 1 != 0);
        match self.0 >> 57 {
            PASS => Ok(Action::Pass),
            REPLY => Ok(Action::Reply),
            DELIVER => Ok(Action::Deliver { ifindex, slot: self.other(), firewalled: flag }),
            TRANSMIT => Ok(Action::Transmit { ifindex }),
            FLOOD => {
                let reach = if flag { Reach::All } else { Reach::OtherHosts };
                Ok(Action::Flood { reach, reason: self.reason() })
            }
            TOO_BIG => Ok(Action::Refuse(Refusal::TooBig { mtu: self.number() })),
            TIME_EXCEEDED => Ok(Action::Refuse(Refusal::TimeExceeded)),
            PORT_UNREACHABLE => Ok(Action::Refuse(Refusal::PortUnreachable)),
            ANSWER => Ok(Action::Answer { reason: self.reason(), ifindex }),
            UNANSWERED => Ok(Action::Unanswered { reason: self.reason() }),
            COPIED => Ok(Action::Copied),
            _ => Err(self.reason()),
        }
    }

    /// As a function answers it.
    #[inline(always)]
    pub fn number_of(self) -> u64 {
        self.0
    }

    /// What a function answered.
    #[inline(always)]
    pub fn answered(number: u64) -> Self {
        Self(number)
    }

    #[inline(always)]
    fn number(self) -> u32 {
        self.0 as u32
    }

    #[inline(always)]
    fn other(self) -> u32 {
        (self.0 >> 32) as u32 & 0xff_ffff
    }

    #[inline(always)]
    fn reason(self) -> DropReason {
        subprogram::reason(self.other())
    }
}
