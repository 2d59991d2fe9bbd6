//! The BFD control packet (RFC 5880 section 4.1), with those checks of section 6.8.6 that need no session.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |Vers |  Diag   |Sta|P|F|C|A|D|M|  Detect Mult  |    Length     |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                       My Discriminator                        |
//! |                      Your Discriminator                       |
//! |                    Desired Min TX Interval                    |
//! |                   Required Min RX Interval                    |
//! |                 Required Min Echo RX Interval                 |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```

use std::num::{NonZeroU8, NonZeroU32};

use super::interval::Interval;
use super::state::{Diagnostic, State};

/// Bytes of a packet without authentication.
pub const PACKET_LEN: usize = 24;

const VERSION: u8 = 1;
const POLL: u8 = 0x20;
const FINAL: u8 = 0x10;
const CONTROL_PLANE_INDEPENDENT: u8 = 0x08;
const AUTHENTICATION: u8 = 0x04;
const DEMAND: u8 = 0x02;
const MULTIPOINT: u8 = 0x01;

/// What one side tells the other. Authentication is not spoken: such packets are refused by [`Packet::decode`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet {
    /// Why the sender's session last changed its state.
    pub diagnostic: Diagnostic,
    /// State of the sender's session.
    pub state: State,
    /// P: the sender wants a packet with F at once.
    pub poll: bool,
    /// F: the answer to P.
    pub final_: bool,
    /// C: the sender's BFD does not share fate with its control plane.
    pub control_plane_independent: bool,
    /// D: the sender wants no periodic packets while both sides are Up.
    pub demand: bool,
    /// So many of the sender's packets must be missed in a row before its session counts as down.
    pub detect_multiplier: NonZeroU8,
    /// The sender's name for the session.
    pub my_discriminator: NonZeroU32,
    /// The receiver's name for the session, once the sender knows it.
    pub your_discriminator: Option<NonZeroU32>,
    /// The sender will not send faster than this.
    pub desired_min_tx: Interval,
    /// The sender does not want to receive faster than this; zero: it wants no periodic packets.
    pub required_min_rx: Interval,
    /// The sender does not want to receive echo packets faster than this; zero: none at all.
    pub required_min_echo_rx: Interval,
}

/// Why a packet is discarded before any session is looked for (RFC 5880 section 6.8.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum PacketError {
    /// The datagram ends before the mandatory section does.
    #[error("it has {0} bytes, and a BFD control packet has 24 at least")]
    Short(usize),
    /// Another version than 1.
    #[error("it is of BFD version {0}, and 1 is spoken here")]
    Version(u8),
    /// Length is below what the packet must have, or above what the datagram has.
    #[error("its length field is {0}, which it cannot have")]
    Length(u8),
    /// Detect Mult is zero.
    #[error("its detection multiplier is zero")]
    DetectMultiplier,
    /// M is set: reserved for point to multipoint.
    #[error("it is multipoint")]
    Multipoint,
    /// My Discriminator is zero.
    #[error("its sender's discriminator is zero")]
    MyDiscriminator,
    /// Your Discriminator is zero though the sender must know it in this state.
    #[error("it is {0}, yet names no session of ours")]
    YourDiscriminator(State),
    /// A is set, and no session here uses authentication.
    #[error("it is authenticated, and authentication is not in use")]
    Authentication,
}

impl PacketError {
    /// A name to count by.
    pub(super) const fn reason(&self) -> &'static str {
        match self {
            Self::Short(_) => "short",
            Self::Version(_) => "version",
            Self::Length(_) => "length",
            Self::DetectMultiplier => "detect_multiplier",
            Self::Multipoint => "multipoint",
            Self::MyDiscriminator => "my_discriminator",
            Self::YourDiscriminator(_) => "your_discriminator",
            Self::Authentication => "authentication",
        }
    }
}

impl Packet {
    /// Reads the packet at the start of a datagram. Bytes after its own length are ignored.
    ///
    /// # Errors
    /// [`PacketError`]: the packet must be discarded, without an answer.
    pub fn decode(bytes: &[u8]) -> Result<Self, PacketError> {
        let Some(packet) = bytes.first_chunk::<PACKET_LEN>() else {
            return Err(PacketError::Short(bytes.len()));
        };
        let word =
            |at: usize| u32::from_be_bytes([packet[at], packet[at + 1], packet[at + 2], packet[at + 3]]);
        let [first, flags, multiplier, length, ..] = *packet;
        let has = |flag: u8| flags & flag != 0;
        if first >> 5 != VERSION {
            return Err(PacketError::Version(first >> 5));
        }
        // An authentication section has a type and a length at least.
        let min_len = if has(AUTHENTICATION) { PACKET_LEN + 2 } else { PACKET_LEN };
        if usize::from(length) < min_len || usize::from(length) > bytes.len() {
            return Err(PacketError::Length(length));
        }
        let detect_multiplier = NonZeroU8::new(multiplier).ok_or(PacketError::DetectMultiplier)?;
        if has(MULTIPOINT) {
            return Err(PacketError::Multipoint);
        }
        let my_discriminator = NonZeroU32::new(word(4)).ok_or(PacketError::MyDiscriminator)?;
        let your_discriminator = NonZeroU32::new(word(8));
        let state = State::from_bits(flags >> 6);
        if your_discriminator.is_none() && matches!(state, State::Init | State::Up) {
            return Err(PacketError::YourDiscriminator(state));
        }
        if has(AUTHENTICATION) {
            return Err(PacketError::Authentication);
        }
        Ok(Self {
            diagnostic: Diagnostic::from_code(first & 0x1f),
            state,
            poll: has(POLL),
            final_: has(FINAL),
            control_plane_independent: has(CONTROL_PLANE_INDEPENDENT),
            demand: has(DEMAND),
            detect_multiplier,
            my_discriminator,
            your_discriminator,
            desired_min_tx: Interval::from_micros(word(12)),
            required_min_rx: Interval::from_micros(word(16)),
            required_min_echo_rx: Interval::from_micros(word(20)),
        })
    }

    /// The bytes of the packet, for the payload of a datagram.
    #[must_use]
    pub fn encode(&self) -> [u8; PACKET_LEN] {
        let flag = |set: bool, flag: u8| if set { flag } else { 0 };
        let mut bytes = [0; PACKET_LEN];
        bytes[0] = (VERSION << 5) | self.diagnostic.code();
        bytes[1] = (self.state.bits() << 6)
            | flag(self.poll, POLL)
            | flag(self.final_, FINAL)
            | flag(self.control_plane_independent, CONTROL_PLANE_INDEPENDENT)
            | flag(self.demand, DEMAND);
        bytes[2] = self.detect_multiplier.get();
        bytes[3] = 24;
        let words = [
            self.my_discriminator.get(),
            self.your_discriminator.map_or(0, NonZeroU32::get),
            self.desired_min_tx.micros(),
            self.required_min_rx.micros(),
            self.required_min_echo_rx.micros(),
        ];
        for (place, word) in bytes[4..].chunks_exact_mut(4).zip(words) {
            place.copy_from_slice(&word.to_be_bytes());
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Up, no flags, 3 × 100 ms, echo 50 ms.
    const UP: [u8; 24] = [
        0x20, 0xc0, 3, 24, 0x0a, 0x0b, 0x0c, 0x0d, 0, 0, 0, 7, 0, 1, 0x86, 0xa0, 0, 1, 0x86, 0xa0, 0, 0,
        0xc3, 0x50,
    ];

    fn up() -> Packet {
        Packet {
            diagnostic: Diagnostic::None,
            state: State::Up,
            poll: false,
            final_: false,
            control_plane_independent: false,
            demand: false,
            detect_multiplier: NonZeroU8::new(3).unwrap(),
            my_discriminator: NonZeroU32::new(0x0a0b_0c0d).unwrap(),
            your_discriminator: NonZeroU32::new(7),
            desired_min_tx: Interval::from_micros(100_000),
            required_min_rx: Interval::from_micros(100_000),
            required_min_echo_rx: Interval::from_micros(50_000),
        }
    }

    fn with(changes: &[(usize, u8)]) -> Vec<u8> {
        let mut bytes = UP.to_vec();
        for &(at, byte) in changes {
            bytes[at] = byte;
        }
        bytes
    }

    #[test]
    fn bytes_and_values() {
        let down = Packet { state: State::Down, your_discriminator: None, ..up() };
        let vectors = [
            (with(&[]), up()),
            (with(&[(0, 0x21)]), Packet { diagnostic: Diagnostic::ControlDetectionTimeExpired, ..up() }),
            (with(&[(0, 0x3f)]), Packet { diagnostic: Diagnostic::Other(31), ..up() }),
            (with(&[(1, 0xe0)]), Packet { poll: true, ..up() }),
            (with(&[(1, 0xd0)]), Packet { final_: true, ..up() }),
            (with(&[(1, 0xca)]), Packet { control_plane_independent: true, demand: true, ..up() }),
            (with(&[(1, 0x80)]), Packet { state: State::Init, ..up() }),
            (with(&[(1, 0x40), (11, 0)]), down),
            (with(&[(1, 0x00), (11, 0)]), Packet { state: State::AdminDown, ..down }),
        ];
        for (bytes, packet) in vectors {
            assert_eq!(Packet::decode(&bytes), Ok(packet));
            assert_eq!(packet.encode()[..], bytes);
        }
    }

    #[test]
    fn what_is_discarded() {
        let mut authenticated = with(&[(1, 0xc4), (3, 26)]);
        authenticated.extend([1, 2]);
        let cases = [
            (with(&[(0, 0x00)]), PacketError::Version(0)),
            (with(&[(0, 0x40)]), PacketError::Version(2)),
            (with(&[(3, 23)]), PacketError::Length(23)),
            (with(&[(3, 25)]), PacketError::Length(25)),
            (with(&[(1, 0xc4)]), PacketError::Length(24)),
            (with(&[(2, 0)]), PacketError::DetectMultiplier),
            (with(&[(1, 0xc1)]), PacketError::Multipoint),
            (with(&[(4, 0), (5, 0), (6, 0), (7, 0)]), PacketError::MyDiscriminator),
            (with(&[(11, 0)]), PacketError::YourDiscriminator(State::Up)),
            (with(&[(1, 0x80), (11, 0)]), PacketError::YourDiscriminator(State::Init)),
            (authenticated, PacketError::Authentication),
        ];
        for (bytes, error) in cases {
            assert_eq!(Packet::decode(&bytes), Err(error), "{bytes:02x?}");
        }
        for len in 0..PACKET_LEN {
            assert_eq!(Packet::decode(&UP[..len]), Err(PacketError::Short(len)));
        }
    }

    #[test]
    fn what_follows_the_packet_is_ignored() {
        let mut bytes = with(&[]);
        bytes.extend([0xff; 9]);
        assert_eq!(Packet::decode(&bytes), Ok(up()));
    }

    proptest! {
        /// No bytes panic, and what is understood comes out again as it went in.
        #[test]
        fn any_bytes(mut bytes in prop::collection::vec(any::<u8>(), 0..40), plausible: bool) {
            if plausible && bytes.len() >= PACKET_LEN {
                bytes[0] = (bytes[0] & 0x1f) | 0x20;
                bytes[1] &= !(AUTHENTICATION | MULTIPOINT);
                bytes[3] = 24;
            }
            if let Ok(packet) = Packet::decode(&bytes) {
                prop_assert_eq!(Packet::decode(&packet.encode()), Ok(packet));
                if bytes[3] == 24 {
                    prop_assert_eq!(&packet.encode()[..], &bytes[..PACKET_LEN]);
                }
            }
        }
    }
}
