//! Routes: the way to a VTEP, and the default routes of workloads.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteHeader, RouteMessage, RouteMetric, RouteNextHopFlags,
    RouteProtocol, RouteScope, RouteType, RouteVia,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::{Netlink, NetlinkError};

/// The way that the kernel would send a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Way {
    /// The next hops that flows are spread over (ECMP); mostly one. Those that are known to be dead are left out.
    pub(crate) hops: Vec<Hop>,
    /// The devices of those that were left out: they may carry flows again at any time.
    pub(crate) resting: BTreeSet<u32>,
    /// The route's own MTU, or what routers on the way have said, if that is less.
    pub(crate) mtu: Option<u32>,
    /// To another host; not this one, and not a route that drops.
    pub(crate) unicast: bool,
}

impl Way {
    /// The devices that it leads through, now or once they have a carrier again.
    pub(crate) fn devices(&self) -> impl Iterator<Item = u32> {
        self.hops.iter().map(|hop| hop.ifindex).chain(self.resting.iter().copied())
    }
}

/// A next hop of a way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hop {
    pub(crate) ifindex: u32,
    /// The next router, or `None` if the destination is on the link.
    pub(crate) gateway: Option<IpAddr>,
    /// Its part among the hops.
    pub(crate) weight: u32,
}

/// A route to everywhere in the main table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DefaultRoute {
    pub(crate) ifindex: u32,
    pub(crate) ipv6: bool,
    pub(crate) gateway: Option<IpAddr>,
    pub(crate) protocol: u8,
}

impl Netlink {
    /// The way to `destination` of what comes from `source`, or `None` if no route leads there. Rules can choose a way by
    /// its source, which must be an address of this host and of the destination's family.
    pub(crate) fn way_to(
        &mut self,
        destination: IpAddr,
        source: Option<IpAddr>,
    ) -> Result<Option<Way>, NetlinkError> {
        let ends = (destination, source);
        let Some(taken) = self.look_up(ends, None, RouteFlags::empty())? else { return Ok(None) };
        let Some(mut way) = way(&taken) else { return Ok(None) };
        if !way.unicast {
            return Ok(Some(way));
        }
        // What was taken is one of the hops; only the route itself, as it stands in the table, tells of the others.
        let route = self.look_up(ends, None, RouteFlags::FibMatch)?;
        let (hops, resting) = route.map(|route| multipath(&route)).unwrap_or_default();
        way.resting = resting;
        if !hops.is_empty() {
            let devices: BTreeSet<u32> = hops.iter().map(|hop| hop.ifindex).collect();
            for device in devices {
                let through = self.look_up(ends, Some(device), RouteFlags::empty())?;
                let learned = through.and_then(|route| mtu(&route.attributes));
                way.mtu = way.mtu.into_iter().chain(learned).min();
            }
            way.hops = hops;
        }
        Ok(Some(way))
    }

    fn look_up(
        &mut self,
        (destination, source): (IpAddr, Option<IpAddr>),
        device: Option<u32>,
        flags: RouteFlags,
    ) -> Result<Option<RouteMessage>, NetlinkError> {
        let mut message = message(destination.is_ipv6());
        message.header.flags = flags;
        let whole = if destination.is_ipv6() { 128 } else { 32 };
        message.header.destination_prefix_length = whole;
        message.attributes.push(RouteAttribute::Destination(route_address(destination)));
        if let Some(source) = source {
            message.header.source_prefix_length = whole;
            message.attributes.push(RouteAttribute::Source(route_address(source)));
        }
        message.attributes.extend(device.map(RouteAttribute::Oif));
        match self.get(RouteNetlinkMessage::GetRoute(message)) {
            Ok(RouteNetlinkMessage::NewRoute(route)) => Ok(Some(route)),
            Ok(_) => Err(NetlinkError::Malformed("an answer to a route look-up is no route".to_owned())),
            Err(error) if unreachable(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The default routes of the main table.
    pub(crate) fn default_routes(&mut self) -> Result<Vec<DefaultRoute>, NetlinkError> {
        let mut routes = Vec::new();
        for ipv6 in [false, true] {
            let answers = match self.dump_default_routes(ipv6) {
                Ok(answers) => answers,
                // A kernel without IPv6, and a table that never had a route.
                Err(error) if matches!(error.errno(), Some(libc::EOPNOTSUPP | libc::ENOENT)) => Vec::new(),
                Err(error) => return Err(error),
            };
            routes.extend(answers.into_iter().filter_map(|answer| default_route(answer, ipv6)));
        }
        Ok(routes)
    }

    /// Has the kernel pass over other tables and kinds of routes, and passes over longer prefixes before they are parsed:
    /// a workload can have hundreds of thousands of routes, and is not to slow down the others by them.
    fn dump_default_routes(&mut self, ipv6: bool) -> Result<Vec<RouteNetlinkMessage>, NetlinkError> {
        let mut message = message(ipv6);
        message.header.table = RouteHeader::RT_TABLE_MAIN;
        message.header.kind = RouteType::Unicast;
        self.socket.set_netlink_get_strict_chk(true)?;
        let answers = self.dump_some(&RouteNetlinkMessage::GetRoute(message), may_be_default);
        self.socket.set_netlink_get_strict_chk(false)?;
        answers
    }

    /// Adds a default route over `gateway`, marked with `protocol`.
    pub(crate) fn add_default_route(
        &mut self,
        ifindex: u32,
        gateway: IpAddr,
        protocol: u8,
    ) -> Result<(), NetlinkError> {
        let message = RouteNetlinkMessage::NewRoute(over(ifindex, gateway, protocol));
        self.execute(message, NLM_F_CREATE | NLM_F_EXCL)
    }

    /// Removes a default route that [`Netlink::add_default_route`] made.
    pub(crate) fn delete_default_route(
        &mut self,
        ifindex: u32,
        gateway: IpAddr,
        protocol: u8,
    ) -> Result<(), NetlinkError> {
        self.execute(RouteNetlinkMessage::DelRoute(over(ifindex, gateway, protocol)), 0)
    }
}

/// Whether a message is no route at all, such as the end of a dump, or one of prefix length 0.
fn may_be_default(message: &[u8]) -> bool {
    const RTM_NEWROUTE: u16 = 24;
    const KIND: usize = 4;
    const PREFIX_LENGTH: usize = 17;
    let is_route =
        message.get(KIND..).and_then(|rest| rest.first_chunk()) == Some(&RTM_NEWROUTE.to_ne_bytes());
    !is_route || message.get(PREFIX_LENGTH) == Some(&0)
}

pub(super) fn message(ipv6: bool) -> RouteMessage {
    let mut message = RouteMessage::default();
    message.header.address_family = if ipv6 { AddressFamily::Inet6 } else { AddressFamily::Inet };
    message
}

fn over(ifindex: u32, gateway: IpAddr, protocol: u8) -> RouteMessage {
    let mut message = message(gateway.is_ipv6());
    message.header.table = RouteHeader::RT_TABLE_MAIN;
    message.header.protocol = RouteProtocol::Other(protocol);
    message.header.scope = RouteScope::Universe;
    message.header.kind = RouteType::Unicast;
    message.attributes = vec![RouteAttribute::Oif(ifindex), RouteAttribute::Gateway(route_address(gateway))];
    message
}

pub(super) fn route_address(address: IpAddr) -> RouteAddress {
    match address {
        IpAddr::V4(v4) => RouteAddress::Inet(v4),
        IpAddr::V6(v6) => RouteAddress::Inet6(v6),
    }
}

pub(super) fn address(address: &RouteAddress) -> Option<IpAddr> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "labels of MPLS are no addresses")]
    match address {
        RouteAddress::Inet(v4) => Some((*v4).into()),
        RouteAddress::Inet6(v6) => Some((*v6).into()),
        _ => None,
    }
}

fn unreachable(error: &NetlinkError) -> bool {
    let reasons = [libc::ENETUNREACH, libc::EHOSTUNREACH, libc::ENETDOWN, libc::EACCES, libc::EINVAL];
    error.errno().is_some_and(|errno| reasons.contains(&errno))
}

fn way(route: &RouteMessage) -> Option<Way> {
    let hop = Hop { ifindex: device(&route.attributes)?, gateway: gateway(&route.attributes), weight: 1 };
    let unicast = route.header.kind == RouteType::Unicast;
    Some(Way { hops: vec![hop], resting: BTreeSet::new(), mtu: mtu(&route.attributes), unicast })
}

/// The hops of a route that has several, but for those that are dead or whose link is down, and the devices of these.
fn multipath(route: &RouteMessage) -> (Vec<Hop>, BTreeSet<u32>) {
    let all = route.attributes.iter().find_map(|attribute| {
        if let RouteAttribute::MultiPath(hops) = attribute { Some(hops.as_slice()) } else { None }
    });
    let dead = RouteNextHopFlags::Dead | RouteNextHopFlags::Linkdown;
    let (resting, alive): (Vec<_>, Vec<_>) =
        all.unwrap_or_default().iter().partition(|hop| hop.flags.intersects(dead));
    let hops = alive.into_iter().map(|hop| Hop {
        ifindex: hop.interface_index,
        gateway: gateway(&hop.attributes),
        weight: u32::from(hop.hops) + 1,
    });
    (hops.collect(), resting.into_iter().map(|hop| hop.interface_index).collect())
}

fn device(attributes: &[RouteAttribute]) -> Option<u32> {
    attributes
        .iter()
        .find_map(|attribute| if let RouteAttribute::Oif(index) = attribute { Some(*index) } else { None })
}

fn mtu(attributes: &[RouteAttribute]) -> Option<u32> {
    let metrics = attributes.iter().filter_map(|attribute| {
        if let RouteAttribute::Metrics(metrics) = attribute { Some(metrics) } else { None }
    });
    metrics.flatten().find_map(|metric| {
        if let RouteMetric::Mtu(mtu) = metric { Some(*mtu).filter(|mtu| *mtu != 0) } else { None }
    })
}

pub(super) fn gateway(attributes: &[RouteAttribute]) -> Option<IpAddr> {
    attributes.iter().find_map(|attribute| {
        #[expect(clippy::wildcard_enum_match_arm, reason = "only these two name the next router")]
        match attribute {
            RouteAttribute::Gateway(RouteAddress::Inet(v4)) => Some(IpAddr::from(*v4)),
            RouteAttribute::Gateway(RouteAddress::Inet6(v6)) => Some(IpAddr::from(*v6)),
            // An IPv4 route over an IPv6 router (RFC 5549).
            RouteAttribute::Via(RouteVia::Inet(v4)) => Some(IpAddr::from(*v4)),
            RouteAttribute::Via(RouteVia::Inet6(v6)) => Some(IpAddr::from(*v6)),
            _ => None,
        }
    })
}

fn default_route(message: RouteNetlinkMessage, ipv6: bool) -> Option<DefaultRoute> {
    let RouteNetlinkMessage::NewRoute(route) = message else { return None };
    let header = &route.header;
    let unspecified = |address: &RouteAddress| {
        [RouteAddress::Inet(Ipv4Addr::UNSPECIFIED), RouteAddress::Inet6(Ipv6Addr::UNSPECIFIED)]
            .contains(address)
    };
    let elsewhere = route
        .attributes
        .iter()
        .any(|attribute| matches!(attribute, RouteAttribute::Destination(address) if !unspecified(address)));
    if header.destination_prefix_length != 0
        || elsewhere
        || header.table != RouteHeader::RT_TABLE_MAIN
        || header.kind != RouteType::Unicast
    {
        return None;
    }
    let ifindex = device(&route.attributes)?;
    Some(DefaultRoute {
        ifindex,
        ipv6,
        gateway: gateway(&route.attributes),
        protocol: header.protocol.into(),
    })
}
