//! The settings, and the cases that are made of them.

use std::fmt;

use anyhow::{Result, ensure};
use weft_tests::{Namespace, pairwise};

/// MTUs of a wire.
const MTUS: [u32; 3] = [9000, 1500, 1450];
/// What the router knows of the way on.
const BETWEEN: [Option<u32>; 2] = [None, Some(1400)];
const AGGREGATIONS: [Aggregation; 4] =
    [Aggregation::Off, Aggregation::Merged, Aggregation::Listed, Aggregation::Forwarded];

/// What a device makes of the packets of one flow that it receives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Aggregation {
    /// Nothing.
    Off,
    /// One, if a socket here wants it so (GRO).
    Merged,
    /// A list of them (rx-gro-list).
    Listed,
    /// One, also of UDP that is only passed on (rx-udp-gro-forwarding).
    Forwarded,
}

/// Features of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Features {
    tso: bool,
    checksum: bool,
    /// UDP GSO goes through uncut.
    udp: bool,
    /// So do super-packets in tunnels.
    tunnels: bool,
    aggregation: Aggregation,
}

/// All on that is on by default.
const USUAL: Features =
    Features { tso: true, checksum: true, udp: true, tunnels: true, aggregation: Aggregation::Off };

/// Names that [`Features::wanted`] knows, of TSO the kinds that every kernel here has.
const NAMES: u32 = 11;

impl Features {
    /// Gives them to a device.
    pub(super) fn set(&self, namespace: &Namespace, device: &str) -> Result<()> {
        let set = namespace.set_features(device, |name| self.wanted(name))?;
        ensure!(
            set >= NAMES,
            "only {set} of {NAMES} features of {device} have the names that are known here"
        );
        Ok(())
    }

    /// Whether a device is to have the feature with this name; `None`: as it is.
    fn wanted(&self, name: &str) -> Option<bool> {
        match name {
            "tx-checksum-ip-generic" => Some(self.checksum),
            "tx-udp-segmentation" => Some(self.udp),
            "rx-gro" => Some(self.aggregation != Aggregation::Off),
            "rx-gro-list" => Some(self.aggregation == Aggregation::Listed),
            "rx-udp-gro-forwarding" => Some(self.aggregation == Aggregation::Forwarded),
            name if name.starts_with("tx-udp_tnl-") => Some(self.tunnels),
            name if name.starts_with("tx-tcp") => Some(self.tso),
            _ => None,
        }
    }
}

/// One combination.
#[derive(Debug, Clone, Copy)]
pub(super) struct Case {
    pub(super) pods: Features,
    pub(super) cable: Features,
    /// MTU of the wire of h1.
    pub(super) here: u32,
    /// MTU of the wire of h2.
    pub(super) there: u32,
    /// What the router lets through, if less.
    pub(super) between: Option<u32>,
    pub(super) inside_ipv6: bool,
    pub(super) over_ipv6: bool,
    /// Between subnets.
    pub(super) routed: bool,
}

impl Case {
    /// Different wires, and between them less than both take.
    pub(super) fn narrow_between(inside_ipv6: bool, over_ipv6: bool) -> Self {
        let (pods, cable) = (USUAL, USUAL);
        Self {
            pods,
            cable,
            here: 9000,
            there: 1500,
            between: BETWEEN[1],
            inside_ipv6,
            over_ipv6,
            routed: true,
        }
    }

    /// Bytes that outer headers take of an underlay's MTU.
    pub(super) fn overhead(&self) -> u32 {
        if self.over_ipv6 { 70 } else { 50 }
    }

    /// The MTU of the way from host to host.
    pub(super) fn path(&self) -> u32 {
        self.here.min(self.there).min(self.between.unwrap_or(u32::MAX))
    }
}

/// Values of each setting, in the order in which [`case`] takes them. The families inside and outside are one setting, so
/// that everything else occurs with all four of their combinations.
const SIZES: [usize; 14] = [2, 2, 2, 4, 2, 2, 2, 2, 4, 3, 3, 2, 4, 2];

fn case(values: &[usize]) -> Case {
    let mut values = values.iter().copied();
    // There are as many as sizes.
    let mut next = || values.next().unwrap_or_default();
    let (tso, checksum, udp, aggregation) = (next() == 0, next() == 0, next() == 0, AGGREGATIONS[next()]);
    let pods = Features { tso, checksum, udp, tunnels: true, aggregation };
    let (tso, checksum, udp, tunnels) = (next() == 0, next() == 0, next() == 0, next() == 0);
    let cable = Features { tso, checksum, udp, tunnels, aggregation: AGGREGATIONS[next()] };
    let (here, there, between, families) = (MTUS[next()], MTUS[next()], BETWEEN[next()], next());
    let (inside_ipv6, over_ipv6) = (families & 1 != 0, families & 2 != 0);
    Case { pods, cable, here, there, between, inside_ipv6, over_ipv6, routed: next() == 1 }
}

/// Those of all cases that are over this family, the widest way first.
pub(super) fn cases(over_ipv6: bool) -> Vec<Case> {
    let mut cases: Vec<Case> = pairwise(&SIZES).iter().map(|values| case(values)).collect();
    cases.retain(|case| case.over_ipv6 == over_ipv6);
    cases.sort_by_key(|case| std::cmp::Reverse(case.path()));
    cases
}

impl fmt::Display for Features {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, on) in
            [("tso", self.tso), ("sum", self.checksum), ("udp", self.udp), ("tunnel", self.tunnels)]
        {
            write!(out, "{}{name} ", if on { '+' } else { '-' })?;
        }
        write!(out, "{:?}", self.aggregation)
    }
}

impl fmt::Display for Case {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let family = |ipv6| if ipv6 { "IPv6" } else { "IPv4" };
        let (inside, outside) = (family(self.inside_ipv6), family(self.over_ipv6));
        write!(out, "pods {}, cable {}, MTU {}-", self.pods, self.cable, self.here)?;
        self.between.map_or(Ok(()), |between| write!(out, "{between}-"))?;
        write!(out, "{}, {inside} over {outside}, ", self.there)?;
        out.write_str(if self.routed { "routed" } else { "switched" })
    }
}
