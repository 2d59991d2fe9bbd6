//! A subject as VTEP: routes from a peer until they are in the tables that packets are looked up in.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use aya::maps::{HashMap, Map, MapData};
use weft_dataplane_abi::{HostRoute, IpKey, MacKey, NextHop, maps};
use weft_tests::{Lab, Namespace, wait_for};

use super::lab::{Ground, Running, SENDER, Subject, Task};
use super::peer::Peer;
use super::routes::{Stream, VNI};

/// Seconds from the first byte sent until the kernel has all. It is looked every 10 ms, and looking takes a while.
pub(super) fn run(subject: Subject, stream: &Stream, patience: Duration) -> Result<f64> {
    let lab = Lab::new()?;
    let ground = Ground::lay(&lab)?;
    let running = Running::start(subject, Task::Forward, &lab, &ground, stream.count)?;
    let sender = Peer::connect(&ground.peers.namespace, SENDER, subject.hold_time())?;
    let (start, sending) = sender.send(&stream.announce)?;
    let end = wait_for(patience, "the routes in the kernel", || {
        let now = Instant::now();
        match entries(&running, &ground.subject.namespace) {
            Ok(entries) if entries >= stream.count => Ok(now),
            Ok(entries) => Err(entries.to_string()),
            Err(error) => Err(format!("{error:#}")),
        }
    })?;
    sending.join().map_err(|_| anyhow!("a sender panicked"))??;
    Ok(end.saturating_duration_since(start).as_secs_f64())
}

/// Routes that packets already follow.
fn entries(running: &Running, namespace: &Namespace) -> Result<usize> {
    match running {
        Running::Weft(weftd) => {
            let maps = weftd.settings().pin_folder.join("maps");
            let stations = count::<{ size_of::<MacKey>() }, { size_of::<NextHop>() }>(&maps, maps::FDB)?;
            let hosts = count::<{ size_of::<IpKey>() }, { size_of::<HostRoute>() }>(&maps, maps::HOSTS)?;
            Ok(stations.min(hosts))
        }
        Running::Frr(_) => namespace.tunnel_entries(&format!("vx{VNI}")),
        Running::GoBgp(_) => Err(anyhow!("GoBGP brings nothing into a kernel")),
    }
}

fn count<const K: usize, const V: usize>(folder: &Path, name: &str) -> Result<usize> {
    let path = folder.join(name);
    let data = MapData::from_pin(&path).with_context(|| path.display().to_string())?;
    let table = HashMap::<_, [u8; K], [u8; V]>::try_from(Map::HashMap(data))?;
    Ok(table.keys().filter(std::result::Result::is_ok).count())
}
