//! How far a connection is.

/// How far a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Phase {
    /// Only one side has sent; not of TCP.
    Single = 0,
    /// TCP: one side has asked (SYN).
    Opening = 1,
    /// TCP: the other side has agreed (SYN and ACK).
    Agreed = 2,
    /// Both sides send.
    Open = 3,
    /// TCP: one side has nothing more to send (FIN).
    HalfClosed = 4,
    /// TCP: neither has.
    Closed = 5,
    /// TCP: one side has aborted it (RST).
    Reset = 6,
    /// The rules do not allow it any more.
    Revoked = 7,
}

impl Phase {
    /// The phase of this number. Whatever is none is the one that is over soonest.
    #[must_use]
    #[inline(always)]
    pub const fn of(number: u8) -> Self {
        match number {
            0 => Self::Single,
            1 => Self::Opening,
            2 => Self::Agreed,
            3 => Self::Open,
            4 => Self::HalfClosed,
            5 => Self::Closed,
            _ => Self::Reset,
        }
    }

    /// Its name, for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::Opening => "opening",
            Self::Agreed => "agreed",
            Self::Open => "open",
            Self::HalfClosed => "half-closed",
            Self::Closed => "closed",
            Self::Reset => "reset",
            Self::Revoked => "revoked",
        }
    }
}
