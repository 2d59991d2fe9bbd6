//! Changes to the kernel, as values: found by diff, executed by apply, shown to people.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use ipnet::IpNet;
use weft_vxlan::MacAddr;

/// One thing that differs between the kernel and what is desired, and is made equal by applying it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Make weft's vxlan device.
    CreateVxlan {
        /// Its name.
        device: String,
        /// Its UDP port.
        udp_port: u16,
    },
    /// Make weft's bridge for headroom.
    CreateHeadroom {
        /// Its name.
        device: String,
    },
    /// Make a port's veth, the far end in the workload's namespace.
    CreatePort {
        /// The port.
        port: String,
        /// The host end.
        device: String,
        /// The workload's namespace.
        netns: PathBuf,
        /// The workload's end.
        inside: String,
        /// MAC of the workload's end.
        mac: MacAddr,
        /// MTU of both ends.
        mtu: u32,
    },
    /// Set something of a device of weft's on the host's side.
    SetDevice {
        /// The device.
        device: String,
        /// Its index.
        ifindex: u32,
        /// The port that it belongs to.
        port: Option<String>,
        /// What to set.
        setting: DeviceSetting,
    },
    /// Set something of a workload's end of a port, or in its namespace.
    SetPort {
        /// The port.
        port: String,
        /// The workload's namespace.
        netns: PathBuf,
        /// Index of the workload's end in its namespace.
        ifindex: u32,
        /// What to set.
        setting: PortSetting,
    },
    /// Remove a device of weft's.
    RemoveDevice {
        /// The device.
        device: String,
        /// Its index.
        ifindex: u32,
        /// The port that it belonged to.
        port: Option<String>,
    },
    /// Attach a program and pin its link.
    Attach {
        /// The program.
        program: &'static str,
        /// The device.
        device: String,
        /// Its index.
        ifindex: u32,
        /// The port that it belongs to.
        port: Option<String>,
    },
    /// Remove the pin of a link, and thereby detach its program.
    Detach {
        /// The program.
        program: &'static str,
        /// Index of the device, which may have gone.
        ifindex: u32,
    },
    /// Have the kernel resolve a next hop and keep it resolved.
    AddNeighbour {
        /// The next hop.
        address: IpAddr,
        /// Index of the device that leads to it.
        ifindex: u32,
    },
    /// No longer keep a next hop resolved.
    RemoveNeighbour {
        /// The next hop.
        address: IpAddr,
        /// Index of the device that led to it.
        ifindex: u32,
    },
    /// Change an entry of a map.
    Table {
        /// The map.
        map: &'static str,
        /// What to do.
        operation: Operation,
        /// The entry's key in words.
        entry: String,
    },
    /// Change many entries of a map.
    Entries {
        /// The map.
        map: &'static str,
        /// What to do.
        operation: Operation,
        /// With how many entries.
        count: usize,
    },
}

/// A property of a device on the host's side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceSetting {
    /// Its MTU.
    Mtu(u32),
    /// Checksums of what leaves through it are computed before it encapsulates, and super-packets cut; or are left to the
    /// underlay device.
    SoftwareChecksums(bool),
    /// No IPv6 of the host's own on it: the host's stack neither speaks to the workload nor answers it.
    NoIpv6,
    /// A port of weft's bridge for headroom, which has this index.
    Headroom {
        /// The bridge.
        bridge: u32,
    },
    /// Administratively up.
    Up,
    /// Administratively down: it is there for headroom, and carries nothing.
    Idle,
    /// Administratively down: its program could not be attached, and without it nothing keeps the workload's
    /// packets from the host's own forwarding.
    Down,
}

/// A property of a workload's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortSetting {
    /// Its MAC, now `from`.
    Mac {
        /// The MAC to replace.
        from: Option<MacAddr>,
        /// The port's MAC.
        to: MacAddr,
    },
    /// Its MTU.
    Mtu(u32),
    /// Super-packets (GSO) of so many bytes are segmented before they enter it: larger ones would not fit into an
    /// outer packet, whose length has 16 bits.
    GsoMaxSize(u32),
    /// Aggregation of what it receives: without, XDP cannot redirect into it.
    Gro,
    /// An IPv6 link-local address made from its MAC.
    LinkLocalFromMac,
    /// Take an address that the port no longer has.
    RemoveAddress(IpNet),
    /// Give an address.
    AddAddress(IpNet),
    /// The namespace's loopback device up.
    LoopbackUp {
        /// Its index.
        ifindex: u32,
    },
    /// Administratively up.
    Up,
    /// Remove a default route over a gateway that the subnet no longer has.
    RemoveRoute(IpAddr),
    /// Add a default route.
    AddRoute(IpAddr),
}

/// What is done to an entry of a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// It was not there.
    Insert,
    /// It had another value.
    Replace,
    /// It is no longer desired.
    Remove,
}

impl Change {
    /// The port that the change is about, if it is about one.
    pub(crate) fn port(&self) -> Option<&str> {
        match self {
            Self::CreatePort { port, .. } | Self::SetPort { port, .. } => Some(port),
            Self::RemoveDevice { port, .. } | Self::SetDevice { port, .. } | Self::Attach { port, .. } => {
                port.as_deref()
            }
            Self::CreateVxlan { .. }
            | Self::CreateHeadroom { .. }
            | Self::Detach { .. }
            | Self::AddNeighbour { .. }
            | Self::RemoveNeighbour { .. }
            | Self::Table { .. }
            | Self::Entries { .. } => None,
        }
    }

    /// What the change is about, in words.
    pub(crate) fn object(&self) -> String {
        if let Some(port) = self.port() {
            return format!("port {port}");
        }
        match self {
            Self::CreatePort { device, .. }
            | Self::CreateVxlan { device, .. }
            | Self::CreateHeadroom { device }
            | Self::SetDevice { device, .. }
            | Self::RemoveDevice { device, .. } => format!("device {device}"),
            Self::SetPort { ifindex, .. } => format!("device {ifindex}"),
            Self::Attach { program, device, .. } => format!("program {program} on device {device}"),
            Self::Detach { program, ifindex } => format!("program {program} on device {ifindex}"),
            Self::AddNeighbour { address, .. } | Self::RemoveNeighbour { address, .. } => {
                format!("next hop {address}")
            }
            Self::Table { map, entry, .. } => format!("{entry} in map {map}"),
            Self::Entries { map, .. } => format!("map {map}"),
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreateVxlan { device, udp_port } => {
                write!(f, "create device {device} for VXLAN on UDP port {udp_port}")
            }
            Self::CreateHeadroom { device } => write!(f, "create bridge {device} for headroom"),
            Self::CreatePort { port, device, netns, inside, mac, mtu } => {
                let netns = netns.display();
                write!(f, "create port {port}: {device} here, {inside} in {netns} with MAC {mac}, MTU {mtu}")
            }
            Self::SetDevice { device, setting, .. } => write!(f, "device {device}: {setting}"),
            Self::SetPort { port, setting, .. } => write!(f, "port {port}: {setting}"),
            Self::RemoveDevice { device, port: Some(port), .. } => {
                write!(f, "remove port {port}: device {device}")
            }
            Self::RemoveDevice { device, port: None, .. } => write!(f, "remove device {device}"),
            Self::Attach { program, device, .. } => write!(f, "attach program {program} to device {device}"),
            Self::Detach { program, ifindex } => write!(f, "detach program {program} from device {ifindex}"),
            Self::AddNeighbour { address, .. } => write!(f, "keep next hop {address} resolved"),
            Self::RemoveNeighbour { address, .. } => write!(f, "no longer keep next hop {address} resolved"),
            Self::Table { map, operation, entry } => write!(f, "map {map}: {operation} {entry}"),
            Self::Entries { map, operation, count } => write!(f, "map {map}: {operation} {count} entries"),
        }
    }
}

impl fmt::Display for DeviceSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mtu(mtu) => write!(f, "set MTU {mtu}"),
            Self::SoftwareChecksums(true) => f.write_str("compute checksums before it encapsulates"),
            Self::SoftwareChecksums(false) => f.write_str("leave checksums to the underlay device"),
            Self::NoIpv6 => f.write_str("keep the host's IPv6 off it"),
            Self::Headroom { .. } => f.write_str("have the kernel leave headroom in what comes through it"),
            Self::Up => f.write_str("bring up"),
            Self::Idle => f.write_str("bring down, because it is to carry nothing"),
            Self::Down => f.write_str("bring down, because its program is not attached"),
        }
    }
}

impl fmt::Display for PortSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mac { to, .. } => write!(f, "set MAC {to}"),
            Self::Mtu(mtu) => write!(f, "set MTU {mtu}"),
            Self::GsoMaxSize(size) => write!(f, "have super-packets of {size} bytes segmented"),
            Self::Gro => f.write_str("switch its GRO on, for XDP to deliver into it"),
            Self::LinkLocalFromMac => f.write_str("make its IPv6 link-local address from its MAC"),
            Self::RemoveAddress(address) => write!(f, "remove address {address}"),
            Self::AddAddress(address) => write!(f, "add address {address}"),
            Self::LoopbackUp { .. } => f.write_str("bring up loopback in its namespace"),
            Self::Up => f.write_str("bring up"),
            Self::RemoveRoute(gateway) => write!(f, "remove default route over {gateway}"),
            Self::AddRoute(gateway) => write!(f, "add default route over {gateway}"),
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Insert => "insert",
            Self::Replace => "replace",
            Self::Remove => "remove",
        })
    }
}
