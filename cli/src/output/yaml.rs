//! JSON values as YAML, in the form in which people write resources. Every YAML reader, of 1.1 too, reads it back as
//! the same values.

#![expect(clippy::wildcard_enum_match_arm, reason = "JSON will get no more kinds of values")]

use serde_json::Value;

/// A list becomes documents, one a line of `---`; anything else one document.
pub(crate) fn render(value: &Value) -> String {
    let mut text = String::new();
    match value {
        Value::Array(items) if !items.is_empty() && items.iter().all(Value::is_object) => {
            for item in items {
                text.push_str("---\n");
                block(item, 0, &mut text);
            }
        }
        value => block(value, 0, &mut text),
    }
    text
}

/// Writes a value that starts on a line of its own.
fn block(value: &Value, indent: usize, text: &mut String) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            // What a reader looks for comes first; the rest has the alphabet's order.
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_by_key(|(key, _)| match key.as_str() {
                "kind" => 0,
                "name" => 1,
                _ => 2,
            });
            for (key, value) in fields {
                text.push_str(&format!("{:indent$}{}:", "", word(key)));
                nested(value, indent, text);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                let mut inner = String::new();
                block(item, indent + 2, &mut inner);
                text.push_str(&format!("{:indent$}- {}", "", inner.trim_start_matches(' ')));
            }
        }
        value => text.push_str(&format!("{:indent$}{}\n", "", flat(value))),
    }
}

/// Writes what follows `key:`.
fn nested(value: &Value, indent: usize, text: &mut String) {
    let is_block = value.as_object().is_some_and(|fields| !fields.is_empty())
        || value.as_array().is_some_and(|items| !items.is_empty());
    if is_block {
        text.push('\n');
        block(value, indent + 2, text);
    } else {
        text.push_str(&format!(" {}\n", flat(value)));
    }
}

fn flat(value: &Value) -> String {
    match value {
        Value::String(string) => word(string),
        // Numbers, booleans, null, [] and {} are the same in both.
        value => value.to_string(),
    }
}

/// A string without quotes where no reader takes it for anything else.
fn word(text: &str) -> String {
    let reserved = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    let is_name = text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '/')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "_-./".contains(c))
        && !reserved.contains(&text.to_ascii_lowercase().as_str());
    let is_ipv4 =
        text.matches('.').count() == 3 && text.chars().all(|c| c.is_ascii_digit() || "./".contains(c));
    // JSON's quoting is a part of YAML's.
    if is_name || is_ipv4 { text.to_owned() } else { Value::from(text).to_string() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use weft_api::document::{Source, read};
    use weft_api::resource::Resource;

    use super::*;

    #[test]
    fn documents_as_people_write_them() {
        let value = json!([
            {"kind": "network", "name": "no", "tenant": "r\u{e9}d", "vni": 5000, "revision": 3},
            {"kind": "remote", "name": "h2", "vtep": "192.0.2.2", "addresses": [
                {"subnet": "red-a", "address": "fd00::2", "mac": "02:00:00:00:00:01"}], "prefixes": []},
        ]);
        let text = render(&value);
        assert_eq!(
            text,
            "---\nkind: network\nname: \"no\"\nrevision: 3\ntenant: \"réd\"\nvni: 5000\n\
             ---\nkind: remote\nname: h2\naddresses:\n  - address: \"fd00::2\"\n    mac: \"02:00:00:00:00:01\"\n    subnet: red-a\n\
             prefixes: []\nvtep: 192.0.2.2\n"
        );
        let documents = read(&[Source { name: "a.yaml".to_owned(), text }]).unwrap();
        let Resource::Remote(remote) = &documents[1].value else { panic!("{documents:?}") };
        assert_eq!(remote.addresses[0].address.to_string(), "fd00::2");
        assert_eq!(documents[0].value.name(), "no");
    }

    #[test]
    fn other_values() {
        assert_eq!(render(&json!(["link weft0", "route"])), "- \"link weft0\"\n- route\n");
        assert_eq!(render(&json!([])), "[]\n");
        assert_eq!(
            render(&json!({"a": {"b": null}, "c": [[1, 2]]})),
            "a:\n  b: null\nc:\n  - - 1\n    - 2\n"
        );
    }
}
