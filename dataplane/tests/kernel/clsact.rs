//! Kernels without tcx: programs are filters of a clsact that may be somebody else's too. Runs on every kernel.

use aya::programs::{SchedClassifier, tc};
use netlink_packet_route::tc::{TcAttribute, TcHandle};
use weft_dataplane::{Dataplane, Hook, Options};

use crate::attached::{attached, filters, programs};
use crate::host::{Pod, TestHost, desired, desired_with_port, index, on_host, owner, reconcile};

/// The host, as on a kernel without tcx.
fn without_tcx(mut host: TestHost) -> TestHost {
    host.options.hook = Some(Hook::Clsact);
    host
}

/// The queueing disciplines of a device, but for those that every device has.
async fn clsacts(host: &TestHost, device: &str) -> usize {
    use futures_util::TryStreamExt as _;
    let index = i32::try_from(index(&host.netlink, device).await.unwrap()).unwrap();
    let all: Vec<_> = host.netlink.qdisc().get().index(index).execute().try_collect().await.unwrap();
    let is_clsact =
        |attribute: &TcAttribute| matches!(attribute, TcAttribute::Kind(kind) if kind == "clsact");
    all.iter()
        .filter(|qdisc| qdisc.header.index == index && qdisc.header.parent == TcHandle::CLSACT)
        .filter(|qdisc| qdisc.attributes.iter().any(is_clsact))
        .count()
}

#[test]
fn programs_are_where_they_belong_and_stay_without_a_daemon() {
    on_host("clsact", async |host| {
        let (host, pod) = (without_tcx(host), Pod::new());
        let mut dataplane = Dataplane::open(host.options.clone(), owner()).await.unwrap();
        assert_eq!(dataplane.hook(), Hook::Clsact);
        let report = reconcile(&mut dataplane, &desired_with_port(&pod)).await;
        let place = async |device: &str| {
            let filters = filters(&host.netlink, index(&host.netlink, device).await.unwrap()).await;
            filters.into_iter().map(|filter| (filter.name, filter.priority)).collect::<Vec<_>>()
        };
        let guarded = |program: &str| vec![(program.to_owned(), 1), ("guard".to_owned(), 0xffff)];
        assert_eq!(place(&report.ports["a"].device).await, guarded("from_pod"));
        assert_eq!(place("weft-vxlan").await, guarded("from_vxlan"));
        assert_eq!(place("under0").await, [("from_underlay".to_owned(), 0xfff0)]);

        let before = attached(&host).await;
        drop(dataplane);
        assert_eq!(attached(&host).await, before);
        let mut dataplane = Dataplane::open(host.options.clone(), owner()).await.unwrap();
        let after = attached(&host).await;
        assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
        assert!(before.iter().all(|(name, ids)| after[name] != *ids), "the programs are new: {after:?}");
        assert_eq!(reconcile(&mut dataplane, &desired_with_port(&pod)).await.changes, []);
    });
}

#[test]
fn a_clsact_that_we_made_goes_with_us() {
    on_host("clsact-ours", async |host| {
        let host = without_tcx(host);
        let mut dataplane = Dataplane::open(host.options.clone(), owner()).await.unwrap();
        reconcile(&mut dataplane, &desired()).await;
        assert_eq!(clsacts(&host, "under0").await, 1);
        drop(dataplane);
        Dataplane::teardown(&host.options).await.unwrap();
        assert_eq!(clsacts(&host, "under0").await, 0);
        assert!(!host.options.pin_folder.exists());
    });
}

#[test]
fn a_clsact_that_is_somebody_elses_stays() {
    on_host("clsact-theirs", async |host| {
        let host = without_tcx(host);
        tc::qdisc_add_clsact("under0").unwrap();
        let mut dataplane = Dataplane::open(host.options.clone(), owner()).await.unwrap();
        reconcile(&mut dataplane, &desired()).await;
        drop(dataplane);
        Dataplane::teardown(&host.options).await.unwrap();
        assert_eq!(clsacts(&host, "under0").await, 1);
        assert!(programs(&host.netlink, "under0").await.is_empty());
    });
}

#[test]
fn a_clsact_of_ours_stays_for_the_filter_of_another() {
    on_host("clsact-shared", async |host| {
        let host = without_tcx(host);
        let mut dataplane = Dataplane::open(host.options.clone(), owner()).await.unwrap();
        reconcile(&mut dataplane, &desired()).await;
        drop(dataplane);
        let ours = programs(&host.netlink, "under0").await;
        let (_filter, theirs) = attach_foreign_filter("under0");
        assert_eq!(programs(&host.netlink, "under0").await, [theirs, ours[0]], "ours runs last");
        Dataplane::teardown(&host.options).await.unwrap();
        assert_eq!(
            (clsacts(&host, "under0").await, programs(&host.netlink, "under0").await),
            (1, vec![theirs])
        );
    });
}

/// Attaches a program of nobody's as a filter, at the priority that the kernel gives.
fn attach_foreign_filter(device: &str) -> (aya::Ebpf, u32) {
    static OBJECT: &[u8] = aya::include_bytes_aligned!(env!("WEFT_BPF_OBJECT"));
    let mut ebpf = aya::Ebpf::load(OBJECT).unwrap();
    let program: &mut SchedClassifier = ebpf.program_mut("guard").unwrap().try_into().unwrap();
    program.load().unwrap();
    let options = tc::TcAttachOptions::Netlink(tc::NlOptions::default());
    program.attach_with_options(device, tc::TcAttachType::Ingress, options).unwrap();
    let id = program.info().unwrap().id();
    (ebpf, id)
}

#[test]
fn lost_pins_of_links_lose_nothing() {
    on_host("clsact-lost", async |host| {
        let (host, pod) = (without_tcx(host), Pod::new());
        let mut dataplane = Dataplane::open(host.options.clone(), owner()).await.unwrap();
        reconcile(&mut dataplane, &desired_with_port(&pod)).await;
        drop(dataplane);
        let before = attached(&host).await;
        std::fs::remove_dir(host.options.pin_folder.join("links")).unwrap();
        let mut dataplane = Dataplane::open(host.options.clone(), owner()).await.unwrap();
        assert_eq!(reconcile(&mut dataplane, &desired_with_port(&pod)).await.changes, []);
        assert_eq!(attached(&host).await.len(), before.len());
    });
}

#[test]
fn a_filter_that_somebody_removes_is_made_again() {
    on_host("clsact-removed", async |host| {
        let (host, pod) = (without_tcx(host), Pod::new());
        let mut dataplane = Dataplane::open(host.options.clone(), owner()).await.unwrap();
        let device = reconcile(&mut dataplane, &desired_with_port(&pod)).await.ports["a"].device.clone();
        // All of them: the guard too.
        let index = i32::try_from(index(&host.netlink, &device).await.unwrap()).unwrap();
        let before = attached(&host).await.len();
        host.netlink.traffic_filter(index).del().ingress().execute().await.unwrap();
        assert_eq!(attached(&host).await.len(), before - 1);
        reconcile(&mut dataplane, &desired_with_port(&pod)).await;
        assert_eq!(attached(&host).await.len(), before);
    });
}

#[test]
fn what_is_attached_by_tcx_stays_so_and_the_other_way_round() {
    on_host("clsact-both", async |host| {
        let (host, pod) = (without_tcx(host), Pod::new());
        let desired = desired_with_port(&pod);
        let mut dataplane = Dataplane::open(host.options.clone(), owner()).await.unwrap();
        reconcile(&mut dataplane, &desired).await;
        drop(dataplane);
        let names = async || attached(&host).await.into_keys().collect::<Vec<_>>();
        let before = names().await;
        // As the kernel has it, and back.
        for hook in [None, Some(Hook::Clsact)] {
            let options = Options { hook, ..host.options.clone() };
            let mut dataplane = Dataplane::open(options, owner()).await.unwrap();
            assert_eq!(reconcile(&mut dataplane, &desired).await.changes, []);
            assert_eq!(names().await, before);
        }
        Dataplane::teardown(&host.options).await.unwrap();
        assert!(names_left(&host).await.is_empty());
    });
}

async fn names_left(host: &TestHost) -> Vec<u32> {
    programs(&host.netlink, "under0").await
}

#[test]
fn a_stranger_s_filter_is_refused() {
    on_host("clsact-stranger", async |host| {
        let host = without_tcx(host);
        let mut dataplane = Dataplane::open(host.options.clone(), owner()).await.unwrap();
        reconcile(&mut dataplane, &desired()).await;
        drop(dataplane);
        let moved = Options { pin_folder: host.options.pin_folder.join("moved"), ..host.options.clone() };
        let refused = Dataplane::open(moved, owner()).await.unwrap_err().to_string();
        assert!(refused.contains("from_vxlan on device weft-vxlan"), "{refused}");
        let mut dataplane = Dataplane::open(host.options.clone(), owner()).await.unwrap();
        assert_eq!(reconcile(&mut dataplane, &desired()).await.changes, []);
    });
}
