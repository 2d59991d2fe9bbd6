//! Questions about what security groups do.

use super::{Client, ClientError, Watch, escape};
use crate::resource::security::Protocol;
use crate::view::security::{FlowLine, FlowTop, Flows, Hits, PolicyTest};

/// Which connections are asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WantedFlows<'a> {
    /// Only of this port.
    pub port: Option<&'a str>,
    /// Only with this address, or one in this prefix, at the other side.
    pub peer: Option<&'a str>,
    /// Only of this protocol.
    pub protocol: Option<Protocol>,
    /// At most so many; 1000 unless given.
    pub limit: Option<usize>,
}

/// A packet for [`Client::policy_test`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TestPacket<'a> {
    /// A port's name, or an address.
    pub source: &'a str,
    /// The same.
    pub destination: &'a str,
    /// The protocol.
    pub protocol: Protocol,
    /// The destination port, of protocols that have ports.
    pub port: Option<u16>,
    /// Type and code, of ICMP and `ICMPv6`; a ping unless given.
    pub icmp: Option<(u8, u8)>,
    /// The network that addresses are of.
    pub network: Option<&'a str>,
}

impl Client {
    /// The connections that there are.
    ///
    /// # Errors
    /// [`ClientError`], as for all of these.
    pub fn flows(&self, wanted: &WantedFlows<'_>) -> Result<Flows, ClientError> {
        self.get_json(&wanted.path(false))
    }

    /// Connections as they begin and end.
    ///
    /// # Errors
    /// [`ClientError`]
    pub fn follow_flows(&self, wanted: &WantedFlows<'_>) -> Result<Watch<FlowLine>, ClientError> {
        self.stream(&wanted.path(true))
    }

    /// Who has the most connections; at most `limit` of each kind, ten unless given.
    ///
    /// # Errors
    /// [`ClientError`]
    pub fn top_flows(&self, port: Option<&str>, limit: Option<usize>) -> Result<FlowTop, ClientError> {
        let port = port.map(|port| format!("port={}", escape(port)));
        let limit = limit.map(|limit| format!("limit={limit}"));
        let query: Vec<_> = port.into_iter().chain(limit).collect();
        self.get_json(&format!("/v1/flows/top?{}", query.join("&")))
    }

    /// How often the rules of a group decided, or those of all groups and the defaults.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with status 404 if there is no such group; [`ClientError`]
    pub fn rule_hits(&self, group: Option<&str>) -> Result<Vec<Hits>, ClientError> {
        match group {
            Some(group) => self.get_json(&format!("/v1/policy/hits?group={}", escape(group))),
            None => self.get_json("/v1/policy/hits"),
        }
    }

    /// What becomes of a packet, without sending one.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with status 404 if an end does not exist, 409 if none of them is on this host, 400 if there is
    /// no such packet; [`ClientError`]
    pub fn policy_test(&self, packet: &TestPacket<'_>) -> Result<PolicyTest, ClientError> {
        let TestPacket { source, destination, protocol, port, icmp, network } = packet;
        let mut query = vec![
            format!("source={}", escape(source)),
            format!("destination={}", escape(destination)),
            format!("protocol={}", escape(&protocol.to_string())),
        ];
        query.extend(port.map(|port| format!("port={port}")));
        query.extend(icmp.map(|(kind, code)| format!("icmp_type={kind}&icmp_code={code}")));
        query.extend(network.map(|network| format!("network={}", escape(network))));
        self.get_json(&format!("/v1/policy/test?{}", query.join("&")))
    }
}

impl WantedFlows<'_> {
    fn path(&self, follow: bool) -> String {
        let mut query = vec![format!("follow={follow}")];
        query.extend(self.port.map(|port| format!("port={}", escape(port))));
        query.extend(self.peer.map(|peer| format!("peer={}", escape(peer))));
        query.extend(self.protocol.map(|protocol| format!("protocol={}", escape(&protocol.to_string()))));
        query.extend(self.limit.map(|limit| format!("limit={limit}")));
        format!("/v1/flows?{}", query.join("&"))
    }
}
