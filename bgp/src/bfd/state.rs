//! The states of a session, how it moves between them, and the reasons it gives (RFC 5880 sections 4.1 and 6.2).
//!
//! ```text
//!                          +--+
//!                          |  | UP, ADMIN DOWN, TIMER
//!                          |  V
//!                  DOWN  +------+  INIT
//!           +------------|      |------------+
//!           |            | DOWN |            |
//!           |  +-------->|      |<--------+  |
//!           |  |         +------+         |  |
//!           |  |    ADMIN DOWN,      ADMIN DOWN,
//!           |  |    TIMER              DOWN, |  |
//!           V  |                      TIMER  V  |
//!         +------+                      +------+
//!    +----|      |                      |      |----+
//!DOWN|    | INIT |--------------------->|  UP  |    |INIT, UP
//!    +--->|      | INIT, UP             |      |<---+
//!         +------+                      +------+
//! ```

use std::fmt;

/// State of one side's session, as it stands in packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// 0: held down by its administrator.
    AdminDown,
    /// 1: nothing is heard, or a failure was seen.
    Down,
    /// 2: the other side is heard and does not know it yet.
    Init,
    /// 3: each side hears the other.
    Up,
}

impl State {
    /// Of the lowest two bits.
    pub(super) const fn from_bits(bits: u8) -> Self {
        match bits & 3 {
            0 => Self::AdminDown,
            1 => Self::Down,
            2 => Self::Init,
            _ => Self::Up,
        }
    }

    pub(super) const fn bits(self) -> u8 {
        match self {
            Self::AdminDown => 0,
            Self::Down => 1,
            Self::Init => 2,
            Self::Up => 3,
        }
    }

    /// Where `stimulus` leads from here, with the reason to give; `None` if nowhere.
    pub(super) const fn step(self, stimulus: Stimulus) -> Option<Step> {
        use Stimulus::{Disabled, Enabled, Expired, Heard};
        let (state, diagnostic) = match (self, stimulus) {
            (Self::AdminDown, Heard(_) | Expired | Disabled) => return None,
            (Self::AdminDown, Enabled) => (Self::Down, Some(Diagnostic::None)),

            (Self::Down, Heard(Self::AdminDown | Self::Up) | Expired | Enabled) => return None,
            // What brought the session down is still worth telling.
            (Self::Down, Heard(Self::Down)) => (Self::Init, None),
            (Self::Down | Self::Init, Heard(Self::Init)) => (Self::Up, Some(Diagnostic::None)),

            (Self::Init, Heard(Self::Down) | Enabled) => return None,
            (Self::Init, Heard(Self::Up)) => (Self::Up, Some(Diagnostic::None)),
            (Self::Init, Heard(Self::AdminDown)) => (Self::Down, Some(Diagnostic::NeighborSignaledDown)),

            (Self::Up, Heard(Self::Init | Self::Up) | Enabled) => return None,
            (Self::Up, Heard(Self::AdminDown | Self::Down)) => {
                (Self::Down, Some(Diagnostic::NeighborSignaledDown))
            }

            (Self::Init | Self::Up, Expired) => (Self::Down, Some(Diagnostic::ControlDetectionTimeExpired)),
            (Self::Down | Self::Init | Self::Up, Disabled) => {
                (Self::AdminDown, Some(Diagnostic::AdministrativelyDown))
            }
        };
        Some(Step { state, diagnostic })
    }
}

impl fmt::Display for State {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::AdminDown => "AdminDown",
            Self::Down => "Down",
            Self::Init => "Init",
            Self::Up => "Up",
        })
    }
}

/// What can move a session to another state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stimulus {
    /// A packet came, and the other side's session is in this state.
    Heard(State),
    /// None came for the detection time.
    Expired,
    /// The administrator takes the session down.
    Disabled,
    /// The administrator no longer holds it down.
    Enabled,
}

/// A move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) state: State,
    /// The reason to give from now on, if not the one before.
    pub(super) diagnostic: Option<Diagnostic>,
}

/// Why a session last changed its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Diagnostic {
    /// 0
    None,
    /// 1: no packet came for the detection time.
    ControlDetectionTimeExpired,
    /// 2
    EchoFunctionFailed,
    /// 3: the other side said that it is down.
    NeighborSignaledDown,
    /// 4
    ForwardingPlaneReset,
    /// 5
    PathDown,
    /// 6
    ConcatenatedPathDown,
    /// 7
    AdministrativelyDown,
    /// 8
    ReverseConcatenatedPathDown,
    /// 9 to 31, without a meaning in RFC 5880. Higher values do not fit the field and do not come from packets.
    Other(u8),
}

impl Diagnostic {
    pub(super) const fn from_code(code: u8) -> Self {
        match code {
            0 => Self::None,
            1 => Self::ControlDetectionTimeExpired,
            2 => Self::EchoFunctionFailed,
            3 => Self::NeighborSignaledDown,
            4 => Self::ForwardingPlaneReset,
            5 => Self::PathDown,
            6 => Self::ConcatenatedPathDown,
            7 => Self::AdministrativelyDown,
            8 => Self::ReverseConcatenatedPathDown,
            other => Self::Other(other),
        }
    }

    /// The five bits of the field.
    pub(super) const fn code(self) -> u8 {
        match self {
            Self::None => 0,
            Self::ControlDetectionTimeExpired => 1,
            Self::EchoFunctionFailed => 2,
            Self::NeighborSignaledDown => 3,
            Self::ForwardingPlaneReset => 4,
            Self::PathDown => 5,
            Self::ConcatenatedPathDown => 6,
            Self::AdministrativelyDown => 7,
            Self::ReverseConcatenatedPathDown => 8,
            Self::Other(code) => code & 0x1f,
        }
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::None => "no diagnostic",
            Self::ControlDetectionTimeExpired => "control detection time expired",
            Self::EchoFunctionFailed => "echo function failed",
            Self::NeighborSignaledDown => "neighbor signaled session down",
            Self::ForwardingPlaneReset => "forwarding plane reset",
            Self::PathDown => "path down",
            Self::ConcatenatedPathDown => "concatenated path down",
            Self::AdministrativelyDown => "administratively down",
            Self::ReverseConcatenatedPathDown => "reverse concatenated path down",
            Self::Other(code) => return write!(out, "diagnostic {code}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::State::{AdminDown, Down, Init, Up};
    use super::Stimulus::{Disabled, Enabled, Expired, Heard};
    use super::*;

    /// Every state with every stimulus: the table of RFC 5880 section 6.8.6, 6.8.4 and 6.8.16, written out.
    #[test]
    fn every_pair() {
        let neighbor = Some(Diagnostic::NeighborSignaledDown);
        let expired = Some(Diagnostic::ControlDetectionTimeExpired);
        let administrator = Some(Diagnostic::AdministrativelyDown);
        let clear = Some(Diagnostic::None);
        let table = [
            (AdminDown, Heard(AdminDown), None),
            (AdminDown, Heard(Down), None),
            (AdminDown, Heard(Init), None),
            (AdminDown, Heard(Up), None),
            (AdminDown, Expired, None),
            (AdminDown, Disabled, None),
            (AdminDown, Enabled, Some((Down, clear))),
            (Down, Heard(AdminDown), None),
            (Down, Heard(Down), Some((Init, None))),
            (Down, Heard(Init), Some((Up, clear))),
            (Down, Heard(Up), None),
            (Down, Expired, None),
            (Down, Disabled, Some((AdminDown, administrator))),
            (Down, Enabled, None),
            (Init, Heard(AdminDown), Some((Down, neighbor))),
            (Init, Heard(Down), None),
            (Init, Heard(Init), Some((Up, clear))),
            (Init, Heard(Up), Some((Up, clear))),
            (Init, Expired, Some((Down, expired))),
            (Init, Disabled, Some((AdminDown, administrator))),
            (Init, Enabled, None),
            (Up, Heard(AdminDown), Some((Down, neighbor))),
            (Up, Heard(Down), Some((Down, neighbor))),
            (Up, Heard(Init), None),
            (Up, Heard(Up), None),
            (Up, Expired, Some((Down, expired))),
            (Up, Disabled, Some((AdminDown, administrator))),
            (Up, Enabled, None),
        ];
        assert_eq!(table.len(), 4 * 7);
        for (at, (state, stimulus, expected)) in table.iter().copied().enumerate() {
            let twice = table[..at].iter().any(|&(s, t, _)| (s, t) == (state, stimulus));
            assert!(!twice, "{state} {stimulus:?}");
            let expected = expected.map(|(state, diagnostic)| Step { state, diagnostic });
            assert_eq!(state.step(stimulus), expected, "{state} {stimulus:?}");
        }
    }

    #[test]
    fn codes_go_there_and_back() {
        for code in 0..32 {
            assert_eq!(Diagnostic::from_code(code).code(), code);
        }
        for bits in 0..4 {
            assert_eq!(State::from_bits(bits).bits(), bits);
        }
    }
}
