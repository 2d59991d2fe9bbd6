//! The words that packets are made of: addresses and numbers that mean something in the world, and some that mean nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::reference::Mac;
use crate::reference::facts::{Facts, Hop, link_local};

pub struct Words {
    pub macs: Vec<Mac>,
    pub ipv4: Vec<Ipv4Addr>,
    pub ipv6: Vec<Ipv6Addr>,
    pub vnis: Vec<u32>,
    pub vteps: Vec<IpAddr>,
}

impl Words {
    pub fn of(facts: &Facts) -> Self {
        let mut macs: Vec<Mac> = facts.stations.iter().map(|station| station.mac).collect();
        macs.extend([facts.gateway_mac, facts.router_mac, facts.underlay.1, facts.uplink.0, facts.uplink.1]);
        macs.extend([[0xff; 6], [1, 0, 0x5e, 0, 0, 1], [0x33, 0x33, 0, 0, 0, 1], [2, 9, 9, 9, 9, 9]]);
        let mut addresses: Vec<IpAddr> = facts.addresses.iter().map(|known| known.address).collect();
        let texts = [
            "10.9.1.1",
            "10.9.5.5",
            "10.10.0.1",
            "10.0.0.99",
            "10.0.0.255",
            "0.0.0.0",
            "127.0.0.1",
            "169.254.169.254",
            "224.0.0.1",
            "239.1.2.3",
            "255.255.255.255",
            "192.0.2.1",
            "192.0.2.2",
            "fd00:9::1",
            "fd00:9:0:5::1",
            "fd00:77::1",
            "fd00:a::99",
            "::",
            "::1",
            "::2",
            "fe80::1",
            "febf::1",
            "ff02::1",
            "ff02::1:ff00:15",
            "ff02::16",
            "::ffff:10.0.0.12",
            "::ffff:192.0.2.2",
            "2001:db8::1",
            "2001:db8::2",
        ];
        addresses.extend(texts.iter().map(|text| text.parse::<IpAddr>().unwrap()));
        addresses.extend(facts.ports.iter().map(|port| link_local(port.mac)));
        let (mut ipv4, mut ipv6) = (Vec::new(), Vec::new());
        for address in addresses {
            match address {
                IpAddr::V4(v4) => ipv4.push(v4),
                IpAddr::V6(v6) => ipv6.push(v6),
            }
        }
        let routers = facts.addresses.iter().filter_map(|known| match known.hop {
            Hop::Vtep { router, .. } => Some(router),
            Hop::Port(_) | Hop::Gateway => None,
        });
        macs.extend(routers);
        let mut vteps: Vec<IpAddr> = facts.members.iter().map(|(_, vtep)| *vtep).collect();
        vteps.push(facts.vtep);
        vteps.push(if facts.vtep.is_ipv4() {
            [192, 0, 2, 99].into()
        } else {
            "2001:db8::99".parse().unwrap()
        });
        let mut vnis: Vec<u32> = facts.vnis.iter().map(|here| here.vni).collect();
        vnis.extend([0, 1, 7777, 0xff_ffff]);
        Self { macs, ipv4, ipv6, vnis, vteps }
    }
}
