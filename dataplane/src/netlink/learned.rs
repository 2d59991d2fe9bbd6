//! Routes that were learned, in the main table: known by their protocol and metric.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::route::{
    RouteAttribute, RouteHeader, RouteMessage, RouteNextHop, RouteProtocol, RouteScope, RouteType, RouteVia,
};

use super::route::{gateway, message, route_address};
use super::{Netlink, NetlinkError};

/// Behind what others put into the table for the same prefix: by hand (0, and 1024 in IPv6), DHCP, or a routing daemon.
const METRIC: u32 = 4096;

impl Netlink {
    /// The learned routes marked with `protocol`, each with its gateways in their order.
    pub(crate) fn learned_routes(
        &mut self,
        protocol: u8,
    ) -> Result<BTreeMap<IpNet, Vec<IpAddr>>, NetlinkError> {
        let mut routes = BTreeMap::new();
        for ipv6 in [false, true] {
            let mut filter = message(ipv6);
            filter.header.table = RouteHeader::RT_TABLE_MAIN;
            filter.header.kind = RouteType::Unicast;
            filter.header.protocol = RouteProtocol::Other(protocol);
            self.socket.set_netlink_get_strict_chk(true)?;
            let answers = self.dump(&RouteNetlinkMessage::GetRoute(filter));
            self.socket.set_netlink_get_strict_chk(false)?;
            let answers = match answers {
                Ok(answers) => answers,
                // A kernel without IPv6, and a table that never had a route.
                Err(error) if matches!(error.errno(), Some(libc::EOPNOTSUPP | libc::ENOENT)) => Vec::new(),
                Err(error) => return Err(error),
            };
            for answer in answers {
                if let RouteNetlinkMessage::NewRoute(route) = answer
                    && u8::from(route.header.protocol) == protocol
                    && let Some((prefix, gateways)) = learned(&route, ipv6)
                {
                    routes.insert(prefix, gateways);
                }
            }
        }
        Ok(routes)
    }

    /// Has a prefix be behind these gateways (ECMP): in the place of those of the learned route that is there, or if there
    /// is none, nor another one of its metric.
    pub(crate) fn set_learned_route(
        &mut self,
        prefix: IpNet,
        gateways: &[IpAddr],
        is_there: bool,
        protocol: u8,
    ) -> Result<(), NetlinkError> {
        let mut message = to(prefix, protocol);
        message.attributes.push(match gateways {
            [one] => over(prefix, *one),
            several => RouteAttribute::MultiPath(several.iter().map(|one| hop(prefix, *one)).collect()),
        });
        let flags = if is_there { NLM_F_REPLACE } else { NLM_F_CREATE | NLM_F_EXCL };
        self.execute(RouteNetlinkMessage::NewRoute(message), flags)
    }

    /// Removes a learned route; one that is not there is no error.
    pub(crate) fn remove_learned_route(&mut self, prefix: IpNet, protocol: u8) -> Result<(), NetlinkError> {
        match self.execute(RouteNetlinkMessage::DelRoute(to(prefix, protocol)), 0) {
            Err(error) if error.errno() == Some(libc::ESRCH) => Ok(()),
            done => done,
        }
    }
}

fn to(prefix: IpNet, protocol: u8) -> RouteMessage {
    let mut message = message(prefix.addr().is_ipv6());
    message.header.destination_prefix_length = prefix.prefix_len();
    message.header.table = RouteHeader::RT_TABLE_MAIN;
    message.header.protocol = RouteProtocol::Other(protocol);
    message.header.scope = RouteScope::Universe;
    message.header.kind = RouteType::Unicast;
    message.attributes =
        vec![RouteAttribute::Destination(route_address(prefix.network())), RouteAttribute::Priority(METRIC)];
    message
}

fn over(prefix: IpNet, gateway: IpAddr) -> RouteAttribute {
    match (prefix, gateway) {
        // An IPv4 prefix behind an IPv6 router (RFC 8950).
        (IpNet::V4(_), IpAddr::V6(gateway)) => RouteAttribute::Via(RouteVia::Inet6(gateway)),
        (_, gateway) => RouteAttribute::Gateway(route_address(gateway)),
    }
}

fn hop(prefix: IpNet, gateway: IpAddr) -> RouteNextHop {
    let mut hop = RouteNextHop::default();
    hop.attributes.push(over(prefix, gateway));
    hop
}

fn learned(route: &RouteMessage, ipv6: bool) -> Option<(IpNet, Vec<IpAddr>)> {
    let unspecified: IpAddr = if ipv6 { [0; 16].into() } else { [0; 4].into() };
    let (mut network, mut metric, mut gateways) = (unspecified, 0, Vec::new());
    gateways.extend(gateway(&route.attributes));
    for attribute in &route.attributes {
        #[expect(clippy::wildcard_enum_match_arm, reason = "the kernel tells far more than is asked here")]
        match attribute {
            RouteAttribute::Destination(address) => network = super::route::address(address)?,
            RouteAttribute::Priority(priority) => metric = *priority,
            RouteAttribute::MultiPath(hops) => {
                gateways.extend(hops.iter().filter_map(|hop| gateway(&hop.attributes)));
            }
            _ => {}
        }
    }
    gateways.sort_unstable();
    let prefix = IpNet::new(network, route.header.destination_prefix_length).ok()?;
    (metric == METRIC).then_some((prefix, gateways))
}
