//! Who a neighbour is to the rest of the speaker.

/// A neighbour, configured or dynamic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PeerId(pub u32);

/// What a neighbour is to the own AS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PeerKind {
    /// In another AS.
    External,
    /// In the own AS.
    Internal,
    /// In the own AS, and the speaker reflects routes to and from it (RFC 4456).
    Client,
}
