//! A subject as VTEP: routes from a peer until they are in the tables that packets are looked up in.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use aya::maps::{HashMap, Map, MapData};
use weft_dataplane_abi::{HostRoute, IpKey, MacKey, NextHop, maps};
use weft_tests::{Lab, Stations, Weftd};
use weft_vxlan::Vni;
use zerocopy::transmute;

use super::lab::{Ground, NETWORK_VNI, Running, SENDER, Subject, Task};
use super::peer::Peer;
use super::routes::{Stream, VNI, station};

/// Seconds from the first byte sent until the kernel has all.
pub(super) fn run(subject: Subject, stream: &Stream, patience: Duration) -> Result<f64> {
    let lab = Lab::new()?;
    let ground = Ground::lay(&lab)?;
    let running = Running::start(subject, Task::Forward, &lab, &ground, stream.count)?;
    let mut watch = Watch::of(&running, &ground)?;
    let sender = Peer::connect(&ground.peers.namespace, SENDER, subject.hold_time())?;
    let (start, sending) = sender.send(&stream.announce)?;
    let end = watch.wait_for(stream.count, patience)?;
    sending.join().map_err(|_| anyhow!("a sender panicked"))??;
    Ok(end.saturating_duration_since(start).as_secs_f64())
}

/// How it is seen that routes are there, without holding up those who bring them.
enum Watch {
    /// The kernel tells of each.
    Fdb(Stations),
    /// Maps are looked into for the last route, and then for all others.
    Maps {
        stations: Table<{ size_of::<MacKey>() }, { size_of::<NextHop>() }>,
        hosts: Table<{ size_of::<IpKey>() }, { size_of::<HostRoute>() }>,
    },
}

type Table<const K: usize, const V: usize> = HashMap<MapData, [u8; K], [u8; V]>;

impl Watch {
    fn of(running: &Running, ground: &Ground) -> Result<Self> {
        Ok(match running {
            Running::Weft(weftd) => {
                Self::Maps { stations: table(weftd, maps::FDB)?, hosts: table(weftd, maps::HOSTS)? }
            }
            Running::Frr(_) => Self::Fdb(ground.subject.namespace.watch_stations(&format!("vx{VNI}"))?),
            Running::GoBgp(_) => bail!("GoBGP brings nothing into a kernel"),
        })
    }

    /// When all of so many were there.
    fn wait_for(&mut self, count: usize, patience: Duration) -> Result<Instant> {
        let (stations, hosts) = match self {
            Self::Fdb(told) => return told.wait_for(count, patience),
            Self::Maps { stations, hosts } => (stations, hosts),
        };
        let deadline = Instant::now() + patience;
        let (subnet, network) = (Vni::new(VNI)?, Vni::new(NETWORK_VNI)?);
        let mut end = None;
        for number in (0..u32::try_from(count)?).rev() {
            let (mac, ip) = station(number)?;
            let mac = transmute!(MacKey::new(subnet, mac));
            let ip = transmute!(IpKey::new(network, ip.into()));
            while stations.get(&mac, 0).is_err() || hosts.get(&ip, 0).is_err() {
                if Instant::now() > deadline {
                    bail!("route {number} of {count} is missing after {patience:?}");
                }
                pause();
                end = None;
            }
            end.get_or_insert_with(Instant::now);
        }
        end.context("no routes")
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a poll loop with a deadline; 10 ms, as others wait, is what is measured"
)]
fn pause() {
    std::thread::sleep(Duration::from_micros(200));
}

fn table<const K: usize, const V: usize>(weftd: &Weftd, name: &str) -> Result<Table<K, V>> {
    let path = weftd.settings().pin_folder.join("maps").join(name);
    let data = MapData::from_pin(&path).with_context(|| path.display().to_string())?;
    Ok(HashMap::try_from(Map::HashMap(data))?)
}
