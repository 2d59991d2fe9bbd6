//! weftd is replaced by another build and back, under traffic between all pods: the topology of [`crate::kills`].
//!
//! The other build (`xtask/src/other_build.rs`) has other programs, longer values in three maps, of which the programs
//! write one, and another size of two tables. An incompatible one is refused.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use aya::maps::{Array, Map, MapData, MapInfo, loaded_maps};
use aya::programs::{SchedClassifier, TcAttachType};
use weft_dataplane_abi::{ABI_VERSION, HostRoute, PortCounters, VtepEntry, maps, programs};
use weft_tests::cloud::{Cloud, Pod, Uncounted};
use weft_tests::probe::Mesh;
use weft_tests::{Dice, Lab, binary, let_pass};

use crate::kills::{counted, three_hosts};

const HOSTS: usize = 3;
const REPLACEMENTS: usize = 20;

/// The maps whose values the other build makes longer, their size in the first build, and by how much.
const LONGER: [(&str, usize, usize); 3] = [
    (maps::HOSTS, size_of::<HostRoute>(), 8),
    (maps::VTEPS, size_of::<VtepEntry>(), 8),
    (maps::COUNTERS, size_of::<PortCounters>(), 8),
];
/// How many addresses the tables hold, by build.
const ADDRESSES: [u32; 2] = [4096, 5000];

/// The builds of weftd.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Build {
    First,
    Other,
}

impl Build {
    fn program(self) -> Result<PathBuf> {
        match self {
            Self::First => binary("weftd"),
            Self::Other => binary("other-build/weftd"),
        }
    }

    fn next(self) -> Self {
        match self {
            Self::First => Self::Other,
            Self::Other => Self::First,
        }
    }
}

/// In: the traffic of all to all, and 20 replacements, each by the build that does not run there, of a weftd that is
/// stopped or killed; the new one is in half of the cases killed at a moment of its start and begins once more. Out:
/// everything sent arrives, no connection breaks; after each, maps and programs are all the new build's, with what was
/// counted before.
#[test]
fn by_another_build_and_back() -> Result<()> {
    Lab::test(|lab| {
        let mut cloud = three_hosts(lab)?;
        let mut dice = Dice::new();
        println!("repeat with {}", dice.seed());
        let begun = Instant::now();
        let pods: Vec<&Pod> = cloud.pods().collect();
        let uncounted = Uncounted::begin(&cloud)?;
        let mesh = Mesh::start(&pods)?;
        let mut builds = [Build::First; HOSTS];
        let mut interrupted = 0;
        for number in 0..REPLACEMENTS {
            let host = number % HOSTS;
            builds[host] = builds[host].next();
            let before = counted(&cloud)?;
            interrupted += usize::from(replace(&mut cloud, host, builds[host], &mut dice)?);
            let what = || format!("replacement {number}: h{} by {:?}", host + 1, builds[host]);
            cloud.wait_until_up().with_context(what)?;
            is_all_of(&cloud, host, builds[host]).with_context(what)?;
            ensure!(counted(&cloud)? >= before, "{}: counters went backwards", what());
        }
        let took = begun.elapsed();
        let report = mesh.finish()?;
        let (uncounted, of) = uncounted.end(&cloud)?;
        println!(
            "{REPLACEMENTS} replacements in {took:.0?} ({interrupted} interrupted once): {report}; {uncounted} of {of} \
             packets of the pods not counted"
        );
        // Counted between the copying of the counters and the exchange of the last program, in maps that then went.
        ensure!(uncounted * 20 < i64::try_from(of)?, "{uncounted} of {of} packets were not counted");
        report.assert_lossless()
    })
}

/// Ends the weftd of `host` and starts the other build. Whether that was interrupted.
fn replace(cloud: &mut Cloud<'_>, host: usize, build: Build, dice: &mut Dice) -> Result<bool> {
    let daemon = cloud.daemon_mut(host);
    if dice.below(2) == 0 {
        daemon.kill()?;
    } else {
        let status = daemon.terminate()?;
        ensure!(status.success(), "weftd ended with {status}");
    }
    let toml = daemon.settings().toml();
    let addresses = |build: Build| format!("addresses = {}", ADDRESSES[build as usize]);
    ensure!(toml.contains(&addresses(Build::First)), "no {} in {toml}", addresses(Build::First));
    fs::write(daemon.settings().config(), toml.replace(&addresses(Build::First), &addresses(build)))?;
    daemon.becomes(build.program()?);
    let interrupted = dice.below(2) == 0;
    if interrupted {
        daemon.launch()?;
        let_pass(dice.time(Duration::from_millis(400)));
        daemon.kill()?;
    }
    daemon.start()?;
    Ok(interrupted)
}

/// The pinned maps are those that `build` makes, and every program on a device uses no other maps.
fn is_all_of(cloud: &Cloud<'_>, host: usize, build: Build) -> Result<()> {
    let pins = cloud.daemon(host).settings().pin_folder.clone();
    let info = |map: &str| MapInfo::from_pin(pins.join("maps").join(map));
    for (map, size, more) in LONGER {
        let expected = size + if build == Build::Other { more } else { 0 };
        let pinned = usize::try_from(info(map)?.value_size())?;
        ensure!(pinned == expected, "values of {map} have {pinned} bytes, not {expected}");
    }
    ensure!(info(maps::FDB)?.max_entries() == ADDRESSES[build as usize]);
    ensure!(!pins.join("resized").exists(), "a folder of maps that wait for their place is left");
    let pinned = maps::ALL.iter().map(|map| Ok(info(map)?.id())).collect::<Result<BTreeSet<_>>>()?;
    // The compiler gives programs maps too, for their constants, which are nobody else's.
    let is_shared = |map: &MapInfo| map.name_as_str().is_some_and(|name| maps::ALL.contains(&name));
    let shared: BTreeSet<_> =
        loaded_maps().filter_map(Result::ok).filter(is_shared).map(|map| map.id()).collect();
    let namespace = &cloud.machine(host).namespace;
    for device in namespace.links()? {
        let (_, attached) =
            namespace.run(|| SchedClassifier::query_tcx(&device.name, TcAttachType::Ingress))??;
        // The guard is not replaced while its device lives.
        for program in attached.iter().filter(|program| program.name_as_str() != Some(programs::GUARD)) {
            let used = program.map_ids()?.context("the kernel names no maps of a program")?;
            let others: Vec<_> =
                used.iter().filter(|id| !pinned.contains(id) && shared.contains(id)).collect();
            ensure!(
                others.is_empty(),
                "{:?} on {} uses the maps {others:?}",
                program.name_as_str(),
                device.name
            );
        }
    }
    Ok(())
}

/// In: the same traffic, and maps that a weftd cannot use: of another ABI version, and with a map of another kind. Out:
/// it ends at once and says which and what to do, and nothing is changed: the same maps are pinned, packets flow all the
/// time, and the right weftd goes on where the last one ended.
#[test]
fn by_an_incompatible_one_is_refused() -> Result<()> {
    Lab::test(|lab| {
        let mut cloud = three_hosts(lab)?;
        let pods: Vec<&Pod> = cloud.pods().collect();
        let mesh = Mesh::start(&pods)?;
        let pins = cloud.daemon(0).settings().pin_folder.join("maps");

        cloud.daemon_mut(0).terminate()?;
        set_abi(&pins, ABI_VERSION + 1)?;
        let words = [format!("hold ABI version {}, this weftd speaks {ABI_VERSION}", ABI_VERSION + 1)];
        refused(&mut cloud, &words.each_ref().map(String::as_str))?;
        set_abi(&pins, ABI_VERSION)?;
        cloud.daemon_mut(0).start()?;
        cloud.wait_until_up()?;

        cloud.daemon_mut(0).terminate()?;
        let (fdb, aside) = (pins.join(maps::FDB), pins.join("aside"));
        fs::rename(&fdb, &aside)?;
        MapData::from_pin(pins.join(maps::ABI))?.pin(&fdb)?;
        refused(&mut cloud, &["FDB is a Array of 1 entries", "this weftd makes a Hash of 4096"])?;
        fs::rename(&aside, &fdb)?;
        cloud.daemon_mut(0).start()?;
        cloud.wait_until_up()?;

        let report = mesh.finish()?;
        println!("two refusals: {report}");
        report.assert_lossless()
    })
}

/// The first host's weftd refuses to start, with these words and a way out, and leaves all pinned maps as they are.
fn refused(cloud: &mut Cloud<'_>, words: &[&str]) -> Result<()> {
    let pins = cloud.daemon(0).settings().pin_folder.join("maps");
    let ids = || {
        maps::ALL.iter().map(|map| Ok(MapInfo::from_pin(pins.join(map))?.id())).collect::<Result<Vec<_>>>()
    };
    let before = ids()?;
    cloud.daemon_mut(0).launch()?;
    let status = cloud.daemon_mut(0).wait_until_ended()?;
    ensure!(status.code() == Some(1), "weftd ended with {status}");
    let said = cloud.daemon(0).log_end(1);
    for word in words.iter().chain(&["run the weftd that made", "weft teardown", "goes on forwarding"]) {
        ensure!(said.contains(word), "no {word:?} in {said:?}");
    }
    ensure!(ids()? == before, "maps were changed");
    Ok(())
}

fn set_abi(pins: &std::path::Path, version: u32) -> Result<()> {
    let map = Map::from_map_data(MapData::from_pin(pins.join(maps::ABI))?)?;
    Ok(Array::<_, u32>::try_from(map)?.set(0, version, 0)?)
}
