//! Policy: ordered rules that accept, reject or change routes. Pure.

use ipnet::IpNet;

use super::key::Key;
use crate::wire::{Asn, Attributes, Community, Family, LargeCommunity, RouteTarget};

/// Rules in order. The first one that matches and decides ends it; a route that none decides is accepted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policy {
    /// The rules.
    pub rules: Vec<Rule>,
}

/// If all matches hold, all changes are made, then the verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// None at all match every route.
    pub matches: Vec<Match>,
    /// Made in order.
    pub changes: Vec<Change>,
    /// How it goes on.
    pub verdict: Verdict,
}

/// How it goes on behind a rule that matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The route is good.
    Accept,
    /// The route is dropped.
    Reject,
    /// The next rule decides.
    Next,
}

/// What a route must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Match {
    /// A prefix within `within`, of a length between `least` and `most`.
    Prefix {
        /// The covering prefix.
        within: IpNet,
        /// The shortest.
        least: u8,
        /// The longest.
        most: u8,
    },
    /// It has the community.
    Community(Community),
    /// It has the large community.
    LargeCommunity(LargeCommunity),
    /// It has the route target.
    RouteTarget(RouteTarget),
    /// It passed the AS.
    AsPathContains(Asn),
    /// The AS started it.
    OriginAs(Asn),
    /// It passed between so many ASes.
    AsPathLength {
        /// At least.
        least: usize,
        /// At most.
        most: usize,
    },
    /// Of the family.
    Family(Family),
    /// An EVPN route of the type.
    EvpnType(u8),
}

/// What is done to a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Sets LOCAL_PREF.
    LocalPref(u32),
    /// Sets MED, or takes it away.
    Med(Option<u32>),
    /// Adds a community.
    AddCommunity(Community),
    /// Takes a community away.
    RemoveCommunity(Community),
    /// Adds a large community.
    AddLargeCommunity(LargeCommunity),
    /// Takes a large community away.
    RemoveLargeCommunity(LargeCommunity),
    /// Adds the AS to the path, as often as it says.
    Prepend(Asn, u8),
}

impl Policy {
    /// Whether a route's own key decides, so that routes with the same attributes can fare differently.
    #[must_use]
    pub fn depends_on_key(&self) -> bool {
        self.rules.iter().flat_map(|rule| &rule.matches).any(|wanted| match wanted {
            Match::Prefix { .. } | Match::Family(_) | Match::EvpnType(_) => true,
            Match::Community(_)
            | Match::LargeCommunity(_)
            | Match::RouteTarget(_)
            | Match::AsPathContains(_)
            | Match::OriginAs(_)
            | Match::AsPathLength { .. } => false,
        })
    }

    /// Applies the rules to `attributes`; false if the route is rejected.
    #[must_use]
    pub fn apply(&self, key: &Key, attributes: &mut Attributes) -> bool {
        for rule in &self.rules {
            if !rule.matches.iter().all(|wanted| wanted.holds(key, attributes)) {
                continue;
            }
            for change in &rule.changes {
                change.make(attributes);
            }
            match rule.verdict {
                Verdict::Accept => return true,
                Verdict::Reject => return false,
                Verdict::Next => {}
            }
        }
        true
    }
}

impl Match {
    fn holds(&self, key: &Key, attributes: &Attributes) -> bool {
        let path = attributes.as_path.as_ref();
        match self {
            Self::Prefix { within, least, most } => key.prefix().is_some_and(|prefix| {
                within.contains(&prefix) && (*least..=*most).contains(&prefix.prefix_len())
            }),
            Self::Community(community) => attributes.communities.contains(community),
            Self::LargeCommunity(community) => attributes.large_communities.contains(community),
            Self::RouteTarget(target) => attributes.extended_communities.contains(&(*target).into()),
            Self::AsPathContains(asn) => path.is_some_and(|path| path.contains(*asn)),
            Self::OriginAs(asn) => path.and_then(|path| path.segments.last()?.asns.last()) == Some(asn),
            Self::AsPathLength { least, most } => {
                (*least..=*most).contains(&path.map_or(0, crate::wire::AsPath::hops))
            }
            Self::Family(family) => key.family() == *family,
            Self::EvpnType(kind) => key.evpn_kind() == Some(*kind),
        }
    }
}

impl Change {
    fn make(&self, attributes: &mut Attributes) {
        match self {
            Self::LocalPref(value) => attributes.local_pref = Some(*value),
            Self::Med(value) => attributes.med = *value,
            Self::AddCommunity(community) => {
                if !attributes.communities.contains(community) {
                    attributes.communities.push(*community);
                }
            }
            Self::RemoveCommunity(community) => attributes.communities.retain(|held| held != community),
            Self::AddLargeCommunity(community) => {
                if !attributes.large_communities.contains(community) {
                    attributes.large_communities.push(*community);
                }
            }
            Self::RemoveLargeCommunity(community) => {
                attributes.large_communities.retain(|held| held != community);
            }
            Self::Prepend(asn, times) => {
                let path = attributes.as_path.get_or_insert_default();
                for _ in 0..*times {
                    path.prepend(*asn);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::AsPath;

    fn key(prefix: &str) -> Key {
        Key::Ipv4(prefix.parse().unwrap())
    }

    fn rule(matches: Vec<Match>, changes: Vec<Change>, verdict: Verdict) -> Rule {
        Rule { matches, changes, verdict }
    }

    #[test]
    fn each_match_holds_for_its_routes_only() {
        let target: RouteTarget = "65000:1".parse().unwrap();
        let large = LargeCommunity { administrator: 1, first: 2, second: 3 };
        let full = Attributes {
            as_path: Some(AsPath::sequence([Asn::new(1), Asn::new(2)])),
            communities: vec![Community(7)],
            large_communities: vec![large],
            extended_communities: vec![target.into()],
            ..Attributes::default()
        };
        let within = "10.0.0.0/8".parse().unwrap();
        for (wanted, holds) in [
            (Match::Prefix { within, least: 16, most: 24 }, true),
            (Match::Prefix { within, least: 17, most: 24 }, false),
            (Match::Prefix { within: "10.2.0.0/15".parse().unwrap(), least: 0, most: 32 }, false),
            (Match::Community(Community(7)), true),
            (Match::Community(Community(8)), false),
            (Match::LargeCommunity(large), true),
            (Match::RouteTarget(target), true),
            (Match::RouteTarget("65000:2".parse().unwrap()), false),
            (Match::AsPathContains(Asn::new(1)), true),
            (Match::AsPathContains(Asn::new(3)), false),
            (Match::OriginAs(Asn::new(2)), true),
            (Match::OriginAs(Asn::new(1)), false),
            (Match::AsPathLength { least: 2, most: 2 }, true),
            (Match::AsPathLength { least: 3, most: 9 }, false),
            (Match::Family(Family::IPV4_UNICAST), true),
            (Match::Family(Family::EVPN), false),
            (Match::EvpnType(2), false),
        ] {
            assert_eq!(wanted.holds(&key("10.1.0.0/16"), &full), holds, "{wanted:?}");
        }
    }

    #[test]
    fn the_first_verdict_ends_it() {
        let seven = Community(7);
        let policy = Policy {
            rules: vec![
                rule(vec![], vec![Change::AddCommunity(seven), Change::LocalPref(5)], Verdict::Next),
                rule(vec![Match::OriginAs(Asn::new(9))], vec![], Verdict::Reject),
                rule(
                    vec![Match::Community(seven)],
                    vec![
                        Change::RemoveCommunity(seven),
                        Change::Prepend(Asn::new(4), 2),
                        Change::Med(Some(1)),
                    ],
                    Verdict::Accept,
                ),
                rule(vec![], vec![], Verdict::Reject),
            ],
        };
        assert!(!policy.depends_on_key());
        let mut attributes = Attributes::default();
        assert!(policy.apply(&key("10.0.0.0/8"), &mut attributes));
        let path = Some(AsPath::sequence([Asn::new(4); 2]));
        let expected =
            Attributes { local_pref: Some(5), med: Some(1), as_path: path, ..Attributes::default() };
        assert_eq!(attributes, expected);
        let mut bad = Attributes { as_path: Some(AsPath::sequence([Asn::new(9)])), ..Attributes::default() };
        assert!(!policy.apply(&key("10.0.0.0/8"), &mut bad));
    }
}
