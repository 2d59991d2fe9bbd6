//! Security groups on routes: a group is announced by its id, and what other hosts' ports are members of is learned by it.

use weft_bgp::wire::GroupCommunity;
use weft_policy::{GroupId, GroupSet};

/// Whose numbers of groups weft's are: those of the hosts that have one intent, or agree on the numbers.
const DOMAIN: u16 = 0;

/// A group as a route carries it.
#[must_use]
pub const fn community(group: GroupId) -> GroupCommunity {
    GroupCommunity { domain: DOMAIN, group: group.0 }
}

/// The groups that a route carries. Numbers of other domains are others' groups, and 0 is nobody's.
#[must_use]
pub fn groups(communities: &[GroupCommunity]) -> GroupSet {
    let mut known = communities.iter().filter(|of| of.domain == DOMAIN && of.group != 0).peekable();
    // Most routes carry none, and there are many routes.
    if known.peek().is_none() { GroupSet::empty() } else { known.map(|of| GroupId(of.group)).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        let sent = [community(GroupId(7)), community(GroupId(70_000))];
        assert_eq!(groups(&sent), [GroupId(7), GroupId(70_000)].into_iter().collect());
    }

    #[test]
    fn others_numbers_are_not_groups_of_weft() {
        let others = [GroupCommunity { domain: 1, group: 7 }, GroupCommunity { domain: 0, group: 0 }];
        assert!(groups(&others).is_empty() && groups(&[]).is_empty());
        let both = [others[0], community(GroupId(8)), others[1]];
        assert_eq!(groups(&both), [GroupId(8)].into_iter().collect());
    }
}
