//! `weft counters`: packets, bytes and drops of each port, once or every second.

use std::io::{IsTerminal, stdout};
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Args;
use weft_api::client::Client;
use weft_api::view;

use crate::output::table::{Table, joined};
use crate::output::{Format, Output};

const AFTER_HELP: &str = "\
SENT is what the port sent and weft passed on, RECEIVED what was delivered into it. A super-packet
(GSO) counts as one. DROPPED is what a person may want to look into, REASONS why; NOISE is dropped
too, but every healthy workload causes it (multicast, neighbour_noise: what it announces and asks
when its NIC comes up). The line `underlay` counts what came from other hosts and was for no port.

Examples:
  weft counters --port web-1
  weft counters --watch                 adds packets per second
  weft counters --watch -o json         a line of JSON every second";

/// Show packets, bytes and drops of the ports
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Counters {
    /// Only this port's
    #[arg(long)]
    port: Option<String>,

    /// Show them again every second
    #[arg(long, short)]
    watch: bool,
}

const INTERVAL: Duration = Duration::from_secs(1);

impl Counters {
    pub(crate) fn run(&self, client: &Client, output: &mut Output) -> Result<()> {
        let mut counters = self.read(client)?;
        if !self.watch {
            return output.print(&counters, |counters| render(counters));
        }
        let mut taken = Instant::now();
        loop {
            #[expect(clippy::disallowed_methods, reason = "the interval itself is what was asked for")]
            std::thread::sleep(INTERVAL);
            let next = self.read(client)?;
            let elapsed = taken.elapsed();
            taken = Instant::now();
            if output.format == Format::Table && stdout().is_terminal() {
                // Home, and clear what was there.
                output.text("\x1b[H\x1b[2J")?;
            }
            output.print_next(&next, |next| format!("{}\n", render_rates(next, &counters, elapsed)))?;
            counters = next;
        }
    }

    fn read(&self, client: &Client) -> Result<Vec<view::Counters>> {
        let mut counters = client.counters()?;
        if let Some(port) = &self.port {
            counters.retain(|line| line.port == *port);
            anyhow::ensure!(
                !counters.is_empty(),
                "port/{port}: no counters: `weft get ports` lists this host's ports"
            );
        }
        Ok(counters)
    }
}

fn render(counters: &[view::Counters]) -> String {
    let mut table = Table::new(["PORT", "SENT", "BYTES", "RECEIVED", "BYTES", "DROPPED", "REASONS", "NOISE"]);
    for line in counters {
        table.row([
            name(line),
            line.from_port.packets.to_string(),
            line.from_port.bytes.to_string(),
            line.to_port.packets.to_string(),
            line.to_port.bytes.to_string(),
            line.dropped().to_string(),
            reasons(line),
            line.noise().to_string(),
        ]);
    }
    table.to_string()
}

fn render_rates(counters: &[view::Counters], before: &[view::Counters], elapsed: Duration) -> String {
    let mut table =
        Table::new(["PORT", "SENT", "PER S", "RECEIVED", "PER S", "DROPPED", "PER S", "REASONS", "NOISE"]);
    for line in counters {
        // A port that is new counts from zero, as does one whose counters began anew.
        let old = before.iter().find(|old| old.port == line.port);
        let rate = |now: u64, count: fn(&view::Counters) -> u64| {
            let more = now.saturating_sub(old.map_or(0, count));
            let millis = elapsed.as_millis().max(1);
            (u128::from(more) * 1000 / millis).to_string()
        };
        table.row([
            name(line),
            line.from_port.packets.to_string(),
            rate(line.from_port.packets, |old| old.from_port.packets),
            line.to_port.packets.to_string(),
            rate(line.to_port.packets, |old| old.to_port.packets),
            line.dropped().to_string(),
            rate(line.dropped(), view::Counters::dropped),
            reasons(line),
            line.noise().to_string(),
        ]);
    }
    table.to_string()
}

/// What comes from other hosts and is for no port is counted where it arrives.
fn name(line: &view::Counters) -> String {
    if line.port.is_empty() { "underlay".to_owned() } else { line.port.clone() }
}

fn reasons(line: &view::Counters) -> String {
    joined(
        line.drops
            .iter()
            .filter(|(reason, _)| !view::is_noise(reason))
            .map(|(reason, count)| format!("{reason} {count}")),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counters(packets: u64) -> Vec<view::Counters> {
        let json = format!(
            r#"[{{"port":"web","from_port":{{"packets":{packets},"bytes":1200}},
                 "to_port":{{"packets":7,"bytes":700}},"drops":{{"multicast":4,"neighbour_noise":5,"spoofed_ip":3,"ttl_expired":1}}}},
                {{"port":"","from_port":{{"packets":0,"bytes":0}},"to_port":{{"packets":0,"bytes":0}},"drops":{{}}}}]"#
        );
        serde_json::from_str(&json).unwrap()
    }

    #[test]
    fn totals_and_rates() {
        assert_eq!(
            render(&counters(12)),
            "PORT      SENT  BYTES  RECEIVED  BYTES  DROPPED  REASONS                      NOISE\n\
             web       12    1200   7         700    4        spoofed_ip 3, ttl_expired 1  9\n\
             underlay  0     0      0         0      0        -                            0\n"
        );
        assert_eq!(
            render_rates(&counters(112), &counters(12), Duration::from_secs(2)),
            "PORT      SENT  PER S  RECEIVED  PER S  DROPPED  PER S  REASONS                      NOISE\n\
             web       112   50     7         0      4        0      spoofed_ip 3, ttl_expired 1  9\n\
             underlay  0     0      0         0      0        0      -                            0\n"
        );
    }
}
