//! Questions about BGP.

use ureq::http::Method;

use super::{Client, ClientError, escape};
use crate::view::bgp::{Clear, Explanation, Neighbor, RibRoute, Summary};

/// Which routes to list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rib<'a> {
    /// Whose; what is in use unless given.
    pub table: RibTable<'a>,
    /// Only of this family.
    pub family: Option<&'a str>,
    /// Only those that this network or its subnets use.
    pub network: Option<&'a str>,
}

/// Whose routes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RibTable<'a> {
    /// All, with the paths of all peers.
    #[default]
    Local,
    /// Those that a peer sent.
    In(&'a str),
    /// Those that a peer was sent.
    Out(&'a str),
}

impl Client {
    /// The BGP peers at a glance.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with status 409 if the host speaks no BGP, as for all of these; [`ClientError`]
    pub fn bgp_summary(&self) -> Result<Summary, ClientError> {
        self.get_json("/v1/bgp/summary")
    }

    /// All about every BGP peer.
    ///
    /// # Errors
    /// As [`Client::bgp_summary`].
    pub fn bgp_neighbors(&self) -> Result<Vec<Neighbor>, ClientError> {
        self.get_json("/v1/bgp/neighbors")
    }

    /// All about one.
    ///
    /// # Errors
    /// As [`Client::bgp_summary`]; status 404 if there is none of this name.
    pub fn bgp_neighbor(&self, name: &str) -> Result<Neighbor, ClientError> {
        self.get_json(&format!("/v1/bgp/neighbors/{}", escape(name)))
    }

    /// Routes.
    ///
    /// # Errors
    /// As [`Client::bgp_summary`]; status 404 if there is no such peer or network, 400 if there is no such family.
    pub fn bgp_rib(&self, wanted: &Rib<'_>) -> Result<Vec<RibRoute>, ClientError> {
        self.get_json(&wanted.path())
    }

    /// Why an address, a prefix or a MAC is where it is.
    ///
    /// # Errors
    /// As [`Client::bgp_summary`]; status 400 if it is none of these.
    pub fn bgp_explain(&self, subject: &str, network: Option<&str>) -> Result<Vec<Explanation>, ClientError> {
        let network = network.map(|network| format!("&network={}", escape(network))).unwrap_or_default();
        self.get_json(&format!("/v1/bgp/explain?address={}{network}", escape(subject)))
    }

    /// Ends sessions, or has routes exchanged anew; tells the peers.
    ///
    /// # Errors
    /// As [`Client::bgp_summary`]; status 404 if there is no such peer.
    pub fn bgp_clear(&self, clear: &Clear) -> Result<Vec<String>, ClientError> {
        self.send(Method::POST, "/v1/bgp/clear", clear)
    }
}

impl Rib<'_> {
    fn path(&self) -> String {
        let mut query = Vec::new();
        match self.table {
            RibTable::Local => {}
            RibTable::In(peer) => query.push(format!("in={}", escape(peer))),
            RibTable::Out(peer) => query.push(format!("out={}", escape(peer))),
        }
        query.extend(self.family.map(|family| format!("family={}", escape(family))));
        query.extend(self.network.map(|network| format!("network={}", escape(network))));
        let mark = if query.is_empty() { "" } else { "?" };
        format!("/v1/bgp/rib{mark}{}", query.join("&"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_routes() {
        assert_eq!(Rib::default().path(), "/v1/bgp/rib");
        let wanted = Rib { table: RibTable::In("2001:db8::1"), family: Some("evpn"), network: Some("red") };
        assert_eq!(wanted.path(), "/v1/bgp/rib?in=2001%3Adb8%3A%3A1&family=evpn&network=red");
        let wanted = Rib { table: RibTable::Out("rr-1"), ..Rib::default() };
        assert_eq!(wanted.path(), "/v1/bgp/rib?out=rr-1");
    }
}
