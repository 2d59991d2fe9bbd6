//! Links: veth pairs across namespaces, vxlan devices, their state.

use std::os::fd::AsRawFd as _;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context as _, Result, anyhow, bail};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{
    InfoData, InfoKind, InfoVeth, InfoVxlan, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
};
use weft_vxlan::MacAddr;

use crate::{Namespace, PATIENCE, wait_for};

/// A device as the kernel has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Interface index.
    pub index: u32,
    /// Name.
    pub name: String,
    /// MAC, where it has one.
    pub mac: Option<MacAddr>,
    /// MTU.
    pub mtu: u32,
    /// Whether it was set up.
    pub up: bool,
    /// Whether it can send and receive: up, and its peer too.
    pub running: bool,
    /// Kind, such as `veth`; empty for `lo`.
    pub kind: String,
}

impl Namespace {
    /// All devices.
    ///
    /// # Errors
    /// The kernel does not answer.
    pub fn links(&self) -> Result<Vec<Link>> {
        let answers = self.netlink().dump(RouteNetlinkMessage::GetLink(LinkMessage::default()))?;
        Ok(answers.iter().filter_map(link).collect())
    }

    /// The device named `name`.
    ///
    /// # Errors
    /// There is none.
    pub fn link(&self, name: &str) -> Result<Link> {
        let mut message = LinkMessage::default();
        message.attributes.push(LinkAttribute::IfName(name.to_owned()));
        self.netlink()
            .get(RouteNetlinkMessage::GetLink(message))
            .map_err(anyhow::Error::from)
            .and_then(|answer| answer.as_ref().and_then(link).ok_or_else(|| anyhow!("no answer")))
            .with_context(|| format!("device {name} in {}", self.name()))
    }

    /// Makes a veth pair, one end here and one in `peer`; both are down.
    ///
    /// # Errors
    /// A name is taken.
    pub fn add_veth(&self, name: &str, peer: (&Namespace, &str), mtu: u32) -> Result<()> {
        let (peer_namespace, peer_name) = peer;
        let mut other = LinkMessage::default();
        other.attributes = vec![
            LinkAttribute::IfName(peer_name.to_owned()),
            LinkAttribute::Mtu(mtu),
            LinkAttribute::NetNsFd(peer_namespace.file().as_raw_fd()),
        ];
        let data = Some(InfoData::Veth(InfoVeth::Peer(other)));
        // Were the indices of both ends equal, by chance, the kernel would not take them for ends of something and
        // would let the link come up a second late (linkwatch_urgent_event).
        static INDEX: AtomicU32 = AtomicU32::new(1000);
        let index = INDEX.fetch_add(1, Ordering::Relaxed);
        self.add_link(name, index, InfoKind::Veth, data, vec![LinkAttribute::Mtu(mtu)])
    }

    /// Makes a kernel vxlan device of one VNI; it is down.
    ///
    /// # Errors
    /// The name, or the VNI on the UDP port, is taken.
    pub fn add_vxlan(&self, name: &str, vni: u32, udp_port: u16) -> Result<()> {
        let data = InfoData::Vxlan(vec![InfoVxlan::Id(vni), InfoVxlan::Port(udp_port)]);
        self.add_link(name, 0, InfoKind::Vxlan, Some(data), Vec::new())
    }

    pub(super) fn add_link(
        &self,
        name: &str,
        index: u32,
        kind: InfoKind,
        data: Option<InfoData>,
        mut attributes: Vec<LinkAttribute>,
    ) -> Result<()> {
        let mut info = vec![LinkInfo::Kind(kind)];
        info.extend(data.map(LinkInfo::Data));
        attributes.extend([LinkAttribute::IfName(name.to_owned()), LinkAttribute::LinkInfo(info)]);
        let mut message = LinkMessage::default();
        message.header.index = index;
        message.attributes = attributes;
        self.netlink()
            .create(RouteNetlinkMessage::NewLink(message))
            .with_context(|| format!("making device {name} in {}", self.name()))
    }

    /// Sets a device up or down.
    ///
    /// # Errors
    /// There is no such device.
    pub fn set_up(&self, name: &str, up: bool) -> Result<()> {
        self.set_link(name, Vec::new(), Some(up))
    }

    /// Waits until a device can send and receive.
    ///
    /// # Errors
    /// It cannot in time.
    pub fn wait_until_running(&self, name: &str) -> Result<()> {
        wait_for(PATIENCE, &format!("device {name} of {}", self.name()), || match self.link(name) {
            Ok(link) if link.running => Ok(()),
            Ok(link) => Err(format!("{link:?}")),
            Err(error) => Err(format!("{error:#}")),
        })
    }

    /// Sets a device's MTU.
    ///
    /// # Errors
    /// There is no such device, or it takes no such MTU.
    pub fn set_mtu(&self, name: &str, mtu: u32) -> Result<()> {
        self.set_link(name, vec![LinkAttribute::Mtu(mtu)], None)
    }

    /// Sets a device's MAC.
    ///
    /// # Errors
    /// There is no such device, or it takes no MAC.
    pub fn set_mac(&self, name: &str, mac: MacAddr) -> Result<()> {
        self.set_link(name, vec![LinkAttribute::Address(mac.bytes().to_vec())], None)
    }

    pub(super) fn set_link(
        &self,
        name: &str,
        attributes: Vec<LinkAttribute>,
        up: Option<bool>,
    ) -> Result<()> {
        let mut message = LinkMessage::default();
        message.header.index = self.link(name)?.index;
        if let Some(up) = up {
            message.header.change_mask = LinkFlags::Up;
            message.header.flags = if up { LinkFlags::Up } else { LinkFlags::empty() };
        }
        message.attributes = attributes;
        self.netlink()
            .change(RouteNetlinkMessage::SetLink(message))
            .with_context(|| format!("changing device {name} in {}", self.name()))
    }

    /// Moves a device into another namespace, where it is down.
    ///
    /// # Errors
    /// There is no such device, or it is one that cannot be moved.
    pub fn move_link(&self, name: &str, to: &Namespace) -> Result<()> {
        self.set_link(name, vec![LinkAttribute::NetNsFd(to.file().as_raw_fd())], None)
    }

    /// Removes a device.
    ///
    /// # Errors
    /// There is no such device.
    pub fn delete_link(&self, name: &str) -> Result<()> {
        let mut message = LinkMessage::default();
        message.header.index = self.link(name)?.index;
        self.netlink()
            .change(RouteNetlinkMessage::DelLink(message))
            .with_context(|| format!("removing device {name} in {}", self.name()))
    }

    /// Packets that a device has sent.
    ///
    /// # Errors
    /// There is no such device.
    pub fn transmitted(&self, name: &str) -> Result<u64> {
        let text = self.run(|| std::fs::read_to_string("/proc/thread-self/net/dev"))??;
        let figures = text.lines().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix(':'));
        // The tenth figure of its line.
        let figure = figures.and_then(|figures| figures.split_whitespace().nth(9)?.parse().ok());
        figure.with_context(|| format!("packets of {name} in {}", self.name()))
    }

    /// The MAC of a device.
    ///
    /// # Errors
    /// There is no such device, or it has no MAC.
    pub fn mac(&self, name: &str) -> Result<MacAddr> {
        match self.link(name)?.mac {
            Some(mac) => Ok(mac),
            None => bail!("device {name} in {} has no MAC", self.name()),
        }
    }
}

fn link(message: &RouteNetlinkMessage) -> Option<Link> {
    let RouteNetlinkMessage::NewLink(message) = message else { return None };
    let mut link = Link {
        index: message.header.index,
        name: String::new(),
        mac: None,
        mtu: 0,
        up: message.header.flags.contains(LinkFlags::Up),
        running: message.header.flags.contains(LinkFlags::Running),
        kind: String::new(),
    };
    for attribute in &message.attributes {
        #[expect(clippy::wildcard_enum_match_arm, reason = "the kernel tells far more than is asked here")]
        match attribute {
            LinkAttribute::IfName(name) => link.name.clone_from(name),
            LinkAttribute::Mtu(mtu) => link.mtu = *mtu,
            LinkAttribute::Address(bytes) => {
                link.mac = <[u8; 6]>::try_from(bytes.as_slice()).ok().map(MacAddr::new);
            }
            LinkAttribute::LinkInfo(info) => {
                let kind = info.iter().find_map(|info| match info {
                    LinkInfo::Kind(kind) => Some(kind.to_string()),
                    _ => None,
                });
                link.kind = kind.unwrap_or_default();
            }
            _ => {}
        }
    }
    Some(link)
}
