//! The store on a real disk.

use tempfile::TempDir;
use weft_api::resource::Network;

use super::*;

fn network(name: &str, vni: u32) -> Resource {
    Resource::Network(Network {
        name: name.into(),
        tenant: "red".into(),
        vni: vni.try_into().unwrap(),
        default_ingress: weft_api::resource::RuleVerdict::Deny,
        default_egress: weft_api::resource::RuleVerdict::Allow,
        route_targets: None,
        route_distinguisher: None,
    })
}

#[test]
fn a_commit_is_there_after_opening_again() {
    let folder = TempDir::new().unwrap();
    let mut store = Store::open(&folder.path().join("state")).unwrap();
    assert_eq!(store.load().unwrap(), (0, vec![]));
    assert_eq!(store.commit(&[Write::Put(network("a", 1)), Write::Put(network("b", 2))]).unwrap(), 1);
    let id = network("a", 1).reference();
    assert_eq!(store.commit(&[Write::Delete(id), Write::Put(network("c", 3))]).unwrap(), 2);
    drop(store);
    let mut store = Store::open(&folder.path().join("state")).unwrap();
    let stored = |name, vni, revision| Stored { resource: network(name, vni), revision };
    assert_eq!(store.load().unwrap(), (2, vec![stored("b", 2, 1), stored("c", 3, 2)]));
}

#[test]
fn its_id_is_drawn_once() {
    let folder = TempDir::new().unwrap();
    let open = || Store::open(folder.path()).unwrap();
    let id = open().id();
    assert!(id.len() == 32 && id.bytes().all(|digit| b"0123456789abcdef".contains(&digit)), "{id}");
    assert_eq!(open().id(), id);
    // An empty store in the same place is another one.
    std::fs::remove_file(folder.path().join(FILE_NAME)).unwrap();
    assert_ne!(open().id(), id);
}

#[test]
fn a_store_from_before_there_were_ids_gets_one() {
    let folder = TempDir::new().unwrap();
    let mut store = Store::open(folder.path()).unwrap();
    store.commit(&[Write::Put(network("a", 1))]).unwrap();
    let before = store.id();
    let transaction = store.database().unwrap().begin_write().unwrap();
    for key in META_ID {
        transaction.open_table(META).unwrap().remove(key).unwrap();
    }
    transaction.commit().unwrap();
    drop(store);
    let mut store = Store::open(folder.path()).unwrap();
    assert_eq!(store.load().unwrap().1.len(), 1);
    let id = store.id();
    assert_ne!(id, before);
    drop(store);
    assert_eq!(Store::open(folder.path()).unwrap().id(), id);
}

#[test]
fn a_second_one_is_refused() {
    let folder = TempDir::new().unwrap();
    let _first = Store::open(folder.path()).unwrap();
    let error = Store::open(folder.path()).unwrap_err().to_string();
    assert!(error.contains("another weftd has it open"), "{error}");
}

#[test]
fn a_newer_layout_is_refused() {
    let folder = TempDir::new().unwrap();
    let mut store = Store::open(folder.path()).unwrap();
    let transaction = store.database().unwrap().begin_write().unwrap();
    transaction.open_table(META).unwrap().insert(META_SCHEMA, SCHEMA + 1).unwrap();
    transaction.commit().unwrap();
    drop(store);
    let error = Store::open(folder.path()).unwrap_err().to_string();
    assert!(error.contains("its layout has version 2, this weftd knows up to 1"), "{error}");
}

#[test]
fn a_damaged_file_is_named_with_a_way_out() {
    let folder = TempDir::new().unwrap();
    for contents in [&b"garbage"[..], &[0xa5; 65_536]] {
        std::fs::write(folder.path().join(FILE_NAME), contents).unwrap();
        let error = Store::open(folder.path()).unwrap_err().to_string();
        assert!(error.contains("weft.redb: it is damaged or no weft database"), "{error}");
        assert!(error.contains("move it away"), "{error}");
    }
}

#[test]
fn an_unreadable_object_is_named() {
    let folder = TempDir::new().unwrap();
    let mut store = Store::open(folder.path()).unwrap();
    let transaction = store.database().unwrap().begin_write().unwrap();
    transaction.open_table(OBJECTS).unwrap().insert("network/a", b"{".as_slice()).unwrap();
    transaction.commit().unwrap();
    let error = store.load().unwrap_err().to_string();
    assert!(error.contains("network/a: EOF"), "{error}");
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("file"), "").unwrap();
    let error = Store::open(&folder.path().join("file/state")).unwrap_err().to_string();
    assert!(error.contains("/file/state: "), "{error}");
}
