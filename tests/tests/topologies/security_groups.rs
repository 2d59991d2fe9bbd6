//! Security groups on three hosts that learn of each other by BGP-EVPN, which also says who is a member of what.
//!
//! ```text
//! red-1 mesh ┐
//! red-3 mesh ┴ h1 192.0.2.1 ──┐
//!                reflector     ├ sw ── 192.0.2.3 h3 ── red-5 (no group)
//! red-2 mesh ─ h2 192.0.2.2 ──┘
//! ```
//! What comes to a port is denied, unless it comes from another member of mesh.

use std::fs;

use anyhow::{Result, ensure};
use weft_dataplane_abi::DropReason;
use weft_tests::cloud::{Cloud, Fabric, Intent, Pod};
use weft_tests::probe::Steady;
use weft_tests::{Lab, PATIENCE, Packet, Wire, underlay, wait_closely};

const AMONG_MEMBERS: &str = r#"[{"direction":"ingress","group":"mesh"}]"#;

/// red-1, red-2 and red-3 are members of mesh, which has these rules; red-5 is of no group.
pub(crate) fn intent(rules: &str) -> Result<Intent> {
    Ok(Intent::default()
        .tenant("red", 100)?
        .closed("red")
        .security_group("mesh", "red", 7, rules)?
        .pod("red-1", "red-a", 0, 11)?
        .pod("red-3", "red-b", 0, 13)?
        .pod("red-2", "red-a", 1, 12)?
        .pod("red-5", "red-a", 2, 15)?
        .member("red-1", &["mesh"])
        .member("red-2", &["mesh"])
        .member("red-3", &["mesh"]))
}

fn cloud(lab: &Lab) -> Result<Cloud<'_>> {
    let below = underlay::three_hosts(lab, Wire::default())?;
    let mut cloud = Cloud::start_evpn(lab, below, |vteps| Fabric::reflector(vteps, 0))?;
    cloud.deploy(&intent(AMONG_MEMBERS)?)?;
    let members = ["red-1", "red-2", "red-3"].map(|name| cloud.pod(name));
    for from in members {
        for to in members.into_iter().filter(|to| to.name != from.name) {
            for address in to.addresses() {
                from.namespace.ping_until(address, PATIENCE)?;
            }
        }
    }
    Ok(cloud)
}

/// That pings are not answered, and that the host which says so is `denies`.
fn is_denied(cloud: &Cloud<'_>, from: &Pod, to: &Pod, denies: usize) -> Result<()> {
    let weft = cloud.daemon(denies).weft();
    for address in to.addresses() {
        let before = weft.drops(DropReason::PolicyDenied)?;
        ensure!(from.namespace.ping(address)?.is_err(), "{} reached {address}", from.name);
        weft.wait_for_drop(DropReason::PolicyDenied, before)?;
    }
    Ok(())
}

/// In: ping, UDP and TCP between all members, on one host and on two, IPv4 and IPv6; and from and to a pod that is none, which
/// then becomes one, and then is none again. Out: answers among members only.
#[test]
fn members_reach_each_other_and_nobody_else_does() -> Result<()> {
    Lab::test(|lab| {
        let cloud = cloud(lab)?;
        let servers = cloud.pods().map(Pod::serve).collect::<Result<Vec<_>>>()?;
        let members = ["red-1", "red-2", "red-3"].map(|name| cloud.pod(name));
        let other = cloud.pod("red-5");
        for from in members {
            for to in members.into_iter().filter(|to| to.name != from.name) {
                from.talks_to(to)?;
            }
            is_denied(&cloud, other, from, from.host)?;
            is_denied(&cloud, from, other, other.host)?;
        }
        for (groups, reached) in [(&["mesh"][..], true), (&[][..], false)] {
            cloud.tell(2, &intent(AMONG_MEMBERS)?.member("red-5", groups))?;
            for member in members {
                wait_closely(PATIENCE, &format!("red-5 to reach {}: {reached}", member.name), || {
                    Ok(other.namespace.ping(member.v4.into())?.is_ok() == reached)
                })?;
            }
            if reached {
                members.into_iter().try_for_each(|member| other.talks_to(member))?;
            }
        }
        drop(servers);
        Ok(())
    })
}

/// In: ping and UDP between members, on one host and on two; then the rule that lets them in goes. Out: after the answer of
/// the API, not one packet more comes to a pod.
#[test]
fn a_revoked_rule_cuts_at_once() -> Result<()> {
    Lab::test(|lab| {
        let cloud = cloud(lab)?;
        let (near, far) = (cloud.pod("red-1"), cloud.pod("red-2"));
        for (host, to, from) in [(1, far, near), (0, near, cloud.pod("red-3"))] {
            let ping = Steady::ping(&from.namespace, to.v4.into(), 1000)?;
            let udp = Steady::udp(&from.namespace, &to.namespace, to.v6.into(), 1000)?;
            ping.wait_for_more(200)?;
            udp.wait_for_more(200)?;
            let weft = cloud.daemon(host).weft();
            cloud.tell(host, &intent("[]")?)?;
            let sources = from.addresses();
            let sent_to = to.capture(move |packet: &Packet| {
                packet.ip.as_ref().is_some_and(|ip| sources.contains(&ip.source))
            })?;
            let before = weft.drops(DropReason::PolicyDenied)?;
            wait_closely(PATIENCE, "a thousand packets to be denied", || {
                Ok(weft.drops(DropReason::PolicyDenied)? >= before + 1000)
            })?;
            let passed = sent_to.finish()?.count;
            ensure!(passed == 0, "{passed} packets came to {} after its rule was gone", to.name);
            println!("after the API's answer, of more than 1000 packets {passed} passed at h{}", host + 1);
            ping.stop()?;
            udp.stop()?;
            cloud.tell(host, &intent(AMONG_MEMBERS)?)?;
            from.namespace.ping_until(to.v4.into(), PATIENCE)?;
        }
        Ok(())
    })
}

/// In: TCP and UDP between members while weftd of either side is killed and started; meanwhile others try. Out: no packet of
/// the live connections is lost, and nobody gets in.
#[test]
fn connections_outlive_the_daemon() -> Result<()> {
    Lab::test(|lab| {
        let mut cloud = cloud(lab)?;
        let (near, far) = (cloud.pod("red-1"), cloud.pod("red-2"));
        let tcp = Steady::tcp(&near.namespace, &far.namespace, far.v4.into(), 200)?;
        let udp = Steady::udp(&far.namespace, &near.namespace, near.v6.into(), 200)?;
        for host in [1, 0] {
            tcp.wait_for_more(50)?;
            cloud.daemon_mut(host).kill()?;
            let denied = if host == 1 { "red-2" } else { "red-3" };
            for address in cloud.pod(denied).addresses() {
                ensure!(cloud.pod("red-5").namespace.ping(address)?.is_err(), "red-5 reached {address}");
            }
            tcp.wait_for_more(50)?;
            cloud.daemon_mut(host).start()?;
            cloud.wait_until_up()?;
            tcp.wait_for_more(400)?;
            let (from, to) = (cloud.pod("red-5"), cloud.pod(denied));
            is_denied(&cloud, from, to, host)?;
        }
        for flow in [tcp, udp] {
            let tally = flow.stop()?;
            ensure!(tally.lost() == 0, "{} of {} lost", tally.lost(), tally.sent);
        }
        Ok(())
    })
}

/// In: groups and ports that make no sense. Out: each is refused by its name and field, and what was in force stays.
#[test]
fn what_makes_no_sense_is_refused() -> Result<()> {
    Lab::test(|lab| {
        let cloud = cloud(lab)?;
        let weft = cloud.daemon(0).weft();
        let file = lab.folder().join("group.yaml");
        let group = |rule: &str| {
            format!("kind: security-group\nname: mesh\ntenant: red\nid: 7\nrules:\n  - {rule}\n")
        };
        let port = |more: &str| format!("kind: port\nname: red-1\nsubnet: red-a\n{more}\n");
        for (document, says) in [
            (group("{direction: ingress, protocol: tcp, ports: 90-80}"), "the first is above the last"),
            (group("{direction: ingress, prefix: 10.0.0.1/8}"), "it may be meant as 10.0.0.0/8"),
            (group("{direction: ingress, group: nobody}"), "create security-group/nobody first"),
            (group("{direction: ingress, protocol: icmp, ports: 80}"), "only tcp, udp and sctp"),
            (group("{direction: ingress, group: mesh, prefix: 10.0.0.0/8}"), "make it two"),
            (group("{direction: sideways}"), "known here: ingress, egress"),
            (port("security_groups: [nobody]"), "create security-group/nobody first"),
            (port("allowed_pairs: [{prefix: 10.0.0.1/24}]"), "it may be meant as 10.0.0.0/24"),
            (
                "kind: security-group\nname: other\ntenant: blue\nid: 8\nrules:\n  - {direction: egress, group: mesh}\n".to_owned(),
                "is of tenant \"red\"",
            ),
            ("kind: security-group\nname: other\ntenant: red\nid: 7\n".to_owned(), "id 7 is that of security-group/mesh"),
        ] {
            fs::write(&file, &document)?;
            let output = weft.run(&["apply", "-f", &file.display().to_string()])?;
            let told = output.stderr;
            ensure!(!output.success && told.contains(says), "{document}\n{told}");
        }
        let output = weft.run(&["delete", "security-group", "mesh"])?;
        ensure!(!output.success, "mesh has members");
        cloud.pod("red-2").pings(cloud.pod("red-1"))
    })
}
