//! VXLAN in IP fragments, which only the kernel's vxlan device puts together: `from_vxlan` judges it as `from_underlay`
//! judges the rest.
//!
//! ```text
//!   red-1, blue-1 ─ h1 ┐                    ┌ h3 ─ red-3
//!     192.0.2.1 on lo,  ├ r1 ──────── r2 ┤
//! 198.51.100.2 on up0  │                    └ h4 ─ blue-4
//!           red-2 ─ h2 ┤
//!             stranger ┘ sends fragments to h1
//! ```

use std::net::IpAddr;

use anyhow::{Context as _, Result};
use weft_dataplane_abi::DropReason;
use weft_tests::cloud::Cloud;
use weft_tests::frame::{self, Between};
use weft_tests::{Lab, PATIENCE, underlay, wait_until};
use weft_vxlan::{MacAddr, Vni};

use super::{WORD, listen, outer, saying, start};

/// Where the first fragment ends: inside the inner frame.
const CUT: usize = 40;

/// What is forged about a packet, and the reason it is dropped for.
#[derive(Debug, Clone, Copy)]
struct Forgery {
    what: &'static str,
    source: IpAddr,
    destination: IpAddr,
    vni: u32,
    inner_mac: MacAddr,
    reason: DropReason,
}

fn forgeries(cloud: &Cloud<'_>) -> Result<Vec<Forgery>> {
    let (_, own) = cloud.underlay.stranger.as_ref().context("a stranger")?;
    let vtep = |host: usize| cloud.machine(host).vtep.address();
    let red = cloud.pod("red-1").mac;
    let right = Forgery {
        what: "nobody's address",
        source: (*own).into(),
        destination: vtep(0),
        vni: 101,
        inner_mac: red,
        reason: DropReason::UnknownVtep,
    };
    let uplink = cloud.machine(0).namespace.addresses(underlay::UPLINK)?;
    let second = uplink.iter().map(|net| net.addr()).find(IpAddr::is_ipv4).context("a second address")?;
    Ok(vec![
        Forgery { what: "a VTEP without a part in the subnet", source: vtep(3), ..right },
        Forgery { what: "a VTEP without a part in the network", source: vtep(3), vni: 100, ..right },
        Forgery {
            what: "an unknown VNI",
            source: vtep(1),
            vni: 999,
            reason: DropReason::UnknownVni,
            ..right
        },
        Forgery {
            what: "routed, but not to the router's MAC",
            source: vtep(1),
            vni: 100,
            reason: DropReason::NotRouterMac,
            ..right
        },
        Forgery {
            what: "to a MAC of nobody",
            source: vtep(1),
            inner_mac: MacAddr::new([2, 0xbb, 0, 0, 0, 9]),
            reason: DropReason::UnknownMac,
            ..right
        },
        Forgery {
            what: "to an address of h1 that is not its VTEP",
            source: vtep(1),
            destination: second,
            ..right
        },
        right,
    ])
}

/// The frame of a forgery, which says `word`.
fn frame_of(cloud: &Cloud<'_>, forgery: &Forgery, word: &str) -> Result<Vec<u8>> {
    let inner = saying(cloud.pod("red-1"), forgery.inner_mac, cloud.pod("red-2").v4, word)?;
    let outer = Between { destination: forgery.destination, ..outer(cloud, forgery.source, 0)? };
    frame::vxlan(outer, Vni::new(forgery.vni)?, &inner)
}

/// In: from the stranger, each forgery in two IP fragments; then one that lies in nothing but its outer source address,
/// which is that of h2. Out: each is dropped for its own reason, and no pod hears a word; the last, which only the underlay
/// could have told from h2's own, is delivered, so the others were dropped for what was wrong with them alone.
#[test]
fn are_judged_as_the_rest() -> Result<()> {
    Lab::test(|lab| {
        let cloud = start(lab)?;
        let (stranger, _) = cloud.underlay.stranger.as_ref().context("a stranger")?;
        let weft = cloud.daemon(0).weft();
        let captures = listen(&cloud)?;
        let send = |whole: &[u8]| -> Result<()> {
            let fragments = frame::fragments(whole, CUT)?;
            fragments.iter().try_for_each(|fragment| stranger.inject(underlay::UPLINK, fragment))
        };
        for forgery in forgeries(&cloud)? {
            let before = weft.drops(forgery.reason)?;
            send(&frame_of(&cloud, &forgery, WORD)?)?;
            weft.wait_for_drop(forgery.reason, before).context(forgery.what)?;
        }
        captures.into_iter().try_for_each(|capture| capture.assert_none("forged VXLAN was delivered"))?;

        let control = cloud.pod("red-1").capture(|packet| packet.says("genuine"))?;
        let genuine = Forgery {
            what: "from h2",
            source: cloud.machine(1).vtep.address(),
            destination: cloud.machine(0).vtep.address(),
            vni: 101,
            inner_mac: cloud.pod("red-1").mac,
            reason: DropReason::UnknownVtep,
        };
        send(&frame_of(&cloud, &genuine, "genuine")?)?;
        // At least one: its receiver may quote it in an ICMP error.
        wait_until(PATIENCE, "the genuine one", || control.count() > 0)
    })
}

/// In: VXLAN in one piece, from h2's address to an address of h1 that is not its VTEP, which is not weft's business
/// before the kernel's vxlan device has had it. Out: dropped there, and no pod hears a word.
#[test]
fn another_address_of_the_host_is_no_vtep() -> Result<()> {
    Lab::test(|lab| {
        let cloud = start(lab)?;
        let (stranger, _) = cloud.underlay.stranger.as_ref().context("a stranger")?;
        let weft = cloud.daemon(0).weft();
        let captures = listen(&cloud)?;
        let vtep = cloud.machine(0).vtep.address();
        for forgery in forgeries(&cloud)?.iter().filter(|forgery| forgery.destination != vtep) {
            let before = weft.drops(forgery.reason)?;
            stranger.inject(underlay::UPLINK, &frame_of(&cloud, forgery, WORD)?)?;
            weft.wait_for_drop(forgery.reason, before).context(forgery.what)?;
        }
        captures.into_iter().try_for_each(|capture| capture.assert_none("forged VXLAN was delivered"))
    })
}
