//! The kernel's own overlay with a stateful firewall: what a user of bridges has for security groups.
//!
//! The bridge's packets pass the IPv4 filter of their host (`br_netfilter`), where connection tracking lets established
//! flows through, and a new one walks the rules up to the last, which lets it in, or is looked up in a set.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use weft_tests::Lab;

use super::hosts::Rival;
use super::strangers::{PODS, stranger};
use super::vxlan;

pub(super) const NAME: &str = "vxlan-nft";
pub(super) const WHAT: &str = "the same with 1,000 stateful nftables rules";
pub(super) const RULES: Rules = Rules::Linear(1000);

/// Seconds that a closed connection is remembered for, as long as by weft.
const CLOSED: &str = "60";

/// How a new connection is judged.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Rules {
    /// By so many rules, one after the other.
    Linear(u32),
    /// By one, which looks for its source in a set of so many addresses.
    Set(u32),
}

/// Sets it up; `name` begins the names of its namespaces.
pub(crate) fn start(lab: &Lab, name: &str, rules: Rules) -> Result<Rival> {
    vxlan::with_hosts(lab, name, |host| {
        host.sysctl("bridge/bridge-nf-call-iptables", "1")?;
        host.run(|| load(&text(rules)?)).context("nft")??;
        host.sysctl("netfilter/nf_conntrack_tcp_timeout_time_wait", CLOSED)
    })
}

/// The rules as nft reads them.
fn text(rules: Rules) -> Result<String> {
    let mut text = String::from("table ip bench {\n");
    if let Rules::Set(count) = rules {
        // The pods' own addresses are among them.
        let strangers = (0..count.saturating_sub(3)).map(|number| stranger(number).0.to_string());
        let pods = [11, 12, 13].map(|number| format!("10.0.0.{number}"));
        let elements: Vec<_> = strangers.chain(pods).collect();
        writeln!(
            text,
            " set peers {{\n  type ipv4_addr; size {count}; elements = {{ {} }}\n }}",
            elements.join(", ")
        )?;
    }
    text.push_str(
        " chain forward {\n  type filter hook forward priority 0; policy drop;\n  \
         ct state established,related accept\n",
    );
    match rules {
        Rules::Linear(count) => {
            for (address, port) in (1..count).map(stranger) {
                writeln!(text, "  ip saddr {address} tcp dport {port} accept")?;
            }
            writeln!(text, "  ip saddr {PODS} accept")?;
        }
        Rules::Set(_) => text.push_str("  ip saddr @peers accept\n"),
    }
    text.push_str(" }\n}\n");
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_as_many_rules_or_elements_as_are_wanted() {
        let accepts = |rules| text(rules).unwrap().matches(" accept").count() - 1;
        assert_eq!((accepts(Rules::Linear(10)), accepts(Rules::Set(1000))), (10, 1));
        let set = text(Rules::Set(1000)).unwrap();
        assert_eq!(set.lines().find(|line| line.contains("elements")).unwrap().matches('.').count(), 3000);
    }
}
