//! The packet path once more, in plain Rust: from the facts of a world and the bytes of a frame to what must become of it.
//!
//! It is written from the documents (docs/ARCHITECTURE.md, docs/design/datapath.md, docs/reference/drop-reasons.md) and the
//! RFCs, on slices and lists. It shares with the programs the names of the drop reasons and nothing else, so that the two
//! can disagree.

pub mod checksum;
pub mod facts;
pub mod frame;
pub mod xdp;

mod bridge;
mod encapsulate;
mod extension_headers;
mod flood;
mod from_pod;
mod from_underlay;
mod from_vxlan;
mod gateway;
mod icmp_error;
mod neighbours;
mod outer;
mod parse;
mod path_mtu;
mod tunnelled;
mod underlay_mtu;

use std::net::IpAddr;

use weft_dataplane_abi::{DropReason, Place};

use facts::Facts;
use frame::Frame;

pub use parse::Family;

/// A MAC address.
pub type Mac = [u8; 6];

/// A frame, and what the kernel says beside it.
#[derive(Debug, Clone, PartialEq)]
pub struct Arrival {
    /// The program that it meets.
    pub place: Place,
    /// The device that it came by.
    pub ifindex: u32,
    pub frame: Vec<u8>,
    /// Payload of each segment of a super-packet; 0: it is none.
    pub gso_size: u32,
    /// From where the kernel's vxlan device had it.
    pub tunnel: Option<TunnelKey>,
}

/// What the kernel's vxlan device took off.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TunnelKey {
    pub local: IpAddr,
    pub remote: IpAddr,
    pub vni: u32,
}

/// What becomes of a frame.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// On to the host's stack, looking like this.
    Pass(Frame),
    Drop(DropReason),
    /// Answered: this goes back.
    Reply(Frame),
    /// This goes into the port with this slot.
    Deliver {
        slot: u32,
        frame: Frame,
    },
    /// This goes to another host: with its outer headers, or without them through the kernel's vxlan device.
    Transmit(Frame),
    /// Dropped, and this tells the sender: a port of this host, or through the tunnel.
    Answer {
        reason: DropReason,
        frame: Frame,
        to_port: bool,
    },
    /// Copied to the ports with these slots, and to so many VTEPs.
    Copied {
        slots: Vec<u32>,
        vteps: u64,
    },
}

/// A verdict, or why there is none but a drop.
type Judgement = Result<Verdict, DropReason>;

/// What must become of a frame.
pub fn judge(facts: &Facts, arrival: &Arrival) -> Verdict {
    let judgement = match arrival.place {
        Place::Pod => from_pod::judge(facts, arrival),
        Place::Underlay => from_underlay::judge(facts, arrival),
        Place::Vxlan => from_vxlan::judge(facts, arrival),
        Place::Guard => Err(DropReason::ProgramMissing),
        Place::XdpGuard => xdp::guard(facts, arrival),
        Place::XdpForward => xdp::forward(facts, arrival),
    };
    judgement.unwrap_or_else(Verdict::Drop)
}

/// The port that whatever becomes of the frame is counted for; 0: none.
pub fn slot_of(facts: &Facts, arrival: &Arrival) -> u32 {
    match arrival.place {
        Place::Pod | Place::Guard => facts.port(arrival.ifindex).map_or(0, |port| port.slot),
        Place::Underlay | Place::Vxlan | Place::XdpGuard | Place::XdpForward => 0,
    }
}

/// Whether the daemon must be told to look at the ways to other hosts.
pub fn is_path_mtu_news(facts: &Facts, arrival: &Arrival) -> bool {
    arrival.place == Place::Underlay && underlay_mtu::is_news(facts, arrival)
}
