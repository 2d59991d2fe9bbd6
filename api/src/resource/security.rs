//! Security groups: named sets of stateful rules that ports are members of.

use std::fmt;
use std::str::FromStr;

use ipnet::IpNet;
use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use weft_vxlan::MacAddr;

/// A named set of rules. What a port may send and receive is the union of those of all its groups.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecurityGroup {
    /// Unique among security groups.
    pub name: String,
    /// Who owns it: its members are ports in this tenant's networks.
    pub tenant: String,
    /// The number that routes to its members carry; unique, and the same on all hosts.
    pub id: u32,
    /// The rules. Of those that match a packet the one with the lowest priority decides; of equal ones, one that denies.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<SecurityRule>,
}

/// A rule of a security group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecurityRule {
    /// Which packets of the port it is about.
    pub direction: Direction,
    /// What becomes of them.
    #[serde(default, skip_serializing_if = "is_default")]
    pub action: RuleVerdict,
    /// The lower, the earlier the rule counts.
    #[serde(default = "default_priority", skip_serializing_if = "is_default_priority")]
    pub priority: u16,
    /// The protocol.
    #[serde(default, skip_serializing_if = "is_default")]
    pub protocol: Protocol,
    /// Destination ports, of TCP, UDP and SCTP; all unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ports: Option<PortRange>,
    /// The message, of ICMP and `ICMPv6`; all unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub icmp: Option<IcmpMessage>,
    /// The other end by its address; any unless this or a group is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<IpNet>,
    /// The other end by its membership of a group of the same tenant, such as this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Packets are judged one by one: answers need a rule too, and no connection is kept.
    #[serde(default, skip_serializing_if = "is_default")]
    pub stateless: bool,
    /// What it is there for, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// Which way a packet goes, as the port sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// To the port.
    Ingress,
    /// From the port.
    Egress,
}

/// What becomes of a packet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RuleVerdict {
    /// It goes on.
    #[default]
    Allow,
    /// It is dropped.
    Deny,
}

/// An IP protocol, by name or number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Protocol {
    /// Every one.
    #[default]
    Any,
    /// The one with this number.
    Number(u8),
}

/// A range of ports, both ends included: `80`, or `"8000-8010"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortRange {
    /// The first.
    pub first: u16,
    /// The last.
    pub last: u16,
}

/// ICMP or `ICMPv6` messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IcmpMessage {
    /// The type.
    #[serde(rename = "type")]
    pub kind: u8,
    /// The code; all of the type unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<u8>,
}

/// Addresses that a port may send from besides its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AllowedPair {
    /// The addresses.
    pub prefix: IpNet,
    /// The MAC that it has with them; its own unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<MacAddr>,
}

const PRIORITY: u16 = 1000;

const fn default_priority() -> u16 {
    PRIORITY
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
const fn is_default_priority(priority: &u16) -> bool {
    *priority == PRIORITY
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Protocol {
    const NAMES: [(&'static str, u8); 5] =
        [("icmp", 1), ("tcp", 6), ("udp", 17), ("icmpv6", 58), ("sctp", 132)];

    /// Its number; `None` for every one.
    #[must_use]
    pub const fn number(self) -> Option<u8> {
        match self {
            Self::Any => None,
            Self::Number(number) => Some(number),
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::Number(number) => match Self::NAMES.iter().find(|(_, named)| named == number) {
                Some((name, _)) => f.write_str(name),
                None => fmt::Display::fmt(number, f),
            },
        }
    }
}

/// Why a text is no protocol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no protocol {0:?}; there are {known}", known = Self::KNOWN)]
pub struct UnknownProtocol(String);

impl UnknownProtocol {
    const KNOWN: &'static str =
        "`any`, `icmp`, `tcp`, `udp`, `icmpv6`, `sctp`, or a protocol's number from 0 to 255";
}

impl FromStr for Protocol {
    type Err = UnknownProtocol;

    fn from_str(text: &str) -> Result<Self, UnknownProtocol> {
        if text == "any" {
            return Ok(Self::Any);
        }
        let named = Self::NAMES.iter().find(|(name, _)| *name == text).map(|(_, number)| *number);
        let number = named.or_else(|| text.parse().ok());
        number.map(Self::Number).ok_or_else(|| UnknownProtocol(text.to_owned()))
    }
}

impl Serialize for Protocol {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Number(number) if Self::NAMES.iter().all(|(_, named)| named != number) => {
                to.serialize_u8(*number)
            }
            Self::Any | Self::Number(_) => to.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for Protocol {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(ProtocolVisitor)
    }
}

struct ProtocolVisitor;

impl Visitor<'_> for ProtocolVisitor {
    type Value = Protocol;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(UnknownProtocol::KNOWN)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Protocol, E> {
        let known =
            u8::try_from(number).map_err(|_| E::invalid_value(Unexpected::Unsigned(number), &self))?;
        Ok(Protocol::Number(known))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Protocol, E> {
        let known = u8::try_from(number).map_err(|_| E::invalid_value(Unexpected::Signed(number), &self))?;
        Ok(Protocol::Number(known))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Protocol, E> {
        text.parse().map_err(|_| E::invalid_value(Unexpected::Str(text), &self))
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{}-{}", self.first, self.last)
        }
    }
}

impl Serialize for PortRange {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if self.first == self.last { to.serialize_u16(self.first) } else { to.collect_str(self) }
    }
}

impl<'de> Deserialize<'de> for PortRange {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(PortRangeVisitor)
    }
}

struct PortRangeVisitor;

impl Visitor<'_> for PortRangeVisitor {
    type Value = PortRange;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a port, such as 80, or a range of ports, such as \"8000-8010\"")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<PortRange, E> {
        let port =
            u16::try_from(number).map_err(|_| E::invalid_value(Unexpected::Unsigned(number), &self))?;
        Ok(PortRange { first: port, last: port })
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<PortRange, E> {
        let port = u16::try_from(number).map_err(|_| E::invalid_value(Unexpected::Signed(number), &self))?;
        Ok(PortRange { first: port, last: port })
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<PortRange, E> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        match (first.trim().parse(), last.trim().parse()) {
            (Ok(first), Ok(last)) => Ok(PortRange { first, last }),
            _ => Err(E::invalid_value(Unexpected::Str(text), &self)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_as_it_is_written() {
        for text in [
            r#"{"direction":"ingress","protocol":"tcp","ports":443,"prefix":"10.0.0.0/8"}"#,
            r#"{"direction":"egress","action":"deny","priority":7,"protocol":47,"group":"web","stateless":true}"#,
            r#"{"direction":"ingress","protocol":"icmp","icmp":{"type":8,"code":0},"description":"ping"}"#,
            r#"{"direction":"ingress","protocol":"udp","ports":"8000-8010"}"#,
            r#"{"direction":"ingress"}"#,
        ] {
            let rule: SecurityRule = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&rule).unwrap(), text);
        }
    }

    #[test]
    fn what_is_no_rule() {
        for (text, says) in [
            (r#"{"direction":"in"}"#, "unknown variant `in`"),
            (r#"{"direction":"ingress","protocol":"tpc"}"#, "expected `any`, `icmp`, `tcp`"),
            (r#"{"direction":"ingress","protocol":256}"#, "expected `any`"),
            (r#"{"direction":"ingress","ports":"80,443"}"#, "a range of ports"),
            (r#"{"direction":"ingress","ports":70000}"#, "a port, such as 80"),
            (r#"{"direction":"ingress","port":80}"#, "unknown field `port`"),
            (r#"{"action":"allow"}"#, "missing field `direction`"),
        ] {
            let error = serde_json::from_str::<SecurityRule>(text).unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
