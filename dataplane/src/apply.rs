//! Apply: the one place where changes are executed.

mod policies;
mod tables;

use std::fs;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use netlink_packet_route::link::{In6AddrGenMode, LinkAttribute};
use weft_vxlan::MacAddr;

use crate::bpf::{PinFolder, Programs};
use crate::change::{Change, DeviceSetting, PortSetting};
use crate::error::chain;
use crate::ethtool;
use crate::names::{self, GROUP, PROTOCOL};
use crate::netlink::{Netlink, NetlinkError, NewVeth};
use crate::netns::Netns;

pub(crate) use policies::{fill_in, remove_policies, told};
pub(crate) use tables::{pending, pending_flood, pending_routes, unread, write_vteps};

/// MTU that the vxlan device is made with; it is set when it is observed.
const INITIAL_VXLAN_MTU: u32 = 1500;

/// Executes changes one by one.
pub(crate) struct Hands<'a> {
    netlink: &'a mut Netlink,
    /// The programs and where to pin their links. `None` in a teardown, which attaches nothing.
    programs: Option<(&'a mut Programs, &'a PinFolder)>,
    /// The namespace that was worked in last: a port's changes come together.
    inside: Option<(PathBuf, Netns)>,
}

impl<'a> Hands<'a> {
    pub(crate) fn new(netlink: &'a mut Netlink, programs: Option<(&'a mut Programs, &'a PinFolder)>) -> Self {
        Self { netlink, programs, inside: None }
    }

    /// Executes `change`.
    ///
    /// # Errors
    /// What happened, and what to do if that is known.
    pub(crate) fn apply(&mut self, change: &Change) -> Result<(), String> {
        match change {
            Change::CreateVxlan { device, udp_port } => self.create_vxlan(device, *udp_port),
            Change::CreateHeadroom { device } => self.create_headroom(device),
            Change::CreatePort { port, device, netns, inside, mac, mtu } => {
                self.create_port(port, device, netns, inside, *mac, *mtu)
            }
            Change::SetDevice { device, ifindex, setting, .. } => self.set_device(device, *ifindex, *setting),
            Change::SetPort { netns, ifindex, setting, .. } => self.set_port(netns, *ifindex, *setting),
            Change::RemoveDevice { ifindex, .. } => {
                gone_is_removed(self.netlink.delete_link(*ifindex), libc::ENODEV)
            }
            Change::Attach { program, device, ifindex, .. } => {
                let (programs, folder) = self.programs.as_mut().ok_or("no programs are loaded")?;
                let attached = programs.attach(folder, program, device, *ifindex);
                attached.map_err(|error| format!("cannot attach program {program} to {device}: {error}"))
            }
            Change::Detach { program, ifindex } => {
                let (_, folder) = self.programs.as_ref().ok_or("no programs are loaded")?;
                folder.detach(program, *ifindex).map_err(|error| error.to_string())
            }
            Change::AddNeighbour { address, ifindex } => {
                self.netlink.manage_neighbour(*ifindex, *address, PROTOCOL).map_err(|error| chain(&error))
            }
            Change::RemoveNeighbour { address, ifindex } => {
                gone_is_removed(self.netlink.delete_neighbour(*ifindex, *address), libc::ENOENT)
            }
            // Maps are written by `Pending`, which has their values.
            Change::Table { .. } | Change::Entries { .. } => Ok(()),
        }
    }

    fn create_vxlan(&mut self, device: &str, udp_port: u16) -> Result<(), String> {
        self.netlink
            .create_vxlan(device, GROUP, INITIAL_VXLAN_MTU, udp_port)
            .map_err(|error| explain(&error, device))?;
        self.finish(device, names::vxlan_alias())
    }

    fn create_headroom(&mut self, device: &str) -> Result<(), String> {
        self.netlink.create_bridge(device, GROUP).map_err(|error| explain(&error, device))?;
        self.finish(device, names::headroom_alias())
    }

    fn create_port(
        &mut self,
        port: &str,
        device: &str,
        netns: &Path,
        inside: &str,
        mac: MacAddr,
        mtu: u32,
    ) -> Result<(), String> {
        let file = fs::File::open(netns).map_err(|error| format!("{}: {error}", netns.display()))?;
        let veth = NewVeth {
            name: device,
            group: GROUP,
            mtu,
            peer_name: inside,
            peer_mac: mac,
            netns: file.as_raw_fd(),
        };
        self.netlink.create_veth(&veth).map_err(|error| explain(&error, inside))?;
        self.finish(device, names::port_alias(port))
    }

    /// The alias comes last: with it a new device is complete.
    fn finish(&mut self, device: &str, alias: String) -> Result<(), String> {
        let finished = self
            .netlink
            .index_of(device)
            .and_then(|index| self.netlink.set_link(index, vec![LinkAttribute::IfAlias(alias)]));
        finished.map_err(|error| chain(&error))
    }

    fn set_device(&mut self, device: &str, ifindex: u32, setting: DeviceSetting) -> Result<(), String> {
        let done = match setting {
            DeviceSetting::Mtu(mtu) => self.netlink.set_link(ifindex, vec![LinkAttribute::Mtu(mtu)]),
            DeviceSetting::NoIpv6 => return no_ipv6(device),
            DeviceSetting::SoftwareChecksums(on) => {
                let set = ethtool::set_tx_checksums(self.netlink.as_fd(), device, !on);
                return set
                    .map_err(|error| format!("its tx-checksumming cannot be switched by ethtool: {error}"));
            }
            DeviceSetting::Up => self.netlink.set_up(ifindex, true),
            DeviceSetting::Headroom { bridge } => {
                self.netlink.set_link(ifindex, vec![LinkAttribute::Controller(bridge)])
            }
            DeviceSetting::Idle | DeviceSetting::Down => self.netlink.set_up(ifindex, false),
        };
        done.map_err(|error| match error.errno() {
            Some(libc::EADDRINUSE) => {
                "another program has its UDP port open: stop it, or configure another port on all hosts"
                    .to_owned()
            }
            _ => format!("cannot {setting}: {}", chain(&error)),
        })
    }

    fn set_port(&mut self, netns: &Path, ifindex: u32, setting: PortSetting) -> Result<(), String> {
        let netlink = self.enter(netns)?;
        let done = match setting {
            PortSetting::Mac { from, to } => set_mac(netlink, ifindex, from, to),
            PortSetting::Mtu(mtu) => netlink.set_link(ifindex, vec![LinkAttribute::Mtu(mtu)]),
            PortSetting::GsoMaxSize(size) => netlink.set_link(ifindex, vec![LinkAttribute::GsoMaxSize(size)]),
            PortSetting::Gro => return set_gro(netlink, ifindex),
            PortSetting::LinkLocalFromMac => netlink.set_link_local(ifindex, In6AddrGenMode::Eui64),
            PortSetting::RemoveAddress(address) => netlink.delete_address(ifindex, address),
            PortSetting::AddAddress(address) => netlink.add_address(ifindex, address, PROTOCOL),
            PortSetting::LoopbackUp { ifindex } => netlink.set_up(ifindex, true),
            PortSetting::Up => netlink.set_up(ifindex, true),
            PortSetting::RemoveRoute(gateway) => netlink.delete_default_route(ifindex, gateway, PROTOCOL),
            PortSetting::AddRoute(gateway) => netlink.add_default_route(ifindex, gateway, PROTOCOL),
        };
        // The kernel takes a route along with the address that it was reached from.
        gone_is_removed(done, libc::ESRCH).map_err(|cause| format!("cannot {setting}: {cause}"))
    }

    fn enter(&mut self, path: &Path) -> Result<&mut Netlink, String> {
        if self.inside.as_ref().is_none_or(|(entered, _)| entered != path) {
            self.inside = None;
            let netns = Netns::open(path).map_err(|error| error.to_string())?;
            self.inside = Some((path.to_owned(), netns));
        }
        let (_, netns) = self.inside.as_mut().ok_or("the namespace is not open")?;
        Ok(&mut netns.netlink)
    }
}

/// Has no netlink message. The file is of the thread's own network namespace.
fn no_ipv6(device: &str) -> Result<(), String> {
    let file = format!("/proc/sys/net/ipv6/conf/{device}/disable_ipv6");
    fs::write(&file, "1").map_err(|error| format!("{file}: {error}"))
}

/// Has no netlink message of its own family either.
fn set_gro(netlink: &mut Netlink, ifindex: u32) -> Result<(), String> {
    let links = netlink.links().map_err(|error| chain(&error))?;
    let link = links.iter().find(|link| link.index == ifindex).ok_or("the device has gone")?;
    // One that was switched on while the device was down has no effect.
    let switched =
        [false, true].into_iter().try_for_each(|on| ethtool::set_gro(netlink.as_fd(), &link.name, on));
    switched.map_err(|error| {
        format!(
            "cannot {}: {error}. Until it is on (`ethtool -K {} gro on` in its namespace), the workload gets nothing from \
             other hosts; underlay.xdp = \"guard\" does without",
            PortSetting::Gro,
            link.name
        )
    })
}

/// Sets a MAC, and on a device that is up the link-local address that the kernel made from the old one.
fn set_mac(
    netlink: &mut Netlink,
    ifindex: u32,
    from: Option<MacAddr>,
    to: MacAddr,
) -> Result<(), NetlinkError> {
    netlink.set_link(ifindex, vec![LinkAttribute::Address(to.bytes().to_vec())])?;
    let link_local = |mac: MacAddr| ipnet::Ipv6Net::new(mac.link_local(), 64).ok().map(ipnet::IpNet::V6);
    let held = netlink.addresses()?;
    let old = from.and_then(link_local);
    let old = old.filter(|old| held.iter().any(|held| held.ifindex == ifindex && held.address == *old));
    if let (Some(old), Some(new)) = (old, link_local(to)) {
        netlink.delete_address(ifindex, old)?;
        netlink.add_address(ifindex, new, PROTOCOL_KERNEL_LINK_LOCAL)?;
    }
    Ok(())
}

/// `IFAPROT_KERNEL_LL`: the mark that the kernel gives to link-local addresses.
const PROTOCOL_KERNEL_LINK_LOCAL: u8 = 2;

fn explain(error: &NetlinkError, device: &str) -> String {
    match error.errno() {
        Some(libc::EEXIST) => format!("{}: is there already a device {device}?", chain(error)),
        _ => chain(error),
    }
}

/// What is gone is removed.
fn gone_is_removed(result: Result<(), NetlinkError>, gone: i32) -> Result<(), String> {
    match result {
        Err(error) if error.errno() == Some(gone) => Ok(()),
        other => other.map_err(|error| chain(&error)),
    }
}
