//! What the loaded programs say of a packet that nobody sent: it is put together here, and judged by a test run of the program
//! `judge`, with the tables that packets are judged by. Nothing is counted, and no connection starts.

use std::net::IpAddr;

use aya::programs::{SchedClassifier, TestRun as _, TestRunOptions};
use weft_dataplane_abi::{DropReason, Ruling, VtepAddr, trial};
use weft_policy::Direction;
use weft_vxlan::Vtep;

use crate::error::chain;
use crate::flows::{DecidedBy, RuleId};

/// `struct __sk_buff` of `linux/bpf.h`, which is all that a program may see of a packet's surroundings.
const CONTEXT: usize = 192;
/// Where the words are in it that are the programs' own.
const WORDS: usize = 48;
/// Bytes behind the IP header: as many as TCP's has.
const TRANSPORT: usize = 20;
/// Bytes of an IPv4 header without options.
const IPV4: u16 = 20;

/// A packet, and whose rules are asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trial {
    /// The port's name.
    pub port: String,
    /// Whether it gets the packet or sends it.
    pub direction: Direction,
    /// The packet's source.
    pub source: IpAddr,
    /// Its destination, of the same family.
    pub destination: IpAddr,
    /// IP protocol number.
    pub protocol: u8,
    /// The destination port of TCP, UDP and SCTP; type and code of ICMP and `ICMPv6`, the type in the higher byte.
    pub detail: u16,
    /// The host that it comes from; `None`: this one, or the packet is sent.
    pub from: Option<Vtep>,
}

/// What the programs say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// By its rules the port may send or get the packet, or may not.
    Judged {
        /// Whether it may.
        allowed: bool,
        /// Whether packets are judged one by one, rather than by the connection that they belong to.
        stateless: bool,
        /// What says so; `None` if it has changed since.
        by: Option<DecidedBy>,
    },
    /// It is dropped before rules are asked.
    Dropped(DropReason),
}

/// Why there is no verdict.
#[derive(Debug, thiserror::Error)]
pub enum TrialError {
    /// The port has no device.
    #[error("port {0} is not in the kernel; attach it, or see `weft status` for what keeps it out")]
    NoPort(String),
    /// There is no such packet.
    #[error("a packet from {from} to {to} cannot be made: {cause}")]
    Packet {
        /// Its source.
        from: IpAddr,
        /// Its destination.
        to: IpAddr,
        /// Why.
        cause: String,
    },
    /// The kernel did not run the program.
    #[error("the kernel does not run the program that judges: {0}")]
    Run(String),
    /// The data plane's thread has ended.
    #[error("the data plane has ended; weftd's log says why")]
    Gone,
}

/// What a program answered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answer {
    value: i32,
    policy: u32,
    rule: u32,
    stateless: bool,
}

/// Has `program` judge the packet by the rules of the port behind `ifindex`.
pub(crate) fn run(program: &SchedClassifier, ifindex: u32, of: &Trial) -> Result<Answer, TrialError> {
    let frame =
        frame(of).map_err(|cause| TrialError::Packet { from: of.source, to: of.destination, cause })?;
    let mut context = [0_u8; CONTEXT];
    let port = if of.direction == Direction::Ingress { ifindex | trial::FROM_PEER } else { ifindex };
    let words = &mut context[WORDS..];
    words[..4].copy_from_slice(&port.to_ne_bytes());
    words[4..20].copy_from_slice(&of.from.map_or(VtepAddr::NONE, VtepAddr::new).bytes());
    let mut left = [0_u8; CONTEXT];
    let options = TestRunOptions {
        data_in: Some(&frame),
        ctx_in: Some(&context),
        ctx_out: Some(&mut left),
        ..TestRunOptions::new()
    };
    let result = program.test_run(options).map_err(|error| TrialError::Run(chain(&error)))?;
    let [policy, rule, stateless] = [0, 1, 2].map(|word| word_of(&left, word));
    Ok(Answer { value: result.return_value.cast_signed(), policy, rule, stateless: stateless != 0 })
}

fn word_of(context: &[u8; CONTEXT], word: usize) -> u32 {
    let at = WORDS + 4 * word;
    context.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_ne_bytes)
}

impl Answer {
    /// In words. `name` tells what a rule's number stands for.
    pub(crate) fn verdict(
        self,
        direction: Direction,
        name: impl FnOnce(RuleId) -> Option<DecidedBy>,
    ) -> Result<Verdict, TrialError> {
        let by = |rule| match rule {
            Ruling::DEFAULT => Some(DecidedBy { direction, rule: None }),
            rule => name(RuleId::new(self.policy, rule)),
        };
        match self.value {
            trial::ALLOWED | trial::DENIED => Ok(Verdict::Judged {
                allowed: self.value == trial::ALLOWED,
                stateless: self.stateless,
                by: by(self.rule),
            }),
            other => {
                let reason =
                    DropReason::ALL.into_iter().find(|reason| *reason as i32 + trial::UNJUDGED == other);
                reason.map(Verdict::Dropped).ok_or_else(|| TrialError::Run(format!("it answered {other}")))
            }
        }
    }
}

/// The packet, with as much behind the IP header as rules look at. Put together by hand: a builder that knows extension headers
/// wants to see them where the protocol is the number of one.
fn frame(of: &Trial) -> Result<Vec<u8>, String> {
    let mut transport = [0_u8; TRANSPORT];
    // Source port and destination port; type and code.
    let at = if matches!(of.protocol, 6 | 17 | 132) { 2 } else { 0 };
    transport[at..at + 2].copy_from_slice(&of.detail.to_be_bytes());
    let length = u16::try_from(TRANSPORT).map_err(|error| error.to_string())?;
    let mut frame = vec![0; 12];
    match (of.source, of.destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            frame.extend(0x0800_u16.to_be_bytes());
            // Version and header length; no fragment; TTL 64. Its checksum is not looked at.
            frame.extend([0x45, 0]);
            frame.extend((IPV4 + length).to_be_bytes());
            frame.extend([0, 0, 0, 0, 64, of.protocol, 0, 0]);
            frame.extend(source.octets());
            frame.extend(destination.octets());
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            frame.extend(0x86dd_u16.to_be_bytes());
            frame.extend([0x60, 0, 0, 0]);
            frame.extend(length.to_be_bytes());
            frame.extend([of.protocol, 64]);
            frame.extend(source.octets());
            frame.extend(destination.octets());
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => {
            return Err("one is of IPv4, the other of IPv6".to_owned());
        }
    }
    frame.extend(transport);
    Ok(frame)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trial(source: &str, destination: &str) -> Trial {
        Trial {
            port: "web".to_owned(),
            direction: Direction::Ingress,
            source: source.parse().unwrap(),
            destination: destination.parse().unwrap(),
            protocol: 6,
            detail: 443,
            from: None,
        }
    }

    #[test]
    fn a_packet_of_either_family_with_its_port() {
        let four = frame(&trial("10.0.0.1", "10.0.0.2")).unwrap();
        assert_eq!(
            (four.len(), four[23], &four[30..34], &four[36..38]),
            (54, 6, &[10, 0, 0, 2][..], &[1, 187][..])
        );
        let six = frame(&Trial { protocol: 58, detail: 0x8000, ..trial("fd00::1", "fd00::2") }).unwrap();
        assert_eq!((six.len(), six[20], &six[54..56]), (74, 58, &[0x80, 0][..]));
        assert!(frame(&trial("10.0.0.1", "fd00::2")).unwrap_err().contains("IPv6"));
        for protocol in 0..=u8::MAX {
            for (source, destination) in [("10.0.0.1", "10.0.0.2"), ("fd00::1", "fd00::2")] {
                assert!(frame(&Trial { protocol, ..trial(source, destination) }).is_ok(), "{protocol}");
            }
        }
    }

    #[test]
    fn every_answer_has_its_words() {
        let answer = |value| Answer { value, policy: 4, rule: Ruling::DEFAULT, stateless: false };
        let verdict = |value| answer(value).verdict(Direction::Egress, |_| None);
        let by = Some(DecidedBy { direction: Direction::Egress, rule: None });
        let denied = Verdict::Judged { allowed: false, stateless: false, by };
        assert_eq!(verdict(trial::DENIED).unwrap(), denied);
        let malformed = trial::UNJUDGED + DropReason::Malformed as i32;
        assert_eq!(verdict(malformed).unwrap(), Verdict::Dropped(DropReason::Malformed));
        assert!(verdict(7).is_err());
    }
}
