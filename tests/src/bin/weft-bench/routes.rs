//! What the number of routes costs a packet: the same two hosts and pods, several times over, each with another number
//! of addresses that the client's host knows a way to.
//!
//! Once with traffic between two pods, whose own entries are then in the processor's caches as they are in practice; and
//! once with packets to addresses at random, one at a time, where hardly anything is.

use std::fmt::Write as _;
use std::fs;
use std::net::Ipv4Addr;

use anyhow::{Context as _, Result};
use ipnet::Ipv4Net;
use weft_tests::cloud::{Cloud, Intent};
use weft_tests::underlay::UPLINK;
use weft_tests::{Lab, Wire, underlay};

use crate::load::Load;
use crate::plan::{Plan, Results, Test};
use crate::report::Row;
use crate::subject::{Place, SUBNET_VNI, Subject, UNDERLAY_MTU};
use crate::{programs, table};

/// The most first: it is what the others are compared with.
const COUNTS: [Count; 4] = [
    Count { routes: 1_000_000, name: "1000000-routes" },
    Count { routes: 100_000, name: "100000-routes" },
    Count { routes: 1000, name: "1000-routes" },
    Count { routes: 1, name: "1-route" },
];
const LOADS: [Load; 4] = [Load::Udp64, Load::UdpTransactions, Load::TcpTransactions, Load::Connections];

/// The subnet of all addresses but the pods', which has room for four million.
const PREFIX: &str = "10.64.0.0/10";
/// VTEPs, all of the one other host, that share the addresses: a request holds a part of them.
const VTEPS: u32 = 16;
/// Packets to addresses at random.
const SAMPLE: u32 = 512;

/// How many routes a host knows.
#[derive(Clone, Copy)]
struct Count {
    routes: u32,
    name: &'static str,
}

/// Brings all of them up, and measures.
pub(crate) fn measure(plan: &Plan) -> Result<Vec<Row>> {
    let labs = COUNTS.iter().map(|_| Lab::new()).collect::<Result<Vec<_>>>()?;
    let mut clouds = Vec::new();
    for (lab, count) in labs.iter().zip(COUNTS) {
        clouds.push(start(lab, count).context(count.name)?);
    }
    let subjects: Vec<_> = clouds.iter().zip(COUNTS).map(|(cloud, count)| subject(cloud, count)).collect();
    table::columns(&COUNTS.map(|count| count.name));
    let mut rows = Vec::new();
    for load in LOADS {
        let name = format!("routes/{}", load.name());
        let test = Test { place: Place::TwoHosts, load };
        let results = Results::measure(&name, test, &subjects, plan).with_context(|| name.clone())?;
        let measured = results.rows();
        table::rows(&measured);
        rows.extend(measured);
    }
    let measured = at_random(&clouds, plan)?;
    table::rows(&measured);
    rows.extend(measured);
    Ok(rows)
}

fn start(lab: &Lab, count: Count) -> Result<Cloud<'_>> {
    let wire = Wire { mtu: UNDERLAY_MTU, ..Wire::default() };
    // With room for the pods, and for the self-test.
    let addresses = count.routes + 4096;
    let mut cloud =
        Cloud::start_with(lab, underlay::two_hosts(lab, wire)?, |settings| settings.addresses = addresses)?;
    let intent = Intent::default()
        .network("bench", 100)?
        .subnet("a", "bench", SUBNET_VNI, "10.0.0.0/24", "fd00::/64")?
        .subnet("bulk", "bench", SUBNET_VNI + 1, PREFIX, "fd01::/64")?
        .pod("client", "a", 0, 11)?
        .pod("far", "a", 1, 13)?;
    cloud.deploy(&intent)?;
    for part in 0..VTEPS.min(count.routes) {
        let vtep = Ipv4Addr::from([192, 0, 2, u8::try_from(10 + part)?]);
        cloud.machine(1).namespace.add_address(UPLINK, Ipv4Net::new(vtep, 24)?.into())?;
        let file = lab.folder().join("routes.yaml");
        fs::write(&file, remote(vtep, (part..count.routes).step_by(VTEPS as usize))?)?;
        let file = file.to_str().context("the temporary folder's name is not UTF-8")?;
        cloud.daemon(0).weft().must(&["apply", "-f", file])?;
    }
    cloud.wait_until_up()?;
    Ok(cloud)
}

/// Another host with the addresses of these numbers.
fn remote(vtep: Ipv4Addr, numbers: impl Iterator<Item = u32>) -> Result<String> {
    let [.., last] = vtep.octets();
    let mut text = format!("kind: remote\nname: bulk-{last}\nvtep: {vtep}\naddresses:\n");
    for number in numbers {
        let [_, a, b, c] = number.to_be_bytes();
        let address = address(number)?;
        writeln!(text, "- {{subnet: bulk, address: {address}, mac: \"02:bb:00:{a:02x}:{b:02x}:{c:02x}\"}}")?;
    }
    Ok(text)
}

/// Behind the network's own address and its gateway.
fn address(number: u32) -> Result<Ipv4Addr> {
    let prefix: Ipv4Net = PREFIX.parse()?;
    Ok((u32::from(prefix.network()) + 2 + number).into())
}

fn subject<'a>(cloud: &'a Cloud<'_>, count: Count) -> Subject<'a> {
    let far = cloud.pod("far");
    let far = (&far.namespace, far.v4.into());
    Subject { name: count.name, what: "weft", client: &cloud.pod("client").namespace, near: far, far }
}

/// What from_pod takes for a packet to any of the addresses.
fn at_random(clouds: &[Cloud<'_>], plan: &Plan) -> Result<Vec<Row>> {
    let mut figures = Vec::new();
    for (cloud, count) in clouds.iter().zip(COUNTS) {
        let numbers = scattered(count.routes);
        let addresses = numbers.into_iter().map(address).collect::<Result<Vec<_>>>()?;
        figures.push(programs::to_any(cloud, &addresses, plan.rounds).context(count.name)?);
    }
    let row = |(count, figures): (Count, &Vec<f64>)| {
        programs::row("programs/from_pod/to-any-route", count.name, figures, None)
    };
    Ok(COUNTS.into_iter().zip(&figures).map(row).collect())
}

/// Numbers below `count` far apart from each other, in no order that a processor could guess.
fn scattered(count: u32) -> Vec<u32> {
    // An odd multiplier that scatters the bits (Knuth, The Art of Computer Programming, section 6.4).
    (1..=SAMPLE).map(|number| number.wrapping_mul(2_654_435_769) % count).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_within_the_prefix_and_not_the_gateway() {
        let prefix: Ipv4Net = PREFIX.parse().unwrap();
        for number in [0, 1, 999_999] {
            let address = address(number).unwrap();
            assert!(prefix.contains(&address) && u32::from(address) > u32::from(prefix.network()) + 1);
        }
    }

    #[test]
    fn the_sample_is_of_the_routes_that_there_are() {
        assert!(scattered(1).iter().all(|number| *number == 0));
        let numbers = scattered(1_000_000);
        assert!(numbers.iter().all(|number| *number < 1_000_000));
        assert!(numbers.iter().collect::<std::collections::BTreeSet<_>>().len() > 500);
    }
}
