//! What is weft's in the kernel: the one place where the names of our devices and pins, and the marks on our
//! addresses, routes and neighbours, are made and recognised. Nothing that is not recognised here is changed or
//! removed.

use weft_dataplane_abi::programs;

use crate::netlink::{Filter, Kind, Link, Slot};

/// weft's own kernel vxlan device, one in each network namespace that weftd runs in.
pub(crate) const VXLAN: &str = "weft-vxlan";
const VXLAN_ALIAS: &str = "weft vxlan";

/// The bridge that our other devices are ports of, for the headroom that it has the kernel leave.
pub(crate) const HEADROOM: &str = "weft-headroom";
const HEADROOM_ALIAS: &str = "weft headroom";

/// Start of a port's host end: `weft` and eleven hexadecimal digits, which fill the kernel's fifteen characters.
const HOST_END: &str = "weft";
const PORT_ALIAS: &str = "weft port ";

/// Device group of what weft makes: "weft" in ASCII. The kernel sets it while it makes the device, before there
/// is an alias, so that a device that a crash left without one is still known as ours.
pub(crate) const GROUP: u32 = u32::from_be_bytes(*b"weft");

/// Mark on the addresses, routes and neighbours that weft makes (`IFA_PROTO`, `rtm_protocol`, `NDA_PROTOCOL`):
/// "w" in ASCII, a number that iproute2 names nobody for.
pub(crate) const PROTOCOL: u8 = b'w';

/// Abstract unix socket that the one weftd of a network namespace holds.
pub(crate) const TENURE: &str = "weft-dataplane";

/// Folder of the map pins, in the pin folder.
pub(crate) const MAPS: &str = "maps";
/// Folder of the link pins, in the pin folder.
pub(crate) const LINKS: &str = "links";

/// Folder of the pins of maps that take the place of others, in the pin folder. Empty but for the moment of an open.
pub(crate) const RESIZED: &str = "resized";
/// Folder of the marks of the devices whose clsact we made, in the pin folder.
pub(crate) const CLSACTS: &str = "clsacts";
/// Folder of the mark of whose intent the maps follow, in the pin folder.
pub(crate) const OWNER: &str = "owner";
/// Folder of the mark of the network namespace, in the pin folder.
pub(crate) const NAMESPACE: &str = "namespace";

/// A device that weft made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owned<'a> {
    /// The vxlan device.
    Vxlan,
    /// The bridge for headroom.
    Headroom,
    /// Host end of the veth of the port with this name.
    Port(&'a str),
    /// Left behind by a crash before it had its alias. Nothing uses it.
    Unfinished,
}

/// What `link` is to weft, or `None` if it is foreign: name, kind and alias must all be as weft makes them.
pub(crate) fn owned(link: &Link) -> Option<Owned<'_>> {
    let unfinished = link.alias.is_none() && link.group == GROUP;
    match &link.kind {
        Kind::Vxlan { .. } if link.name == VXLAN => match link.alias.as_deref() {
            Some(VXLAN_ALIAS) => Some(Owned::Vxlan),
            _ => unfinished.then_some(Owned::Unfinished),
        },
        Kind::Veth(_) => {
            let port = link.alias.as_deref().and_then(|alias| alias.strip_prefix(PORT_ALIAS));
            match port {
                Some(port) if link.name == host_end(port) => Some(Owned::Port(port)),
                _ => (unfinished && is_host_end(&link.name)).then_some(Owned::Unfinished),
            }
        }
        Kind::Bridge if link.name == HEADROOM => match link.alias.as_deref() {
            Some(HEADROOM_ALIAS) => Some(Owned::Headroom),
            _ => unfinished.then_some(Owned::Unfinished),
        },
        Kind::Vxlan { .. } | Kind::Bridge | Kind::Other => None,
    }
}

/// Name of the host end of a port's veth: a hash, because a device's name is short and a port's is not.
pub(crate) fn host_end(port: &str) -> String {
    // FNV-1a, 64 bits. The name must stay the same over versions, which std's hasher does not promise.
    let hash = port.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{HOST_END}{:011x}", hash >> 20)
}

fn is_host_end(name: &str) -> bool {
    name.strip_prefix(HOST_END)
        .is_some_and(|rest| rest.len() == 11 && rest.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// Alias of a port's host end.
pub(crate) fn port_alias(port: &str) -> String {
    format!("{PORT_ALIAS}{port}")
}

/// Alias of the vxlan device.
pub(crate) fn vxlan_alias() -> String {
    VXLAN_ALIAS.to_owned()
}

/// Alias of the bridge for headroom.
pub(crate) fn headroom_alias() -> String {
    HEADROOM_ALIAS.to_owned()
}

/// File name of the pin of the link that holds `program` on the device `ifindex`. Device names do not do: they
/// change, and a bpffs takes no dot.
pub(crate) fn link_pin(program: &str, ifindex: u32) -> String {
    format!("{program}-{ifindex}")
}

/// The reverse of [`link_pin`]; `None` for a name that weft does not make.
pub(crate) fn parse_link_pin(name: &str) -> Option<(&'static str, u32)> {
    let (program, ifindex) = name.rsplit_once('-')?;
    let program = programs::ALL.into_iter().chain(programs::XDP).find(|known| *known == program)?;
    let ifindex = ifindex.parse().ok()?;
    // Only the one spelling: no sign, no leading zero.
    (link_pin(program, ifindex) == name).then_some((program, ifindex))
}

/// The place on a device's clsact for `program`: on devices of ours before all others, on the underlay device after those
/// that others give or that the kernel gives by itself (49,152 and below), and for the guard behind all.
pub(crate) fn slot(program: &str, ifindex: u32) -> Slot {
    let priority = match program {
        programs::FROM_UNDERLAY => 0xfff0,
        programs::GUARD => 0xffff,
        _ => 1,
    };
    Slot { ifindex, priority, handle: GROUP }
}

/// The program that a filter in a slot of ours was made for; `None` if weft does not make such filters.
pub(crate) fn filter_program(filter: &Filter) -> Option<&'static str> {
    let program = programs::ALL.into_iter().find(|known| *known == filter.name)?;
    (slot(program, filter.slot.ifindex) == filter.slot).then_some(program)
}

/// Whether `name` is the value of a mark: a store's id, a network namespace's cookie.
pub(crate) fn is_mark(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlink::Peer;

    fn link(name: &str, kind: Kind, alias: Option<&str>, group: u32) -> Link {
        Link {
            index: 7,
            name: name.to_owned(),
            kind,
            alias: alias.map(str::to_owned),
            group,
            mtu: 1500,
            mac: None,
            up: true,
            arp: true,
            link_local: None,
            ipv6: false,
            gso_max_size: 0,
            master: None,
        }
    }

    const VETH: Kind = Kind::Veth(Peer { index: 1, nsid: None });
    const TUNNEL: Kind = Kind::Vxlan { port: 4789, external: true, zero_checksums: true };

    #[test]
    fn host_ends_fit_and_differ() {
        assert_eq!(host_end("").len(), 15);
        assert_eq!(host_end(&"x".repeat(200)).len(), 15);
        assert_ne!(host_end("red-web-1"), host_end("red-web-2"));
        // Running systems hold these names.
        assert_eq!(host_end("red-web-1"), "weft9f6dacc64a5");
    }

    #[test]
    fn ours_by_name_kind_and_alias_together() {
        let name = host_end("a");
        let cases = [
            (link(&name, VETH, Some("weft port a"), 0), Some(Owned::Port("a"))),
            (link(&name, VETH, Some("weft port b"), 0), None),
            (link(&name, VETH, Some("my own"), GROUP), None),
            (link(&name, VETH, None, 0), None),
            (link(&name, VETH, None, GROUP), Some(Owned::Unfinished)),
            (link(&name, Kind::Other, Some("weft port a"), GROUP), None),
            (link("weft0", VETH, Some("weft port a"), GROUP), None),
            (link("eth0", VETH, None, GROUP), None),
            (link(VXLAN, TUNNEL, Some("weft vxlan"), 0), Some(Owned::Vxlan)),
            (link(VXLAN, TUNNEL, None, GROUP), Some(Owned::Unfinished)),
            (link(VXLAN, TUNNEL, None, 0), None),
            (link(VXLAN, VETH, Some("weft vxlan"), GROUP), None),
            (link("vxlan0", TUNNEL, Some("weft vxlan"), GROUP), None),
            (link(HEADROOM, Kind::Bridge, Some("weft headroom"), 0), Some(Owned::Headroom)),
            (link(HEADROOM, Kind::Bridge, None, GROUP), Some(Owned::Unfinished)),
            (link(HEADROOM, Kind::Bridge, None, 0), None),
            (link("br0", Kind::Bridge, Some("weft headroom"), GROUP), None),
        ];
        for (link, expected) in cases {
            assert_eq!(owned(&link), expected, "{link:?}");
        }
    }

    #[test]
    fn filters_are_ours_by_slot_and_name_together() {
        let ours = |program: &str| Filter { slot: slot(program, 7), name: program.to_owned(), program: 1 };
        for program in programs::ALL {
            assert_eq!(filter_program(&ours(program)), Some(program));
        }
        let foreign = [
            ours(programs::GUARD),
            ours("cil_from_netdev"),
            Filter { slot: Slot { handle: 1, ..slot("from_pod", 7) }, ..ours("from_pod") },
            Filter { slot: Slot { priority: 2, ..slot("from_pod", 7) }, ..ours("from_pod") },
            Filter { name: "from_vxlan".to_owned(), ..ours("from_underlay") },
        ];
        for filter in foreign {
            assert_eq!(filter_program(&filter), None, "{filter:?}");
        }
    }

    #[test]
    fn link_pins_round_trip_in_one_spelling() {
        assert_eq!(parse_link_pin(&link_pin("from_pod", 12)), Some(("from_pod", 12)));
        for foreign in ["from_pod", "from_pod-", "from_pod-012", "from_pod-+1", "other-12", "from_pod-12-1"] {
            assert_eq!(parse_link_pin(foreign), None, "{foreign}");
        }
    }
}
