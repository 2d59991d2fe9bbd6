//! Attacks on ports with security groups, each beside legitimate traffic that must not suffer.
//!
//! ```text
//! red-1  client   ┐                  ┌ red-2  server: TCP 7, UDP 1000-1999 and pings from everybody
//! red-3  attacker ┼ h1 ────── h2 ┼ red-4  attacker on the server's own host
//! blue-1 blue-3   ┘                  └ blue-2 blue-4, who answer
//! ```
//! Both networks deny what comes to a port unless a rule allows it; red-2 lets in all that red-1 sends.

mod floods;
mod forged;
mod pairs;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};
use weft_tests::cloud::{Cloud, Intent, Pod};
use weft_tests::frame::Between;
use weft_tests::probe::{EchoServer, Steady, say_over_tcp};
use weft_tests::underlay::two_hosts;
use weft_tests::{Lab, PATIENCE, Wire, let_pass};

const SERVER: &str = r#"[{"direction":"ingress","protocol":"tcp","ports":7},
    {"direction":"ingress","protocol":"udp","ports":"1000-1999"},
    {"direction":"ingress","protocol":"icmp","icmp":{"type":8}},
    {"direction":"ingress","protocol":"icmpv6","icmp":{"type":128}},
    {"direction":"ingress","prefix":"10.0.0.11/32"},{"direction":"ingress","prefix":"fd00:a::b/128"}]"#;
const OPEN: &str = r#"[{"direction":"ingress"}]"#;

fn intent() -> Result<Intent> {
    Ok(Intent::default()
        .tenant("red", 100)?
        .closed("red")
        .security_group("server", "red", 7, SERVER)?
        .tenant("blue", 200)?
        .closed("blue")
        .security_group("open", "blue", 8, OPEN)?
        .pod("red-1", "red-a", 0, 11)?
        .pod("red-2", "red-a", 1, 12)?
        .pod("red-3", "red-a", 0, 13)?
        .pod("red-4", "red-a", 1, 14)?
        .pod("blue-1", "blue-a", 0, 11)?
        .pod("blue-2", "blue-a", 1, 12)?
        .pod("blue-3", "blue-a", 0, 13)?
        .pod("blue-4", "blue-a", 1, 14)?
        .member("red-2", &["server"])
        .member("blue-2", &["open"])
        .member("blue-4", &["open"]))
}

/// Hosts whose `[flows]` has these lines.
fn cloud<'lab>(lab: &'lab Lab, flows: &str, intent: &Intent) -> Result<Cloud<'lab>> {
    let below = two_hosts(lab, Wire::default())?;
    let mut cloud = Cloud::start_with(lab, below, |settings| settings.flows = flows.to_owned())?;
    cloud.deploy(intent)?;
    for from in ["red-1", "red-3", "red-4"] {
        for address in cloud.pod("red-2").addresses() {
            cloud.pod(from).namespace.ping_until(address, PATIENCE)?;
        }
    }
    Ok(cloud)
}

/// From a pod to another of its subnet, by IPv4.
fn between(from: &Pod, to: &Pod) -> Between {
    Between {
        source_mac: from.mac,
        destination_mac: to.mac,
        source: from.v4.into(),
        destination: to.v4.into(),
    }
}

/// What red-1 and red-2 have with each other: a TCP connection and datagrams that go on, and a new TCP connection now and then.
struct Legitimate {
    flows: Vec<Steady>,
    fresh: JoinHandle<Result<Vec<Duration>>>,
    stop: Arc<AtomicBool>,
    _server: EchoServer,
}

impl Legitimate {
    fn start(cloud: &Cloud<'_>) -> Result<Self> {
        let (client, server) = (cloud.pod("red-1"), cloud.pod("red-2"));
        let echo = server.serve()?;
        let flows = vec![
            Steady::tcp(&client.namespace, &server.namespace, server.v4.into(), 200)?,
            Steady::udp(&client.namespace, &server.namespace, server.v6.into(), 200)?,
            Steady::ping(&client.namespace, server.v4.into(), 100)?,
        ];
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, to) = (Arc::clone(&stop), server.v4.into());
        let fresh = client.namespace.spawn(move || {
            let mut times = Vec::new();
            while !stopped.load(Ordering::Relaxed) {
                let start = Instant::now();
                say_over_tcp(to, "new")?;
                times.push(start.elapsed());
                let_pass(Duration::from_millis(10));
            }
            Ok(times)
        })?;
        flows.iter().try_for_each(|flow| flow.wait_for_more(50))?;
        Ok(Self { flows, fresh, stop, _server: echo })
    }

    /// How it fared, in words; fails if it suffered. `attack` is what went on meanwhile.
    fn finish(self, attack: &str) -> Result<String> {
        self.stop.store(true, Ordering::Relaxed);
        let mut times = self.fresh.join().map_err(|_| anyhow!("new connections: panicked"))??;
        let (mut sent, mut lost, mut gap) = (0, 0, Duration::ZERO);
        for flow in self.flows {
            let tally = flow.stop()?;
            sent += tally.sent;
            lost += tally.lost();
            gap = gap.max(tally.longest_gap);
        }
        times.sort_unstable();
        let count = times.len();
        let median = times.get(count / 2).copied().unwrap_or_default();
        let slowest = times.last().copied().unwrap_or_default();
        let told = format!(
            "{attack}: legitimate traffic lost {lost} of {sent}, longest gap {gap:.1?}; {count} of {count} new connections, \
             median {median:.1?}, slowest {slowest:.1?}"
        );
        ensure!(lost == 0, "{attack}: {lost} of {sent} lost");
        ensure!(count > 0, "{attack}: no new connection");
        Ok(told)
    }
}
