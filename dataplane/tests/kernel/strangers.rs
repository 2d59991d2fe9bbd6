//! Programs of weft's that another pin folder holds: beside them, ours would get nothing.

use weft_dataplane::{Dataplane, OpenError, Options};

use crate::foreign::attach_foreign_program;
use crate::host::{Pod, desired, desired_with_port, on_host, owner, reconcile};

#[test]
fn another_pin_folder_is_refused_while_the_old_ones_programs_are_attached() {
    on_host("moved", async |host| {
        let pod = Pod::new();
        let mut dataplane = Dataplane::open(host.options.clone(), owner()).await.unwrap();
        reconcile(&mut dataplane, &desired_with_port(&pod)).await;
        drop(dataplane);

        let moved = Options { pin_folder: host.options.pin_folder.join("moved"), ..host.options.clone() };
        let refused = Dataplane::open(moved.clone(), owner()).await.unwrap_err();
        assert!(matches!(refused, OpenError::OtherFolder { .. }), "{refused}");
        let text = refused.to_string();
        for word in ["from_vxlan on device weft-vxlan", "bpf.pin_folder", "`weft teardown` with the old"] {
            assert!(text.contains(word), "{word}: {text}");
        }
        assert!(!moved.pin_folder.exists(), "nothing was changed");
        let mut dataplane = Dataplane::open(host.options.clone(), owner()).await.unwrap();
        assert_eq!(reconcile(&mut dataplane, &desired_with_port(&pod)).await.changes, []);
        drop(dataplane);

        Dataplane::teardown(&host.options).await.unwrap();
        drop(Dataplane::open(moved.clone(), owner()).await.unwrap());
        Dataplane::teardown(&moved).await.unwrap();
    });
}

#[test]
fn a_device_with_a_program_from_elsewhere_gets_no_second_one() {
    on_host("second", async |host| {
        let (elsewhere, _) = attach_foreign_program("under0");
        let mut dataplane = Dataplane::open(host.options.clone(), owner()).await.unwrap();
        let report = dataplane.reconcile(&desired()).await;
        let failures: Vec<_> = report.failures.iter().map(ToString::to_string).collect();
        assert_eq!(failures.len(), 1, "{failures:#?}");
        assert!(
            failures[0].starts_with("program from_underlay on device under0:")
                && failures[0].contains("another pin folder than"),
            "{failures:#?}"
        );
        assert!(
            !host
                .options
                .pin_folder
                .join("links")
                .read_dir()
                .unwrap()
                .any(|pin| { pin.unwrap().file_name().to_str().unwrap().starts_with("from_underlay") })
        );
        drop(elsewhere);
        reconcile(&mut dataplane, &desired()).await;
    });
}
