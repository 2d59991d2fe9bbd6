//! The physical networks that the topologies run on: hosts, wires, routers, and no weft yet.

use std::net::{IpAddr, Ipv4Addr};

use anyhow::{Context as _, Result};
use ipnet::{IpNet, Ipv4Net};
use weft_vxlan::Vtep;

use crate::{Damage, End, Forgetful, Lab, Namespace, Wire};

/// The underlay device of every host.
pub const UPLINK: &str = "up0";
/// The second underlay device of a host of [`two_uplinks`].
pub const SECOND_UPLINK: &str = "up1";
/// MTU of [`two_data_centres`]: 50 bytes of VXLAN leave the workloads 1550.
pub const ROUTED_MTU: u32 = 1600;

/// A host of the underlay, to run weftd on.
#[derive(Debug)]
pub struct Machine {
    /// Its name: `h1`, `h2`, …
    pub name: String,
    /// Its namespace; it would forward between its devices, so that whatever weft leaves alone could leak.
    pub namespace: Namespace,
    /// Its tunnel address.
    pub vtep: Vtep,
}

/// A physical network.
#[derive(Debug)]
pub struct Underlay {
    /// Hosts.
    pub machines: Vec<Machine>,
    /// Routers.
    pub routers: Vec<Namespace>,
    /// A host that is no part of the cloud, with its address.
    pub stranger: Option<(Namespace, Ipv4Addr)>,
}

/// ```text
/// h1 up0 ───── r
/// 192.0.2.1    192.0.2.254
/// ```
///
/// # Errors
/// The kernel refuses something.
pub fn one_host(lab: &Lab) -> Result<Underlay> {
    let machine = machine(lab, 1)?;
    let router = lab.router("r")?;
    Wire::default().lay(
        End { namespace: &machine.namespace, device: UPLINK, addresses: &[net([192, 0, 2, 1], 24)] },
        End { namespace: &router, device: "h1", addresses: &[net([192, 0, 2, 254], 24)] },
    )?;
    Ok(Underlay { machines: vec![machine], routers: vec![router], stranger: None })
}

/// One cable; the tunnel addresses are those of its ends.
///
/// ```text
/// h1 up0 ───────── up0 h2
/// 192.0.2.1        192.0.2.2
/// ```
///
/// # Errors
/// The kernel refuses something.
pub fn two_hosts(lab: &Lab, wire: Wire) -> Result<Underlay> {
    let (underlay, ()) = on_one_cable(lab, |a, b| wire.lay(a, b))?;
    Ok(underlay)
}

fn on_one_cable<T>(lab: &Lab, lay: impl FnOnce(End<'_>, End<'_>) -> Result<T>) -> Result<(Underlay, T)> {
    let machines = [machine(lab, 1)?, machine(lab, 2)?];
    let laid = lay(
        End { namespace: &machines[0].namespace, device: UPLINK, addresses: &[net([192, 0, 2, 1], 24)] },
        End { namespace: &machines[1].namespace, device: UPLINK, addresses: &[net([192, 0, 2, 2], 24)] },
    )?;
    Ok((Underlay { machines: machines.into(), routers: Vec::new(), stranger: None }, laid))
}

/// A switch; the tunnel addresses are those of the hosts' ends.
///
/// ```text
/// h1 up0 ──┐
/// 192.0.2.1 ├ sw ─────── up0 h3
/// h2 up0 ──┘                192.0.2.3
/// 192.0.2.2
/// ```
///
/// # Errors
/// The kernel refuses something.
pub fn three_hosts(lab: &Lab, wire: Wire) -> Result<Underlay> {
    on_a_switch(lab, |_, a, b| wire.lay(a, b))
}

/// The same, with h3 behind a [`Forgetful`] wire.
///
/// # Errors
/// The kernel refuses something.
pub fn three_hosts_one_forgotten(lab: &Lab, wire: Wire) -> Result<(Underlay, Forgetful)> {
    let mut forgetful = None;
    let underlay = on_a_switch(lab, |number, a, b| {
        if number < 3 {
            return wire.lay(a, b);
        }
        forgetful = Some(Forgetful::lay(lab, wire, a, b)?);
        Ok(())
    })?;
    Ok((underlay, forgetful.context("there are three hosts")?))
}

/// Three hosts on a switch, each wired to it by `lay`, which gets the host's number.
fn on_a_switch(lab: &Lab, mut lay: impl FnMut(u8, End<'_>, End<'_>) -> Result<()>) -> Result<Underlay> {
    let switch = lab.namespace("sw")?;
    switch.add_bridge("br0")?;
    switch.set_up("br0", true)?;
    let mut machines = Vec::new();
    for number in 1..=3 {
        let machine = machine(lab, number)?;
        let port = format!("port{number}");
        lay(
            number,
            End { namespace: &machine.namespace, device: UPLINK, addresses: &[net([192, 0, 2, number], 24)] },
            End { namespace: &switch, device: &port, addresses: &[] },
        )?;
        switch.join_bridge(&port, "br0")?;
        machines.push(machine);
    }
    Ok(Underlay { machines, routers: vec![switch], stranger: None })
}

/// Every host on a wire of its own to its data centre's router; tunnel addresses on `lo`, reached by routes, so
/// that the next hop's MAC is never another host's.
///
/// ```text
///            data centre a                                 data centre b
/// h1 lo 192.0.2.1 ── up0 ┐                            ┌ up0 ── lo 192.0.2.3 h3
///         198.51.100.2   ├ r1 ────────────────── r2 ┤   198.51.100.10
/// h2 lo 192.0.2.2 ── up0 ┤   203.0.113.0/30           └ up0 ── lo 192.0.2.4 h4
///         198.51.100.6   │                                198.51.100.14
///        stranger ── up0 ┘
///         198.51.100.18
/// ```
///
/// # Errors
/// The kernel refuses something.
pub fn two_data_centres(lab: &Lab, wire: Wire) -> Result<Underlay> {
    let routers = [lab.router("r1")?, lab.router("r2")?];
    let between = [[203, 0, 113, 1], [203, 0, 113, 2]];
    wire.lay(
        End { namespace: &routers[0], device: "wan", addresses: &[net(between[0], 30)] },
        End { namespace: &routers[1], device: "wan", addresses: &[net(between[1], 30)] },
    )?;
    let mut machines = Vec::new();
    for number in 1..=4 {
        let machine = machine(lab, number)?;
        let (here, there) = if number <= 2 { (0, 1) } else { (1, 0) };
        let address = attach(wire, &machine.namespace, &routers[here], number)?;
        let vtep = IpNet::from(machine.vtep.address());
        machine.namespace.add_address("lo", vtep)?;
        routers[here].add_route(vtep, address.into())?;
        routers[there].add_route(vtep, IpAddr::from(between[here]))?;
        machines.push(machine);
    }
    let stranger = lab.namespace("stranger")?;
    let address = attach(wire, &stranger, &routers[0], 5)?;
    Ok(Underlay { machines, routers: routers.into(), stranger: Some((stranger, address)) })
}

/// The same cable, and tunnels over IPv6.
///
/// ```text
/// h1 up0 ─────────── up0 h2
/// 2001:db8::1        2001:db8::2
/// ```
///
/// # Errors
/// The kernel refuses something.
pub fn two_hosts_over_ipv6(lab: &Lab, wire: Wire) -> Result<Underlay> {
    let (underlay, ()) = over_ipv6(lab, |a, b| wire.lay(a, b))?;
    Ok(underlay)
}

/// The same with a [`Forgetful`] wire for a cable.
///
/// # Errors
/// The kernel refuses something.
pub fn two_forgotten_over_ipv6(lab: &Lab, wire: Wire) -> Result<(Underlay, Forgetful)> {
    over_ipv6(lab, |a, b| Forgetful::lay(lab, wire, a, b))
}

fn over_ipv6<T>(lab: &Lab, lay: impl FnOnce(End<'_>, End<'_>) -> Result<T>) -> Result<(Underlay, T)> {
    let machines = [machine_over_ipv6(lab, 1)?, machine_over_ipv6(lab, 2)?];
    let laid = lay(
        End { namespace: &machines[0].namespace, device: UPLINK, addresses: &["2001:db8::1/64".parse()?] },
        End { namespace: &machines[1].namespace, device: UPLINK, addresses: &["2001:db8::2/64".parse()?] },
    )?;
    Ok((Underlay { machines: machines.into(), routers: Vec::new(), stranger: None }, laid))
}

/// [`two_hosts`] with a [`Forgetful`] wire for a cable, which damages only so much.
///
/// # Errors
/// The kernel refuses something.
pub fn two_hosts_forgotten(lab: &Lab, wire: Wire, damage: Damage) -> Result<(Underlay, Forgetful)> {
    on_one_cable(lab, |a, b| Forgetful::lay_damaging(damage, lab, wire, a, b))
}

/// Two hosts with a router between them; tunnel addresses on `lo`, of the family that is asked for. The wires carry both
/// families.
///
/// ```text
/// h1 lo ── up0 ─── h1 ┐   ┌ h2 ─── up0 ── lo h2
///   198.51.100.2      ├ r ┤      198.51.100.6
///   2001:db8:1::2     ┘   └      2001:db8:2::2
/// ```
///
/// # Errors
/// The kernel refuses something.
pub fn through_a_router(lab: &Lab, wire: Wire, over_ipv6: bool) -> Result<Underlay> {
    let router = lab.router("r")?;
    let mut machines = Vec::new();
    for number in 1..=2 {
        let machine = if over_ipv6 { machine_over_ipv6(lab, number)? } else { machine(lab, number)? };
        let vtep = IpNet::from(machine.vtep.address());
        machine.namespace.add_address("lo", vtep)?;
        link_to_router(|_, a, b| wire.lay(a, b), &machine, UPLINK, &router, number)?;
        let (gateway, host) = gateway_and_host(number, over_ipv6)?;
        router.add_route(vtep, host.addr())?;
        machine.namespace.add_route(if over_ipv6 { "::/0" } else { "0.0.0.0/0" }.parse()?, gateway.addr())?;
        machines.push(machine);
    }
    Ok(Underlay { machines, routers: vec![router], stranger: None })
}

/// Two hosts with two uplinks each, one to each of two routers; tunnel addresses on `lo`. Hosts have no routes to each
/// other yet: those are for the test to choose.
///
/// ```text
///                ┌ up0 198.51.100.2 ───┬ r1 ┬─── 198.51.100.6 up0 ┐
/// h1 lo          │                                                 │        lo h2
/// 192.0.2.1      └ up1 198.51.100.10 ──┴ r2 ┴── 198.51.100.14 up1 ┘ 192.0.2.2
/// ```
///
/// # Errors
/// The kernel refuses something.
pub fn two_uplinks(lab: &Lab, wire: Wire, over_ipv6: bool) -> Result<Underlay> {
    on_two_routers(lab, over_ipv6, |_, a, b| wire.lay(a, b))
}

/// The same over IPv4, with a [`Forgetful`] wire between h1's second uplink and its router.
///
/// # Errors
/// The kernel refuses something.
pub fn two_uplinks_one_forgotten(lab: &Lab, wire: Wire) -> Result<(Underlay, Forgetful)> {
    let mut forgetful = None;
    let underlay = on_two_routers(lab, false, |place, a, b| {
        if place != 3 {
            return wire.lay(a, b);
        }
        forgetful = Some(Forgetful::lay(lab, wire, a, b)?);
        Ok(())
    })?;
    Ok((underlay, forgetful.context("there are four wires")?))
}

/// Two hosts, each wired to both routers by `lay`, which gets the wire's number.
fn on_two_routers(
    lab: &Lab,
    over_ipv6: bool,
    mut lay: impl FnMut(u8, End<'_>, End<'_>) -> Result<()>,
) -> Result<Underlay> {
    let routers = [lab.router("r1")?, lab.router("r2")?];
    let mut machines = Vec::new();
    for number in 1..=2 {
        let machine = if over_ipv6 { machine_over_ipv6(lab, number)? } else { machine(lab, number)? };
        let vtep = IpNet::from(machine.vtep.address());
        machine.namespace.add_address("lo", vtep)?;
        for (router, uplink, place) in
            [(&routers[0], UPLINK, number), (&routers[1], SECOND_UPLINK, number + 2)]
        {
            link_to_router(&mut lay, &machine, uplink, router, place)?;
            let (_, host) = gateway_and_host(place, over_ipv6)?;
            router.add_route(vtep, host.addr())?;
        }
        machines.push(machine);
    }
    Ok(Underlay { machines, routers: routers.into(), stranger: None })
}

/// The gateways of a host of [`two_uplinks`]: the first uplink's and the second's.
///
/// # Errors
/// None.
pub fn gateways(number: u8, over_ipv6: bool) -> Result<[IpAddr; 2]> {
    Ok([gateway_and_host(number, over_ipv6)?.0.addr(), gateway_and_host(number + 2, over_ipv6)?.0.addr()])
}

/// Has the wire with this number laid, in both families; the router's device is called after the host.
fn link_to_router(
    mut lay: impl FnMut(u8, End<'_>, End<'_>) -> Result<()>,
    machine: &Machine,
    uplink: &str,
    router: &Namespace,
    number: u8,
) -> Result<()> {
    let (router4, host4) = gateway_and_host(number, false)?;
    let (router6, host6) = gateway_and_host(number, true)?;
    lay(
        number,
        End { namespace: &machine.namespace, device: uplink, addresses: &[host4, host6] },
        End { namespace: router, device: &machine.name, addresses: &[router4, router6] },
    )
}

/// The router's and the host's address on the wire with this number.
fn gateway_and_host(number: u8, over_ipv6: bool) -> Result<(IpNet, IpNet)> {
    if over_ipv6 {
        let address = |last: u8| format!("2001:db8:{number}::{last}/64").parse();
        return Ok((address(1)?, address(2)?));
    }
    let base = (number - 1) * 4;
    Ok((net([198, 51, 100, base + 1], 30), net([198, 51, 100, base + 2], 30)))
}

impl Underlay {
    /// Every end of every wire.
    ///
    /// # Errors
    /// The kernel does not answer.
    pub fn wires(&self) -> Result<Vec<(&Namespace, String)>> {
        let stranger = self.stranger.iter().map(|(namespace, _)| namespace);
        let mut wires: Vec<_> = self
            .machines
            .iter()
            .map(|machine| &machine.namespace)
            .chain(stranger)
            .map(|namespace| (namespace, UPLINK.to_owned()))
            .collect();
        for router in &self.routers {
            let devices = router.links()?.into_iter().filter(|link| link.kind == "veth");
            wires.extend(devices.map(|link| (router, link.name)));
        }
        Ok(wires)
    }
}

fn machine(lab: &Lab, number: u8) -> Result<Machine> {
    let name = format!("h{number}");
    let namespace = lab.router(&name)?;
    Ok(Machine { name, namespace, vtep: Vtep::new(IpAddr::from([192, 0, 2, number]))? })
}

fn machine_over_ipv6(lab: &Lab, number: u8) -> Result<Machine> {
    let vtep = format!("2001:db8::{number}").parse()?;
    Ok(Machine { vtep, ..machine(lab, number)? })
}

/// Wires a host to its router, which is its default gateway; the host's address on the wire.
fn attach(wire: Wire, host: &Namespace, router: &Namespace, number: u8) -> Result<Ipv4Addr> {
    let base = (number - 1) * 4;
    let gateway = [198, 51, 100, base + 1];
    let address = [198, 51, 100, base + 2];
    wire.lay(
        End { namespace: host, device: UPLINK, addresses: &[net(address, 30)] },
        End { namespace: router, device: &format!("port{number}"), addresses: &[net(gateway, 30)] },
    )?;
    host.add_route(net([0, 0, 0, 0], 0), gateway.into())?;
    Ok(address.into())
}

/// An address of a device, with the length of its prefix, which is at most 32 here.
fn net(address: [u8; 4], length: u8) -> IpNet {
    Ipv4Net::new_assert(address.into(), length).into()
}
