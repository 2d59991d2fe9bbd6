//! Pins: what a weftd leaves to the next, and what the next refuses.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use aya::maps::{Array, HashMap, Map, MapData, MapInfo};
use weft_dataplane::{Dataplane, OpenError, Options};
use weft_dataplane_abi::{Endpoint, maps};

use crate::attached::attached;
use crate::host::{Pod, desired, desired_with_port, on_host, owner, port, reconcile};

pub fn map_ids(folder: &Path) -> BTreeMap<&'static str, u32> {
    let id = |name| (name, MapInfo::from_pin(folder.join("maps").join(name)).unwrap().id());
    maps::ALL.into_iter().map(id).collect()
}

/// Keys of the pinned endpoints.
pub fn endpoints(folder: &Path) -> Vec<u32> {
    let data = MapData::from_pin(folder.join("maps").join(maps::ENDPOINTS)).unwrap();
    let endpoints: HashMap<_, u32, [u8; size_of::<Endpoint>()]> =
        Map::from_map_data(data).unwrap().try_into().unwrap();
    endpoints.keys().map(Result::unwrap).collect()
}

fn set_abi(folder: &Path, version: u32) {
    let data = MapData::from_pin(folder.join("maps").join(maps::ABI)).unwrap();
    let mut abi: Array<_, u32> = Map::from_map_data(data).unwrap().try_into().unwrap();
    abi.set(0, version, 0).unwrap();
}

async fn refusal(options: &Options) -> OpenError {
    Dataplane::open(options.clone(), owner()).await.expect_err("opening must be refused")
}

#[test]
fn the_next_adopts_maps_and_links_and_only_the_programs_are_new() {
    on_host("adopt", async |host| {
        let folder = &host.options.pin_folder;
        let pod = Pod::new();
        let desired = desired_with_port(&pod);
        let mut dataplane = Dataplane::open(host.options.clone(), owner()).await.unwrap();
        reconcile(&mut dataplane, &desired).await;
        let (links_before, maps_before, endpoints_before) =
            (attached(&host).await, map_ids(folder), endpoints(folder));
        assert_eq!(links_before.len(), 3);
        assert_eq!(endpoints_before.len(), 1);

        drop(dataplane);
        assert_eq!(attached(&host).await, links_before, "the links stay without a daemon");
        let mut dataplane = Dataplane::open(host.options.clone(), owner()).await.unwrap();
        assert_eq!((map_ids(folder), endpoints(folder)), (maps_before, endpoints_before));
        for (name, (link, program)) in attached(&host).await {
            let (link_before, program_before) = links_before[&name];
            assert_eq!(link, link_before, "{name} was never detached");
            assert_ne!(program, program_before, "{name} holds the new program");
        }
        assert_eq!(reconcile(&mut dataplane, &desired).await.changes, []);
    });
}

/// Where the victim of [`whenever_it_is_killed_the_next_goes_on`], which is the same test in a process of its own, finds
/// its pin folder and its port's namespace.
const VICTIM_FOLDER: &str = "WEFT_TEST_VICTIM_FOLDER";
const VICTIM_NETNS: &str = "WEFT_TEST_VICTIM_NETNS";

#[test]
fn whenever_it_is_killed_the_next_goes_on() {
    if let (Some(folder), Some(netns)) = (std::env::var_os(VICTIM_FOLDER), std::env::var_os(VICTIM_NETNS)) {
        victim(folder.into(), Path::new(&netns));
    }
    on_host("killed", async |host| {
        let pod = Pod::new();
        let desired = desired_with_port(&pod);
        for round in 0..15 {
            // A new process, but in this thread's network namespace.
            let mut victim = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "pins::whenever_it_is_killed_the_next_goes_on", "--nocapture"])
                .env(VICTIM_FOLDER, &host.options.pin_folder)
                .env(VICTIM_NETNS, &pod.path)
                .stdout(Stdio::null())
                .spawn()
                .unwrap();
            // Killed at another moment each time: here the delay is the point.
            tokio::time::sleep(Duration::from_millis(20 + 35 * round)).await;
            assert!(victim.try_wait().unwrap().is_none(), "the victim ended by itself");
            victim.kill().unwrap();
            victim.wait().unwrap();

            let mut dataplane = Dataplane::open(host.options.clone(), owner()).await.unwrap();
            reconcile(&mut dataplane, &desired).await;
            assert_eq!(reconcile(&mut dataplane, &desired).await.changes, [], "round {round}");
        }
    });
}

/// Opens, reconciles and tears down until it is killed.
#[tokio::main(flavor = "current_thread")]
async fn victim(pin_folder: PathBuf, netns: &Path) -> ! {
    let options =
        Options { pin_folder, sizes: crate::host::SIZES, hook: crate::host::hook(), keep_routes: false };
    let mut with_port = desired();
    with_port.ports.insert("a".to_owned(), port(10, netns));
    loop {
        let mut dataplane = Dataplane::open(options.clone(), owner()).await.unwrap();
        for desired in [&with_port, &desired()] {
            dataplane.reconcile(desired).await;
        }
        drop(dataplane);
        Dataplane::teardown(&options).await.unwrap();
    }
}

#[test]
fn one_at_a_time_in_a_pin_folder() {
    on_host("lock", async |host| {
        let _first = Dataplane::open(host.options.clone(), owner()).await.unwrap();
        let options = host.options.clone();
        let (error, failures) = Pod::new()
            .run(async move |_| (refusal(&options).await, Dataplane::teardown(&options).await.unwrap_err()))
            .await;
        assert!(matches!(error, OpenError::InUse { .. }), "{error}");
        assert!(failures[0].cause.contains("in use by another weftd"), "{failures:#?}");
    });
}

#[test]
fn one_at_a_time_in_a_network_namespace() {
    on_host("tenure", async |host| {
        let pod = Pod::new();
        let mut first = Dataplane::open(host.options.clone(), owner()).await.unwrap();
        let report = reconcile(&mut first, &desired_with_port(&pod)).await;
        let pin_folder = host.options.pin_folder.join("second");
        let second = Options { pin_folder, ..host.options.clone() };
        let error = refusal(&second).await;
        assert!(matches!(error, OpenError::NamespaceInUse { .. }), "{error}");
        assert!(!second.pin_folder.exists(), "nothing was changed");
        let failures = Dataplane::teardown(&second).await.unwrap_err();
        assert!(
            failures[0].cause.starts_with("another weftd manages this network namespace"),
            "{failures:#?}"
        );
        assert!(crate::host::index(&host.netlink, &report.ports["a"].device).await.is_some());
        drop(first);
        drop(Dataplane::open(host.options.clone(), owner()).await.unwrap());
    });
}

#[test]
fn another_abi_is_refused_and_explained() {
    on_host("abi", async |host| {
        let folder = &host.options.pin_folder;
        drop(Dataplane::open(host.options.clone(), owner()).await.unwrap());
        let before = map_ids(folder);
        set_abi(folder, 77);
        let error = refusal(&host.options).await.to_string();
        let expected = format!("hold ABI version 77, this weftd speaks {}", weft_dataplane_abi::ABI_VERSION);
        assert!(error.contains(&expected), "{error}");
        assert!(error.contains("weft teardown"), "{error}");
        assert_eq!(map_ids(folder), before, "nothing was changed");
    });
}

#[test]
fn another_layout_is_refused_and_explained() {
    on_host("layout", async |host| {
        let maps_folder = host.options.pin_folder.join("maps");
        drop(Dataplane::open(host.options.clone(), owner()).await.unwrap());
        fs::remove_file(maps_folder.join(maps::PREFIXES)).unwrap();
        let other = MapData::from_pin(maps_folder.join(maps::ABI)).unwrap();
        other.pin(maps_folder.join(maps::PREFIXES)).unwrap();
        let before = map_ids(&host.options.pin_folder);
        let error = refusal(&host.options).await.to_string();
        assert!(error.contains("PREFIXES is a Array of 1 entries"), "{error}");
        assert!(error.contains("this weftd makes a LpmTrie of 16 entries"), "{error}");
        assert_eq!(map_ids(&host.options.pin_folder), before, "nothing was changed");
    });
}

#[test]
fn what_an_interrupted_open_left_is_no_obstacle() {
    on_host("interrupted", async |host| {
        let folder = &host.options.pin_folder;
        drop(Dataplane::open(host.options.clone(), owner()).await.unwrap());
        // The ABI is pinned last.
        fs::remove_file(folder.join("maps").join(maps::ABI)).unwrap();
        fs::remove_file(folder.join("maps").join(maps::VTEPS)).unwrap();
        drop(Dataplane::open(host.options.clone(), owner()).await.unwrap());
        assert_eq!(map_ids(folder).len(), maps::ALL.len());
    });
}

#[test]
fn links_without_an_abi_are_not_guessed_at() {
    on_host("unmarked", async |host| {
        let pod = Pod::new();
        let mut dataplane = Dataplane::open(host.options.clone(), owner()).await.unwrap();
        reconcile(&mut dataplane, &desired_with_port(&pod)).await;
        drop(dataplane);
        fs::remove_file(host.options.pin_folder.join("maps").join(maps::ABI)).unwrap();
        let error = refusal(&host.options).await;
        assert!(matches!(error, OpenError::Unmarked { .. }), "{error}");
    });
}

#[test]
fn a_folder_elsewhere_is_refused() {
    on_host("elsewhere", async |host| {
        let pin_folder = std::env::temp_dir().join("weft-test-no-bpffs");
        let error = refusal(&Options { pin_folder: pin_folder.clone(), ..host.options }).await.to_string();
        assert!(error.contains("is not on a BPF file system: mount one"), "{error}");
        assert!(!pin_folder.exists());
    });
}
