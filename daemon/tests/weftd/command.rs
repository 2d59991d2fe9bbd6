//! The command line: exit codes, what is said, signals, and what systemd is told.

use std::io::Read;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use weft_api::client::Client;

use crate::daemon::{config_text, in_namespace};

/// A folder with a config file.
struct Host {
    folder: TempDir,
}

impl Host {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("weftd.toml"), config_text(folder.path())).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn weftd(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_weftd"));
        command.arg("--config").arg(self.path("weftd.toml")).args(arguments);
        command
    }

    /// A running weftd, once it told systemd that it is ready.
    fn start(&self, arguments: &[&str]) -> (Child, UnixDatagram) {
        let systemd = UnixDatagram::bind(self.path("notify")).unwrap();
        systemd.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut command = self.weftd(&["--log-format", "json"]);
        command.args(arguments);
        command.env("NOTIFY_SOCKET", self.path("notify")).env("WATCHDOG_USEC", "10000000");
        let child = command.stderr(Stdio::piped()).spawn().unwrap();
        assert_eq!(told(&systemd), "READY=1");
        (child, systemd)
    }
}

fn told(systemd: &UnixDatagram) -> String {
    let mut buffer = [0; 256];
    let length = systemd.recv(&mut buffer).unwrap();
    String::from_utf8_lossy(&buffer[..length]).trim().to_owned()
}

fn signal(child: &Child, signal: i32) {
    let id = i32::try_from(child.id()).unwrap();
    // SAFETY: takes no pointers; the child has not been waited for, so the number is still its own.
    assert_eq!(unsafe { libc::kill(id, signal) }, 0);
}

fn text(output: &Output) -> (Option<i32>, String) {
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn check_reads_the_file_and_nothing_else() {
    let host = Host::new();
    assert_eq!(host.weftd(&["check"]).output().unwrap().status.code(), Some(0));
    assert!(!host.path("state").exists());
    std::fs::write(host.path("weftd.toml"), "[underlay]\ndevice = \"eth0\"\nvtep = \"::1\"\n").unwrap();
    let (code, said) = text(&host.weftd(&["check"]).output().unwrap());
    assert_eq!(code, Some(2));
    assert!(
        said.contains("weftd.toml:3:8: ") && said.contains("VTEP ::1 is not a unicast address"),
        "{said}"
    );
    let (code, said) =
        text(&Command::new(env!("CARGO_BIN_EXE_weftd")).args(["--config", "/none"]).output().unwrap());
    assert_eq!(code, Some(2));
    assert!(said.contains("config file /none: "), "{said}");
}

#[test]
fn signals_stop_it_and_systemd_is_told() {
    if !in_namespace() {
        return;
    }
    let host = Host::new();
    for number in [libc::SIGTERM, libc::SIGINT] {
        let (mut child, systemd) = host.start(&[]);
        assert_eq!(told(&systemd), "WATCHDOG=1");
        signal(&child, number);
        assert_eq!(told(&systemd), "STOPPING=1");
        let mut log = String::new();
        child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        assert!(child.wait().unwrap().success(), "{log}");
        assert!(log.lines().all(|line| line.starts_with('{')), "{log}");
        assert!(!host.path("run/weftd.sock").exists());
        std::fs::remove_file(host.path("notify")).unwrap();
    }
    assert!(host.weftd(&["teardown"]).output().unwrap().status.success());
}

#[test]
fn a_killed_one_is_replaced_and_a_running_one_is_not() {
    if !in_namespace() {
        return;
    }
    let host = Host::new();
    let (mut killed, _) = host.start(&[]);
    killed.kill().unwrap();
    killed.wait().unwrap();
    std::fs::remove_file(host.path("notify")).unwrap();
    assert!(host.path("run/weftd.sock").exists());
    let (mut running, _systemd) = host.start(&[]);

    for (arguments, expected) in
        [(&[][..], "another weftd answers on it"), (&["teardown"][..], "weftd is running")]
    {
        let (code, said) = text(&host.weftd(arguments).output().unwrap());
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains(expected), "{said}");
    }
    Client::new(host.path("run/weftd.sock")).teardown().unwrap();
    assert!(running.wait().unwrap().success());
}

#[test]
fn teardown_removes_all_and_purge_the_database_too() {
    if !in_namespace() {
        return;
    }
    let host = Host::new();
    let (mut child, _systemd) = host.start(&[]);
    signal(&child, libc::SIGTERM);
    child.wait().unwrap();
    assert!(pins(host.folder.path()).exists());
    let removed = host.weftd(&["teardown"]).output().unwrap();
    assert!(removed.status.success() && !removed.stdout.is_empty(), "{removed:?}");
    assert!(!pins(host.folder.path()).exists());
    assert!(host.path("state/weft.redb").exists());
    std::fs::write(host.path("state/self-test.json"), "what a self-test found").unwrap();
    assert!(host.weftd(&["teardown", "--purge"]).output().unwrap().status.success());
    assert_eq!(std::fs::read_dir(host.path("state")).unwrap().count(), 0);
    // Nothing is left to remove, which is no error.
    assert!(host.weftd(&["teardown", "--purge"]).output().unwrap().status.success());
}

/// An empty state folder in front of a kernel in use: a mistake, unless it is said that it is none.
#[test]
fn another_store_takes_the_kernel_over_only_if_that_is_meant() {
    if !in_namespace() {
        return;
    }
    let host = Host::new();
    let stop = |mut child: Child| {
        signal(&child, libc::SIGTERM);
        assert!(child.wait().unwrap().success());
        std::fs::remove_file(host.path("notify")).unwrap();
    };
    let (child, _systemd) = host.start(&[]);
    stop(child);
    std::fs::remove_dir_all(host.path("state")).unwrap();
    let (code, said) = text(&host.weftd(&[]).output().unwrap());
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("weftd --take-over"), "{said}");

    let (child, _systemd) = host.start(&["--take-over"]);
    stop(child);
    // From now on the kernel follows the new store.
    let (child, _systemd) = host.start(&[]);
    stop(child);
    let (code, said) = text(&host.weftd(&["--take-over", "teardown"]).output().unwrap());
    assert_eq!(code, Some(2), "{said}");
    assert!(host.weftd(&["teardown"]).output().unwrap().status.success());
}

#[test]
fn a_config_file_that_the_stored_resources_do_not_fit() {
    if !in_namespace() {
        return;
    }
    let host = Host::new();
    let (mut child, _systemd) = host.start(&[]);
    let remote = r#"{"kind":"remote","name":"host2","vtep":"192.0.2.2"}"#;
    let client = Client::new(host.path("run/weftd.sock"));
    client.create(&serde_json::from_str(remote).unwrap()).unwrap();
    signal(&child, libc::SIGTERM);
    child.wait().unwrap();
    let config = config_text(host.folder.path()).replace("192.0.2.1", "192.0.2.2");
    std::fs::write(host.path("weftd.toml"), config).unwrap();
    let (code, said) = text(&host.weftd(&[]).output().unwrap());
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("remote/host2: VTEP 192.0.2.2 is this host's own"), "{said}");
    assert!(said.contains("put the config file back as it was and start weftd"), "{said}");
    assert!(host.weftd(&["teardown"]).output().unwrap().status.success());
}

fn pins(folder: &Path) -> PathBuf {
    crate::daemon::config(folder).bpf.pin_folder.as_path().to_owned()
}
