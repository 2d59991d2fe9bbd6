//! Observe: what the kernel has, as far as weft plans by it. Reads only.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use weft_vxlan::Vtep;

use crate::Hook;
use crate::bpf::{Attachment, PinFolder};
use crate::change::Change;
use crate::desired::{Desired, Host, Xdp};
use crate::error::{ObserveError, chain};
use crate::names::{self, Owned};
use crate::netlink::{
    Address, DefaultRoute, Kind, Link, Neighbour, Netlink, NetlinkError, Peer, Way, XDP_TAKES,
};
use crate::netns::{Netns, NetnsError};
use crate::{ethtool, netlink};

/// Imagined devices have indexes above this, where the kernel has none.
const IMAGINED: u32 = i32::MAX.cast_unsigned();

/// The kernel, outside the maps.
#[derive(Debug, Clone, Default)]
pub(crate) struct Observed {
    /// All devices of our namespace.
    pub(crate) links: Vec<Link>,
    /// All addresses of our namespace.
    pub(crate) addresses: BTreeSet<IpAddr>,
    /// Our programs on devices.
    pub(crate) attachments: Vec<Attachment>,
    /// All neighbours of our namespace.
    pub(crate) neighbours: Vec<Neighbour>,
    /// The way to each remote VTEP; `None` if there is none.
    pub(crate) ways: BTreeMap<Vtep, Option<Way>>,
    /// The workloads' namespaces.
    pub(crate) namespaces: Namespaces,
    /// The drivers of the devices that may be underlay devices, if XDP may be wanted.
    pub(crate) underlay_drivers: UnderlayDrivers,
    /// The devices that XDP can redirect into, if it is to.
    pub(crate) redirect_targets: Option<BTreeSet<u32>>,
    /// weft's vxlan device has the kernel compute checksums before it encapsulates.
    pub(crate) software_checksums: bool,
}

/// Drivers by interface index.
pub(crate) type UnderlayDrivers = BTreeMap<u32, UnderlayDriver>;

/// What decides about XDP on a device.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct UnderlayDriver {
    /// Its name in ethtool; empty if it has none.
    pub(crate) name: String,
    /// What it has of XDP; `None` if the kernel cannot tell.
    pub(crate) features: Option<u64>,
    /// Id of an XDP program on the device that is not ours.
    pub(crate) foreign: Option<u32>,
}

/// Workloads' namespaces by their paths, and why those that cannot be looked into cannot.
pub(crate) type Namespaces = BTreeMap<PathBuf, Result<Namespace, NetnsError>>;

/// A workload's namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Namespace {
    /// The id by which our namespace knows it.
    pub(crate) nsid: Option<i32>,
    pub(crate) links: Vec<Link>,
    pub(crate) addresses: Vec<Address>,
    pub(crate) default_routes: Vec<DefaultRoute>,
}

impl Observed {
    /// Asks the kernel for all that bears on `desired` and the ways to `vteps`. Workloads' namespaces in `known` are not asked again: there may
    /// be hundreds.
    pub(crate) fn observe(
        netlink: &mut Netlink,
        folder: &PinFolder,
        desired: &Desired,
        vteps: &BTreeSet<Vtep>,
        mut known: Namespaces,
    ) -> Result<Self, ObserveError> {
        let pins = |source| ObserveError::Pins { path: folder.root().to_owned(), source };
        let paths: BTreeSet<&Path> = desired.ports.values().map(|port| port.netns.as_path()).collect();
        let mut namespace = |path: &Path| {
            let held = known.remove(path);
            (path.to_owned(), held.unwrap_or_else(|| Namespace::observe(netlink, path)))
        };
        let namespaces = paths.into_iter().map(&mut namespace).collect();
        let links = netlink.links().map_err(asking("links"))?;
        let vxlan = links.iter().find(|link| names::owned(link) == Some(Owned::Vxlan));
        // A device that has just gone is made anew, as all devices are made: leaving checksums to others.
        let left =
            vxlan.is_none_or(|link| ethtool::tx_checksums(netlink.as_fd(), &link.name).unwrap_or(true));
        let addresses = addresses(netlink)?;
        let ways = ways(netlink, vteps, desired.host.vtep, &addresses)?;
        let (underlay_drivers, redirect_targets) = xdp(netlink, folder, &desired.host, (&links, &ways))?;
        Ok(Self {
            namespaces,
            underlay_drivers,
            redirect_targets,
            software_checksums: !left,
            links,
            addresses,
            ways,
            attachments: folder.attachments().map_err(pins)?,
            neighbours: netlink.neighbours().map_err(asking("neighbours"))?,
        })
    }

    /// Asks anew for what next hops are planned by, which packets from `vtep` take.
    pub(crate) fn look_at_underlay(&mut self, netlink: &mut Netlink, vtep: Vtep) -> Result<(), ObserveError> {
        self.links = netlink.links().map_err(asking("links"))?;
        self.addresses = addresses(netlink)?;
        self.neighbours = netlink.neighbours().map_err(asking("neighbours"))?;
        self.ways = ways(netlink, &self.ways.keys().copied().collect(), vtep, &self.addresses)?;
        Ok(())
    }

    /// The namespaces, but for those in which `changes` changed something.
    pub(crate) fn untouched<'a>(
        mut self,
        changes: impl Iterator<Item = &'a Change>,
        desired: &Desired,
    ) -> Namespaces {
        for change in changes {
            let touched = match change {
                Change::CreatePort { netns, .. } | Change::SetPort { netns, .. } => Some(netns),
                Change::RemoveDevice { port, .. } | Change::SetDevice { port, .. } => {
                    port.as_ref().and_then(|port| desired.ports.get(port)).map(|port| &port.netns)
                }
                Change::CreateVxlan { .. }
                | Change::CreateHeadroom { .. }
                | Change::Attach { .. }
                | Change::Detach { .. }
                | Change::AddNeighbour { .. }
                | Change::RemoveNeighbour { .. }
                | Change::Table { .. }
                | Change::Entries { .. } => None,
            };
            if let Some(netns) = touched {
                self.namespaces.remove(netns);
            }
        }
        self.namespaces
    }

    /// The device called `name`.
    pub(crate) fn named(&self, name: &str) -> Option<&Link> {
        self.links.iter().find(|link| link.name == name)
    }

    /// The device with the index `ifindex`.
    pub(crate) fn indexed(&self, ifindex: u32) -> Option<&Link> {
        self.links.iter().find(|link| link.index == ifindex)
    }

    /// weft's vxlan device.
    pub(crate) fn vxlan(&self) -> Option<&Link> {
        self.links.iter().find(|link| names::owned(link) == Some(Owned::Vxlan))
    }

    /// weft's bridge for headroom.
    pub(crate) fn headroom(&self) -> Option<&Link> {
        self.links.iter().find(|link| names::owned(link) == Some(Owned::Headroom))
    }

    /// The host end of a port's veth.
    pub(crate) fn host_end(&self, port: &str) -> Option<&Link> {
        self.named(&names::host_end(port)).filter(|link| names::owned(link) == Some(Owned::Port(port)))
    }

    /// Whether XDP can redirect into the device, or need not.
    pub(crate) fn is_redirect_target(&self, ifindex: u32) -> bool {
        self.redirect_targets.as_ref().is_none_or(|targets| targets.contains(&ifindex))
    }

    /// Whether `program` is attached to the device.
    pub(crate) fn is_attached(&self, program: &str, ifindex: u32) -> bool {
        self.attachments
            .iter()
            .any(|link| link.program == program && link.ifindex == ifindex && link.is_healthy())
    }
}

impl Observed {
    /// Pretends that `change` was made, as far as later stages plan by it.
    pub(crate) fn assume(&mut self, change: &Change) {
        match change {
            Change::CreateVxlan { device, udp_port } => {
                let kind = Kind::Vxlan { port: *udp_port, external: true, zero_checksums: true };
                let link = self.imagine(device, kind, names::vxlan_alias());
                self.links.push(link);
            }
            Change::CreateHeadroom { device } => {
                let link = self.imagine(device, Kind::Bridge, names::headroom_alias());
                self.links.push(link);
            }
            Change::CreatePort { port, device, netns, inside, mac, mtu } => {
                let mut link = self.imagine(device, Kind::Other, names::port_alias(port));
                let Some(Ok(namespace)) = self.namespaces.get_mut(netns) else { return };
                // Imagined as well, for a namespace that has none, and another for each.
                let imagined = i32::MAX.saturating_sub_unsigned(link.index.saturating_sub(IMAGINED));
                let nsid = *namespace.nsid.get_or_insert(imagined);
                // Both ends get the same index, each in its namespace.
                let near = Kind::Veth(Peer { index: link.index, nsid: None });
                link.kind = Kind::Veth(Peer { index: link.index, nsid: Some(nsid) });
                link.mtu = *mtu;
                let end = Link { name: inside.clone(), kind: near, mac: Some(*mac), ..link.clone() };
                namespace.links.push(end);
                self.links.push(link);
            }
            Change::RemoveDevice { ifindex, .. } => self.links.retain(|link| link.index != *ifindex),
            Change::Attach { program, ifindex, .. } => {
                // By whatever hook: nothing plans by it.
                let hook = Hook::Tcx;
                self.attachments.push(Attachment { hook, program, ifindex: *ifindex, attached_to: *ifindex });
            }
            Change::SetDevice { .. }
            | Change::SetPort { .. }
            | Change::Detach { .. }
            | Change::AddNeighbour { .. }
            | Change::RemoveNeighbour { .. }
            | Change::Table { .. }
            | Change::Entries { .. } => {}
        }
    }

    /// A device as weft makes it, with an index that no other has.
    fn imagine(&self, name: &str, kind: Kind, alias: String) -> Link {
        let highest = self.links.iter().map(|link| link.index).max().unwrap_or_default();
        Link {
            index: highest.max(IMAGINED).saturating_add(1),
            name: name.to_owned(),
            kind,
            alias: Some(alias),
            group: names::GROUP,
            mtu: 0,
            mac: None,
            up: false,
            arp: true,
            link_local: None,
            ipv6: true,
            gso_max_size: 0,
            master: None,
        }
    }
}

impl Namespace {
    fn observe(host: &mut Netlink, path: &Path) -> Result<Self, NetnsError> {
        let failed = |error: NetlinkError| NetnsError::Netlink(path.display().to_string(), chain(&error));
        let mut netns = Netns::open(path)?;
        Ok(Self {
            nsid: host.nsid(netns.file.as_fd()).map_err(failed)?,
            links: netns.netlink.links().map_err(failed)?,
            addresses: netns.netlink.addresses().map_err(failed)?,
            default_routes: netns.netlink.default_routes().map_err(failed)?,
        })
    }
}

fn addresses(netlink: &mut Netlink) -> Result<BTreeSet<IpAddr>, ObserveError> {
    let addresses = netlink.addresses().map_err(asking("addresses"))?;
    Ok(addresses.into_iter().map(|address| address.address.addr()).collect())
}

/// The ways to VTEPs of what comes from `ours`; while that is no address of this host, of what comes from any.
pub(crate) fn ways(
    netlink: &mut Netlink,
    vteps: &BTreeSet<Vtep>,
    ours: Vtep,
    addresses: &BTreeSet<IpAddr>,
) -> Result<BTreeMap<Vtep, Option<Way>>, ObserveError> {
    let ours = Some(ours.address()).filter(|address| addresses.contains(address));
    let way = |vtep: &Vtep| {
        let source = ours.filter(|ours| ours.is_ipv4() == vtep.address().is_ipv4());
        Ok((*vtep, netlink.way_to(vtep.address(), source).map_err(asking("routes"))?))
    };
    vteps.iter().map(way).collect()
}

/// The drivers of the underlay device and of all that ways lead through, and the devices that XDP can redirect into.
fn xdp(
    netlink: &mut Netlink,
    folder: &PinFolder,
    host: &Host,
    (links, ways): (&[Link], &BTreeMap<Vtep, Option<Way>>),
) -> Result<(UnderlayDrivers, Option<BTreeSet<u32>>), ObserveError> {
    if host.xdp == Xdp::Off {
        return Ok((UnderlayDrivers::new(), None));
    }
    let pins = |source| ObserveError::Pins { path: folder.root().to_owned(), source };
    let ours = folder.linked_programs().map_err(pins)?;
    let features = netlink::xdp_features()
        .map_err(|error| ObserveError::Netlink { what: "XDP features", cause: error.to_string() })?;
    let through: BTreeSet<u32> = ways.values().flatten().flat_map(Way::devices).collect();
    let may_receive = |link: &&Link| link.name == host.underlay || through.contains(&link.index);
    let mut drivers = UnderlayDrivers::new();
    for link in links.iter().filter(may_receive) {
        let attached = match netlink.xdp_programs(link.index) {
            // It has gone since; the kernel tells of that.
            Err(error) if error.errno() == Some(libc::ENODEV) => continue,
            attached => attached.map_err(asking("XDP programs"))?,
        };
        let driver = UnderlayDriver {
            // A device that ethtool knows nothing of is a driver without a name.
            name: ethtool::driver(netlink.as_fd(), &link.name).unwrap_or_default(),
            features: features.as_ref().and_then(|features| features.get(&link.index).copied()),
            foreign: attached.into_iter().find(|id| !ours.contains(id)),
        };
        drivers.insert(link.index, driver);
    }
    let targets = features.filter(|_| host.xdp == Xdp::Forward).map(|features| {
        let takes = features.into_iter().filter(|(_, features)| features & XDP_TAKES != 0);
        takes.map(|(ifindex, _)| ifindex).collect()
    });
    Ok((drivers, targets))
}

/// What a failed question becomes.
pub(crate) fn asking(what: &'static str) -> impl Fn(NetlinkError) -> ObserveError {
    move |error| ObserveError::Netlink { what, cause: chain(&error) }
}
