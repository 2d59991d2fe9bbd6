//! What rules and connections take: of the kernel as it accounts for maps, of weftd what is resident.
//!
//! The kernel's account of a longest-prefix map has its entries, but neither the nodes that it makes between them, of which
//! there may be as many, nor what its allocator rounds up to.

use std::fs;
use std::os::fd::{AsFd as _, AsRawFd as _};

use anyhow::{Context as _, Result};
use aya::maps::{MapData, MapInfo};
use weft_dataplane_abi::maps;

use super::constant;
use super::hosts::pin;
use super::subjects::{Secured, TEN};
use crate::report::Row;
use crate::usage;

const POLICY: [&str; 4] = [maps::SERVICES, maps::PEERS, maps::IDENTITIES, maps::HITS];

/// Of the far pod's host, which has one group.
const HOST: usize = 1;

/// A row for each.
pub(super) fn measure(clouds: &[Secured<'_>]) -> Result<Vec<Row>> {
    let most = clouds.first().context("nobody takes part")?;
    let ten = clouds.iter().find(|one| one.group.name == TEN).context("nobody has ten rules")?;
    let rules = |one: &Secured<'_>| one.group.rules.map(f64::from).unwrap_or_default();
    let more = rules(most) - rules(ten);
    let difference =
        |of: fn(&Secured<'_>) -> Result<f64>| Ok::<_, anyhow::Error>((of(most)? - of(ten)?) / more);
    let row =
        |what: &str, unit, figure| constant(&format!("policy/memory/{what}"), unit, most.group.name, figure);
    let mut rows = vec![
        row("rule/kernel", "bytes/rule", difference(tables)?),
        row("rule/weftd-resident", "bytes/rule", difference(resident)?),
    ];
    let each = |map: &str| {
        let path = pin(&most.cloud, HOST, map);
        let capacity = MapInfo::from_pin(&path)?.max_entries();
        Ok::<_, anyhow::Error>(accounted(most, map)? / f64::from(capacity))
    };
    rows.push(row("open-connection/kernel", "bytes", each(maps::FLOWS)?));
    let half_open = each(maps::HALF_OPEN)? + each(maps::ASKED)?;
    rows.push(row("half-open-connection/kernel", "bytes", half_open));
    Ok(rows)
}

/// All tables of the policies.
fn tables(one: &Secured<'_>) -> Result<f64> {
    POLICY.iter().map(|map| accounted(one, map)).sum()
}

/// Bytes of a map, as the kernel tells them of its descriptor.
fn accounted(one: &Secured<'_>, map: &str) -> Result<f64> {
    let map = MapData::from_pin(pin(&one.cloud, HOST, map))?;
    let path = format!("/proc/self/fdinfo/{}", map.fd().as_fd().as_raw_fd());
    let text = fs::read_to_string(&path)?;
    let bytes = text.lines().find_map(|line| line.strip_prefix("memlock:")).context("no memlock")?;
    Ok(bytes.trim().parse()?)
}

fn resident(one: &Secured<'_>) -> Result<f64> {
    let process = one.cloud.daemon(HOST).pid().context("weftd does not run")?;
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    Ok(usage::resident(&[process])? as f64)
}
