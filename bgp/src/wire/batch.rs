//! UPDATEs packed full: many routes with the same attributes, written as they come. The attributes are encoded once,
//! and copied into each message.

use ipnet::{Ipv4Net, Ipv6Net};

use super::attribute::encode_attribute;
use super::header::{self, HEADER_LEN, MAX_EXTENDED_LEN, MAX_LEN, MessageKind};
use super::{
    AttributeCode, Attributes, Dialect, EncodeError, EvpnRoute, Family, NextHop, RouteTargetMembership,
    prefix, writer,
};

/// A route of any family.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Route {
    /// IPv4 unicast.
    Ipv4(Ipv4Net),
    /// IPv6 unicast.
    Ipv6(Ipv6Net),
    /// L2VPN EVPN.
    Evpn(EvpnRoute),
    /// Route target membership.
    RouteTargets(RouteTargetMembership),
}

impl Route {
    /// Its family.
    #[must_use]
    pub const fn family(&self) -> Family {
        match self {
            Self::Ipv4(_) => Family::IPV4_UNICAST,
            Self::Ipv6(_) => Family::IPV6_UNICAST,
            Self::Evpn(_) => Family::EVPN,
            Self::RouteTargets(_) => Family::ROUTE_TARGETS,
        }
    }

    fn encode(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        match self {
            Self::Ipv4(net) => prefix::encode_v4(*net, out),
            Self::Ipv6(net) => prefix::encode_v6(*net, out),
            Self::Evpn(route) => route.encode(out)?,
            Self::RouteTargets(membership) => membership.encode(out),
        }
        Ok(())
    }
}

/// How the message is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    /// IPv4 routes behind the attributes, which have the next hop.
    Announced,
    /// MP_REACH_NLRI.
    Reach,
    /// IPv4 routes before the attributes, of which there are none.
    Withdrawn,
    /// MP_UNREACH_NLRI.
    Unreach,
}

/// Routes of one family on their way into messages that share everything else.
#[derive(Debug)]
pub struct Batch {
    family: Family,
    layout: Layout,
    extended: bool,
    with_id: bool,
    /// What stands before the routes in the multiprotocol attribute.
    head: Vec<u8>,
    attributes: Vec<u8>,
    routes: Vec<u8>,
    /// Bytes of routes that fit into a message.
    room: usize,
}

/// Flags, code and a long length.
const ATTRIBUTE_HEADER: usize = 4;

impl Batch {
    /// Routes of `family` that come, with `attributes`, whose own next hop is not looked at.
    ///
    /// # Errors
    /// [`EncodeError`] if the attributes leave no room for routes, or have no form on the wire.
    pub fn announce(
        family: Family,
        next_hop: NextHop,
        attributes: &Attributes,
        dialect: &Dialect,
    ) -> Result<Self, EncodeError> {
        let (mut head, mut row) = (Vec::new(), Vec::new());
        let layout = match (family, next_hop) {
            (Family::IPV4_UNICAST, NextHop::V4(address)) => {
                Attributes { next_hop: Some(address), ..attributes.clone() }.encode(dialect, &mut row)?;
                Layout::Announced
            }
            (_, NextHop::V4(_) | NextHop::V6(_) | NextHop::V6LinkLocal { .. }) => {
                if attributes.next_hop.is_some() {
                    Attributes { next_hop: None, ..attributes.clone() }.encode(dialect, &mut row)?;
                } else {
                    attributes.encode(dialect, &mut row)?;
                }
                head.extend(family.to_bytes());
                writer::counted_u8(&mut head, "next hop", |out| {
                    next_hop.encode(out);
                    Ok(())
                })?;
                head.push(0);
                Layout::Reach
            }
        };
        Self::new(family, layout, head, row, dialect)
    }

    /// Routes of `family` that go.
    #[must_use]
    pub fn withdraw(family: Family, dialect: &Dialect) -> Self {
        let (layout, head) = match family {
            Family::IPV4_UNICAST => (Layout::Withdrawn, Vec::new()),
            _ => (Layout::Unreach, family.to_bytes().to_vec()),
        };
        Self::new(family, layout, head, Vec::new(), dialect)
            .expect("no attributes are shorter than the shortest message that is allowed")
    }

    fn new(
        family: Family,
        layout: Layout,
        head: Vec<u8>,
        attributes: Vec<u8>,
        dialect: &Dialect,
    ) -> Result<Self, EncodeError> {
        let max = if dialect.send_extended { MAX_EXTENDED_LEN } else { MAX_LEN };
        let fixed = HEADER_LEN + 4 + ATTRIBUTE_HEADER + head.len();
        let room = max.checked_sub(fixed + attributes.len()).filter(|room| *room > 0);
        let what = "attributes";
        let room = room.ok_or(EncodeError::TooLong { what, len: attributes.len(), max: max - fixed })?;
        let (extended, with_id) = (dialect.send_extended, dialect.send_path_ids.has(family));
        Ok(Self { family, layout, extended, with_id, head, attributes, routes: Vec::new(), room })
    }

    /// Bytes of routes that wait to be written.
    #[must_use]
    pub const fn waiting(&self) -> usize {
        self.routes.len()
    }

    /// Adds a route; a message that is full goes to `out` first.
    ///
    /// # Errors
    /// [`EncodeError`] if it fits into no message, or has no form on the wire. The batch is as before.
    pub fn push(&mut self, path_id: u32, route: &Route, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        if route.family() != self.family {
            return Err(EncodeError::Families(2));
        }
        let at = self.routes.len();
        if self.with_id {
            self.routes.extend(path_id.to_be_bytes());
        }
        if let Err(error) = route.encode(&mut self.routes) {
            self.routes.truncate(at);
            return Err(error);
        }
        let len = self.routes.len() - at;
        if len > self.room {
            self.routes.truncate(at);
            return Err(EncodeError::TooLong { what: "route", len, max: self.room });
        }
        if self.routes.len() > self.room {
            let last = self.routes.split_off(at);
            self.flush(out)?;
            self.routes = last;
        }
        Ok(())
    }

    /// Writes what waits, if anything does.
    ///
    /// # Errors
    /// [`EncodeError`] never in fact: what was pushed fits.
    pub fn flush(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        if self.routes.is_empty() {
            return Ok(());
        }
        header::encode(MessageKind::Update, self.extended, out, |out| {
            let withdrawn = if self.layout == Layout::Withdrawn { &self.routes[..] } else { &[] };
            writer::counted_u16(out, "withdrawn routes", |out| {
                out.extend(withdrawn);
                Ok(())
            })?;
            writer::counted_u16(out, "attributes", |out| {
                let code = match self.layout {
                    Layout::Announced | Layout::Withdrawn => None,
                    Layout::Reach => Some(AttributeCode::MP_REACH_NLRI),
                    Layout::Unreach => Some(AttributeCode::MP_UNREACH_NLRI),
                };
                if let Some(code) = code {
                    encode_attribute(code, 0, out, |out| {
                        out.extend(&self.head);
                        out.extend(&self.routes);
                        Ok(())
                    })?;
                }
                out.extend(&self.attributes);
                Ok(())
            })?;
            if self.layout == Layout::Announced {
                out.extend(&self.routes);
            }
            Ok(())
        })?;
        self.routes.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Frame, Message, Origin, Received, Routes};

    fn decoded(mut bytes: &[u8]) -> Vec<crate::wire::Update> {
        let mut updates = Vec::new();
        while let Some(frame) = Frame::next(bytes, false).unwrap() {
            let len = frame.len();
            assert!(len <= MAX_LEN);
            let received = Received::decode(frame, &Dialect::plain()).unwrap();
            assert_eq!(received.faults, []);
            let Message::Update(update) = received.message else { panic!("no update") };
            updates.push(update);
            bytes = &bytes[len..];
        }
        updates
    }

    fn attributes() -> Attributes {
        Attributes { origin: Some(Origin::Igp), as_path: Some(Default::default()), ..Attributes::default() }
    }

    #[test]
    fn routes_fill_messages_and_all_arrive() {
        let hop = NextHop::V4([10, 0, 0, 1].into());
        for family in [Family::IPV4_UNICAST, Family::IPV6_UNICAST] {
            for withdraw in [false, true] {
                let hop = if family == Family::IPV6_UNICAST {
                    NextHop::V6("2001:db8::1".parse().unwrap())
                } else {
                    hop
                };
                let mut batch = if withdraw {
                    Batch::withdraw(family, &Dialect::plain())
                } else {
                    Batch::announce(family, hop, &attributes(), &Dialect::plain()).unwrap()
                };
                let mut out = Vec::new();
                for index in 0..5000_u32 {
                    let route = if family == Family::IPV4_UNICAST {
                        Route::Ipv4(Ipv4Net::new(index.into(), 32).unwrap())
                    } else {
                        Route::Ipv6(Ipv6Net::new(u128::from(index).into(), 128).unwrap())
                    };
                    batch.push(0, &route, &mut out).unwrap();
                }
                batch.flush(&mut out).unwrap();
                let updates = decoded(&out);
                let routes: usize = updates
                    .iter()
                    .map(|update| {
                        update.withdrawn.len()
                            + update.announced.len()
                            + update.unreachable.iter().map(Routes::len).sum::<usize>()
                            + update.reachable.as_ref().map_or(0, |reach| reach.routes.len())
                    })
                    .sum();
                assert_eq!(routes, 5000, "{family} {withdraw}");
                let least = 5000 * if family == Family::IPV4_UNICAST { 5 } else { 17 } / 4000;
                assert!(updates.len() <= least + 3, "{} messages, {least} are full", updates.len());
            }
        }
    }

    #[test]
    fn attributes_that_leave_no_room_are_refused() {
        let huge = Attributes { communities: vec![crate::wire::Community(1); 1100], ..attributes() };
        let hop = NextHop::V4([10, 0, 0, 1].into());
        let refused = Batch::announce(Family::EVPN, hop, &huge, &Dialect::plain());
        assert!(matches!(refused, Err(EncodeError::TooLong { .. })));
    }
}
