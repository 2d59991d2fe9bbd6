//! Two codecs that others wrote, as witnesses. What a message says is put into lines of text, by each codec from its own
//! values, so that a difference names the field. `agree` compares messages that are right, `differ` damaged ones.

#![expect(clippy::wildcard_enum_match_arm, reason = "the enums are not weft's own")]

mod agree;
mod differ;
mod known;
#[path = "../../fuzz/mutation.rs"]
mod mutation;
mod netgauze;
mod rustbgpd;
mod said;

use weft_bgp::wire::{AddPathFamilies, Dialect};

/// What another codec makes of a message.
pub struct Reading {
    /// What the message says.
    pub said: Vec<String>,
    /// The message as the codec writes it again, or why it does not.
    pub written: Result<Vec<u8>, String>,
}

/// One of the two.
pub struct Codec {
    pub name: &'static str,
    /// Reads a message, or names what is wrong with it.
    pub read: fn(&[u8], &Dialect) -> Result<Reading, String>,
    /// How lines begin that it has no value for: it keeps the bytes, or drops them.
    pub unknown: &'static [&'static str],
}

pub const CODECS: [Codec; 2] = [
    Codec {
        name: "rustbgpd",
        read: rustbgpd::read,
        unknown: &["fqdn", "as-path confederation", "evpn unknown"],
    },
    Codec { name: "NetGauze", read: netgauze::read, unknown: &["pmsi"] },
];

impl Codec {
    /// The lines of those that it has values for.
    pub fn known(&self, said: &[String]) -> Vec<String> {
        let is_known = |line: &&String| !self.unknown.iter().any(|start| line.starts_with(start));
        said.iter().filter(is_known).cloned().collect()
    }
}

/// The dialect of an input of the corpus, as far as all three know it.
fn dialect(bits: u8) -> Dialect {
    let bit = |bit: u8| bits & (1 << bit) != 0;
    let path_ids = AddPathFamilies { ipv4: bit(4), ipv6: bit(4), evpn: false };
    Dialect {
        internal: bit(0),
        four_octet_as: bit(1),
        extended_next_hop: true,
        receive_extended: true,
        send_extended: true,
        receive_path_ids: path_ids,
        send_path_ids: path_ids,
    }
}
