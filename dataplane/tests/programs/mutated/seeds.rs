//! Frames of every kind that the programs know, mostly as honest senders make them. What is wrong with them comes later.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use weft_dataplane_abi::Place;

use super::cast::{NOBODYS, RED_A};
use super::dice::Dice;
use super::headers::{self, Ends};
use super::words::Words;
use crate::reference::facts::{Facts, Hop, Port};
use crate::reference::{Arrival, Mac, TunnelKey, xdp};
use crate::world::{CAROL, FRANK};

/// Who is asked for what a frame should be.
pub struct Seeds<'a> {
    pub facts: &'a Facts,
    pub words: &'a Words,
    pub dice: &'a mut Dice,
}

impl Seeds<'_> {
    /// Whether something happens that does so `percent` times of a hundred.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.dice.below(100) < percent
    }

    /// A frame for one of the programs.
    pub fn arrival(&mut self) -> Arrival {
        let place = match self.dice.below(100) {
            0..45 => Place::Pod,
            45..70 => Place::Underlay,
            70..85 => Place::Vxlan,
            85..90 => Place::XdpGuard,
            90..99 => Place::XdpForward,
            _ => Place::Guard,
        };
        let none = Arrival { place, ifindex: 0, frame: Vec::new(), gso_size: 0, tunnel: None };
        match place {
            Place::Pod | Place::Guard => self.of_pod(none),
            Place::Underlay | Place::XdpGuard | Place::XdpForward => {
                let frame = self.of_wire(place != Place::Underlay);
                let gso_size = if place == Place::Underlay && self.chance(3) { 1000 } else { 0 };
                Arrival { ifindex: self.facts.underlay.0, frame, gso_size, ..none }
            }
            Place::Vxlan => self.of_vxlan(none),
        }
    }

    fn of_pod(&mut self, none: Arrival) -> Arrival {
        let at = usize::try_from(self.dice.below(self.facts.ports.len() as u64)).unwrap();
        let port = &self.facts.ports[at];
        let ifindex = if self.chance(1) { NOBODYS } else { port.ifindex };
        let (macs, addresses) = (port.mac, (port.ipv4, port.ipv6));
        let mut frame = match self.dice.below(100) {
            0..12 => self.arp(port, macs),
            12..26 => self.discovery(macs, v6(addresses.1)),
            _ => {
                let ends = self.ends_of(port);
                self.packet(&ends)
            }
        };
        let gso_size = if frame.len() > 60 && self.chance(15) {
            // Often to where each is sent on, if its segments fit.
            if port.subnet == RED_A && self.chance(60) {
                frame[..6].copy_from_slice(&self.dice.one(&[CAROL, FRANK]).mac.bytes());
            }
            let size = 1390 + u32::try_from(self.dice.below(40)).unwrap();
            self.dice.one(&[1, 500, 900, 910, 930, size, size, size, 0xffff])
        } else {
            0
        };
        if self.chance(5) {
            frame.extend([0xee; 6]);
        }
        Arrival { ifindex, frame, gso_size, ..none }
    }

    /// Sender and receiver of what a port sends: routed or switched to somebody.
    fn ends_of(&mut self, port: &Port) -> Ends {
        let ipv4 = self.dice.one(&self.words.ipv4);
        let ipv6 = self.dice.one(&self.words.ipv6);
        let source6 = match port.ipv6 {
            Some(own) if !self.chance(5) => v6(Some(own)),
            _ => v6(Some(crate::reference::facts::link_local(port.mac))),
        };
        let destination_mac = match self.dice.below(100) {
            0..55 => self.facts.gateway_mac,
            55..88 => self.neighbour(port.subnet),
            _ => self.dice.one(&self.words.macs),
        };
        Ends { destination_mac, source_mac: port.mac, ipv4: (v4(port.ipv4), ipv4), ipv6: (source6, ipv6) }
    }

    /// The MAC of somebody in a subnet.
    fn neighbour(&mut self, subnet: u32) -> Mac {
        let of: Vec<Mac> =
            self.facts.stations.iter().filter(|one| one.subnet == subnet).map(|one| one.mac).collect();
        self.dice.one(&of)
    }

    fn of_vxlan(&mut self, none: Arrival) -> Arrival {
        let (vni, vtep, frame) = self.inner();
        let remote = if self.chance(4) { self.dice.one(&self.words.vteps) } else { vtep };
        let local = if self.chance(2) { self.dice.one(&self.words.vteps) } else { self.facts.vtep };
        let other_family = self.chance(1);
        let tunnel = match other_family {
            true if local.is_ipv4() => {
                TunnelKey { local: Ipv6Addr::LOCALHOST.into(), remote: Ipv6Addr::LOCALHOST.into(), vni }
            }
            true => TunnelKey { local: Ipv4Addr::LOCALHOST.into(), remote: Ipv4Addr::LOCALHOST.into(), vni },
            false => {
                let mapped = remote.is_ipv6() && self.chance(2);
                let remote = if mapped { "::ffff:192.0.2.2".parse().unwrap() } else { remote };
                TunnelKey { local, remote, vni }
            }
        };
        let tunnel = (!self.chance(1)).then_some(tunnel);
        let gso_size = if frame.len() > 200 && self.chance(10) { 500 } else { 0 };
        Arrival { ifindex: self.facts.vxlan_ifindex, frame, gso_size, tunnel, ..none }
    }

    /// VXLAN mostly, and what else comes by the wire, in frames as large as XDP takes them if `jumbo`.
    fn of_wire(&mut self, jumbo: bool) -> Vec<u8> {
        let (vni, vtep, inner) = self.inner();
        let vtep = if self.chance(6) { self.dice.one(&self.words.vteps) } else { vtep };
        let macs = (self.facts.underlay.1, self.facts.uplink.1);
        let own = self.facts.vtep;
        let ecn = self.dice.one(&[0, 0, 0, 1, 2, 2, 3]);
        if self.chance(6) {
            return self.path_mtu_error(macs, own, vtep);
        }
        let port = if self.chance(2) { self.dice.one(&[53, 4790, 0]) } else { 4789 };
        let mut frame = headers::outer(macs, vtep, own, ecn, port, vni, &inner);
        if self.chance(5) {
            frame.extend([0; 6]);
        }
        if jumbo && self.chance(5) {
            // Around what the first piece of a frame holds, and more.
            let length = xdp::FIRST_PIECE - 3 + usize::try_from(self.dice.below(7)).unwrap();
            frame.resize(self.dice.one(&[length, length, 8000]), 0x77);
        }
        frame
    }

    /// A router's message that a packet of ours was too big.
    fn path_mtu_error(&mut self, macs: (Mac, Mac), own: IpAddr, vtep: IpAddr) -> Vec<u8> {
        let mtu = self.dice.one(&[0_u16, 600, 999, 1000, 1399, 1400, 1499, 1500, 1501]);
        let ours = headers::outer(macs, own, vtep, 0, 4789, 101, &[0; 20]);
        let quoted = self.dice.one(&[28_usize, 48, 36, 56, 30]).min(ours.len() - 14);
        headers::too_big(macs, vtep, own, mtu, &ours[14..14 + quoted])
    }

    /// The VNI, a VTEP that may send into it, and the frame that it does.
    fn inner(&mut self) -> (u32, IpAddr, Vec<u8>) {
        let (vni, vtep) = self.dice.one(&self.facts.members);
        if self.chance(4) {
            let vni = self.dice.one(&self.words.vnis);
            let ends = self.between_anybody();
            return (vni, vtep, self.packet(&ends));
        }
        let network = self.facts.vnis.iter().find(|here| here.vni == vni).map_or(0, |here| here.network);
        let of: Vec<Port> = self
            .facts
            .ports
            .iter()
            .filter(|port| if vni == network { port.network == network } else { port.subnet == vni })
            .cloned()
            .collect();
        let to = &of[usize::try_from(self.dice.below(of.len() as u64)).unwrap()];
        let mut ends = self.between_anybody();
        if let Some(sender) = self.sender(network, vni, vtep) {
            ends.source_mac = sender.0;
            ends.ipv4.0 = sender.1.unwrap_or(ends.ipv4.0);
            ends.ipv6.0 = sender.2.unwrap_or(ends.ipv6.0);
        }
        ends.ipv4.1 = v4(to.ipv4);
        ends.ipv6.1 = to.ipv6.map_or(ends.ipv6.1, |own| v6(Some(own)));
        ends.destination_mac = to.mac;
        if vni == network {
            ends.destination_mac = self.facts.router_mac;
            if self.chance(10) {
                (ends.ipv4.1, ends.ipv6.1) =
                    (self.dice.one(&self.words.ipv4), self.dice.one(&self.words.ipv6));
            }
        } else {
            match self.dice.below(100) {
                0..10 => {
                    let arp = self.dice.one(&self.words.ipv4);
                    let target = if self.chance(70) { v4(to.ipv4) } else { arp };
                    let to = if self.chance(60) { [0xff; 6] } else { to.mac };
                    let operation = self.dice.one(&[1, 1, 2]);
                    return (
                        vni,
                        vtep,
                        headers::arp(
                            (to, ends.source_mac),
                            operation,
                            (ends.source_mac, ends.ipv4.0),
                            target,
                        ),
                    );
                }
                10..20 => {
                    let frame = self.discovery_to(ends.source_mac, ends.ipv6.0, Some(to));
                    return (vni, vtep, frame);
                }
                20..28 => {
                    ends.destination_mac =
                        self.dice.one(&[[0xff; 6], [1, 0, 0x5e, 0, 0, 1], [0x33, 0x33, 0, 0, 0, 1]]);
                }
                28..34 => ends.destination_mac = self.dice.one(&self.words.macs),
                _ => {}
            }
        }
        (vni, vtep, self.packet(&ends))
    }

    /// MAC and addresses of somebody behind the VTEP.
    fn sender(
        &mut self,
        network: u32,
        vni: u32,
        vtep: IpAddr,
    ) -> Option<(Mac, Option<Ipv4Addr>, Option<Ipv6Addr>)> {
        let behind: Vec<_> = self
            .facts
            .addresses
            .iter()
            .filter(|known| {
                known.network == network && matches!(known.hop, Hop::Vtep { vtep: at, .. } if at == vtep)
            })
            .filter_map(|known| known.neighbour)
            .filter(|(subnet, _)| vni == network || *subnet == vni)
            .collect();
        if behind.is_empty() {
            return None;
        }
        let (subnet, mac) = self.dice.one(&behind);
        let mut found = (mac, None, None);
        for known in &self.facts.addresses {
            if known.network == network && known.neighbour == Some((subnet, mac)) {
                match known.address {
                    IpAddr::V4(v4) => found.1 = Some(v4),
                    IpAddr::V6(v6) => found.2 = Some(v6),
                }
            }
        }
        Some(found)
    }

    fn between_anybody(&mut self) -> Ends {
        Ends {
            destination_mac: self.dice.one(&self.words.macs),
            source_mac: self.dice.one(&self.words.macs),
            ipv4: (self.dice.one(&self.words.ipv4), self.dice.one(&self.words.ipv4)),
            ipv6: (self.dice.one(&self.words.ipv6), self.dice.one(&self.words.ipv6)),
        }
    }

    fn arp(&mut self, port: &Port, mac: Mac) -> Vec<u8> {
        let to = match self.dice.below(10) {
            0..6 => [0xff; 6],
            6..9 => self.neighbour(port.subnet),
            _ => self.dice.one(&self.words.macs),
        };
        let sender = if self.chance(10) { Ipv4Addr::UNSPECIFIED } else { v4(port.ipv4) };
        let (operation, target) = (self.dice.one(&[1, 1, 1, 2, 3]), self.dice.one(&self.words.ipv4));
        headers::arp((to, mac), operation, (mac, sender), target)
    }

    fn discovery(&mut self, mac: Mac, from: Ipv6Addr) -> Vec<u8> {
        self.discovery_to(mac, from, None)
    }

    /// Neighbour discovery from a station, about `to` if there is one.
    fn discovery_to(&mut self, mac: Mac, from: Ipv6Addr, to: Option<&Port>) -> Vec<u8> {
        let kind = self.dice.one(&[135, 135, 135, 136, 136, 133, 134, 137]);
        let anybody = self.dice.one(&self.words.ipv6);
        let about = to.and_then(|port| port.ipv6).map_or(anybody, |own| v6(Some(own)));
        let target = match kind {
            136 if !self.chance(20) => from,
            _ if self.chance(10) => anybody,
            _ => about,
        };
        let from = if self.chance(10) { Ipv6Addr::UNSPECIFIED } else { from };
        let destination_mac = match (to, self.dice.below(10)) {
            (Some(port), 0..3) => port.mac,
            (None, 0..4) => self.dice.one(&self.words.macs),
            _ => [0x33, 0x33, 0xff, 0, 0, 1],
        };
        let option = match self.dice.below(10) {
            0..2 => None,
            2..9 => Some((if kind == 135 { 1 } else { 2 }, mac)),
            _ => Some((14, mac)),
        };
        let destination = if self.chance(60) { "ff02::1:ff00:1".parse().unwrap() } else { about };
        let ends = Ends {
            destination_mac,
            source_mac: mac,
            ipv4: (Ipv4Addr::UNSPECIFIED, Ipv4Addr::UNSPECIFIED),
            ipv6: (from, destination),
        };
        headers::discovery(&ends, kind, target, option)
    }

    /// An IP packet of any kind.
    fn packet(&mut self, ends: &Ends) -> Vec<u8> {
        let hops = self.dice.one(&[64, 64, 64, 64, 255, 64, 2, 1, 1, 0]);
        let tos = self.dice.one(&[0, 0, 1, 2, 3, 0xb8, 0xba]);
        let is_v4 = self.chance(55);
        let (protocol, body) = self.transport(is_v4);
        if is_v4 {
            let options = if self.chance(8) { usize::try_from(self.dice.below(11)).unwrap() * 4 } else { 0 };
            let fragment =
                if self.chance(8) { self.dice.one(&[0x2000, 0x2001, 0x0001, 0x00b9]) } else { 0x4000 };
            return headers::ipv4(ends, (tos, hops), protocol, fragment, options, &body);
        }
        let mut extensions = Vec::new();
        if self.chance(15) {
            let how_many = self.dice.one(&[1, 1, 1, 2, 2, 3, 8, 9]);
            for _ in 0..how_many {
                let kind = self.dice.one(&[0, 43, 44, 51, 60, 60, 60]);
                extensions.push((kind, self.dice.one(&[0, 0, 0, 0, 1, 4, 60])));
            }
        }
        let first_or_later = self.dice.one(&[0, 1, 0x10, 0x11]);
        headers::ipv6(ends, (tos, hops), protocol, &extensions, first_or_later, &body)
    }

    /// A transport header and its payload.
    fn transport(&mut self, is_v4: bool) -> (u8, Vec<u8>) {
        let near = |dice: &mut Dice, size: u64| size + dice.below(30);
        let size = match self.dice.below(100) {
            0..80 => self.dice.below(120),
            80..88 => near(self.dice, 1395),
            88..91 => near(self.dice, 1365),
            91..95 => near(self.dice, 905),
            _ => self.dice.below(3000),
        };
        let payload = vec![0x5a; usize::try_from(size).unwrap()];
        let ports = (1024 + u16::try_from(self.dice.below(60000)).unwrap(), self.dice.one(&[53, 80, 4789]));
        match self.dice.below(100) {
            0..45 => (17, headers::udp(ports, &payload)),
            45..70 => {
                let options = usize::try_from(self.dice.below(11)).unwrap() * 4;
                (6, headers::tcp(ports, if size % 2 == 0 { 0 } else { options }, &payload))
            }
            70..95 if is_v4 => {
                let kind = self.dice.one(&[8, 8, 8, 8, 0, 3, 5, 11, 12, 13]);
                (1, headers::icmp(kind, &payload))
            }
            70..95 => {
                let kind = self.dice.one(&[128, 128, 128, 128, 129, 1, 2, 3, 135, 137, 143]);
                (58, headers::icmp(kind, &payload))
            }
            _ => (self.dice.one(&[1, 2, 6, 17, 47, 58, 59, 132, 255]), payload),
        }
    }
}

fn v4(address: IpAddr) -> Ipv4Addr {
    match address {
        IpAddr::V4(v4) => v4,
        IpAddr::V6(_) => Ipv4Addr::UNSPECIFIED,
    }
}

fn v6(address: Option<IpAddr>) -> Ipv6Addr {
    match address {
        Some(IpAddr::V6(v6)) => v6,
        Some(IpAddr::V4(_)) | None => Ipv6Addr::UNSPECIFIED,
    }
}
