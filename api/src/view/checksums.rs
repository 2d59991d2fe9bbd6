//! What the self-test says of the ways to other hosts.

use serde::{Deserialize, Serialize};

/// The self-test in [`Status`](super::Status).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SelfTestStatus {
    /// Whether it is done.
    pub state: SelfTestPhase,
    /// Why it is not, if it should be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Whether the self-test is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SelfTestPhase {
    /// It is.
    On,
    /// `underlay.self_test` is false.
    Off,
    /// It cannot be done.
    Failed,
}

/// Whether packets whose checksum is left to the underlay device arrive whole at a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChecksumStatus {
    /// Whether they do.
    pub state: ChecksumState,
    /// Whether those arrive whose checksum this host computes, if they do not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workaround: Option<Workaround>,
    /// Why it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Whether packets whose checksum is left to the underlay device arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChecksumState {
    /// Being found out.
    Testing,
    /// They do.
    Good,
    /// They do not: this host computes checksums of what it sends there.
    Damaged,
    /// It cannot be found out; tried again now and then.
    NotTested,
}

/// Whether packets arrive whose checksum this host computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Workaround {
    /// Being found out.
    Testing,
    /// They do.
    Verified,
    /// They do not.
    Failing,
    /// It cannot be found out; tried again now and then.
    NotTested,
}
