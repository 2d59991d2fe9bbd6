//! Who takes part: weft with groups of several sizes and without any, and the kernel's vxlan and bridge without rules, with
//! rules that are walked, and with sets.

use anyhow::{Context as _, Result};
use weft_tests::Lab;
use weft_tests::cloud::Cloud;

use crate::subject::secured::{self, Shape};
use crate::subject::{Rival, Rules, Subject, VXLAN, VXLAN_WHAT, start_firewall, start_vxlan};

/// Connections that a host has room for: those of a minute of measuring.
const FLOWS: u32 = 524_288;

/// weft with groups of one size.
#[derive(Debug, Clone, Copy)]
pub(super) struct Group {
    pub(super) name: &'static str,
    what: &'static str,
    pub(super) rules: Option<u32>,
}

/// weft with groups of ten rules, and without any.
pub(super) const TEN: &str = "weft-10";
pub(super) const NONE: &str = "weft-open";

/// The largest first: the others are compared with it.
const GROUPS: [Group; 5] = [
    Group { name: "weft-100000", what: "weft, groups of 100,000 rules", rules: Some(100_000) },
    Group { name: "weft-10000", what: "weft, groups of 10,000 rules", rules: Some(10_000) },
    Group { name: "weft-1000", what: "weft, groups of 1,000 rules", rules: Some(1000) },
    Group { name: TEN, what: "weft, groups of 10 rules", rules: Some(10) },
    Group { name: NONE, what: "weft, no groups: nothing is judged", rules: None },
];

/// A rival's name, what it is, and its rules.
pub(super) const LINEAR: &str = "nft-1000";
const FIREWALLS: [(&str, &str, Rules); 4] = [
    ("nft-10", "kernel vxlan and bridge, 10 stateful nftables rules", Rules::Linear(10)),
    (LINEAR, "the same with 1,000 rules", Rules::Linear(1000)),
    ("nft-set-1000", "the same with a set of 1,000 addresses", Rules::Set(1000)),
    ("nft-set-100000", "the same with a set of 100,000 addresses", Rules::Set(100_000)),
];

/// weft's hosts with groups of one size.
pub(super) struct Secured<'a> {
    pub(super) group: Group,
    pub(super) cloud: Cloud<'a>,
}

/// The sizes of a run.
pub(super) fn groups(quick: bool) -> &'static [Group] {
    if quick { &GROUPS[1..] } else { &GROUPS }
}

/// Does `work` while all subjects are up.
pub(super) fn with_all(
    groups: &[Group],
    work: impl FnOnce(&[Secured<'_>], &[(&'static str, &'static str, Rival)]) -> Result<()>,
) -> Result<()> {
    let labs = groups.iter().map(|_| Lab::new()).collect::<Result<Vec<_>>>()?;
    let lab = Lab::new()?;
    let mut clouds = Vec::new();
    for (lab, group) in labs.iter().zip(groups) {
        let shape = Shape { rules: group.rules, flows: FLOWS };
        let cloud = secured::start(lab, shape).context(group.name)?;
        clouds.push(Secured { group: *group, cloud });
    }
    let mut rivals = vec![(VXLAN, VXLAN_WHAT, start_vxlan(&lab).context(VXLAN)?)];
    for (name, what, rules) in FIREWALLS {
        rivals.push((name, what, start_firewall(&lab, name, rules).context(name)?));
    }
    of(&clouds, &rivals).iter().try_for_each(Subject::check)?;
    work(&clouds, &rivals)
}

/// The subjects that they are.
pub(super) fn of<'a>(
    clouds: &'a [Secured<'_>],
    rivals: &'a [(&'static str, &'static str, Rival)],
) -> Vec<Subject<'a>> {
    let secured = clouds.iter().map(|one| secured::subject(&one.cloud, one.group.name, one.group.what));
    let rivals = rivals.iter().map(|(name, what, rival)| rival.subject(name, what));
    secured.chain(rivals).collect()
}
