//! Other sizes of the maps: a weftd that is configured so moves the entries, and no packet notices.
//!
//! ```text
//!   pod a 10.0.0.10 ── host ── pod b 10.0.0.11
//! ```

use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use std::{env, fs, thread};

use aya::maps::{MapData, MapInfo};
use nix::sys::socket::{setsockopt, sockopt};
use weft_dataplane::desired::Desired;
use weft_dataplane::{Change, Dataplane, OpenError, Options, Sizes};
use weft_dataplane_abi::maps;

use crate::host::{Pod, SIZES, desired, on_host, owner, port, reconcile};
use crate::pins::{endpoints, map_ids};
use crate::traffic::{arrives, socket};

const LARGER: Sizes = Sizes {
    ports: 32,
    vnis: 40,
    vteps: 17,
    addresses: 200,
    prefixes: 64,
    flows: 2048,
    half_open: 512,
    rules: 2048,
    events: 131_072,
};

pub fn with_ports(first: &Path, second: &Path) -> Desired {
    let mut desired = desired();
    desired.ports.insert("a".to_owned(), port(10, first));
    desired.ports.insert("b".to_owned(), port(11, second));
    desired.remote_hosts = crate::next_hops::remote("192.0.2.2");
    desired
}

fn capacity(pin_folder: &Path, map: &str) -> u32 {
    MapInfo::from_pin(pin_folder.join("maps").join(map)).unwrap().max_entries()
}

/// What changes besides the endpoints: where a tenant's connections are counted is behind the slots of all ports that there is
/// room for.
async fn unexpected(dataplane: &mut Dataplane, desired: &Desired) -> Vec<Change> {
    let mut changes = reconcile(dataplane, desired).await.changes;
    changes.retain(|change| !matches!(change, Change::Table { map: maps::ENDPOINTS, .. }));
    changes
}

#[test]
fn growth_and_shrinkage_lose_no_packet_no_entry_and_no_count() {
    on_host("grow", async |host| {
        let (first, second) = (Pod::new(), Pod::new());
        let desired = with_ports(&first.path, &second.path);
        let mut dataplane = Dataplane::open(host.options.clone(), owner()).await.unwrap();
        reconcile(&mut dataplane, &desired).await;
        let from = socket(&first, "10.0.0.10").await;
        let to = socket(&second, "10.0.0.11").await;
        setsockopt(&to, sockopt::RcvBufForce, &(4 << 20)).unwrap();
        arrives(&from, &to, "10.0.0.11", b"hello").await;

        let flow = Flow::start(from, to);
        for sizes in [LARGER, SIZES, LARGER] {
            let before = dataplane.counters().unwrap()["a"].from_port.packets;
            drop(dataplane);
            let folder = &host.options.pin_folder;
            let (ids, held) = (map_ids(folder), endpoints(folder));
            dataplane = Dataplane::open(Options { sizes, ..host.options.clone() }, owner()).await.unwrap();
            assert!(dataplane.counters().unwrap()["a"].from_port.packets >= before);
            assert_eq!(capacity(folder, maps::HOSTS), sizes.addresses);
            assert_eq!(capacity(folder, maps::COUNTERS), sizes.ports + 1);
            let mut held_now = endpoints(folder);
            held_now.sort_unstable();
            assert_eq!(held_now, {
                let mut held = held;
                held.sort_unstable();
                held
            });
            for (map, id) in map_ids(folder) {
                let same = [
                    maps::ABI,
                    maps::HOST,
                    maps::UNDERLAYS,
                    maps::PATH_MTU,
                    maps::GENERATION,
                    maps::FRAGMENTS,
                ];
                let same = same.contains(&map);
                assert_eq!(id == ids[map], same, "{map}");
            }
            assert!(!folder.join("resized").exists());
            assert_eq!(unexpected(&mut dataplane, &desired).await, [], "{sizes:?}");
        }
        let (sent, received) = flow.stop();
        assert!(sent > 100, "{sent}");
        assert_eq!(received, sent);
    });
}

/// Datagrams from one socket to another, one a millisecond.
struct Flow {
    stop: std::sync::Arc<AtomicBool>,
    threads: [thread::JoinHandle<u32>; 2],
}

impl Flow {
    fn start(from: UdpSocket, to: UdpSocket) -> Self {
        let stop = std::sync::Arc::new(AtomicBool::new(false));
        let stopped = std::sync::Arc::clone(&stop);
        let sender = thread::spawn(move || {
            let mut sent = 0;
            while !stopped.load(Ordering::Relaxed) {
                from.send_to(b"flow", "10.0.0.11:7000").unwrap();
                sent += 1;
                #[expect(clippy::disallowed_methods, reason = "it paces a sender and waits for nothing")]
                thread::sleep(Duration::from_millis(1));
            }
            sent
        });
        let stopped = std::sync::Arc::clone(&stop);
        let receiver = thread::spawn(move || {
            let mut received = 0;
            loop {
                let is_last = stopped.load(Ordering::Relaxed);
                match to.recv(&mut [0; 64]) {
                    Ok(length) => received += u32::from(length == 4),
                    Err(_) if is_last => return received,
                    Err(_) => {}
                }
            }
        });
        Self { stop, threads: [sender, receiver] }
    }

    /// How many were sent, and how many came.
    fn stop(self) -> (u32, u32) {
        self.stop.store(true, Ordering::Relaxed);
        let [sent, received] = self.threads.map(|thread| thread.join().unwrap());
        (sent, received)
    }
}

#[test]
fn what_does_not_fit_any_more_is_refused_by_the_key() {
    on_host("shrink", async |host| {
        let (first, second) = (Pod::new(), Pod::new());
        let mut dataplane = Dataplane::open(host.options.clone(), owner()).await.unwrap();
        reconcile(&mut dataplane, &with_ports(&first.path, &second.path)).await;
        drop(dataplane);
        let before = map_ids(&host.options.pin_folder);
        for (sizes, words) in [
            (
                Sizes { addresses: 3, ..SIZES },
                ["3 entries fit into the map HOSTS", "raise sizes.addresses in"],
            ),
            (Sizes { ports: 1, ..SIZES }, ["1 entries fit into the map ENDPOINTS", "raise sizes.ports in"]),
        ] {
            let refused =
                Dataplane::open(Options { sizes, ..host.options.clone() }, owner()).await.unwrap_err();
            assert!(matches!(refused, OpenError::TooSmall { .. }), "{refused}");
            let text = refused.to_string();
            assert!(words.iter().all(|words| text.contains(words)), "{text}");
            assert_eq!(map_ids(&host.options.pin_folder), before, "nothing was changed");
            assert!(!host.options.pin_folder.join("resized").exists());
        }
    });
}

#[test]
fn what_an_interrupted_change_left_is_no_obstacle() {
    on_host("resize-left", async |host| {
        let (first, second) = (Pod::new(), Pod::new());
        let desired = with_ports(&first.path, &second.path);
        let folder = &host.options.pin_folder;
        let mut dataplane = Dataplane::open(host.options.clone(), owner()).await.unwrap();
        reconcile(&mut dataplane, &desired).await;
        drop(dataplane);
        let pin = |map: &str| folder.join("maps").join(map);
        let old = [maps::FDB, maps::COUNTERS].map(|map| (map, MapData::from_pin(pin(map)).unwrap()));
        let larger = Options { sizes: LARGER, ..host.options.clone() };
        drop(Dataplane::open(larger.clone(), owner()).await.unwrap());

        // As if it had been killed when half of the new pins were in place.
        fs::create_dir(folder.join("resized")).unwrap();
        for (map, old) in old {
            fs::rename(pin(map), folder.join("resized").join(map)).unwrap();
            old.pin(pin(map)).unwrap();
        }
        for options in [&larger, &host.options] {
            let mut dataplane = Dataplane::open(options.clone(), owner()).await.unwrap();
            assert_eq!(unexpected(&mut dataplane, &desired).await, []);
            assert_eq!(capacity(folder, maps::FDB), options.sizes.addresses);
            assert!(!folder.join("resized").exists());
        }
        fs::create_dir(folder.join("resized")).unwrap();
        MapData::from_pin(pin(maps::FDB)).unwrap().pin(folder.join("resized").join(maps::FDB)).unwrap();
        Dataplane::teardown(&host.options).await.unwrap();
        assert!(!folder.exists());
    });
}

/// Where the victim of [`killed_at_any_moment_of_it_the_maps_are_whole`], which is the same test in a process of its
/// own, finds its pin folder.
const VICTIM_FOLDER: &str = "WEFT_TEST_RESIZED_FOLDER";

#[test]
fn killed_at_any_moment_of_it_the_maps_are_whole() {
    if let Some(folder) = env::var_os(VICTIM_FOLDER) {
        victim(folder.into());
    }
    on_host("resize-killed", async |host| {
        let (first, second) = (Pod::new(), Pod::new());
        let desired = with_ports(&first.path, &second.path);
        let folder = &host.options.pin_folder;
        let mut dataplane = Dataplane::open(host.options.clone(), owner()).await.unwrap();
        reconcile(&mut dataplane, &desired).await;
        let from = socket(&first, "10.0.0.10").await;
        let to = socket(&second, "10.0.0.11").await;
        arrives(&from, &to, "10.0.0.11", b"hello").await;
        let counted = dataplane.counters().unwrap()["a"].from_port.packets;
        drop(dataplane);
        let mut interrupted = 0;
        for round in 0..24 {
            let mut victim = Command::new(env::current_exe().unwrap())
                .args(["--exact", "sizes::killed_at_any_moment_of_it_the_maps_are_whole", "--nocapture"])
                .env(VICTIM_FOLDER, folder)
                .stdout(Stdio::null())
                .spawn()
                .unwrap();
            // Killed at another moment each time: here the delay is the point.
            tokio::time::sleep(Duration::from_millis(60 + 13 * round)).await;
            assert!(victim.try_wait().unwrap().is_none(), "the victim ended by itself");
            victim.kill().unwrap();
            victim.wait().unwrap();
            interrupted += u32::from(folder.join("resized").exists());

            from.send_to(b"now", "10.0.0.11:7000").unwrap();
            // What comes before it was sent by `arrives`, which sends until the first comes.
            let now = std::iter::repeat_with(|| to.recv(&mut [0; 64]).unwrap()).find(|length| *length == 3);
            assert!(now.is_some(), "the first packet arrives, in round {round}");
            let sizes = if round % 2 == 0 { SIZES } else { LARGER };
            let options = Options { sizes, ..host.options.clone() };
            let mut dataplane = Dataplane::open(options, owner()).await.unwrap();
            assert!(!folder.join("resized").exists());
            assert_eq!(unexpected(&mut dataplane, &desired).await, [], "round {round}");
            assert!(dataplane.counters().unwrap()["a"].from_port.packets >= counted);
        }
        assert!(interrupted > 0, "no moment of a change was hit");
    });
}

/// Opens with one size and the other until it is killed.
#[tokio::main(flavor = "current_thread")]
async fn victim(pin_folder: PathBuf) -> ! {
    loop {
        for sizes in [SIZES, LARGER] {
            let options = Options {
                pin_folder: pin_folder.clone(),
                sizes,
                hook: crate::host::hook(),
                keep_routes: false,
            };
            drop(Dataplane::open(options, owner()).await.unwrap());
        }
    }
}
