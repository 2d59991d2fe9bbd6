//! The kernel's own overlay with a stateful firewall: what a user of bridges has for security groups.
//!
//! The bridge's packets pass the IPv4 filter, where connection tracking lets established flows through and a new one
//! walks a thousand rules before it meets the one that lets it in.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use weft_tests::Lab;

use super::hosts::Rival;
use super::vxlan;

pub(super) const NAME: &str = "vxlan-nft";
pub(super) const WHAT: &str = "the same with 1,000 stateful nftables rules";

/// Rules that a packet of the pods does not meet.
const RULES: u16 = 1000;

/// Sets it up.
pub(super) fn start(lab: &Lab) -> Result<Rival> {
    vxlan::with_hosts(lab, "nft", |host| {
        host.sysctl("bridge/bridge-nf-call-iptables", "1")?;
        host.run(|| load(&rules()?)).context("nft")?
    })
}

/// The rules as nft reads them.
fn rules() -> Result<String> {
    let mut text = String::from(
        "table ip bench {\n chain forward {\n  type filter hook forward priority 0; policy drop;\n  \
         ct state established,related accept\n",
    );
    for rule in 0..RULES {
        let [high, low] = rule.to_be_bytes();
        writeln!(text, "  ip saddr 172.16.{high}.{low} tcp dport {} accept", 10_000 + rule)?;
    }
    text.push_str("  ip saddr 10.0.0.0/24 accept\n }\n}\n");
    Ok(text)
}

fn load(rules: &str) -> Result<()> {
    // A child belongs to the namespace of the thread that starts it.
    let mut nft =
        Command::new("nft").args(["-f", "-"]).stdin(Stdio::piped()).spawn().context("starting it")?;
    nft.stdin.take().context("it has no input")?.write_all(rules.as_bytes())?;
    let status = nft.wait()?;
    ensure!(status.success(), "it ended with {status}");
    Ok(())
}
