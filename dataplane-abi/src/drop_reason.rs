//! Why a packet was dropped. Every drop has one of these reasons; they are named here and nowhere else.

/// Why a packet was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u32)]
pub enum DropReason {
    /// The interface belongs to no port.
    UnknownEndpoint = 0,
    /// A header ends before its fields do, or contradicts itself.
    Malformed = 1,
    /// The source MAC is not the port's.
    SpoofedMac = 2,
    /// The source address, or the sender's in ARP or neighbour discovery, is not the port's.
    SpoofedIp = 3,
    /// Neither IPv4, IPv6 nor ARP, or tagged with a VLAN.
    UnsupportedEthertype = 4,
    /// ARP or neighbour solicitation for an address that nobody in the subnet has, and there is no host to ask.
    UnknownNeighbour = 5,
    /// ARP or neighbour discovery that needs no answer: announcements, probes for the port's own address,
    /// replies, router solicitations; and neighbour discovery of other hosts' ports.
    NeighbourNoise = 6,
    /// Broadcast or multicast that nobody needs to hear: group reports, packets from the unspecified address; or
    /// the subnet has nobody else.
    Multicast = 7,
    /// No port or host of the subnet has the destination MAC, and there is no host to flood it to.
    UnknownMac = 8,
    /// The network has no route to the destination address.
    NoRoute = 9,
    /// TTL or hop limit would reach zero.
    TtlExpired = 10,
    /// A packet for the gateway itself that is not an echo request.
    NotForGateway = 11,
    /// Larger than the path to the other host takes.
    TooBig = 12,
    /// VXLAN header without a valid VNI.
    BadVxlanHeader = 13,
    /// From a VTEP that does not take part in the VNI.
    UnknownVtep = 14,
    /// For a VNI that this host does not take part in.
    UnknownVni = 15,
    /// Routed VXLAN whose inner destination MAC is not our router MAC.
    NotRouterMac = 16,
    /// From another host, but its destination is not a port of this one: never sent on.
    NotLocal = 17,
    /// The next hop's VTEP is not in the table.
    NoVtep = 18,
    /// The kernel refused to change the packet's size or metadata.
    KernelRefused = 19,
    /// The daemon has not configured the host yet.
    NotConfigured = 20,
    /// A link-local source beyond its own link (RFC 4291 section 2.5.6).
    LinkLocal = 21,
    /// IPv6 extension headers that lead to neighbour discovery, or do not end within the first bytes of the packet.
    ExtensionHeaders = 22,
    /// A destination that no router passes on: unspecified, loopback, link-local, multicast, reserved.
    Unroutable = 23,
    /// The device's own program is gone, and the one behind it lets nothing through.
    ProgramMissing = 24,
    /// A frame for a whole subnet beyond the port's rate.
    FloodLimited = 25,
    /// A router of the underlay marked congestion on the outer packet, but the tenant's packet cannot carry the mark
    /// (RFC 6040 section 4.2).
    Congestion = 26,
    /// What the tables say of the packet changed while it was looked up, twice in a row.
    TableChanged = 27,
    /// The security groups of the sending or of the receiving port do not allow it.
    PolicyDenied = 28,
    /// It belongs to no connection, and starts none: only the first packet of one can be let through by a rule.
    NoConnection = 29,
    /// It contradicts its connection: no TCP stack would send it in this state.
    InvalidState = 30,
    /// There is no room for another connection on this host.
    FlowsFull = 31,
    /// The port has as many open connections as a port may have.
    PortFlowQuota = 32,
    /// The tenant's ports of this host have as many open connections as those of a tenant may have.
    TenantFlowQuota = 33,
    /// The connection's entry could not be written just now; the next packet can have it.
    FlowsBusy = 34,
    /// A later part of a fragmented packet, whose first part was not seen or was not let through.
    FragmentWithoutFirst = 35,
    /// A part of a fragmented packet that divides the transport header, or would overwrite it (RFC 1858, RFC 3128).
    FragmentedHeader = 36,
    /// An ICMP error about a packet of no connection (RFC 5927 section 4).
    UnrelatedError = 37,
    /// A frame to one station with a packet for many, or to a port that has rules with one for an address that is not its own.
    WrongDestination = 38,
}

impl DropReason {
    /// Room for reasons in the counters: more than there are, so that a new reason keeps the layout.
    pub const CAPACITY: usize = 64;

    /// Every reason, in the order of their numbers.
    pub const ALL: [Self; 39] = [
        Self::UnknownEndpoint,
        Self::Malformed,
        Self::SpoofedMac,
        Self::SpoofedIp,
        Self::UnsupportedEthertype,
        Self::UnknownNeighbour,
        Self::NeighbourNoise,
        Self::Multicast,
        Self::UnknownMac,
        Self::NoRoute,
        Self::TtlExpired,
        Self::NotForGateway,
        Self::TooBig,
        Self::BadVxlanHeader,
        Self::UnknownVtep,
        Self::UnknownVni,
        Self::NotRouterMac,
        Self::NotLocal,
        Self::NoVtep,
        Self::KernelRefused,
        Self::NotConfigured,
        Self::LinkLocal,
        Self::ExtensionHeaders,
        Self::Unroutable,
        Self::ProgramMissing,
        Self::FloodLimited,
        Self::Congestion,
        Self::TableChanged,
        Self::PolicyDenied,
        Self::NoConnection,
        Self::InvalidState,
        Self::FlowsFull,
        Self::PortFlowQuota,
        Self::TenantFlowQuota,
        Self::FlowsBusy,
        Self::FragmentWithoutFirst,
        Self::FragmentedHeader,
        Self::UnrelatedError,
        Self::WrongDestination,
    ];

    /// The name in counters and messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::UnknownEndpoint => "unknown_endpoint",
            Self::Malformed => "malformed",
            Self::SpoofedMac => "spoofed_mac",
            Self::SpoofedIp => "spoofed_ip",
            Self::UnsupportedEthertype => "unsupported_ethertype",
            Self::UnknownNeighbour => "unknown_neighbour",
            Self::NeighbourNoise => "neighbour_noise",
            Self::Multicast => "multicast",
            Self::UnknownMac => "unknown_mac",
            Self::NoRoute => "no_route",
            Self::TtlExpired => "ttl_expired",
            Self::NotForGateway => "not_for_gateway",
            Self::TooBig => "too_big",
            Self::BadVxlanHeader => "bad_vxlan_header",
            Self::UnknownVtep => "unknown_vtep",
            Self::UnknownVni => "unknown_vni",
            Self::NotRouterMac => "not_router_mac",
            Self::NotLocal => "not_local",
            Self::NoVtep => "no_vtep",
            Self::KernelRefused => "kernel_refused",
            Self::NotConfigured => "not_configured",
            Self::LinkLocal => "link_local",
            Self::ExtensionHeaders => "extension_headers",
            Self::Unroutable => "unroutable",
            Self::ProgramMissing => "program_missing",
            Self::FloodLimited => "flood_limited",
            Self::Congestion => "congestion",
            Self::TableChanged => "table_changed",
            Self::PolicyDenied => "policy_denied",
            Self::NoConnection => "no_connection",
            Self::InvalidState => "invalid_state",
            Self::FlowsFull => "flows_full",
            Self::PortFlowQuota => "port_flow_quota",
            Self::TenantFlowQuota => "tenant_flow_quota",
            Self::FlowsBusy => "flows_busy",
            Self::FragmentWithoutFirst => "fragment_without_first",
            Self::FragmentedHeader => "fragmented_header",
            Self::UnrelatedError => "unrelated_error",
            Self::WrongDestination => "wrong_destination",
        }
    }

    /// Index of the reason in [`PortCounters`](crate::PortCounters).
    #[must_use]
    #[inline(always)]
    pub const fn index(self) -> usize {
        self as usize
    }
}

const _: () = {
    let mut index = 0;
    while index < DropReason::ALL.len() {
        assert!(DropReason::ALL[index].index() == index);
        index += 1;
    }
    assert!(DropReason::ALL.len() <= DropReason::CAPACITY);
};
