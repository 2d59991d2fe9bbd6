//! Routes of the main table.

use std::net::IpAddr;

use anyhow::{Context as _, Result};
use ipnet::IpNet;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteMetric, RouteNextHop, RouteProtocol,
    RouteScope, RouteType,
};

use super::address::family;
use crate::Namespace;

/// A unicast route of the main table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Route {
    /// Destination; `None` is the default route.
    pub destination: Option<IpNet>,
    /// Gateway, if the destination is not on the link.
    pub gateway: Option<IpAddr>,
    /// Interface index.
    pub device: Option<u32>,
}

impl Namespace {
    /// Adds a route to `destination` through `gateway`.
    ///
    /// # Errors
    /// The gateway is on no link, or the route is there.
    pub fn add_route(&self, destination: IpNet, gateway: IpAddr) -> Result<()> {
        self.make_route(route_message(destination, &[gateway]), destination, gateway)
    }

    /// The same, for packets of at most `mtu` bytes.
    ///
    /// # Errors
    /// As [`Namespace::add_route`].
    pub fn add_route_of_mtu(&self, destination: IpNet, gateway: IpAddr, mtu: u32) -> Result<()> {
        let mut message = route_message(destination, &[gateway]);
        message.attributes.push(RouteAttribute::Metrics(vec![RouteMetric::Mtu(mtu)]));
        self.make_route(message, destination, gateway)
    }

    /// The same, which counts only where there is none of a lower metric.
    ///
    /// # Errors
    /// As [`Namespace::add_route`].
    pub fn add_route_of_metric(&self, destination: IpNet, gateway: IpAddr, metric: u32) -> Result<()> {
        let mut message = route_message(destination, &[gateway]);
        message.attributes.push(RouteAttribute::Priority(metric));
        self.make_route(message, destination, gateway)
    }

    fn make_route(&self, message: RouteMessage, destination: IpNet, gateway: IpAddr) -> Result<()> {
        self.netlink()
            .create(RouteNetlinkMessage::NewRoute(message))
            .with_context(|| format!("a route in {} to {destination} through {gateway}", self.name()))
    }

    /// Makes the route to `destination` lead through `gateways`, whatever it was before: flows are spread over them.
    ///
    /// # Errors
    /// A gateway is on no link.
    pub fn replace_route(&self, destination: IpNet, gateways: &[IpAddr]) -> Result<()> {
        self.netlink()
            .replace(RouteNetlinkMessage::NewRoute(route_message(destination, gateways)))
            .with_context(|| format!("a route in {} to {destination} through {gateways:?}", self.name()))
    }

    /// The same, through one gateway, for packets of at most `mtu` bytes; 0: as many as its device takes.
    ///
    /// # Errors
    /// The gateway is on no link.
    pub fn replace_route_of_mtu(&self, destination: IpNet, gateway: IpAddr, mtu: u32) -> Result<()> {
        let mut message = route_message(destination, &[gateway]);
        message.attributes.push(RouteAttribute::Metrics(vec![RouteMetric::Mtu(mtu)]));
        self.netlink()
            .replace(RouteNetlinkMessage::NewRoute(message))
            .with_context(|| format!("a route in {} to {destination} of {mtu} bytes", self.name()))
    }

    /// Removes the first route to `destination`, whoever made it.
    ///
    /// # Errors
    /// There is none.
    pub fn delete_route(&self, destination: IpNet) -> Result<()> {
        let mut message = RouteMessage::default();
        message.header.address_family = family(destination.addr());
        message.header.destination_prefix_length = destination.prefix_len();
        message.header.table = RouteHeader::RT_TABLE_MAIN;
        message.header.scope = RouteScope::NoWhere;
        message.attributes = vec![RouteAttribute::Destination(destination.network().into())];
        self.netlink()
            .change(RouteNetlinkMessage::DelRoute(message))
            .with_context(|| format!("removing a route to {destination} in {}", self.name()))
    }

    /// Unicast routes of the main table.
    ///
    /// # Errors
    /// The kernel does not answer.
    pub fn routes(&self) -> Result<Vec<Route>> {
        let answers = self.netlink().dump(RouteNetlinkMessage::GetRoute(RouteMessage::default()))?;
        let mut routes: Vec<Route> = answers.iter().filter_map(route).collect();
        routes.sort();
        Ok(routes)
    }
}

fn route_message(destination: IpNet, gateways: &[IpAddr]) -> RouteMessage {
    let mut message = RouteMessage::default();
    message.header = RouteHeader {
        address_family: family(destination.addr()),
        destination_prefix_length: destination.prefix_len(),
        table: RouteHeader::RT_TABLE_MAIN,
        protocol: RouteProtocol::Static,
        scope: RouteScope::Universe,
        kind: RouteType::Unicast,
        ..RouteHeader::default()
    };
    message.attributes = vec![RouteAttribute::Destination(destination.network().into())];
    message.attributes.push(match gateways {
        [gateway] => RouteAttribute::Gateway((*gateway).into()),
        gateways => RouteAttribute::MultiPath(
            gateways
                .iter()
                .map(|gateway| {
                    let mut hop = RouteNextHop::default();
                    hop.attributes = vec![RouteAttribute::Gateway((*gateway).into())];
                    hop
                })
                .collect(),
        ),
    });
    message
}

fn route(message: &RouteNetlinkMessage) -> Option<Route> {
    let RouteNetlinkMessage::NewRoute(message) = message else { return None };
    if message.header.table != RouteHeader::RT_TABLE_MAIN || message.header.kind != RouteType::Unicast {
        return None;
    }
    let mut route = Route { destination: None, gateway: None, device: None };
    for attribute in &message.attributes {
        #[expect(clippy::wildcard_enum_match_arm, reason = "the kernel tells far more than is asked here")]
        match attribute {
            RouteAttribute::Destination(address) => {
                route.destination = ip(address)
                    .and_then(|address| IpNet::new(address, message.header.destination_prefix_length).ok());
            }
            RouteAttribute::Gateway(address) => route.gateway = ip(address),
            RouteAttribute::Oif(index) => route.device = Some(*index),
            _ => {}
        }
    }
    Some(route)
}

fn ip(address: &RouteAddress) -> Option<IpAddr> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "MPLS labels are no addresses")]
    match address {
        RouteAddress::Inet(v4) => Some((*v4).into()),
        RouteAddress::Inet6(v6) => Some((*v6).into()),
        _ => None,
    }
}
