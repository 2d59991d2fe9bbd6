//! What of the world is about security groups and connections.

use aya::maps::Array;
use aya::programs::{TestRun as _, TestRunOptions};
use weft_dataplane_abi as abi;
use weft_dataplane_abi::{NextHop, Scope};
use weft_vxlan::Vni;

use super::{ALICE, ALICE_SLOT, BOB, BOB_SLOT, DAVE, DAVE_SLOT, LOOPBACK, Raw, Station, World, red, vni};

/// A port whose packets are judged, and which may send whatever no rule denies.
pub const LETS_OUT: u32 = abi::port_flags::FIREWALL | abi::port_flags::EGRESS_ALLOWED;

/// As many connections as anybody wants.
pub const FLOW_LIMITS: abi::FlowLimits = abi::FlowLimits {
    timeouts: abi::FlowTimeouts::DEFAULT,
    per_port: 1000,
    per_tenant: 1000,
    half_open: 100,
};
/// Where the connections of all ports' tenant are counted.
pub const TENANT: u32 = 1000;

/// By the rules of the first generation, and by default.
pub fn judged() -> abi::Judged {
    abi::Judged { generation: 0, rule: abi::Ruling::DEFAULT }
}

impl World {
    /// Who is at a slot, and behind which interface.
    fn at(slot: u32) -> (u32, Vni, Vni, Station) {
        match slot {
            ALICE_SLOT => (LOOPBACK, red(), vni(101), ALICE),
            BOB_SLOT => (12, red(), vni(101), BOB),
            DAVE_SLOT => (13, red(), vni(102), DAVE),
            _ => (14, vni(6001), vni(201), BOB),
        }
    }

    /// Has a port judge packets by its defaults alone: [`abi::port_flags`].
    pub fn firewall(&mut self, slot: u32, flags: u32) {
        self.secure(slot, abi::PortSecurity { ingress: 0, egress: 0, tenant: TENANT, flags });
    }

    /// Gives a port its security, and has what is sent to it be judged.
    pub fn secure(&mut self, slot: u32, security: abi::PortSecurity) {
        let (ifindex, network, subnet, station) = Self::at(slot);
        let endpoint: abi::Endpoint = self.get(abi::maps::ENDPOINTS, ifindex);
        self.put(abi::maps::ENDPOINTS, ifindex, endpoint.with_security(ifindex, security));
        let local = |scope| NextHop::local(scope, ifindex, slot, station.mac).firewalled(scope);
        let (routed, switched) = (local(Scope::of(network)), local(Scope::of(subnet)));
        self.reachable(network, subnet, station, routed, switched);
    }

    /// Sets how many connections there may be.
    pub fn limit_flows(&mut self, flows: abi::FlowLimits) {
        let array: Array<_, Raw<abi::HostConfig>> =
            Array::try_from(self.ebpf.map_mut(abi::maps::HOST).unwrap()).unwrap();
        let host = array.get(&0, 0).unwrap().0;
        self.put_host(host.with_flows(flows));
    }

    /// Leaves no room for a connection that is asked for.
    pub fn fill_half_open(&mut self) {
        let started = |ifindex| abi::Flow::start(ifindex, abi::Signal::Request, abi::Side::Own, 0, judged());
        for ifindex in 1000..3000 {
            let key = abi::FlowKey::new(ifindex, (4, 17), ([0; 4], [0; 2]), ([0; 4], [0; 2]));
            let flow = started(ifindex).unwrap();
            if self.hash(abi::maps::HALF_OPEN).insert(Raw(key), Raw(flow), 0).is_err() {
                return;
            }
        }
        panic!("there is room for more than 2000");
    }

    /// Runs the program that judges a packet by the rules of a port alone: its answer, and its words.
    pub fn trial(&mut self, frame: &[u8], ifindex: u32, side: abi::Side) -> (i32, [u32; 3]) {
        let mut context = [0_u8; 192];
        // `struct __sk_buff` of linux/bpf.h: `cb` begins with the 13th word.
        let port = if side == abi::Side::Peer { ifindex | abi::trial::FROM_PEER } else { ifindex };
        context[48..52].copy_from_slice(&port.to_ne_bytes());
        let mut left = [0_u8; 192];
        let options = TestRunOptions {
            data_in: Some(frame),
            ctx_in: Some(&context),
            ctx_out: Some(&mut left),
            ..TestRunOptions::new()
        };
        let result = self.program(abi::programs::JUDGE).test_run(options).unwrap();
        let word = |at: usize| u32::from_ne_bytes(left[at..at + 4].try_into().unwrap());
        (result.return_value.cast_signed(), [word(48), word(52), word(56)])
    }

    /// Has what was judged by rules of another generation be judged again.
    pub fn set_generation(&mut self, generation: u32) {
        let map = self.ebpf.map_mut(abi::maps::GENERATION).unwrap();
        let mut array: Array<_, u32> = Array::try_from(map).unwrap();
        array.set(0, generation, 0).unwrap();
    }
}
