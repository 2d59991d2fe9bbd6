//! A pin folder follows one store: another's weftd, with nothing in its store, must not remove what is there.

use std::fs;
use std::path::Path;

use weft_dataplane::{Dataplane, OpenError, Owner};
use weft_dataplane_abi::maps;

use crate::attached::attached;
use crate::host::{Pod, desired, desired_with_port, index, on_host, owner, reconcile};

fn other(take_over: bool) -> Owner {
    Owner { store: "fedcba98".to_owned(), take_over }
}

/// What is in the folder of the record.
fn recorded(pin_folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(pin_folder.join("owner")).unwrap().map(Result::unwrap);
    entries.map(|entry| entry.file_name().into_string().unwrap()).collect()
}

#[test]
fn another_store_is_refused_and_may_take_over() {
    on_host("owner", async |host| {
        let (folder, pod) = (&host.options.pin_folder, Pod::new());
        let mut dataplane = Dataplane::open(host.options.clone(), owner()).await.unwrap();
        let device = reconcile(&mut dataplane, &desired_with_port(&pod)).await.ports["a"].device.clone();
        drop(dataplane);
        assert_eq!(recorded(folder), [owner().store]);

        let refused = Dataplane::open(host.options.clone(), other(false)).await.unwrap_err();
        assert!(matches!(refused, OpenError::OtherOwner { .. }), "{refused}");
        let text = refused.to_string();
        for word in [
            "store 0123456789abcdef",
            "store is fedcba98",
            "goes on forwarding",
            "--take-over",
            "state.folder",
        ] {
            assert!(text.contains(word), "{word}: {text}");
        }
        assert_eq!(recorded(folder), [owner().store], "nothing was changed");
        assert!(index(&host.netlink, &device).await.is_some());

        let mut dataplane = Dataplane::open(host.options.clone(), other(true)).await.unwrap();
        assert_eq!(recorded(folder), [other(true).store]);
        reconcile(&mut dataplane, &desired()).await;
        assert!(index(&host.netlink, &device).await.is_none());
        drop(dataplane);
        assert!(
            Dataplane::open(host.options.clone(), owner()).await.is_err(),
            "it follows the other one now"
        );
        drop(Dataplane::open(host.options.clone(), other(false)).await.unwrap());
        Dataplane::teardown(&host.options).await.unwrap();
        assert!(!folder.exists());
    });
}

#[test]
fn maps_that_are_not_complete_follow_nobody() {
    on_host("owner-incomplete", async |host| {
        let folder = &host.options.pin_folder;
        drop(Dataplane::open(host.options.clone(), owner()).await.unwrap());
        fs::remove_file(folder.join("maps").join(maps::ABI)).unwrap();
        drop(Dataplane::open(host.options.clone(), other(false)).await.unwrap());
        assert_eq!(recorded(folder), [other(false).store]);
    });
}

#[test]
fn a_record_needs_an_id() {
    on_host("owner-id", async |host| {
        for store in ["", "../maps", "ABC", "a.b"] {
            let owner = Owner { store: store.to_owned(), take_over: true };
            let error = Dataplane::open(host.options.clone(), owner).await.unwrap_err();
            assert!(matches!(error, OpenError::NoStore { .. }), "{error}");
        }
        assert!(!host.options.pin_folder.exists());
    });
}

#[test]
fn another_network_namespace_is_refused_and_removes_nothing() {
    on_host("namespace", async |host| {
        let (options, pod) = (&host.options, Pod::new());
        let mut dataplane = Dataplane::open(options.clone(), owner()).await.unwrap();
        let device = reconcile(&mut dataplane, &desired_with_port(&pod)).await.ports["a"].device.clone();
        drop(dataplane);
        let before = attached(&host).await;

        let theirs = options.clone();
        let elsewhere = std::thread::spawn(move || {
            nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
            tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
                let refused = Dataplane::open(theirs.clone(), owner()).await.unwrap_err();
                assert!(matches!(refused, OpenError::OtherNamespace { .. }), "{refused}");
                Dataplane::teardown(&theirs).await.unwrap_err()
            })
        });
        let failures = elsewhere.join().unwrap();
        assert!(failures[0].to_string().contains("another network namespace"), "{failures:?}");
        assert_eq!(attached(&host).await, before);
        assert!(index(&host.netlink, &device).await.is_some());

        drop(Dataplane::open(options.clone(), owner()).await.unwrap());
        Dataplane::teardown(options).await.unwrap();
        assert!(!options.pin_folder.exists());
    });
}
