//! Which rules judge a packet between two ends, and what a walk over them says. Pure: what the loaded programs say, and what
//! routes tell of ends elsewhere, is added by whoever asks.

use std::net::IpAddr;

use weft_api::view::security::DecidedBy;
use weft_api::view::{Route, Via};
use weft_policy::{Action, Direction, GroupId, GroupSet, Packet, Protocol, Reason};
use weft_vxlan::Vtep;

use crate::model::{Model, Port};
use crate::names::Names;

/// A packet between ends that are named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// A port's name, or an address.
    pub source: String,
    /// The same.
    pub destination: String,
    /// IP protocol number.
    pub protocol: u8,
    /// The destination port of TCP, UDP and SCTP; type and code of ICMP and `ICMPv6`.
    pub detail: u16,
    /// The network that addresses are of; unless given, that of the port.
    pub network: Option<String>,
}

/// A port that judges it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// The port's name.
    pub port: String,
    /// Its network.
    pub network: String,
    /// Whether it sends the packet or gets it.
    pub direction: Direction,
    /// The packet's source.
    pub source: IpAddr,
    /// Its destination.
    pub destination: IpAddr,
}

/// What is known of the end that is not the port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Its groups.
    pub groups: GroupSet,
    /// The host that it is on, if that is another.
    pub vtep: Option<Vtep>,
    /// Whether anything leads to it.
    pub is_routed: bool,
}

/// What a walk over the rules says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Walked {
    /// What becomes of the packet.
    pub action: Action,
    /// Whether the next one is judged anew.
    pub stateless: bool,
    /// The rule, as it is shown.
    pub by: DecidedBy,
    /// The rule itself.
    pub rule: Option<weft_policy::Rule>,
}

/// Why nothing judges it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuestionError {
    /// Neither an address nor a port.
    #[error("port/{0} does not exist, and it is no address; `weft get ports` lists the ports that do")]
    NoPort(String),
    /// A port without an address of the family.
    #[error("port/{0} has no address of the family that is asked for")]
    NoAddress(String),
    /// A port that is nowhere.
    #[error("port/{0} is not attached; attach it with `weft port attach`")]
    Detached(String),
    /// Two addresses.
    #[error("of which network the addresses are is not said; name it, or one of the ends by its port")]
    NoNetwork,
    /// No such network.
    #[error("network/{0} does not exist; `weft get networks` lists the networks that do")]
    UnknownNetwork(String),
    /// Both ends are elsewhere.
    #[error(
        "neither {0} nor {1} is a port of this host in network/{2}; ask where one of them is: each port's own host judges"
    )]
    NotHere(IpAddr, IpAddr, String),
    /// Two ports that cannot reach each other.
    #[error("port/{0} and port/{1} are in networks that are not peered: no packet goes between them")]
    Apart(String, String),
    /// A port of another network than the one that is named.
    #[error("port/{0} is in network/{1}, not in the one that is named; leave that out")]
    OtherNetwork(String, String),
    /// Addresses of two families.
    #[error("{0} and {1} are of different families: no packet goes between them")]
    Mixed(IpAddr, IpAddr),
}

/// An end as it was named.
enum Named<'a> {
    Port(&'a str, &'a Port),
    Address(IpAddr),
}

/// The ports of this host that judge the packet, the sender first.
///
/// # Errors
/// [`QuestionError`]
pub fn ends(question: &Question, model: &Model) -> Result<Vec<End>, QuestionError> {
    let (source, destination) = (named(&question.source, model)?, named(&question.destination, model)?);
    check_networks(&source, &destination, question.network.as_deref(), model)?;
    let network = network(&[&source, &destination], question.network.as_deref(), model)?;
    let is_ipv6 = family(&source, &destination, question.protocol);
    let (from, to) = (address(&source, is_ipv6)?, address(&destination, is_ipv6)?);
    if from.is_ipv4() != to.is_ipv4() {
        return Err(QuestionError::Mixed(from, to));
    }
    let end = |named: &Named<'_>, address, direction| {
        let (port, of) = match named {
            Named::Port(name, port) => (*name, *port),
            Named::Address(_) => here(address, network, model)?,
        };
        let subnet = model.subnets.get(&of.subnet)?;
        Some(End {
            port: port.to_owned(),
            network: subnet.network.clone(),
            direction,
            source: from,
            destination: to,
        })
    };
    let ends = [end(&source, from, Direction::Egress), end(&destination, to, Direction::Ingress)];
    let ends: Vec<_> = ends.into_iter().flatten().collect();
    if ends.is_empty() { Err(QuestionError::NotHere(from, to, network.to_owned())) } else { Ok(ends) }
}

fn named<'a>(name: &'a str, model: &'a Model) -> Result<Named<'a>, QuestionError> {
    if let Some((name, port)) = model.ports.get_key_value(name) {
        return match port.attachment {
            Some(_) => Ok(Named::Port(name, port)),
            None => Err(QuestionError::Detached(name.clone())),
        };
    }
    name.parse().map(Named::Address).map_err(|_| QuestionError::NoPort(name.to_owned()))
}

/// That ports are in networks that reach each other, and in the one that is named.
fn check_networks(
    source: &Named<'_>,
    destination: &Named<'_>,
    given: Option<&str>,
    model: &Model,
) -> Result<(), QuestionError> {
    let network_of = |end: &Named<'_>| match end {
        Named::Port(name, port) => {
            Some(((*name).to_owned(), model.subnets.get(&port.subnet)?.network.clone()))
        }
        Named::Address(_) => None,
    };
    let ends = [network_of(source), network_of(destination)];
    for (port, network) in ends.iter().flatten() {
        if given.is_some_and(|given| given != network) {
            return Err(QuestionError::OtherNetwork(port.clone(), network.clone()));
        }
    }
    if let [Some((one, own)), Some((other, others))] = ends {
        let seen = model.seen().remove(own.as_str()).unwrap_or_default();
        if own != others && !seen.contains(&others.as_str()) {
            return Err(QuestionError::Apart(one, other));
        }
    }
    Ok(())
}

/// The network whose addresses are meant: that of the first end that is a port, unless one is named.
fn network<'a>(
    ends: &[&Named<'a>],
    given: Option<&'a str>,
    model: &'a Model,
) -> Result<&'a str, QuestionError> {
    if let Some(given) = given {
        let known = model.networks.contains_key(given);
        return known.then_some(given).ok_or_else(|| QuestionError::UnknownNetwork(given.to_owned()));
    }
    let of_port = |end: &&Named<'a>| match end {
        Named::Port(_, port) => model.subnets.get(&port.subnet).map(|subnet| subnet.network.as_str()),
        Named::Address(_) => None,
    };
    ends.iter().find_map(of_port).ok_or(QuestionError::NoNetwork)
}

/// Whether the packet is of IPv6: as the address that is given, or the protocol, or if nothing else can be.
fn family(source: &Named<'_>, destination: &Named<'_>, protocol: u8) -> bool {
    let given = [source, destination].into_iter().find_map(|end| match end {
        Named::Address(address) => Some(address.is_ipv6()),
        Named::Port(..) => None,
    });
    let of_protocol =
        Protocol::from_number(protocol).family().map(|family| family == weft_policy::Family::V6);
    let has_ipv4 = |end: &Named<'_>| matches!(end, Named::Port(_, port) if port.ipv4.is_some());
    given.or(of_protocol).unwrap_or_else(|| !(has_ipv4(source) && has_ipv4(destination)))
}

fn address(end: &Named<'_>, is_ipv6: bool) -> Result<IpAddr, QuestionError> {
    match end {
        Named::Address(address) => Ok(*address),
        Named::Port(name, port) => {
            let own = if is_ipv6 { port.ipv6.map(IpAddr::V6) } else { port.ipv4.map(IpAddr::V4) };
            own.ok_or_else(|| QuestionError::NoAddress((*name).to_owned()))
        }
    }
}

/// The attached port that has an address in a network, or in one that it sees.
fn here<'a>(address: IpAddr, network: &str, model: &'a Model) -> Option<(&'a str, &'a Port)> {
    let mut seen = vec![network];
    seen.extend(model.seen().remove(network).unwrap_or_default());
    seen.into_iter().find_map(|network| {
        let has = |port: &Port| {
            let in_network = model.subnets.get(&port.subnet).is_some_and(|subnet| subnet.network == network);
            port.attachment.is_some() && in_network && port.addresses().any(|own| own == address)
        };
        model.ports.iter().find(|(_, port)| has(port)).map(|(name, port)| (name.as_str(), port))
    })
}

impl End {
    /// The address of the other end.
    #[must_use]
    pub const fn peer(&self) -> IpAddr {
        match self.direction {
            Direction::Ingress => self.source,
            Direction::Egress => self.destination,
        }
    }

    /// What routes of this end's network tell of the other end.
    #[must_use]
    pub fn peer_by(&self, routes: &[Route]) -> Peer {
        let peer = self.peer();
        let of_network = routes.iter().filter(|route| route.network == self.network);
        // No route leads to a link-local address, but the MAC that it is made of is known by the others.
        let is_at = |route: &Route| route.mac.is_some_and(|mac| mac.link_local() == peer);
        let covering = of_network.filter(|route| route.destination.contains(&peer) || is_at(route));
        let Some(route) = covering.max_by_key(|route| (is_at(route), route.destination.prefix_len())) else {
            return Peer { groups: GroupSet::empty(), vtep: None, is_routed: false };
        };
        let vtep = match route.via {
            Via::Vtep { vtep, .. } => Some(vtep),
            Via::Port(_) | Via::Gateway => None,
        };
        // Membership is of who has the address, not of who has a way to it.
        let is_host = route.destination.prefix_len() == route.destination.max_prefix_len();
        let groups = route.groups.iter().filter(|_| is_host).map(|id| GroupId(*id)).collect();
        Peer { groups, vtep, is_routed: true }
    }

    /// What the rules that are stored for the port say.
    #[must_use]
    pub fn walk(&self, question: &Question, peer: &Peer, names: &Names) -> Option<Walked> {
        let security = &names.model.ports.get(&self.port)?.security;
        let policy = match self.direction {
            Direction::Ingress => &security.ingress,
            Direction::Egress => &security.egress,
        };
        let packet = Packet {
            peer: self.peer(),
            groups: &peer.groups,
            protocol: question.protocol,
            detail: question.detail,
        };
        let decision = policy.evaluate(&packet);
        let rule = match decision.reason {
            Reason::Default => None,
            Reason::Rule(index) => policy.rules().get(index).copied(),
        };
        let by = rule.map_or(DecidedBy::Default, |rule| {
            let place = names.rules_of(&self.port, &[rule].into()).remove(&rule);
            place.map_or(DecidedBy::Unknown, DecidedBy::Rule)
        });
        Some(Walked { action: decision.action, stateless: decision.stateless, by, rule })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use super::*;
    use crate::model::tests::{host, intent};
    use crate::routes::routes;

    fn names() -> Names {
        let intent = intent(&[
            r#"{"kind":"network","name":"red","tenant":"red","vni":5000}"#,
            r#"{"kind":"network","name":"blue","tenant":"red","vni":6000}"#,
            r#"{"kind":"subnet","name":"red-a","network":"red","vni":5001,"ipv4":"10.0.0.0/24","ipv6":"fd00::/64"}"#,
            r#"{"kind":"subnet","name":"blue-a","network":"blue","vni":6001,"ipv4":"10.1.0.0/24"}"#,
            r#"{"kind":"security-group","name":"web","tenant":"red","id":1,"rules":[
                {"direction":"ingress","protocol":"tcp","ports":443,"group":"web","description":"https"}]}"#,
            r#"{"kind":"port","name":"a","subnet":"red-a","addresses":["10.0.0.10"],"security_groups":["web"],
                "attachment":{"netns":"/run/netns/a"}}"#,
            r#"{"kind":"port","name":"b","subnet":"red-a","addresses":["10.0.0.11"],"security_groups":["web"],
                "attachment":{"netns":"/run/netns/b"}}"#,
            r#"{"kind":"port","name":"off","subnet":"red-a","addresses":["10.0.0.12"]}"#,
            r#"{"kind":"port","name":"c","subnet":"blue-a","addresses":["10.1.0.10"],"attachment":{"netns":"/run/netns/c"}}"#,
            r#"{"kind":"remote","name":"h2","vtep":"192.0.2.2",
                "addresses":[{"subnet":"red-a","address":"10.0.0.20","mac":"02:00:00:00:00:20"}]}"#,
        ]);
        Names::of(Arc::new(Model::build(&intent, &host(), &[]).unwrap()), &BTreeMap::new())
    }

    fn question(source: &str, destination: &str) -> Question {
        let (source, destination) = (source.to_owned(), destination.to_owned());
        Question { source, destination, protocol: 6, detail: 443, network: None }
    }

    #[test]
    fn each_port_of_this_host_judges() {
        let names = names();
        let told = |of: &Question| {
            let ends = ends(of, &names.model).map_err(|error| error.to_string())?;
            let told =
                |end: &End| format!("{} {:?} {} > {}", end.port, end.direction, end.source, end.destination);
            Ok::<_, String>(ends.iter().map(told).collect::<Vec<_>>().join(", "))
        };
        let both = "a Egress 10.0.0.10 > 10.0.0.11, b Ingress 10.0.0.10 > 10.0.0.11";
        assert_eq!(told(&question("a", "b")).unwrap(), both);
        assert_eq!(told(&question("a", "10.0.0.11")).unwrap(), both);
        let red = Question { network: Some("red".to_owned()), ..question("10.0.0.10", "10.0.0.11") };
        assert_eq!(told(&red).unwrap(), both);
        assert_eq!(told(&question("10.0.0.20", "b")).unwrap(), "b Ingress 10.0.0.20 > 10.0.0.11");
        let ping = Question { protocol: 58, ..question("a", "fd00::9") };
        assert!(told(&ping).unwrap().ends_with(" > fd00::9"), "{:?}", told(&ping));
        let table = [
            (question("10.0.0.10", "10.0.0.11"), "of which network"),
            (question("a", "web"), "port/web does not exist"),
            (question("a", "off"), "port/off is not attached"),
            (question("c", "fd00::9"), "port/c has no address"),
            (question("a", "c"), "port/a and port/c are in networks that are not peered"),
            (Question { network: Some("blue".to_owned()), ..question("a", "b") }, "port/a is in network/red"),
            (
                Question { network: Some("green".to_owned()), ..question("10.0.0.10", "10.0.0.11") },
                "network/green does not exist",
            ),
            (
                Question { network: Some("red".to_owned()), ..question("10.0.0.20", "10.0.0.21") },
                "neither 10.0.0.20",
            ),
            (
                Question { network: Some("red".to_owned()), ..question("10.0.0.20", "fd00::1") },
                "different families",
            ),
        ];
        for (of, words) in table {
            let error = told(&of).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn a_peer_has_the_groups_that_its_route_tells() {
        let names = names();
        let routes = routes(&names.model, None);
        let of = question("a", "b");
        let ends = ends(&of, &names.model).unwrap();
        let peer = ends[1].peer_by(&routes);
        assert_eq!(
            (peer.groups.iter().collect::<Vec<_>>(), peer.vtep, peer.is_routed),
            (vec![GroupId(1)], None, true)
        );
        let walked = ends[1].walk(&of, &peer, &names).unwrap();
        assert_eq!((walked.action, walked.by.to_string()), (Action::Allow, "web rule 0 (https)".to_owned()));
        let walked = ends[0].walk(&of, &peer, &names).unwrap();
        assert_eq!((walked.action, walked.by), (Action::Allow, DecidedBy::Default));

        let of = question("10.0.0.20", "b");
        let ends = super::ends(&of, &names.model).unwrap();
        let peer = ends[0].peer_by(&routes);
        assert_eq!((peer.groups.is_empty(), peer.vtep), (true, Some("192.0.2.2".parse().unwrap())));
        let walked = ends[0].walk(&of, &peer, &names).unwrap();
        assert_eq!((walked.action, walked.by), (Action::Deny, DecidedBy::Default));
        let nowhere = super::ends(&question("10.9.9.9", "b"), &names.model).unwrap()[0].peer_by(&routes);
        assert!(!nowhere.is_routed && nowhere.groups.is_empty());
    }
}
