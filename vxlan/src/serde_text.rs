//! serde forms, as people write them: a VNI is a number, a MAC address and a VTEP are strings.

use core::fmt;
use core::marker::PhantomData;
use core::str::FromStr;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{MacAddr, Vni, Vtep};

impl Serialize for Vni {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u32(self.get())
    }
}

impl<'de> Deserialize<'de> for Vni {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = u64::deserialize(deserializer)?;
        u32::try_from(value)
            .map_err(|_| crate::VniError::OutOfRange(value))
            .and_then(Self::new)
            .map_err(D::Error::custom)
    }
}

impl Serialize for MacAddr {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for MacAddr {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Text(PhantomData))
    }
}

impl Serialize for Vtep {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Vtep {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Text(PhantomData))
    }
}

/// Reads any type whose text form is its `FromStr`.
struct Text<T>(PhantomData<T>);

impl<T: FromStr<Err: fmt::Display>> Visitor<'_> for Text<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(|error| E::custom(format_args!("{text:?}: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_and_refusals() {
        assert_eq!(serde_json::to_string(&Vni::new(7).unwrap()).unwrap(), "7");
        assert_eq!(serde_json::from_str::<Vni>("7").unwrap(), Vni::new(7).unwrap());
        let error = serde_json::from_str::<Vni>("16777216").unwrap_err().to_string();
        assert!(error.contains("VNI 16777216 is outside"), "{error}");
        let error = serde_json::from_str::<MacAddr>("\"x\"").unwrap_err().to_string();
        assert!(error.contains("\"x\": a MAC address is"), "{error}");
        let vtep: Vtep = serde_json::from_str("\"192.0.2.1\"").unwrap();
        assert_eq!(serde_json::to_string(&vtep).unwrap(), "\"192.0.2.1\"");
    }
}
