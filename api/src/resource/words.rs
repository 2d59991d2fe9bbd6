//! Values that are a number, a list or a map, or a word in its place.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use weft_bgp::wire::{Asn, RouteTarget};

/// The AS of a peer: a number, or a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerAs {
    /// This one.
    Number(Asn),
    /// That of this host.
    Internal,
    /// Any but that of this host.
    External,
}

/// The MED that a rule sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Med {
    /// This one.
    Value(u32),
    /// It is taken away.
    None,
}

/// Whether a peer is watched by BFD, and how closely.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bfd {
    /// It is not.
    Off,
    /// With these timers.
    On(BfdTimers),
}

/// Timers of BFD.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BfdTimers {
    /// Milliseconds between packets, in both directions.
    #[serde(default = "default_interval")]
    pub interval_ms: u32,
    /// Packets that may be missed.
    #[serde(default = "default_multiplier")]
    pub multiplier: u8,
}

/// Which routes of other hosts a network or subnet takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImportTargets {
    /// AS:VNI with this host's AS.
    Auto,
    /// The same in the form of RFC 8365 section 5.1.2.1.
    Derived,
    /// Of any AS, if the number is the VNI: for fabrics with an AS for each leaf.
    AnyAs,
    /// Those with one of these.
    Set(BTreeSet<RouteTarget>),
}

/// What routes of a network or subnet carry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExportTargets {
    /// AS:VNI with this host's AS.
    Auto,
    /// The same in the form of RFC 8365 section 5.1.2.1.
    Derived,
    /// These.
    Set(BTreeSet<RouteTarget>),
}

const fn default_interval() -> u32 {
    300
}

const fn default_multiplier() -> u8 {
    3
}

impl Default for BfdTimers {
    fn default() -> Self {
        Self { interval_ms: default_interval(), multiplier: default_multiplier() }
    }
}

impl Serialize for PeerAs {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Number(asn) => asn.serialize(serializer),
            Self::Internal => serializer.serialize_str("internal"),
            Self::External => serializer.serialize_str("external"),
        }
    }
}

impl Serialize for Med {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Value(value) => serializer.serialize_u32(*value),
            Self::None => serializer.serialize_str("none"),
        }
    }
}

impl Serialize for Bfd {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Off => serializer.serialize_bool(false),
            Self::On(timers) => timers.serialize(serializer),
        }
    }
}

impl Serialize for ImportTargets {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str("auto"),
            Self::Derived => serializer.serialize_str("derived"),
            Self::AnyAs => serializer.serialize_str("any-as"),
            Self::Set(targets) => targets.serialize(serializer),
        }
    }
}

impl Serialize for ExportTargets {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str("auto"),
            Self::Derived => serializer.serialize_str("derived"),
            Self::Set(targets) => targets.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for PeerAs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PeerAsVisitor)
    }
}

impl<'de> Deserialize<'de> for Med {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(MedVisitor)
    }
}

impl<'de> Deserialize<'de> for Bfd {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(BfdVisitor)
    }
}

impl<'de> Deserialize<'de> for ImportTargets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ImportVisitor)
    }
}

impl<'de> Deserialize<'de> for ExportTargets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ExportVisitor)
    }
}

struct PeerAsVisitor;

impl Visitor<'_> for PeerAsVisitor {
    type Value = PeerAs;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the number of an AS, `internal` or `external`")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<PeerAs, E> {
        let number = u32::try_from(number).map_err(|_| unexpected_number(number, &self))?;
        Ok(PeerAs::Number(Asn::new(number)))
    }

    fn visit_str<E: Error>(self, word: &str) -> Result<PeerAs, E> {
        match word {
            "internal" => Ok(PeerAs::Internal),
            "external" => Ok(PeerAs::External),
            _ => Err(unexpected_word(word, &self)),
        }
    }
}

struct MedVisitor;

impl Visitor<'_> for MedVisitor {
    type Value = Med;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number from 0 to 4294967295, or `none`")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Med, E> {
        u32::try_from(number).map(Med::Value).map_err(|_| unexpected_number(number, &self))
    }

    fn visit_str<E: Error>(self, word: &str) -> Result<Med, E> {
        if word == "none" { Ok(Med::None) } else { Err(unexpected_word(word, &self)) }
    }
}

struct BfdVisitor;

impl<'de> Visitor<'de> for BfdVisitor {
    type Value = Bfd;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("true, false, or a map with interval_ms and multiplier")
    }

    fn visit_bool<E: Error>(self, on: bool) -> Result<Bfd, E> {
        Ok(if on { Bfd::On(BfdTimers::default()) } else { Bfd::Off })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Bfd, A::Error> {
        BfdTimers::deserialize(MapAccessDeserializer::new(map)).map(Bfd::On)
    }
}

struct ImportVisitor;

impl<'de> Visitor<'de> for ImportVisitor {
    type Value = ImportTargets;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`auto`, `derived`, `any-as`, or a list of route targets")
    }

    fn visit_str<E: Error>(self, word: &str) -> Result<ImportTargets, E> {
        match word {
            "auto" => Ok(ImportTargets::Auto),
            "derived" => Ok(ImportTargets::Derived),
            "any-as" => Ok(ImportTargets::AnyAs),
            _ => Err(unexpected_word(word, &self)),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<ImportTargets, A::Error> {
        BTreeSet::deserialize(SeqAccessDeserializer::new(list)).map(ImportTargets::Set)
    }
}

struct ExportVisitor;

impl<'de> Visitor<'de> for ExportVisitor {
    type Value = ExportTargets;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`auto`, `derived`, or a list of route targets")
    }

    fn visit_str<E: Error>(self, word: &str) -> Result<ExportTargets, E> {
        match word {
            "auto" => Ok(ExportTargets::Auto),
            "derived" => Ok(ExportTargets::Derived),
            _ => Err(unexpected_word(word, &self)),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<ExportTargets, A::Error> {
        BTreeSet::deserialize(SeqAccessDeserializer::new(list)).map(ExportTargets::Set)
    }
}

fn unexpected_number<'de, E: Error, V: Visitor<'de>>(number: u64, expected: &V) -> E {
    E::invalid_value(serde::de::Unexpected::Unsigned(number), expected)
}

fn unexpected_word<'de, E: Error, V: Visitor<'de>>(word: &str, expected: &V) -> E {
    E::invalid_value(serde::de::Unexpected::Str(word), expected)
}

#[cfg(test)]
mod tests {
    use serde::de::DeserializeOwned;

    use super::*;

    fn same<T: Serialize + DeserializeOwned>(texts: &[&str]) {
        for json in texts {
            let value: T = serde_json::from_str(json).expect(json);
            assert_eq!(serde_json::to_string(&value).unwrap(), *json);
        }
    }

    fn refused<T: DeserializeOwned + fmt::Debug>(json: &str, message: &str) {
        let error = serde_json::from_str::<T>(json).expect_err(json).to_string();
        assert!(error.contains(message), "{json}: {error}");
    }

    #[test]
    fn forms() {
        same::<PeerAs>(&["65001", "4200000001", "\"internal\"", "\"external\""]);
        same::<Med>(&["0", "4294967295", "\"none\""]);
        same::<Bfd>(&["false", r#"{"interval_ms":100,"multiplier":5}"#]);
        assert_eq!(serde_json::from_str::<Bfd>("true").unwrap(), Bfd::On(BfdTimers::default()));
        let slow = BfdTimers { interval_ms: 1000, ..BfdTimers::default() };
        assert_eq!(serde_json::from_str::<Bfd>(r#"{"interval_ms":1000}"#).unwrap(), Bfd::On(slow));
        let list = r#"["65000:1","192.0.2.1:7"]"#;
        same::<ImportTargets>(&["\"auto\"", "\"derived\"", "\"any-as\"", "[]", list]);
        same::<ExportTargets>(&["\"auto\"", "\"derived\"", "[]", list]);
    }

    #[test]
    fn what_is_refused_tells_what_is_known() {
        refused::<PeerAs>("\"65001\"", "expected the number of an AS, `internal` or `external`");
        refused::<PeerAs>("4294967296", "expected the number of an AS");
        refused::<PeerAs>("-1", "expected the number of an AS");
        refused::<Med>("\"no\"", "or `none`");
        refused::<Bfd>("3", "expected true, false, or a map");
        refused::<Bfd>(r#"{"interval":1}"#, "unknown field `interval`");
        refused::<ImportTargets>("\"all\"", "expected `auto`, `derived`, `any-as`, or a list");
        refused::<ExportTargets>("\"any-as\"", "expected `auto`, `derived`, or a list");
        refused::<ExportTargets>("[\"red\"]", "\"red\" is not AS:NUMBER");
    }
}
