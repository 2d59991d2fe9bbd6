//! `weft status`: the host at a glance.

mod checksums;

use anyhow::{Result, bail};
use clap::Args;
use weft_api::client::Client;
use weft_api::kind::Kind;
use weft_api::view::{self, PortPhase};

use crate::output::Output;
use crate::output::table::{Table, joined, or_dash};

const AFTER_HELP: &str = "\
STATE of a port: `up` (attached, and in the kernel as it should be), `detached` (in no namespace),
`failed` (attached, but REASON). MTU of a VTEP: the largest packet that the underlay's way to it takes,
the tunnel's headers included. NEXT HOP: the MAC of the underlay's next hop, once it is known; until then
the kernel sends. A line for each of several next hops, over which flows are spread.
CHECKSUMS: whether packets arrive whole whose checksum is left to the underlay device. To a host to
which they are `damaged`, this host computes them; `verified`: those arrive. `not tested`: why.
FULL of a table: what does not fit into its CAPACITY is refused; [sizes] in weftd.toml sets it.
The exit status is 0 whenever weftd answers, and with --check 1 if something is not as it should be.

Examples:
  weft status
  weft status --check > /dev/null              for a monitor";

/// Show the host at a glance: weftd, resources, ports, other hosts, failures
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Status {
    /// Fail if the kernel is not as desired or a port is failed
    #[arg(long)]
    check: bool,
}

impl Status {
    pub(crate) fn run(&self, client: &Client, output: &mut Output) -> Result<()> {
        let status = client.status()?;
        output.print(&status, render)?;
        match complaint(&status) {
            Some(complaint) if self.check => bail!(complaint),
            Some(_) | None => Ok(()),
        }
    }
}

/// What is not as it should be, in one line.
fn complaint(status: &view::Status) -> Option<String> {
    let ports = status.ports.iter().filter(|port| port.state == PortPhase::Failed);
    let names: Vec<_> = ports.map(|port| format!("port/{}", port.name)).collect();
    let failures = match (status.failures.len(), names.is_empty()) {
        (0, true) => return checksums::complaint(status),
        (1, _) => "1 failure".to_owned(),
        (failures, _) => format!("{failures} failures"),
    };
    let failed = if names.is_empty() { "no port is failed".to_owned() } else { names.join(", ") + " failed" };
    Some(format!("the kernel is not as desired: {failures}; {failed}"))
}

fn render(status: &view::Status) -> String {
    let mut text = heading(status);
    if !status.ports.is_empty() {
        text.push_str(&format!("\n{}", ports(&status.ports)));
    }
    if !status.vteps.is_empty() {
        text.push_str(&format!("\n{}", vteps(&status.vteps)));
    }
    if !status.tables.is_empty() {
        text.push_str(&format!("\n{}", tables(&status.tables)));
    }
    if !status.failures.is_empty() {
        text.push_str("\nFAILURES\n");
        text.extend(status.failures.iter().map(|failure| format!("{failure}\n")));
    }
    text
}

fn heading(status: &view::Status) -> String {
    // A kind that this version does not know comes last.
    let mut resources: Vec<_> = status.resources.iter().collect();
    resources.sort_by_key(|(word, _)| {
        Kind::ALL.iter().position(|kind| kind.plural() == word.as_str()).unwrap_or(Kind::ALL.len())
    });
    let resources = joined(resources.iter().map(|(word, count)| format!("{word} {count}")));
    let kernel = match status.failures.len() {
        0 => "as desired".to_owned(),
        1 => "1 failure, see below".to_owned(),
        failures => format!("{failures} failures, see below"),
    };
    let checked = duration(status.checked_seconds_ago);
    let mut text = format!(
        "host       {}\n\
         weftd      {} (kernel contract {}, {}), up {}\n\
         underlay   {}, VTEP {}, router MAC {}\n\
         resources  {} (revision {})\n\
         kernel     {kernel}, checked {checked} ago\n",
        status.host,
        status.version,
        status.abi,
        status.hook,
        duration(status.uptime_seconds),
        status.underlay,
        status.vtep,
        status.router_mac,
        if resources.is_empty() { "none" } else { &resources },
        status.revision,
    );
    text.extend(checksums::line(status));
    text.extend(status.xdp.iter().map(|xdp| {
        let native = if xdp.native { ", native" } else { "" };
        let view::XdpStatus { device, configured, effective, reason, .. } = xdp;
        format!("XDP        {device}: {effective}{native} ({configured}: {reason})\n")
    }));
    text
}

fn ports(ports: &[view::PortStatus]) -> Table<9> {
    let mut table =
        Table::new(["PORT", "TENANT", "NETWORK", "SUBNET", "MAC", "ADDRESSES", "STATE", "DEVICE", "REASON"]);
    for port in ports {
        let state = match port.state {
            PortPhase::Detached => "detached",
            PortPhase::Up => "up",
            PortPhase::Failed => "failed",
        };
        table.row([
            port.name.clone(),
            port.tenant.clone(),
            port.network.clone(),
            port.subnet.clone(),
            port.mac.to_string(),
            joined(&port.addresses),
            state.to_owned(),
            or_dash(port.device.as_ref()),
            or_dash(port.reason.as_ref()),
        ]);
    }
    table
}

/// A line for each next hop of a VTEP, the VTEP itself in the first.
fn vteps(vteps: &[view::VtepStatus]) -> Table<4> {
    let mut table = Table::new(["VTEP", "MTU", "DEVICE", "NEXT HOP"]);
    for vtep in vteps {
        let mut ways = vtep.next_hops.iter().map(|hop| {
            let mac = hop.mac.map_or_else(|| "unresolved".to_owned(), |mac| mac.to_string());
            (hop.device.clone(), mac)
        });
        let (device, mac) = ways.next().unwrap_or_else(|| (String::new(), "unresolved".to_owned()));
        table.row([vtep.vtep.to_string(), or_dash(vtep.mtu.as_ref()), device, mac]);
        for (device, mac) in ways {
            table.row([String::new(), String::new(), device, mac]);
        }
    }
    table
}

/// How full the kernel's tables are; a part of a percent does not count.
fn tables(tables: &[view::TableStatus]) -> Table<4> {
    let mut table = Table::new(["TABLE", "ENTRIES", "CAPACITY", "FULL"]);
    for view::TableStatus { name, entries, capacity } in tables {
        let full = entries.saturating_mul(100) / (*capacity).max(1);
        table.row([name.clone(), entries.to_string(), capacity.to_string(), format!("{full}%")]);
    }
    table
}

/// The two largest units.
pub(super) fn duration(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m {}s", seconds % 60),
        (0, ..) => format!("{hours}h {}m", minutes % 60),
        _ => format!("{days}d {}h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status() -> view::Status {
        serde_json::from_str(
            r#"{"host":"dc1-h1","version":"0.1.0","abi":1,"hook":"tcx","uptime_seconds":3725,"underlay":"eth1","vtep":"192.0.2.1",
                "router_mac":"02:00:c0:00:02:01","revision":12,"resources":{"networks":1,"ports":2,"subnets":1},
                "ports":[
                  {"name":"web","tenant":"acme","network":"red","subnet":"red-a","mac":"02:00:00:00:00:01",
                   "addresses":["10.0.0.2","fd00::2"],"state":"up","device":"weft3"},
                  {"name":"db","tenant":"acme","network":"red","subnet":"red-a","mac":"02:00:00:00:00:02",
                   "addresses":["10.0.0.3"],"state":"failed","reason":"/run/netns/db: no such namespace"}],
                "xdp":[{"device":"eth1","configured":"guard","effective":"guard","native":true,"reason":"as configured"}],
                "vteps":[
                  {"vtep":"192.0.2.2","mtu":1400,"next_hops":[{"device":"eth1","mac":"02:aa:00:00:00:01"}, {"device":"eth2"}]},
                  {"vtep":"192.0.2.3","next_hops":[]}],
                "tables":[{"name":"HOSTS","entries":786432,"capacity":1048576},{"name":"FDB","entries":3,"capacity":1048576}],
                "checked_seconds_ago":12,"failures":["port/db: /run/netns/db: no such namespace"]}"#,
        )
        .unwrap()
    }

    #[test]
    fn the_host_at_a_glance() {
        assert_eq!(
            render(&status()),
            "host       dc1-h1\n\
             weftd      0.1.0 (kernel contract 1, tcx), up 1h 2m\n\
             underlay   eth1, VTEP 192.0.2.1, router MAC 02:00:c0:00:02:01\n\
             resources  networks 1, subnets 1, ports 2 (revision 12)\n\
             kernel     1 failure, see below, checked 12s ago\n\
             XDP        eth1: guard, native (guard: as configured)\n\
             \n\
             PORT  TENANT  NETWORK  SUBNET  MAC                ADDRESSES          STATE   DEVICE  REASON\n\
             web   acme    red      red-a   02:00:00:00:00:01  10.0.0.2, fd00::2  up      weft3   -\n\
             db    acme    red      red-a   02:00:00:00:00:02  10.0.0.3           failed  -       /run/netns/db: no such namespace\n\
             \n\
             VTEP       MTU   DEVICE  NEXT HOP\n\
             192.0.2.2  1400  eth1    02:aa:00:00:00:01\n\
             -          -     eth2    unresolved\n\
             192.0.2.3  -     -       unresolved\n\
             \n\
             TABLE  ENTRIES  CAPACITY  FULL\n\
             HOSTS  786432   1048576   75%\n\
             FDB    3        1048576   0%\n\
             \n\
             FAILURES\n\
             port/db: /run/netns/db: no such namespace\n"
        );
    }

    #[test]
    fn an_empty_host_is_as_desired() {
        let status = view::Status {
            resources: [].into(),
            ports: Vec::new(),
            vteps: Vec::new(),
            tables: Vec::new(),
            xdp: Vec::new(),
            failures: Vec::new(),
            ..status()
        };
        assert!(
            render(&status)
                .ends_with("resources  none (revision 12)\nkernel     as desired, checked 12s ago\n")
        );
    }

    #[test]
    fn what_a_monitor_is_told() {
        let words = "the kernel is not as desired: 1 failure; port/db failed";
        assert_eq!(complaint(&status()).as_deref(), Some(words));
        let good = view::Status { ports: Vec::new(), failures: Vec::new(), ..status() };
        assert_eq!(complaint(&good), None);
        let elsewhere = view::Status { ports: Vec::new(), ..status() };
        let words = "the kernel is not as desired: 1 failure; no port is failed";
        assert_eq!(complaint(&elsewhere).as_deref(), Some(words));
    }

    #[test]
    fn durations() {
        let texts = [59, 61, 7260, 90_000].map(duration);
        assert_eq!(texts, ["59s", "1m 1s", "2h 1m", "1d 1h"]);
    }
}
