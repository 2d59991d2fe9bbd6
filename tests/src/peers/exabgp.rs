//! ExaBGP: logs what it receives as JSON, and says what it is told.
//!
//! Its language has no EVPN routes, but a route may carry attributes in hexadecimal. So an EVPN route travels in the
//! MP_REACH_NLRI (or, to go, MP_UNREACH_NLRI) of an IPv4 route, its carrier: both families must be configured.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use serde_json::Value;
use weft_bgp::wire::{Dialect, HEADER_LEN, Message, Update};

use super::{Daemon, program};
use crate::{Lab, Namespace, PATIENCE, wait_for};

/// Type codes that ExaBGP writes for the carrier: ORIGIN, AS_PATH, NEXT_HOP, LOCAL_PREF.
const CARRIERS: [u8; 4] = [1, 2, 3, 5];
/// Flag of an attribute whose length has two bytes; ExaBGP chooses that itself.
const EXTENDED_LENGTH: u8 = 0x10;

/// The IPv4 route that an EVPN route travels with. Each needs its own: the same carrier again replaces its attributes,
/// and what they announced stays until a withdrawal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Carrier(pub Ipv4Addr);

/// An ExaBGP in a namespace.
#[derive(Debug)]
pub struct ExaBgp {
    folder: PathBuf,
    daemon: Daemon,
    orders: Option<File>,
}

impl ExaBgp {
    /// Starts exabgp with neighbours, and waits until it reads commands. `neighbours` are `neighbor` blocks, one
    /// statement a line, without `api`; the harness writes what they take commands from and log to.
    ///
    /// # Errors
    /// It is not installed, or does not take the configuration; the end of its log.
    pub fn start(lab: &Lab, name: &str, namespace: &Namespace, neighbours: &str) -> Result<Self> {
        let folder = lab.folder().join(name);
        fs::create_dir(&folder).with_context(|| format!("{}", folder.display()))?;
        let api = "api { processes [ orders ]; }\n\
                   api { processes [ received ]; neighbor-changes; receive { parsed; update; notification; open; } }";
        let with_api = neighbours.lines().map(|line| match line.trim_start().strip_prefix("neighbor ") {
            Some(_) => format!("{line}\n{api}\n"),
            None => format!("{line}\n"),
        });
        let cat = program::path("cat")?;
        let cat = cat.display();
        let configuration = format!(
            "process orders {{ run {cat} {}; encoder text; }}\n\
             process received {{ run {} {}; encoder json; }}\n{}\n",
            folder.join("orders").display(),
            program::path("sh")?.display(),
            folder.join("receive").display(),
            with_api.collect::<String>(),
        );
        // ExaBGP takes what its helpers print for commands, and one that closes its output for dead.
        let received = folder.join("received.json");
        fs::write(folder.join("receive"), format!("exec {cat} 3>&1 >{}\n", received.display()))?;
        fs::write(folder.join("exabgp.conf"), configuration)?;
        let daemon = Daemon::new("exabgp", &folder, namespace)?;
        let mut exabgp = Self { folder, daemon, orders: None };
        exabgp.start_again()?;
        Ok(exabgp)
    }

    /// Starts it after it was stopped. It has forgotten what it was told, and begins its log of what it receives anew.
    ///
    /// # Errors
    /// It runs, or does not start in time.
    pub fn start_again(&mut self) -> Result<()> {
        // An earlier reader of orders ends with the last writer, and must not read the new ones.
        self.orders = None;
        let orders = self.folder.join("orders");
        if orders.exists() {
            fs::remove_file(&orders)?;
        }
        mkfifo(&orders, Mode::S_IRUSR | Mode::S_IWUSR)?;
        // Open for both ways: it waits for nobody, and readers see no end.
        self.orders = Some(File::options().read(true).write(true).open(&orders)?);
        let mut command = Command::new(program::path("exabgp")?);
        command.arg(self.folder.join("exabgp.conf"));
        for (variable, value) in [
            ("exabgp.daemon.user", "root"),
            ("exabgp.daemon.daemonize", "false"),
            ("exabgp.api.ack", "false"),
            ("exabgp.api.cli", "false"),
            ("exabgp.log.destination", "stdout"),
        ] {
            command.env(variable, value);
        }
        let received = self.folder.join("received.json");
        drop(fs::remove_file(&received));
        self.daemon.launch(command)?;
        self.daemon.wait_for("exabgp's log of what it receives", || {
            ensure!(received.exists(), "no {}", received.display());
            Ok(())
        })
    }

    /// Its process.
    pub fn daemon(&mut self) -> &mut Daemon {
        &mut self.daemon
    }

    /// Tells it something, such as `announce route 203.0.113.0/24 next-hop self`.
    ///
    /// # Errors
    /// It was not started.
    pub fn tell(&mut self, order: &str) -> Result<()> {
        let orders = self.orders.as_mut().context("exabgp was not started")?;
        Ok(orders.write_all(format!("{order}\n").as_bytes())?)
    }

    /// Sends what an UPDATE has, but for ORIGIN, AS_PATH, NEXT_HOP and LOCAL_PREF, with a carrier.
    ///
    /// # Errors
    /// The UPDATE has no form on the wire, or ExaBGP was not started.
    pub fn send(&mut self, carrier: Carrier, update: &Update) -> Result<()> {
        let mut order = format!("announce route {}/32 next-hop self", carrier.0);
        for (flags, code, value) in attributes(update)? {
            if CARRIERS.contains(&code) {
                continue;
            }
            let hex = value.iter().fold(String::new(), |mut hex, byte| {
                // Writing to a string cannot fail.
                let _ = write!(hex, "{byte:02x}");
                hex
            });
            write!(order, " attribute [ {code:#04x} {:#04x} 0x{hex} ]", flags & !EXTENDED_LENGTH)?;
        }
        self.tell(&order)
    }

    /// All that it has logged since its start: a value for each message and each change of a neighbour.
    ///
    /// # Errors
    /// The log is no JSON.
    pub fn received(&self) -> Result<Vec<Value>> {
        let text = fs::read_to_string(self.folder.join("received.json"))?;
        // What stands behind the last end of line is still being written.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(|line| serde_json::from_str(line).with_context(|| line.to_owned())).collect()
    }

    /// The EVPN routes that a neighbour has announced and not withdrawn, as ExaBGP shows them, with the attributes of
    /// the route under `attribute`.
    ///
    /// # Errors
    /// The log is no JSON.
    pub fn evpn_routes(&self, neighbour: IpAddr) -> Result<Vec<Value>> {
        let mut routes = BTreeMap::new();
        for message in self.received()? {
            if message["neighbor"]["address"]["peer"] != neighbour.to_string() {
                continue;
            }
            // A new session starts from nothing.
            if message["neighbor"]["state"] == "down" {
                routes.clear();
            }
            let update = &message["neighbor"]["message"]["update"];
            for route in all_routes(&update["withdraw"]["l2vpn evpn"]) {
                routes.remove(&key(route));
            }
            for route in all_routes(&update["announce"]["l2vpn evpn"]) {
                let mut whole = route.clone();
                whole["attribute"] = update["attribute"].clone();
                routes.insert(key(route), whole);
            }
        }
        Ok(routes.into_values().collect())
    }

    /// Waits until there is such an EVPN route.
    ///
    /// # Errors
    /// There is none in time; all that there are.
    pub fn wait_for_evpn(
        &self,
        neighbour: IpAddr,
        what: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        wait_for(PATIENCE, what, || {
            let routes = self.evpn_routes(neighbour).map_err(|error| format!("{error:#}"))?;
            routes.iter().find(|route| wanted(route)).cloned().ok_or_else(|| format!("{routes:#?}"))
        })
    }

    /// Waits until the session with a neighbour is established.
    ///
    /// # Errors
    /// It is not in time.
    pub fn wait_established(&self, neighbour: IpAddr) -> Result<()> {
        wait_for(PATIENCE, &format!("ExaBGP's session with {neighbour}"), || {
            let all = self.received().map_err(|error| format!("{error:#}"))?;
            let mut changes = all.iter().filter(|message| {
                message["type"] == "state" && message["neighbor"]["address"]["peer"] == neighbour.to_string()
            });
            match changes.next_back() {
                Some(last) if last["neighbor"]["state"] == "up" => Ok(()),
                last => Err(format!("{last:?}")),
            }
        })
    }
}

/// Path attributes of an UPDATE as they stand on the wire: flags, type code, value.
fn attributes(update: &Update) -> Result<Vec<(u8, u8, Vec<u8>)>> {
    let mut bytes = Vec::new();
    let dialect = Dialect { four_octet_as: true, ..Dialect::plain() };
    Message::Update(update.clone()).encode(&dialect, &mut bytes)?;
    let body = bytes.get(HEADER_LEN..).context("an UPDATE without a body")?;
    let (_, rest) = counted(body, 2)?;
    let (mut all, _) = counted(rest, 2)?;
    let mut attributes = Vec::new();
    while let [flags, code, rest @ ..] = all {
        let (value, rest) = counted(rest, if flags & EXTENDED_LENGTH == 0 { 1 } else { 2 })?;
        attributes.push((*flags, *code, value.to_vec()));
        all = rest;
    }
    Ok(attributes)
}

/// Splits off as many bytes as the length, of so many bytes, in front of them says.
fn counted(bytes: &[u8], of: usize) -> Result<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_at_checked(of).context("no length")?;
    let length = length.iter().fold(0, |length, byte| length * 256 + usize::from(*byte));
    rest.split_at_checked(length).context("a length beyond the end")
}

/// Announced routes stand under their next hops, withdrawn ones in a list.
fn all_routes(said: &Value) -> Vec<&Value> {
    match said {
        Value::Array(routes) => routes.iter().collect(),
        Value::Object(hops) => hops.values().flat_map(all_routes).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    }
}

/// What makes it the same route (RFC 7432 section 7): neither label nor gateway nor, for a MAC, the segment.
fn key(route: &Value) -> String {
    let of = ["code", "rd", "ethernet-tag", "mac", "ip", "iplen"];
    of.map(|field| route[field].to_string()).join(" ")
}
