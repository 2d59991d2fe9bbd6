//! What an object is called: its kind and its name, `port/red-web-1` in messages and as a key.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use weft_api::resource::Resource;

/// A kind of resource. Their order is that of their dependence: what comes later refers to what comes earlier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A routing domain.
    Network,
    /// A broadcast domain.
    Subnet,
    /// A workload's NIC.
    Port,
    /// Another host.
    Remote,
}

/// The name of an object within all of a store.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectId {
    /// Its kind.
    pub kind: Kind,
    /// Its name within the kind.
    pub name: String,
}

/// A word that is no kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no kind of resource; there are networks, subnets, ports and remotes")]
pub struct UnknownKind(pub String);

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Network, Self::Subnet, Self::Port, Self::Remote];

    /// As in a document's `kind`.
    #[must_use]
    pub const fn singular(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Subnet => "subnet",
            Self::Port => "port",
            Self::Remote => "remote",
        }
    }

    /// As in the API's paths.
    #[must_use]
    pub const fn plural(self) -> &'static str {
        match self {
            Self::Network => "networks",
            Self::Subnet => "subnets",
            Self::Port => "ports",
            Self::Remote => "remotes",
        }
    }
}

/// Singular or plural.
impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.singular() == text || kind.plural() == text)
            .ok_or_else(|| UnknownKind(text.to_owned()))
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.singular())
    }
}

impl ObjectId {
    /// The name of an object of a kind.
    #[must_use]
    pub fn new(kind: Kind, name: &str) -> Self {
        Self { kind, name: name.to_owned() }
    }

    /// The name of this resource.
    #[must_use]
    pub fn of(resource: &Resource) -> Self {
        match resource {
            Resource::Network(network) => Self::new(Kind::Network, &network.name),
            Resource::Subnet(subnet) => Self::new(Kind::Subnet, &subnet.name),
            Resource::Port(port) => Self::new(Kind::Port, &port.name),
            Resource::Remote(remote) => Self::new(Kind::Remote, &remote.name),
        }
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.name)
    }
}
