//! What each side of a session can, by the names of the IANA registry.

use std::collections::BTreeMap;

use weft_api::view::bgp::CapabilityStatus;
use weft_bgp::session::{self, Established};
use weft_bgp::wire::{AddPathMode, Capability, Family, Role};

use super::words;

/// Both sides' capabilities, in the order of their names. Those of the peer are known while the session is established.
pub(super) fn list(config: &session::Config, established: Option<&Established>) -> Vec<CapabilityStatus> {
    let own = by_name(&config.capabilities(config.restart.is_some_and(|restart| restart.forwarding)));
    let theirs = by_name(established.map_or(&[][..], |agreed| &agreed.capabilities));
    let mut names: Vec<_> = own.keys().chain(theirs.keys()).collect();
    names.sort();
    names.dedup();
    let status = names.into_iter().map(|name| {
        let (sent, received) = (own.get(name).cloned(), theirs.get(name).cloned());
        let negotiated = sent.is_some() && received.is_some();
        CapabilityStatus { capability: name.clone(), sent, received, negotiated }
    });
    status.collect()
}

/// Details of capabilities by name. One that is there several times, as for each family, has several.
fn by_name(capabilities: &[Capability]) -> BTreeMap<String, String> {
    let mut named: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for capability in capabilities {
        let (name, detail) = word(capability);
        named.entry(name).or_default().extend(Some(detail).filter(|detail| !detail.is_empty()));
    }
    let joined = named.into_iter().map(|(name, details)| {
        let detail = if details.is_empty() { "yes".to_owned() } else { details.join(", ") };
        (name, detail)
    });
    joined.collect()
}

fn word(capability: &Capability) -> (String, String) {
    let (name, detail) = match capability {
        Capability::Multiprotocol(family) => ("multiprotocol", words::family(*family)),
        Capability::RouteRefresh => ("route-refresh", String::new()),
        Capability::ExtendedNextHop(families) => {
            ("extended-next-hop", joined(families.iter().map(|of| words::family(of.family))))
        }
        Capability::ExtendedMessage => ("extended-message", String::new()),
        Capability::Role(role) => ("role", self::role(*role).to_owned()),
        Capability::GracefulRestart(restart) => {
            let families = families(restart.families.iter().map(|of| of.family));
            ("graceful-restart", format!("{} s, {families}", restart.time))
        }
        Capability::FourOctetAs(asn) => ("four-octet-as", asn.to_string()),
        Capability::AddPath(paths) => (
            "add-path",
            joined(paths.iter().map(|of| {
                let mode = match of.mode {
                    AddPathMode::Receive => "receive",
                    AddPathMode::Send => "send",
                    AddPathMode::Both => "both",
                };
                format!("{} {mode}", words::family(of.family))
            })),
        ),
        Capability::EnhancedRouteRefresh => ("enhanced-route-refresh", String::new()),
        Capability::LongLived(long) => {
            let each =
                long.families.iter().map(|of| format!("{} {} s", words::family(of.family), of.stale_time));
            ("long-lived-graceful-restart", joined(each))
        }
        Capability::Fqdn(name) if name.domain.is_empty() => ("host-name", name.host.clone()),
        Capability::Fqdn(name) => ("host-name", format!("{}.{}", name.host, name.domain)),
        Capability::Other { code, .. } => return (format!("capability-{code}"), String::new()),
    };
    (name.to_owned(), detail)
}

fn families(families: impl Iterator<Item = Family>) -> String {
    joined(families.map(words::family))
}

fn joined(words: impl Iterator<Item = String>) -> String {
    words.collect::<Vec<_>>().join(", ")
}

const fn role(role: Role) -> &'static str {
    match role {
        Role::Provider => "provider",
        Role::RouteServer => "route-server",
        Role::RouteServerClient => "route-server-client",
        Role::Customer => "customer",
        Role::Peer => "peer",
    }
}
