//! The kinds of resources, and how one resource is named: `subnet/red-a`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::resource::Resource;

/// A kind of resource. The order is that in which resources depend on each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// [`crate::resource::Network`]
    Network,
    /// [`crate::resource::SecurityGroup`]
    SecurityGroup,
    /// [`crate::resource::Subnet`]
    Subnet,
    /// [`crate::resource::Port`]
    Port,
    /// [`crate::resource::Remote`]
    Remote,
    /// [`crate::resource::Peering`]
    Peering,
    /// [`crate::resource::PeerGroup`]
    PeerGroup,
    /// [`crate::resource::Peer`]
    Peer,
}

/// A text that names no kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown kind `{0}`; the kinds are {KINDS}")]
pub struct UnknownKind(pub String);

/// All kinds, in words.
pub(crate) const KINDS: &str = "network, security-group, subnet, port, remote, peering, peer-group and peer";

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::Network,
        Self::SecurityGroup,
        Self::Subnet,
        Self::Port,
        Self::Remote,
        Self::Peering,
        Self::PeerGroup,
        Self::Peer,
    ];

    /// The word in documents and in `kind/name`.
    #[must_use]
    pub const fn singular(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::SecurityGroup => "security-group",
            Self::Subnet => "subnet",
            Self::Port => "port",
            Self::Remote => "remote",
            Self::Peering => "peering",
            Self::PeerGroup => "peer-group",
            Self::Peer => "peer",
        }
    }

    /// The word in the API's paths.
    #[must_use]
    pub const fn plural(self) -> &'static str {
        match self {
            Self::Network => "networks",
            Self::SecurityGroup => "security-groups",
            Self::Subnet => "subnets",
            Self::Port => "ports",
            Self::Remote => "remotes",
            Self::Peering => "peerings",
            Self::PeerGroup => "peer-groups",
            Self::Peer => "peers",
        }
    }

    /// The word for hurried hands.
    #[must_use]
    pub const fn short(self) -> &'static str {
        match self {
            Self::Network => "net",
            Self::SecurityGroup => "sg",
            Self::Subnet => "sub",
            Self::Port => "po",
            Self::Remote => "rem",
            Self::Peering => "prg",
            Self::PeerGroup => "pg",
            Self::Peer => "pe",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.singular())
    }
}

impl FromStr for Kind {
    type Err = UnknownKind;

    /// Takes the singular, as documents do.
    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        Self::ALL.into_iter().find(|kind| kind.singular() == text).ok_or_else(|| UnknownKind(text.to_owned()))
    }
}

/// Names one resource.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reference {
    /// Its kind.
    pub kind: Kind,
    /// Its name, unique within the kind.
    pub name: String,
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.name)
    }
}

impl Resource {
    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Network(_) => Kind::Network,
            Self::SecurityGroup(_) => Kind::SecurityGroup,
            Self::Subnet(_) => Kind::Subnet,
            Self::Port(_) => Kind::Port,
            Self::Remote(_) => Kind::Remote,
            Self::Peering(_) => Kind::Peering,
            Self::PeerGroup(_) => Kind::PeerGroup,
            Self::Peer(_) => Kind::Peer,
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Network(network) => &network.name,
            Self::SecurityGroup(group) => &group.name,
            Self::Subnet(subnet) => &subnet.name,
            Self::Port(port) => &port.name,
            Self::Remote(remote) => &remote.name,
            Self::Peering(peering) => &peering.name,
            Self::PeerGroup(group) => &group.name,
            Self::Peer(peer) => &peer.name,
        }
    }

    /// Its kind and name.
    #[must_use]
    pub fn reference(&self) -> Reference {
        Reference { kind: self.kind(), name: self.name().to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::Stored;

    const SUBNET: &str =
        r#"{"kind":"subnet","name":"red-a","network":"red","vni":5001,"ipv4":"10.0.0.0/24"}"#;

    #[test]
    fn a_resource_knows_its_kind_and_name() {
        let subnet: Resource = serde_json::from_str(SUBNET).unwrap();
        assert_eq!(subnet.reference().to_string(), "subnet/red-a");
        assert_eq!(serde_json::to_string(&subnet).unwrap(), SUBNET);
        let reference: Reference = serde_json::from_str(r#"{"kind":"port","name":"web"}"#).unwrap();
        assert_eq!(reference, Reference { kind: Kind::Port, name: "web".to_owned() });
    }

    #[test]
    fn kinds_have_one_spelling_in_documents() {
        for kind in Kind::ALL {
            assert_eq!(kind.singular().parse(), Ok(kind));
            assert_eq!(serde_json::to_string(&kind).unwrap(), format!("\"{kind}\""));
        }
        assert!("Network".parse::<Kind>().is_err());
    }

    /// serde once let unknown fields through where `tag`, `flatten` and `deny_unknown_fields` meet.
    #[test]
    fn tagged_resources_refuse_unknown_fields() {
        let error = serde_json::from_str::<Resource>(&SUBNET.replace("\"vni\"", "\"vnii\":1,\"vni\""));
        let error = error.unwrap_err().to_string();
        assert!(error.contains("unknown field `vnii`, expected one of `name`, `network`, `vni`"), "{error}");
        let stored = SUBNET.replace('}', ",\"revision\":7}");
        let stored: Stored = serde_json::from_str(&stored).unwrap();
        assert_eq!(stored.revision, 7);
        assert_eq!(stored.resource.name(), "red-a");
        assert!(serde_json::from_str::<Resource>(&SUBNET.replace('}', ",\"revision\":7}")).is_err());
    }
}
