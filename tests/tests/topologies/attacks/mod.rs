//! Attacks on a port whose rules let the attackers in, or out, with honest traffic beside them that must not notice.
//!
//! ```text
//! red-1 the victim         ┐
//! red-2 attacks            ┼ h1 192.0.2.1 ─────── 192.0.2.2 h2 ┬ red-3 attacks
//! red-4 an honest customer ┘                                   └ red-5 an honest customer
//! ```
//! What comes to a port is denied; red-1 lets in TCP, UDP and pings. The attackers' kernels are silent: nobody takes back what
//! they ask for.

#![expect(clippy::print_stdout, reason = "the figures are of interest")]

mod floods;
mod forged;
mod lies;
mod pieces;
mod quotas;

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use weft_tests::cloud::{Cloud, Intent, POD_DEVICE, Pod};
use weft_tests::foreign::Filter;
use weft_tests::frame::Between;
use weft_tests::probe::{Customers, EchoServer, Steady, Way};
use weft_tests::{Flood, Lab, PATIENCE, Settings, Wire, underlay, wait_for};

const RULES: &str = r#"[{"direction":"ingress","protocol":"tcp"},{"direction":"ingress","protocol":"udp"},
    {"direction":"ingress","protocol":"icmp"},{"direction":"ingress","protocol":"icmpv6"}]"#;

fn intent() -> Result<Intent> {
    Intent::default()
        .tenant("red", 100)?
        .closed("red")
        .security_group("victims", "red", 1, RULES)?
        .pod("red-1", "red-a", 0, 11)?
        .member("red-1", &["victims"])
        .pod("red-2", "red-a", 0, 12)?
        .pod("red-3", "red-a", 1, 13)?
        .pod("red-4", "red-a", 0, 14)?
        .pod("red-5", "red-a", 1, 15)?
        // A workload with many addresses, such as a load balancer or a proxy.
        .pair("red-3", "10.0.0.128/25", None)
}

fn start(lab: &Lab, adapt: impl Fn(&mut Settings)) -> Result<(Cloud<'_>, Vec<Filter>)> {
    let mut cloud = Cloud::start_with(lab, underlay::two_hosts(lab, Wire::default())?, adapt)?;
    cloud.deploy(&intent()?)?;
    for name in ["red-4", "red-5"] {
        cloud.pod(name).namespace.ping_until(cloud.pod("red-1").v4.into(), PATIENCE)?;
    }
    let silence = |name: &str| Filter::silence(&cloud.pod(name).namespace, POD_DEVICE);
    let silent = ["red-2", "red-3"].into_iter().map(silence).collect::<Result<_>>()?;
    Ok((cloud, silent))
}

/// In: one attack of each kind after the other. Out: honest customers are served meanwhile, each of them, and connections that are
/// open go on.
#[test]
fn do_not_hurt_others() -> Result<()> {
    Lab::test(|lab| {
        let (cloud, _silent) = start(lab, |_| {})?;
        forged::segments_and_answers(&cloud)?;
        lies::about_addresses_and_macs(&cloud)?;
        pieces::that_hide_what_they_are(&cloud)?;
        floods::of_syn(&cloud)?;
        floods::of_datagrams(&cloud)
    })
}

/// From one pod to another over IPv4.
fn between(from: &Pod, to: &Pod) -> Between {
    Between {
        source_mac: from.mac,
        destination_mac: to.mac,
        source: from.v4.into(),
        destination: to.v4.into(),
    }
}

/// Honest traffic with the victim, from its own host and from the other.
struct Honest<'a> {
    cloud: &'a Cloud<'a>,
    what: &'static str,
    before: Vec<BTreeMap<String, u64>>,
    steady: Vec<Steady>,
    customers: Vec<(String, Customers)>,
    _server: EchoServer,
}

impl<'a> Honest<'a> {
    /// Begins, and waits until it goes well.
    fn begin(cloud: &'a Cloud<'a>, what: &'static str) -> Result<Self> {
        let victim = cloud.pod("red-1");
        let server = victim.serve()?;
        let (mut steady, mut customers) = (Vec::new(), Vec::new());
        for customer in ["red-4", "red-5"].map(|name| cloud.pod(name)) {
            steady.push(Steady::tcp(&customer.namespace, &victim.namespace, victim.v4.into(), 100)?);
            steady.push(Steady::ping(&customer.namespace, victim.v6.into(), 50)?);
            for (way, to) in [(Way::NewTcp, victim.v4.into()), (Way::NewUdp, victim.v6.into())] {
                let name = format!("{} {way:?}", customer.name);
                customers.push((name, Customers::start(&customer.namespace, to, way, 20)?));
            }
        }
        let before = cloud.daemons().iter().map(|daemon| daemon.weft().all_drops()).collect::<Result<_>>()?;
        let honest = Self { cloud, what, before, steady, customers, _server: server };
        honest.wait_for_more(2)?;
        Ok(honest)
    }

    /// How often each was served so far.
    fn served(&self) -> Vec<u64> {
        let steady = self.steady.iter().map(Steady::answered);
        steady.chain(self.customers.iter().map(|(_, customers)| customers.served())).collect()
    }

    /// Waits until each has been served so often more.
    fn wait_for_more(&self, more: u64) -> Result<()> {
        let before = self.served();
        wait_for(PATIENCE * 2, &format!("{}: {more} more of each", self.what), || {
            let now = self.served();
            let all = before.iter().zip(&now).all(|(before, now)| *now >= before + more);
            if all { Ok(()) } else { Err(format!("{before:?}, now {now:?}")) }
        })
    }

    /// What a host has dropped since.
    fn dropped(&self, host: usize) -> Result<BTreeMap<String, u64>> {
        let now = self.cloud.daemon(host).weft().all_drops()?;
        let more = now.into_iter().map(|(reason, count)| {
            let before = self.before[host].get(&reason).copied().unwrap_or_default();
            (reason, count - before)
        });
        Ok(more.filter(|(_, more)| *more > 0).collect())
    }

    /// Has it go on for a while beside the floods, ends them, and fails if anybody was not served.
    fn beside(self, floods: Vec<Flood>, to_the_end: bool) -> Result<Outcome> {
        self.wait_for_more(20)?;
        let (mut sent, mut rate) = (0, 0);
        for flood in floods {
            let flooded = if to_the_end { flood.finish()? } else { flood.stop()? };
            sent += flooded.sent;
            rate += flooded.rate();
        }
        let dropped = [self.dropped(0)?, self.dropped(1)?];
        println!("{}: {sent} packets, {rate} a second; dropped {:?}", self.what, dropped);
        for flow in self.steady {
            let tally = flow.stop()?;
            println!("  open: {} of {}, longest gap {:?}", tally.answered, tally.sent, tally.longest_gap);
            ensure!(tally.lost() == 0, "{}: {} of {} lost", self.what, tally.lost(), tally.sent);
        }
        for (name, customers) in self.customers {
            let served = customers.stop()?;
            println!("  {name}: {served}");
            served.all(20).with_context(|| format!("{}: {name}", self.what))?;
        }
        Ok(Outcome { sent, dropped })
    }
}

/// How an attack went.
struct Outcome {
    sent: u64,
    /// By host.
    dropped: [BTreeMap<String, u64>; 2],
}

impl Outcome {
    /// Fails unless so many packets at least were dropped for a reason by a host.
    fn at_least(&self, host: usize, reason: weft_dataplane_abi::DropReason, least: u64) -> Result<()> {
        let count = self.dropped[host].get(reason.name()).copied().unwrap_or_default();
        ensure!(count >= least, "{count} of {} dropped as {} by h{}", self.sent, reason.name(), host + 1);
        Ok(())
    }
}

/// The host of a pod, and what it sends to the other one is between.
fn as_host<'a>(cloud: &'a Cloud<'_>, from: &Pod) -> Result<(&'a underlay::Machine, Between)> {
    let [near, far] = [&cloud.underlay.machines[1 - from.host], &cloud.underlay.machines[from.host]];
    let outer = Between {
        source_mac: far.namespace.mac(underlay::UPLINK)?,
        destination_mac: near.namespace.mac(underlay::UPLINK)?,
        source: far.vtep.address(),
        destination: near.vtep.address(),
    };
    Ok((far, outer))
}
