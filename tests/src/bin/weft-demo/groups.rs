//! Security groups: members of `web` reach each other across the data centres, nobody else reaches them, and a rule that is
//! taken away cuts at once.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use weft_api::client::TestPacket;
use weft_api::resource::RuleVerdict;
use weft_api::resource::security::Protocol;
use weft_api::view::DropLine;
use weft_dataplane_abi::DropReason;
use weft_tests::cloud::{Cloud, Intent};
use weft_tests::probe::Steady;
use weft_tests::{PATIENCE, Packet, wait_closely, wait_for};

use crate::report::{Report, say};
use crate::tenants;

/// Two hosts in two data centres, with a member each.
const NEAR: &str = "red-1";
const FAR: &str = "red-4";
/// On the host of [`NEAR`].
const OTHER: &str = "red-2";
/// Of [`FAR`].
const FAR_HOST: usize = 2;

const AMONG_MEMBERS: &str = r#"[{"direction":"ingress","group":"web"}]"#;

/// What comes to red's workloads is denied, unless the rules of `web` allow it.
fn intent(rules: &str) -> Result<Intent> {
    let intent = tenants::intent()?.closed("red").security_group("web", "red", 101, rules)?;
    Ok(intent.member(NEAR, &["web"]).member(FAR, &["web"]))
}

fn tell(cloud: &Cloud<'_>, intent: &Intent) -> Result<()> {
    (0..cloud.daemons().len()).try_for_each(|host| cloud.tell(host, intent))
}

/// Runs them; all is open again afterwards.
pub(crate) fn run(report: &mut Report, cloud: &Cloud<'_>) -> Result<()> {
    say(
        "\nsecurity groups: red-1 and red-4 become members of web, and red's workloads are closed to all others",
    );
    tell(cloud, &intent(AMONG_MEMBERS)?)?;
    report.check("red-1 to red-4: members in two data centres", || {
        let to = cloud.pod(FAR);
        for address in to.addresses() {
            cloud.pod(NEAR).namespace.ping_until(address, PATIENCE)?;
        }
        Ok(format!("{} and {}", to.v4, to.v6))
    });
    report.check("red-2 to red-4: no member", || denied(cloud));
    report.check("weft policy test says the same, and sends nothing", || judged(cloud));
    report.check("the rule is taken away under traffic", || revoked(cloud));
    tell(cloud, &tenants::intent()?)?;
    cloud.pod(OTHER).namespace.ping_until(cloud.pod(FAR).v4.into(), PATIENCE).map(drop)
}

fn denied(cloud: &Cloud<'_>) -> Result<String> {
    let (from, to) = (cloud.pod(OTHER), cloud.pod(FAR));
    let weft = cloud.daemon(FAR_HOST).weft();
    let before = weft.drops(DropReason::PolicyDenied)?;
    ensure!(from.namespace.ping(to.v4.into())?.is_err(), "{} answers", to.v4);
    weft.wait_for_drop(DropReason::PolicyDenied, before)?;
    let source = from.v4.into();
    let by = wait_for(PATIENCE, "the drop to be told with its rule", || {
        let text = weft.must(&["drops", "--reason", "policy_denied", "-o", "json"]);
        let text = text.map_err(|error| error.to_string())?;
        let drops: Vec<DropLine> = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        let judged = drops.iter().find_map(|line| match line {
            DropLine::Drop(drop) if drop.frame.as_ref()?.source == Some(source) => drop.judged.clone(),
            DropLine::Drop(_) | DropLine::Untold(_) | DropLine::Missed(_) => None,
        });
        judged.ok_or(text)
    })?;
    Ok(format!("dropped by h3, at {}, by {}", by.port, by.by))
}

fn judged(cloud: &Cloud<'_>) -> Result<String> {
    let client = cloud.daemon(FAR_HOST).weft().client();
    for (from, verdict) in [(NEAR, RuleVerdict::Allow), (OTHER, RuleVerdict::Deny)] {
        let told = client.policy_test(&TestPacket {
            source: &cloud.pod(from).v4.to_string(),
            destination: FAR,
            protocol: Protocol::Number(6),
            port: Some(443),
            icmp: None,
            network: None,
        })?;
        ensure!(told.agree && told.verdict == verdict, "{told:?}");
    }
    Ok("rules and kernel agree".to_owned())
}

fn revoked(cloud: &Cloud<'_>) -> Result<String> {
    let (from, to) = (cloud.pod(NEAR), cloud.pod(FAR));
    let weft = cloud.daemon(FAR_HOST).weft();
    let ping = Steady::ping(&from.namespace, to.v4.into(), 1000)?;
    ping.wait_for_more(200)?;
    let start = Instant::now();
    cloud.tell(FAR_HOST, &intent("[]")?)?;
    let took: Duration = start.elapsed();
    let source: std::net::IpAddr = from.v4.into();
    let came = to.capture(move |packet: &Packet| packet.ip.as_ref().is_some_and(|ip| ip.source == source))?;
    let before = weft.drops(DropReason::PolicyDenied)?;
    wait_closely(PATIENCE, "500 packets to be denied", || {
        Ok(weft.drops(DropReason::PolicyDenied)? >= before + 500)
    })?;
    let passed = came.finish().context("capturing at red-4")?.count;
    ensure!(passed == 0, "{passed} packets passed after the answer");
    ping.stop()?;
    Ok(format!("0 of 500 packets after the answer passed; {took:.0?}"))
}
