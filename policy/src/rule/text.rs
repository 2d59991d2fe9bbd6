//! A rule in words, for explanations.

use std::fmt;

use super::{Action, Direction, Ports, Rule};
use crate::{Icmp, Peer};

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Deny => "deny",
            Self::Allow => "allow",
        })
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ingress => "ingress",
            Self::Egress => "egress",
        })
    }
}

/// `allow tcp 80-90 from 10.0.0.0/24, priority 100, stateless`
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.action, self.protocol)?;
        match self.ports {
            Some(Ports { first, last }) if first == last => write!(f, " {first}")?,
            Some(Ports { first, last }) => write!(f, " {first}-{last}")?,
            None => {}
        }
        match self.icmp {
            Some(Icmp { kind, code: None }) => write!(f, " type {kind}")?,
            Some(Icmp { kind, code: Some(code) }) => write!(f, " type {kind} code {code}")?,
            None => {}
        }
        let towards = match self.direction {
            Direction::Ingress => "from",
            Direction::Egress => "to",
        };
        match self.peer {
            Peer::Any => write!(f, " {towards} any")?,
            Peer::Prefix(prefix) => write!(f, " {towards} {prefix}")?,
            Peer::Group(group) => write!(f, " {towards} group {}", group.0)?,
        }
        write!(f, ", priority {}{}", self.priority, if self.stateless { ", stateless" } else { "" })
    }
}
