//! weft with security groups: what the client sends and what comes to the far pod is judged by so many rules each, of which
//! the last in reading order lets it through.

use std::fmt::Write as _;

use anyhow::Result;
use weft_tests::cloud::{Cloud, Intent};
use weft_tests::{Lab, Wire, underlay};

use super::strangers::{PODS, stranger};
use super::{SUBNET_VNI, Subject, UNDERLAY_MTU};

/// The group of each host's port.
pub(crate) const GROUPS: [&str; 2] = ["clients", "servers"];
/// The pods, each on the host with its number.
pub(crate) const PODS_BY_HOST: [&str; 2] = ["client", "far"];
const TENANT: &str = "bench";

/// How large.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    /// Rules of each port's group; without, ports have no groups, in a network that denies nothing.
    pub(crate) rules: Option<u32>,
    /// `sizes.flows`, and the quotas.
    pub(crate) flows: u32,
}

/// Sets it up. A host knows the group of its own port alone.
pub(crate) fn start(lab: &Lab, shape: Shape) -> Result<Cloud<'_>> {
    let wire = Wire { mtu: UNDERLAY_MTU, ..Wire::default() };
    let mut cloud = Cloud::start_with(lab, underlay::two_hosts(lab, wire)?, |settings| {
        // Twice what the most rules become, as it is while weftd starts.
        settings.sizes = format!("flows = {}\nrules = 524288\n", shape.flows);
        let Shape { flows, .. } = shape;
        // Datagrams that opened a connection before a measurement still have it at the end.
        settings.flows =
            format!("per_port = {flows}\nper_tenant = {flows}\nudp_open = 7200\ntcp_closed = 60\n");
    })?;
    for (host, pod) in PODS_BY_HOST.iter().enumerate() {
        let intent = intent(host, shape.rules)?;
        cloud.tell(host, &intent)?;
        cloud.attach_one(&intent, pod)?;
    }
    cloud.wait_until_up()?;
    Ok(cloud)
}

fn intent(host: usize, rules: Option<u32>) -> Result<Intent> {
    let intent = Intent::default()
        .network(TENANT, 100)?
        .subnet("a", TENANT, SUBNET_VNI, PODS, "fd00::/64")?
        .pod("client", "a", 0, 11)?
        .pod("far", "a", 1, 13)?;
    let Some(rules) = rules else { return Ok(intent) };
    let id = 101 + u32::try_from(host)?;
    let text = text(["egress", "ingress"][host], rules)?;
    let group = GROUPS[host];
    Ok(intent.closed(TENANT).security_group(group, TENANT, id, &text)?.member(PODS_BY_HOST[host], &[group]))
}

/// Rules as a document has them.
fn text(direction: &str, count: u32) -> Result<String> {
    let mut text = String::from("[");
    for (address, port) in (1..count).map(stranger) {
        write!(
            text,
            r#"{{"direction":"{direction}","protocol":"tcp","ports":{port},"prefix":"{address}/32"}},"#
        )?;
    }
    write!(text, r#"{{"direction":"{direction}","prefix":"{PODS}"}}]"#)?;
    Ok(text)
}

/// The subject that it is, between its two hosts alone.
pub(crate) fn subject<'a>(cloud: &'a Cloud<'_>, name: &'static str, what: &'static str) -> Subject<'a> {
    let [client, far] = PODS_BY_HOST.map(|pod| cloud.pod(pod));
    let far = (&far.namespace, far.v4.into());
    Subject { name, what, client: &client.namespace, near: far, far }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_rule_is_the_one_for_the_pods() {
        let rules: serde_json::Value = serde_json::from_str(&text("ingress", 10).unwrap()).unwrap();
        let rules = rules.as_array().unwrap();
        assert_eq!((rules.len(), &rules[9]["prefix"]), (10, &PODS.into()));
    }
}
