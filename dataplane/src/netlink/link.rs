//! Links: what the kernel has, and the messages that make and change ours.

use std::os::fd::RawFd;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{
    AfSpecInet6, AfSpecUnspec, In6AddrGenMode, InfoData, InfoKind, InfoVeth, InfoVxlan, LinkAttribute,
    LinkFlags, LinkInfo, LinkMessage, LinkXdp,
};
use weft_vxlan::MacAddr;

use super::{Netlink, NetlinkError};

/// A network device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) index: u32,
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) alias: Option<String>,
    pub(crate) group: u32,
    pub(crate) mtu: u32,
    pub(crate) mac: Option<MacAddr>,
    pub(crate) up: bool,
    /// The device resolves neighbours. Tunnels and loopback do not.
    pub(crate) arp: bool,
    /// What IPv6 link-local address the kernel gives it; `None` if it has no IPv6.
    pub(crate) link_local: Option<In6AddrGenMode>,
    /// Its namespace's stack speaks IPv6 on it.
    pub(crate) ipv6: bool,
    /// Frames of at least so many bytes are segmented before they enter it, whatever it offers.
    pub(crate) gso_max_size: u32,
    /// Index of the bridge, or bond, that it is a port of.
    pub(crate) master: Option<u32>,
}

/// What a device is, as far as weft cares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A bridge.
    Bridge,
    /// One end of a pair.
    Veth(Peer),
    /// A VXLAN tunnel.
    Vxlan {
        /// UDP port.
        port: u16,
        /// Takes VNI and address from each packet's metadata.
        external: bool,
        /// Takes packets over IPv6 that have no UDP checksum (RFC 6935), as weft sends them.
        zero_checksums: bool,
    },
    /// Anything else.
    Other,
}

/// The other end of a veth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Peer {
    /// Its index in its namespace.
    pub(crate) index: u32,
    /// Its namespace by the id that ours knows it by, or `None` if it is in ours.
    pub(crate) nsid: Option<i32>,
}

/// A veth to make: one end here, the other in the namespace behind `netns`.
#[derive(Debug)]
pub(crate) struct NewVeth<'a> {
    pub(crate) name: &'a str,
    pub(crate) group: u32,
    pub(crate) mtu: u32,
    pub(crate) peer_name: &'a str,
    pub(crate) peer_mac: MacAddr,
    pub(crate) netns: RawFd,
}

impl Netlink {
    /// All devices.
    pub(crate) fn links(&mut self) -> Result<Vec<Link>, NetlinkError> {
        let answers = self.dump(&RouteNetlinkMessage::GetLink(LinkMessage::default()))?;
        Ok(answers.into_iter().filter_map(new_link).map(Link::parse).collect())
    }

    /// Index of the device called `name`.
    pub(crate) fn index_of(&mut self, name: &str) -> Result<u32, NetlinkError> {
        let mut message = LinkMessage::default();
        message.attributes = vec![LinkAttribute::IfName(name.to_owned())];
        let answer = self.get(RouteNetlinkMessage::GetLink(message))?;
        let no_link = || NetlinkError::Malformed("an answer about a link is about something else".to_owned());
        new_link(answer).map(|link| link.header.index).ok_or_else(no_link)
    }

    /// Ids of the XDP programs on a device, of whatever mode.
    pub(crate) fn xdp_programs(&mut self, index: u32) -> Result<Vec<u32>, NetlinkError> {
        let mut message = LinkMessage::default();
        message.header.index = index;
        let answer = new_link(self.get(RouteNetlinkMessage::GetLink(message))?).unwrap_or_default();
        let mut programs = Vec::new();
        for attribute in answer.attributes {
            let LinkAttribute::Xdp(parts) = attribute else { continue };
            for part in parts {
                // The id without a mode repeats the one that there is.
                if let LinkXdp::DrvProgId(id) | LinkXdp::SkbProgId(id) | LinkXdp::HwProgId(id) = part {
                    programs.push(id);
                }
            }
        }
        Ok(programs)
    }

    /// Makes a veth. Both ends come with name, MTU and group at once, the far one in its namespace with its MAC.
    pub(crate) fn create_veth(&mut self, veth: &NewVeth<'_>) -> Result<(), NetlinkError> {
        let mut peer = LinkMessage::default();
        peer.attributes = vec![
            LinkAttribute::IfName(veth.peer_name.to_owned()),
            LinkAttribute::Mtu(veth.mtu),
            LinkAttribute::Address(veth.peer_mac.bytes().to_vec()),
            LinkAttribute::Group(veth.group),
            LinkAttribute::NetNsFd(veth.netns),
        ];
        self.create(vec![
            LinkAttribute::IfName(veth.name.to_owned()),
            LinkAttribute::Mtu(veth.mtu),
            LinkAttribute::Group(veth.group),
            LinkAttribute::LinkInfo(vec![
                LinkInfo::Kind(InfoKind::Veth),
                LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(peer))),
            ]),
        ])
    }

    /// Makes a bridge.
    pub(crate) fn create_bridge(&mut self, name: &str, group: u32) -> Result<(), NetlinkError> {
        self.create(vec![
            LinkAttribute::IfName(name.to_owned()),
            LinkAttribute::Group(group),
            LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Bridge)]),
        ])
    }

    /// Makes a vxlan device that takes its parameters from each packet's metadata.
    pub(crate) fn create_vxlan(
        &mut self,
        name: &str,
        group: u32,
        mtu: u32,
        udp_port: u16,
    ) -> Result<(), NetlinkError> {
        self.create(vec![
            LinkAttribute::IfName(name.to_owned()),
            LinkAttribute::Mtu(mtu),
            LinkAttribute::Group(group),
            LinkAttribute::LinkInfo(vec![
                LinkInfo::Kind(InfoKind::Vxlan),
                LinkInfo::Data(InfoData::Vxlan(vec![
                    InfoVxlan::CollectMetadata(true),
                    InfoVxlan::Learning(false),
                    InfoVxlan::UDPZeroCsumRX(true),
                    InfoVxlan::Port(udp_port),
                ])),
            ]),
        ])
    }

    fn create(&mut self, attributes: Vec<LinkAttribute>) -> Result<(), NetlinkError> {
        let mut message = LinkMessage::default();
        message.attributes = attributes;
        self.execute(RouteNetlinkMessage::NewLink(message), NLM_F_CREATE | NLM_F_EXCL)
    }

    /// Changes attributes of a device.
    pub(crate) fn set_link(
        &mut self,
        index: u32,
        attributes: Vec<LinkAttribute>,
    ) -> Result<(), NetlinkError> {
        let mut message = LinkMessage::default();
        message.header.index = index;
        message.attributes = attributes;
        self.execute(RouteNetlinkMessage::SetLink(message), 0)
    }

    /// Has the kernel give a device the link-local address `mode`, or none. Takes effect when it comes up.
    pub(crate) fn set_link_local(&mut self, index: u32, mode: In6AddrGenMode) -> Result<(), NetlinkError> {
        let inet6 = AfSpecUnspec::Inet6(vec![AfSpecInet6::AddrGenMode(mode)]);
        self.set_link(index, vec![LinkAttribute::AfSpecUnspec(vec![inet6])])
    }

    /// Brings a device up, or down.
    pub(crate) fn set_up(&mut self, index: u32, up: bool) -> Result<(), NetlinkError> {
        let mut message = LinkMessage::default();
        message.header.index = index;
        message.header.flags = if up { LinkFlags::Up } else { LinkFlags::empty() };
        message.header.change_mask = LinkFlags::Up;
        self.execute(RouteNetlinkMessage::SetLink(message), 0)
    }

    /// Removes a device.
    pub(crate) fn delete_link(&mut self, index: u32) -> Result<(), NetlinkError> {
        let mut message = LinkMessage::default();
        message.header.index = index;
        self.execute(RouteNetlinkMessage::DelLink(message), 0)
    }
}

fn new_link(message: RouteNetlinkMessage) -> Option<LinkMessage> {
    if let RouteNetlinkMessage::NewLink(link) = message { Some(link) } else { None }
}

impl Link {
    fn parse(message: LinkMessage) -> Self {
        let flags = message.header.flags;
        let mut link = Self {
            index: message.header.index,
            name: String::new(),
            kind: Kind::Other,
            alias: None,
            group: 0,
            mtu: 0,
            mac: None,
            up: flags.contains(LinkFlags::Up),
            arp: !flags.intersects(LinkFlags::Noarp | LinkFlags::Loopback),
            link_local: None,
            ipv6: false,
            gso_max_size: 0,
            master: None,
        };
        let mut info = Vec::new();
        let mut peer = Peer { index: 0, nsid: None };
        for attribute in message.attributes {
            #[expect(clippy::wildcard_enum_match_arm, reason = "a device has dozens of attributes")]
            match attribute {
                LinkAttribute::IfName(name) => link.name = name,
                LinkAttribute::IfAlias(alias) => link.alias = Some(alias),
                LinkAttribute::Group(group) => link.group = group,
                LinkAttribute::Mtu(mtu) => link.mtu = mtu,
                LinkAttribute::Address(bytes) => link.mac = bytes.try_into().ok().map(MacAddr::new),
                LinkAttribute::Link(index) => peer.index = index,
                LinkAttribute::LinkNetNsId(nsid) => peer.nsid = Some(nsid),
                LinkAttribute::LinkInfo(parts) => info = parts,
                LinkAttribute::GsoMaxSize(size) => link.gso_max_size = size,
                LinkAttribute::Controller(index) => link.master = Some(index).filter(|index| *index != 0),
                LinkAttribute::AfSpecUnspec(specs) => link.parse_inet6(&specs),
                _ => {}
            }
        }
        link.kind = kind(&info, peer);
        link
    }

    fn parse_inet6(&mut self, specs: &[AfSpecUnspec]) {
        let inet6 = specs
            .iter()
            .filter_map(|spec| if let AfSpecUnspec::Inet6(settings) = spec { Some(settings) } else { None });
        for setting in inet6.flatten() {
            if let AfSpecInet6::AddrGenMode(mode) = setting {
                self.link_local = Some(*mode);
            }
            if let AfSpecInet6::DevConf(configuration) = setting {
                self.ipv6 = configuration.disable_ipv6 == 0;
            }
        }
    }
}

fn kind(info: &[LinkInfo], peer: Peer) -> Kind {
    let mut kind = Kind::Other;
    for part in info {
        if let LinkInfo::Kind(InfoKind::Veth) = part {
            kind = Kind::Veth(peer);
        }
        if let LinkInfo::Kind(InfoKind::Bridge) = part {
            kind = Kind::Bridge;
        }
        if let LinkInfo::Data(InfoData::Vxlan(settings)) = part {
            let port = settings
                .iter()
                .find_map(|setting| if let InfoVxlan::Port(port) = setting { Some(*port) } else { None });
            let external = settings.contains(&InfoVxlan::CollectMetadata(true));
            let zero_checksums = settings.contains(&InfoVxlan::UDPZeroCsumRX(true));
            kind = Kind::Vxlan { port: port.unwrap_or_default(), external, zero_checksums };
        }
    }
    kind
}
