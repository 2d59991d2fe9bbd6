//! The facts of the world that mutated packets meet: that of [`crate::world`], and what makes its rarer decisions happen.
//!
//! ```text
//!   red (L3 5001)    red-a (L2 101)                red-b (L2 102)          red-c (L2 103), without a gateway
//!     this host        ALICE .11   BOB .12           DAVE .13                EVE 10.0.2.15, IPv4 only
//!     VTEP 2           CAROL .21, .77 routed only    ERIN .23
//!     VTEP 3           10.9.0.0/16 and fd00:9::/48
//!     VTEP 4           FRANK .24, 10.9.5.0/24 and fd00:9:5::/64; next hop not resolved
//!     VTEP 6           GRACE .26; takes 1000 bytes
//!     VTEP 7           HEIDI .27; the way there is not known
//!   blue (L3 6001)   blue-a (L2 201)
//!     this host        its own .12
//!     VTEP 5           its own .21
//! ```

use std::net::IpAddr;

use weft_vxlan::{MacAddr, Vtep};

use crate::reference::Mac;
use crate::reference::facts::{Address, Facts, Far, Flood, Hop, Port, Prefix, Station, Vni};
use crate::world::{
    ALICE, BOB, CAROL, DAVE, ERIN, FRANK, GATEWAY_MAC, NEXT_HOP_MAC, ROUTER_MAC, Station as Workload,
    UNDERLAY_MAC, VXLAN_IFINDEX,
};

pub const RED: u32 = 5001;
pub const RED_A: u32 = 101;
pub const RED_B: u32 = 102;
pub const RED_C: u32 = 103;
pub const BLUE: u32 = 6001;
pub const BLUE_A: u32 = 201;

/// Interface indexes: the loopback device is the underlay's, those of ports begin here.
pub const UNDERLAY: u32 = 1;
const FIRST_PORT: u32 = 11;
/// A device that is nobody's.
pub const NOBODYS: u32 = 19;
/// What ports' devices take.
pub const PORT_MTU: usize = 1500;

const fn another(subnet: u8, third: u8, number: u8) -> Workload {
    Workload {
        mac: MacAddr::new([2, subnet, 0, 0, 0, number]),
        ipv4: std::net::Ipv4Addr::new(10, 0, third, number),
        ipv6: std::net::Ipv6Addr::new(0xfd00, subnet as u16, 0, 0, 0, 0, 0, number as u16),
    }
}

pub const GRACE: Workload = another(0xa, 0, 26);
pub const HEIDI: Workload = another(0xa, 0, 27);
pub const EVE: Workload = another(0xc, 2, 15);

/// The facts, with VTEPs of these addresses.
pub fn facts(vtep: fn(u8) -> Vtep) -> Facts {
    let gateway = |third: u8, subnet: u16| {
        let ipv6 = std::net::Ipv6Addr::new(0xfd00, subnet, 0, 0, 0, 0, 0, 1);
        (Some(IpAddr::from([10, 0, third, 1])), Some(IpAddr::from(ipv6)))
    };
    let address = |last| vtep(last).address();
    let mut facts = Facts {
        configured: true,
        within_limits: true,
        unwraps_other_family: true,
        vtep: address(1),
        router_mac: ROUTER_MAC.bytes(),
        gateway_mac: GATEWAY_MAC.bytes(),
        underlay: (UNDERLAY, [0; 6]),
        vxlan_ifindex: VXLAN_IFINDEX,
        uplink: (UNDERLAY_MAC.bytes(), NEXT_HOP_MAC.bytes()),
        ports: Vec::new(),
        addresses: Vec::new(),
        prefixes: Vec::new(),
        stations: Vec::new(),
        vnis: [(RED, RED), (RED_A, RED), (RED_B, RED), (RED_C, RED), (BLUE, BLUE), (BLUE_A, BLUE)]
            .map(|(vni, network)| Vni { vni, network })
            .to_vec(),
        members: [(RED, 2), (RED_A, 2), (RED_B, 2), (RED, 3), (RED, 4), (RED_A, 4), (RED, 6), (RED_A, 6)]
            .into_iter()
            .chain([(RED, 7), (RED_A, 7), (RED_C, 2), (BLUE, 5), (BLUE_A, 5)])
            .map(|(vni, last)| (vni, address(last)))
            .collect(),
        vteps: [(2, 1500, true), (3, 1500, true), (4, 1500, false), (5, 1400, true), (6, 1000, true)]
            .map(|(last, mtu, resolved)| Far { vtep: address(last), mtu, resolved })
            .to_vec(),
        floods: Vec::new(),
    };
    for (subnet, third, id) in [(RED_A, 0, 0xa), (RED_B, 1, 0xb)] {
        let (ipv4, ipv6) = gateway(third, id);
        for address in [ipv4, ipv6].into_iter().flatten() {
            let neighbour = Some((subnet, facts.gateway_mac));
            facts.addresses.push(Address { network: RED, address, hop: Hop::Gateway, neighbour });
        }
    }
    facts.port_of(RED, RED_A, ALICE, true, gateway(0, 0xa));
    facts.port_of(RED, RED_A, BOB, true, gateway(0, 0xa));
    facts.port_of(RED, RED_B, DAVE, true, gateway(1, 0xb));
    facts.port_of(BLUE, BLUE_A, BOB, true, gateway(0, 0xa));
    facts.port_of(RED, RED_C, EVE, false, (None, None));
    for (network, subnet, last, station) in [
        (RED, RED_A, 2, CAROL),
        (RED, RED_B, 2, ERIN),
        (RED, RED_A, 4, FRANK),
        (RED, RED_A, 6, GRACE),
        (RED, RED_A, 7, HEIDI),
        (BLUE, BLUE_A, 5, CAROL),
    ] {
        let router = vtep(last).default_router_mac().bytes();
        let hop = |vni| Hop::Vtep { vtep: address(last), vni, router };
        facts.station_at(network, subnet, station, true, hop(network), hop(subnet));
    }
    let routed =
        |last, vni| Hop::Vtep { vtep: address(last), vni, router: vtep(last).default_router_mac().bytes() };
    let hop = routed(2, RED);
    facts.addresses.push(Address { network: RED, address: [10, 0, 0, 77].into(), hop, neighbour: None });
    for (prefix, bits, last) in
        [("10.9.0.0", 16, 3), ("10.9.5.0", 24, 4), ("fd00:9::", 48, 3), ("fd00:9:0:5::", 64, 4)]
    {
        let hop = routed(last, RED);
        facts.prefixes.push(Prefix { network: RED, address: prefix.parse().unwrap(), bits, hop });
    }
    let floods = [
        (RED_A, vec![11, 12], vec![2, 4, 6, 7]),
        (RED_B, vec![13], vec![6]),
        (BLUE_A, vec![14], vec![5]),
        (RED_C, vec![15], vec![]),
    ];
    for (subnet, ports, vteps) in floods {
        facts.floods.push(Flood { subnet, ports, vteps: vteps.into_iter().map(address).collect() });
    }
    facts
}

impl Facts {
    /// A port with the next index and slot.
    fn port_of(
        &mut self,
        network: u32,
        subnet: u32,
        of: Workload,
        has_ipv6: bool,
        gateways: (Option<IpAddr>, Option<IpAddr>),
    ) {
        let number = u32::try_from(self.ports.len()).unwrap();
        let ifindex = FIRST_PORT + number;
        self.ports.push(Port {
            ifindex,
            slot: 1 + number,
            network,
            subnet,
            mac: of.mac.bytes(),
            ipv4: of.ipv4.into(),
            ipv6: has_ipv6.then_some(of.ipv6.into()),
            gateways,
            mtu: PORT_MTU,
        });
        self.station_at(network, subnet, of, has_ipv6, Hop::Port(ifindex), Hop::Port(ifindex));
    }

    /// A workload at one of two hops: for routed and for switched packets.
    fn station_at(
        &mut self,
        network: u32,
        subnet: u32,
        of: Workload,
        has_ipv6: bool,
        routed: Hop,
        switched: Hop,
    ) {
        let mac: Mac = of.mac.bytes();
        let addresses = [Some(IpAddr::from(of.ipv4)), has_ipv6.then_some(of.ipv6.into())];
        for address in addresses.into_iter().flatten() {
            self.addresses.push(Address { network, address, hop: routed, neighbour: Some((subnet, mac)) });
        }
        self.stations.push(Station { subnet, mac, hop: switched });
    }
}
