//! Address translation by nftables: what arrives is sent on to somebody else, in the translator's own name. Written out
//! by hand (nfnetlink), so that no program has to be installed for it.

use std::net::IpAddr;

use anyhow::{Context as _, Result, ensure};
use netlink_sys::protocols::NETLINK_NETFILTER;
use netlink_sys::{Socket, SocketAddr};

use crate::Namespace;

/// Of `linux/netfilter/nfnetlink.h` and `nf_tables.h`: limits of a batch, and messages of nftables.
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
const SUBSYSTEM: u16 = 10;
const NEW_TABLE: u16 = SUBSYSTEM << 8;
const NEW_CHAIN: u16 = NEW_TABLE | 3;
const NEW_RULE: u16 = NEW_TABLE | 6;
/// `NLM_F_REQUEST`, and with it `NLM_F_ACK | NLM_F_CREATE`.
const REQUEST: u16 = 0x001;
const CREATE: u16 = 0x405;
/// Its attributes hold attributes.
const NESTED: u16 = 0x8000;
/// Hooks, and their usual priorities for translation.
const PREROUTING: (u32, i32) = (0, -100);
const POSTROUTING: (u32, i32) = (4, 100);
const REGISTER: u32 = 1;
const DESTINATION: u32 = 1;

impl Namespace {
    /// Has the namespace send each new connection of `to`'s family that arrives on to `to`, from the address of the
    /// device that it leaves by.
    ///
    /// # Errors
    /// The kernel has no nftables, or translates already.
    pub fn translate(&self, to: IpAddr) -> Result<()> {
        self.run(|| send(&batch(to)))?.with_context(|| format!("translating to {to} in {}", self.name()))
    }
}

/// A table with two chains of one rule each: five messages that are answered.
fn batch(to: IpAddr) -> (Vec<u8>, usize) {
    let (family, address) = match to {
        IpAddr::V4(v4) => (libc::AF_INET, v4.octets().to_vec()),
        IpAddr::V6(v6) => (libc::AF_INET6, v6.octets().to_vec()),
    };
    let family = u8::try_from(family).unwrap_or_default();
    let there = expression(
        "immediate",
        &[number(1, REGISTER), attribute(2 | NESTED, &attribute(1, &address))].concat(),
    );
    let destination =
        expression("nat", &[number(1, DESTINATION), number(2, family.into()), number(3, REGISTER)].concat());
    let messages = [
        (NEW_TABLE, text(1, "nat")),
        (NEW_CHAIN, chain("in", PREROUTING)),
        (NEW_RULE, rule("in", &[there, destination].concat())),
        (NEW_CHAIN, chain("out", POSTROUTING)),
        (NEW_RULE, rule("out", &expression("masq", &[]))),
    ];
    let mut bytes = message(BATCH_BEGIN, REQUEST, 0, &[]);
    for (kind, attributes) in &messages {
        bytes.extend(message(*kind, CREATE, family, attributes));
    }
    bytes.extend(message(BATCH_END, REQUEST, 0, &[]));
    (bytes, messages.len())
}

fn chain(name: &str, (hook, priority): (u32, i32)) -> Vec<u8> {
    let hook = [number(1, hook), attribute(2, &priority.to_be_bytes())].concat();
    [text(1, "nat"), text(3, name), attribute(4 | NESTED, &hook), text(7, "nat")].concat()
}

fn rule(chain: &str, expressions: &[u8]) -> Vec<u8> {
    [text(1, "nat"), text(2, chain), attribute(4 | NESTED, expressions)].concat()
}

fn expression(name: &str, data: &[u8]) -> Vec<u8> {
    attribute(1 | NESTED, &[text(1, name), attribute(2 | NESTED, data)].concat())
}

fn number(kind: u16, value: u32) -> Vec<u8> {
    attribute(kind, &value.to_be_bytes())
}

fn text(kind: u16, value: &str) -> Vec<u8> {
    attribute(kind, &[value.as_bytes(), &[0]].concat())
}

/// An attribute, filled up to a multiple of four bytes.
fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(4 + value.len()).unwrap_or(u16::MAX);
    let mut bytes = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
    bytes.extend_from_slice(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// A netlink message with the header of nfnetlink; limits of a batch name the subsystem instead of a family.
fn message(kind: u16, flags: u16, family: u8, attributes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(20 + attributes.len()).unwrap_or(u32::MAX);
    let resource = if kind == BATCH_BEGIN || kind == BATCH_END { SUBSYSTEM } else { 0 };
    let mut bytes = length.to_ne_bytes().to_vec();
    bytes.extend([kind.to_ne_bytes(), flags.to_ne_bytes()].concat());
    bytes.extend([0; 8]);
    bytes.extend([family, 0]);
    bytes.extend(resource.to_be_bytes());
    bytes.extend_from_slice(attributes);
    bytes
}

/// Sends a batch and waits for as many answers.
fn send((batch, answers): &(Vec<u8>, usize)) -> Result<()> {
    let mut socket = Socket::new(NETLINK_NETFILTER).context("a netlink socket")?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    socket.send(batch, 0)?;
    let mut seen = 0;
    while seen < *answers {
        let (datagram, _) = socket.recv_from_full()?;
        let mut rest = datagram.as_slice();
        // The length, the rest of a netlink header, and the error that an answer has behind it.
        while let [a, b, c, d, _, _, _, _, _, _, _, _, _, _, _, _, e, f, g, h, ..] = *rest {
            let error = i32::from_ne_bytes([e, f, g, h]);
            ensure!(error == 0, std::io::Error::from_raw_os_error(-error));
            seen += 1;
            let length = usize::try_from(u32::from_ne_bytes([a, b, c, d]))?;
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        }
    }
    Ok(())
}
