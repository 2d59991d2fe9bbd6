//! [`Node`]s into resources by serde, with the place and the path of everything that does not fit.

use std::fmt::{self, Display};

use serde::de::value::StrDeserializer;
use serde::de::{DeserializeSeed, Deserializer, Error, Expected, MapAccess, SeqAccess, Unexpected, Visitor};
use serde::forward_to_deserialize_any;

use super::node::{Entry, Node, Place, Value, is_null};

/// One thing that is wrong, and where.
#[derive(Debug, Clone)]
pub(super) struct Flaw {
    /// Not known yet while the error passes up through serde.
    pub(super) at: Option<Place>,
    /// Such as `addresses[1].mac`; empty for the document itself.
    pub(super) path: String,
    pub(super) message: String,
}

impl Flaw {
    pub(super) fn at(place: Place, message: String) -> Self {
        Self { at: Some(place), path: String::new(), message }
    }
}

/// Everything that is wrong with a value.
#[derive(Debug)]
pub(super) struct Flaws(pub(super) Vec<Flaw>);

impl Flaws {
    /// Adds the place, unless a deeper value knew a better one, and one step to the path.
    fn within(mut self, at: Place, step: &str) -> Self {
        for flaw in &mut self.0 {
            flaw.at.get_or_insert(at);
            let dot = if flaw.path.is_empty() || flaw.path.starts_with('[') { "" } else { "." };
            flaw.path = format!("{step}{dot}{}", flaw.path);
        }
        self
    }
}

impl Display for Flaws {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let messages: Vec<_> = self.0.iter().map(|flaw| flaw.message.as_str()).collect();
        f.write_str(&messages.join("; "))
    }
}

impl std::error::Error for Flaws {}

impl Error for Flaws {
    fn custom<T: Display>(message: T) -> Self {
        Self(vec![Flaw { at: None, path: String::new(), message: message.to_string() }])
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        mismatch(found, expected)
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        mismatch(found, expected)
    }

    fn missing_field(field: &'static str) -> Self {
        Self::custom(format_args!("`{field}` is missing"))
    }
}

/// serde's words for types, in those of people who write files.
fn mismatch(found: Unexpected<'_>, expected: &dyn Expected) -> Flaws {
    let expected = expected.to_string();
    let expected = match expected.as_str() {
        "u8" => "a whole number up to 255",
        "u16" => "a whole number up to 65535",
        "u32" => "a whole number up to 4294967295",
        "u64" => "a positive whole number",
        "a nonzero u16" => "a whole number from 1 to 65535",
        "a nonzero u32" => "a whole number from 1 to 4294967295",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        words if words.starts_with("struct ") => "a map",
        words => words,
    };
    let found = if found == Unexpected::Unit { "nothing".to_owned() } else { found.to_string() };
    let found = match found.as_str() {
        "sequence" => "a list",
        "map" => "a map",
        words => words,
    };
    Flaws::custom(format_args!("expected {expected}, found {found}"))
}

impl<'de> Deserializer<'de> for &'de Node {
    type Error = Flaws;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Flaws> {
        match &self.value {
            Value::Text(text) => visitor.visit_str(text),
            Value::Plain(text) | Value::Literal(text) => visit_word(text, visitor),
            Value::List(items) => visitor.visit_seq(Items { items: items.iter(), next: 0 }),
            Value::Map(entries) => visitor.visit_map(Entries { entries: entries.iter(), value: None }),
        }
        .map_err(|flaws| quote(flaws, self))
    }

    /// A plain word is a string where a string is wanted, whatever it looks like.
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Flaws> {
        match &self.value {
            Value::Plain(text) if !is_null(text) => {
                visitor.visit_str(text).map_err(|flaws| quote(flaws, self))
            }
            Value::Text(_) | Value::Plain(_) | Value::Literal(_) | Value::List(_) | Value::Map(_) => {
                self.deserialize_any(visitor)
            }
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Flaws> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Flaws> {
        match &self.value {
            Value::Plain(text) | Value::Literal(text) if is_null(text) => visitor.visit_none(),
            Value::Text(_) | Value::Plain(_) | Value::Literal(_) | Value::List(_) | Value::Map(_) => {
                visitor.visit_some(self)
            }
        }
    }

    /// A word of a closed set.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        words: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Flaws> {
        let known = words.join(", ");
        match self.text() {
            Some(word) if words.contains(&word) => visitor.visit_enum(StrDeserializer::<Flaws>::new(word)),
            Some(word) => Err(Flaws::custom(format_args!("{word:?} is not known here; known here: {known}"))),
            None => Err(Flaws::custom(format_args!("expected one of {known}"))),
        }
    }

    /// Says of every field at once whether it is known and given once, then reads the values.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Flaws> {
        let Value::Map(entries) = &self.value else {
            return self.deserialize_any(visitor);
        };
        let mut flaws = Vec::new();
        let mut good: Vec<&Entry> = Vec::new();
        for entry in entries {
            if !fields.contains(&entry.key.as_str()) {
                let message = format!("unknown field; known here: {}", fields.join(", "));
                flaws.push(Flaw { at: Some(entry.at), path: entry.key.clone(), message });
            } else if let Some(first) = good.iter().find(|first| first.key == entry.key) {
                let message = format!("given twice, first in line {}", first.at.line);
                flaws.push(Flaw { at: Some(entry.at), path: entry.key.clone(), message });
            } else {
                good.push(entry);
            }
        }
        match visitor.visit_map(Entries { entries: good.into_iter(), value: None }) {
            Ok(value) if flaws.is_empty() => Ok(value),
            Ok(_) => Err(Flaws(flaws)),
            Err(Flaws(more)) => {
                flaws.extend(more);
                Err(Flaws(flaws))
            }
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct newtype_struct seq
        tuple tuple_struct map identifier ignored_any
    }
}

/// A word by the core schema of YAML 1.2, less its octal and hexadecimal numbers.
fn visit_word<'de, V: Visitor<'de>>(text: &str, visitor: V) -> Result<V::Value, Flaws> {
    match text {
        _ if is_null(text) => visitor.visit_unit(),
        "true" | "True" | "TRUE" => visitor.visit_bool(true),
        "false" | "False" | "FALSE" => visitor.visit_bool(false),
        _ => {
            if let Ok(number) = text.parse() {
                visitor.visit_u64(number)
            } else if let Ok(number) = text.parse() {
                visitor.visit_i64(number)
            } else if let (Ok(number), true) = (text.parse(), is_numeric(text)) {
                visitor.visit_f64(number)
            } else {
                visitor.visit_str(text)
            }
        }
    }
}

/// Keeps Rust's `inf`, `nan` and `infinity` words.
fn is_numeric(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_digit() || first == '-' || first == '.')
}

/// Puts a word before an error that does not repeat it.
fn quote(mut flaws: Flaws, node: &Node) -> Flaws {
    if let (Value::Text(text) | Value::Plain(text) | Value::Literal(text), [flaw]) =
        (&node.value, &mut flaws.0[..])
        && !flaw.message.contains(text.as_str())
        && !flaw.message.starts_with("expected ")
    {
        flaw.message = format!("{text:?}: {}", flaw.message);
    }
    flaws
}

struct Items<'de> {
    items: std::slice::Iter<'de, Node>,
    next: usize,
}

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = Flaws;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Flaws> {
        let Some(item) = self.items.next() else { return Ok(None) };
        let step = format!("[{}]", self.next);
        self.next += 1;
        seed.deserialize(item).map(Some).map_err(|flaws| flaws.within(item.at, &step))
    }
}

struct Entries<'de, I> {
    entries: I,
    value: Option<&'de Entry>,
}

impl<'de, I: Iterator<Item = &'de Entry>> MapAccess<'de> for Entries<'de, I> {
    type Error = Flaws;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Flaws> {
        self.value = self.entries.next();
        let Some(entry) = self.value else { return Ok(None) };
        let key = StrDeserializer::<Flaws>::new(&entry.key);
        seed.deserialize(key).map(Some).map_err(|flaws| flaws.within(entry.at, &entry.key))
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Flaws> {
        let entry = self.value.take().ok_or_else(|| Flaws::custom("a value was read before its key"))?;
        seed.deserialize(&entry.value).map_err(|flaws| flaws.within(entry.value.at, &entry.key))
    }
}
