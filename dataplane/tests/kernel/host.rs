//! A host for a test, and what can be asked of it.
//!
//! ```text
//!   the test's thread: host            its own thread: far end of the wire
//!   under0 192.0.2.1/24 ── veth ──────── eth0 192.0.2.2/24, 192.0.2.254/24
//!   198.51.100.0/24 via 192.0.2.254
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::net::IpAddr;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use std::{env, fs, process, thread};

use futures_util::TryStreamExt;
use netlink_packet_route::link::{InfoData, InfoKind, InfoVeth, LinkAttribute, LinkFlags, LinkMessage};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::statfs::{BPF_FS_MAGIC, statfs};
use rtnetlink::{Handle, LinkMessageBuilder, LinkUnspec, LinkVeth, RouteMessageBuilder};
use weft_dataplane::desired::{
    Desired, FlowLimits, FlowTimeouts, Host as DesiredHost, Network, Port, Security, Subnet,
};
use weft_dataplane::{Dataplane, Hook, Options, Owner, Report, Sizes};
use weft_vxlan::Vni;

const BPF_FOLDER: &str = "/sys/fs/bpf";
/// A condition that is not met by then will not be.
const PATIENCE: Duration = Duration::from_secs(10);

pub const SIZES: Sizes = Sizes {
    ports: 16,
    vnis: 16,
    vteps: 16,
    addresses: 64,
    prefixes: 16,
    flows: 1024,
    half_open: 256,
    rules: 1024,
    events: 65_536,
};

/// As a weftd that nothing else was told has them.
const FLOWS: FlowLimits =
    FlowLimits { timeouts: FlowTimeouts::DEFAULT, per_port: 512, per_tenant: 1024, half_open: 64 };

/// A host of a test.
pub struct TestHost {
    pub options: Options,
    /// A socket of the host's namespace.
    pub netlink: Handle,
    /// The other end of the wire.
    pub far: Pod,
}

/// Runs `test` on a host of its own.
pub fn on_host<F>(name: &str, test: impl FnOnce(TestHost) -> F + Send + 'static)
where
    F: Future<Output = ()>,
{
    if let Some(missing) = missing() {
        assert!(env::var_os("CI").is_none(), "CI must be able to run {name}, but {missing}");
        println!("skipped, because {missing}");
        return;
    }
    let folder = Folder(PathBuf::from(format!("{BPF_FOLDER}/weft-test-{}-{name}", process::id())));
    let options = Options { pin_folder: folder.0.clone(), sizes: SIZES, hook: hook(), keep_routes: false };
    let outcome = thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let netlink = connect();
            let far = Pod::new();
            lay_wire(&netlink, &far).await;
            test(TestHost { options, netlink, far }).await;
        });
    })
    .join();
    drop(folder);
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}

/// How programs are to be attached: `WEFT_TEST_HOOK=clsact` runs the tests on a newer kernel as on one without tcx.
pub fn hook() -> Option<Hook> {
    (env::var_os("WEFT_TEST_HOOK")? == "clsact").then_some(Hook::Clsact)
}

/// What this machine lacks for such tests.
fn missing() -> Option<String> {
    if !nix::unistd::geteuid().is_root() {
        return Some("it needs root".to_owned());
    }
    match statfs(BPF_FOLDER) {
        Ok(found) if found.filesystem_type() == BPF_FS_MAGIC => None,
        _ => Some(format!("it needs a BPF file system at {BPF_FOLDER}")),
    }
}

/// A pin folder that is removed with all pins, also after a panic.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn connect() -> Handle {
    let (connection, handle, _) = rtnetlink::new_connection().unwrap();
    tokio::spawn(connection);
    handle
}

async fn lay_wire(netlink: &Handle, far: &Pod) {
    let file = fs::File::open(&far.path).unwrap();
    let mut peer = LinkMessage::default();
    peer.attributes =
        vec![LinkAttribute::IfName("eth0".to_owned()), LinkAttribute::NetNsFd(file.as_raw_fd())];
    let veth = LinkMessageBuilder::<LinkVeth>::new_with_info_kind(InfoKind::Veth)
        .name("under0")
        .set_info_data(InfoData::Veth(InfoVeth::Peer(peer)))
        .build();
    netlink.link().add(veth).execute().await.unwrap();
    let index = index(netlink, "under0").await.unwrap();
    add_address(netlink, index, "192.0.2.1", 24).await;
    up(netlink, index).await;
    far.run(|netlink| async move {
        let index = self::index(&netlink, "eth0").await.unwrap();
        add_address(&netlink, index, "192.0.2.2", 24).await;
        add_address(&netlink, index, "192.0.2.254", 24).await;
        up(&netlink, index).await;
    })
    .await;
    let route = RouteMessageBuilder::<std::net::Ipv4Addr>::new()
        .destination_prefix([198, 51, 100, 0].into(), 24)
        .gateway([192, 0, 2, 254].into())
        .build();
    netlink.route().add(route).execute().await.unwrap();
}

pub async fn add_address(netlink: &Handle, index: u32, address: &str, prefix: u8) {
    let address: IpAddr = address.parse().unwrap();
    netlink.address().add(index, address, prefix).execute().await.unwrap();
}

pub async fn up(netlink: &Handle, index: u32) {
    netlink.link().set(LinkUnspec::new_with_index(index).up().build()).execute().await.unwrap();
}

/// All devices by name.
pub async fn links(netlink: &Handle) -> BTreeMap<String, LinkMessage> {
    let links: Vec<_> = netlink.link().get().execute().try_collect().await.unwrap();
    let named = links.into_iter().map(|link| (name(&link), link));
    named.collect()
}

pub async fn index(netlink: &Handle, device: &str) -> Option<u32> {
    links(netlink).await.get(device).map(|link| link.header.index)
}

fn name(link: &LinkMessage) -> String {
    let name = link.attributes.iter().find_map(|attribute| {
        if let LinkAttribute::IfName(name) = attribute { Some(name.clone()) } else { None }
    });
    name.unwrap()
}

pub fn is_up(link: &LinkMessage) -> bool {
    link.header.flags.contains(LinkFlags::Up)
}

/// A workload's network namespace, held by a thread.
pub struct Pod {
    pub path: PathBuf,
    keeper: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Pod {
    pub fn new() -> Self {
        let (ready, path) = channel();
        let (stop, stopped) = channel::<()>();
        let thread = thread::spawn(move || {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            let (process, thread) = (process::id(), nix::unistd::gettid());
            ready.send(PathBuf::from(format!("/proc/{process}/task/{thread}/ns/net"))).unwrap();
            let _ = stopped.recv();
        });
        Self { path: path.recv().unwrap(), keeper: Some((stop, thread)) }
    }

    /// Runs `inside` with a socket of the namespace.
    pub async fn run<T, F>(&self, inside: impl FnOnce(Handle) -> F + Send + 'static) -> T
    where
        F: Future<Output = T>,
        T: Send + 'static,
    {
        let path = self.path.clone();
        let (sender, answer) = tokio::sync::oneshot::channel();
        let thread = thread::spawn(move || {
            setns(fs::File::open(path).unwrap(), CloneFlags::CLONE_NEWNET).unwrap();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let _ = sender.send(runtime.block_on(async { inside(connect()).await }));
        });
        let answer = answer.await;
        thread.join().unwrap();
        answer.unwrap()
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.keeper.take() {
            drop(stop);
            let _ = thread.join();
        }
    }
}

pub fn vni(number: u32) -> Vni {
    Vni::new(number).unwrap()
}

/// A host without ports: network 100 with subnet 200, 10.0.0.0/24 and 2001:db8::/64.
pub fn desired() -> Desired {
    let subnet = Subnet {
        name: "front".to_owned(),
        network: vni(100),
        ipv4: Some(("10.0.0.0/24".parse().unwrap(), "10.0.0.1".parse().unwrap())),
        ipv6: Some(("2001:db8::/64".parse().unwrap(), "2001:db8::1".parse().unwrap())),
    };
    Desired {
        host: DesiredHost {
            underlay: "under0".to_owned(),
            vtep: "192.0.2.1".parse().unwrap(),
            udp_port: 4789,
            router_mac: "02:00:c0:00:02:01".parse().unwrap(),
            gateway_mac: "02:00:00:00:00:fe".parse().unwrap(),
            limits: weft_dataplane::desired::Limits::default(),
            flows: FLOWS,
            xdp: weft_dataplane::desired::Xdp::default(),
            software_checksums: BTreeSet::new(),
        },
        subnets: BTreeMap::from([(vni(200), subnet)]),
        networks: BTreeMap::from([(vni(100), Network { name: "red".to_owned(), sees: Vec::new() })]),
        ports: BTreeMap::new(),
        flood: BTreeMap::new(),
        remote_hosts: BTreeMap::new(),
        remote_prefixes: BTreeMap::new(),
        remote_macs: BTreeMap::new(),
    }
}

/// Port `number` in the namespace at `netns`: 10.0.0.`number` and 2001:db8::`number`.
pub fn port(number: u8, netns: &Path) -> Port {
    Port {
        subnet: vni(200),
        mac: format!("02:00:00:00:00:{number:02x}").parse().unwrap(),
        ipv4: Some([10, 0, 0, number].into()),
        ipv6: Some(format!("2001:db8::{number:x}").parse().unwrap()),
        netns: netns.to_owned(),
        device: "eth0".to_owned(),
        tenant: "acme".to_owned(),
        security: Security::open(),
    }
}

/// [`desired`] with port `a`, number 10, in the namespace of `pod`.
pub fn desired_with_port(pod: &Pod) -> Desired {
    let mut desired = desired();
    desired.ports.insert("a".to_owned(), port(10, &pod.path));
    desired
}

/// Reconciles and requires that nothing failed.
pub async fn reconcile(dataplane: &mut Dataplane, desired: &Desired) -> Report {
    let report = dataplane.reconcile(desired).await;
    assert!(report.failures.is_empty(), "{:#?}", report.failures);
    report
}

/// Waits until `condition` gives a value.
pub async fn eventually<T>(what: &str, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    // An emulated machine is slower.
    let slowness = env::var("WEFT_TEST_SLOWNESS").ok().and_then(|factor| factor.parse().ok()).unwrap_or(1);
    let deadline = Instant::now() + PATIENCE * slowness;
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        assert!(Instant::now() < deadline, "still waiting for: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The store that the tests' intent comes from.
pub fn owner() -> Owner {
    Owner { store: "0123456789abcdef".to_owned(), take_over: false }
}
