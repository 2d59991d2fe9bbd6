//! A weftd inside the test: engine and server in a runtime, state in a temporary folder, and a network namespace of its
//! own, so that the data plane meets nothing of the machine's.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use weft_api::client::Client;
use weft_daemon::bgp::command::channel;
use weft_daemon::config::Config;
use weft_daemon::engine::{Ended, Engine};
use weft_daemon::server::{self, Allowed, Asked, Boards};
use weft_dataplane::{Dataplane, Options};

/// A running weftd.
pub(crate) struct Daemon {
    config: Config,
    runtime: Runtime,
    stop: watch::Sender<bool>,
    engine: JoinHandle<Ended>,
    api: JoinHandle<std::io::Result<()>>,
    // Dropped last: the engine must have let go of the kernel before it is cleaned up.
    state: State,
}

/// What outlives a weftd: its folder, and what it made in the kernel, which is removed with this.
pub(crate) struct State {
    folder: TempDir,
    /// More lines of the config file's section `[api]`.
    api: &'static str,
    /// More sections of it.
    sections: &'static str,
    options: Options,
}

impl Drop for State {
    fn drop(&mut self) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let left = runtime.block_on(Dataplane::teardown(&self.options));
        assert!(left.is_ok() || std::thread::panicking(), "{left:?}");
    }
}

impl Daemon {
    /// Starts one, or tells why the test is skipped.
    pub(crate) fn start() -> Option<Self> {
        Self::start_with("")
    }

    /// The same with more lines in the config file's section `[api]`. Its socket's folder is everybody's to enter, as
    /// on a host.
    pub(crate) fn start_with(api: &'static str) -> Option<Self> {
        Self::start_as(api, "")
    }

    /// The same on a host of AS 65000.
    pub(crate) fn start_speaking() -> Option<Self> {
        Self::start_as("", "[bgp]\nasn = 65000\n")
    }

    fn start_as(api: &'static str, sections: &'static str) -> Option<Self> {
        if !in_namespace() {
            return None;
        }
        let folder = TempDir::new().unwrap();
        std::fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        let options = config(folder.path()).dataplane_options();
        Some(Self::start_on(State { folder, api, sections, options }))
    }

    fn start_on(state: State) -> Self {
        let text = config_text(state.folder.path()).replace("[api]\n", &format!("[api]\n{}\n", state.api));
        let text = text + state.sections;
        let config = Config::parse(Path::new("test.toml"), &text).unwrap();
        // The runtime's threads inherit the namespace of this one.
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let (stop, stopping) = watch::channel(false);
        let (engine, handle) = runtime.block_on(Engine::start(&config, false)).unwrap();
        let guard = runtime.enter();
        let listener = server::bind(&config.api).unwrap();
        let allowed = Allowed::of(&config.api, 0);
        let (flows, names) = (engine.flows(), engine.names());
        let engine = runtime.spawn(engine.run());
        // Nobody answers: what the speaker says is not what is tested here.
        let bgp = config.speaker().map(|_| channel().0);
        let (boards, room) = (Boards::default(), config.flow_room());
        let asked = Asked { engine: handle, bgp, boards, flows, room, names };
        let api = runtime.spawn(server::serve(listener, asked, allowed, stopping));
        drop(guard);
        Self { state, config, runtime, stop, engine, api }
    }

    /// A client of its socket.
    pub(crate) fn client(&self) -> Client {
        Client::new(self.config.api.socket.as_path())
    }

    /// Where it keeps its store.
    pub(crate) fn state_folder(&self) -> PathBuf {
        self.config.state.folder.as_path().to_owned()
    }

    /// Stops it as SIGTERM would; the kernel stays as it is.
    pub(crate) fn stop(self) -> State {
        let Self { state, runtime, stop, engine, api, .. } = self;
        stop.send(true).unwrap();
        runtime.block_on(api).unwrap().unwrap();
        assert_eq!(runtime.block_on(engine).unwrap(), Ended::Released);
        state
    }

    /// Stops it and starts another on the same state.
    pub(crate) fn restart(self) -> Self {
        Self::start_on(self.stop())
    }

    /// Waits for the end that a teardown brings.
    pub(crate) fn ended_by_teardown(self) {
        assert_eq!(self.runtime.block_on(self.engine).unwrap(), Ended::TornDown);
    }
}

pub(crate) fn config(folder: &Path) -> Config {
    Config::parse(Path::new("test.toml"), &config_text(folder)).unwrap()
}

/// A config file whose every path is of this folder.
pub(crate) fn config_text(folder: &Path) -> String {
    let name = folder.file_name().unwrap().to_str().unwrap().trim_start_matches('.');
    let folder = folder.display();
    format!(
        "[underlay]\ndevice = \"wire0\"\nvtep = \"192.0.2.1\"\n\
         [state]\nfolder = \"{folder}/state\"\n\
         [api]\nsocket = \"{folder}/run/weftd.sock\"\n\
         [bpf]\npin_folder = \"/sys/fs/bpf/weft-test-{name}\"\n\
         [sizes]\nports = 16\nvnis = 16\nvteps = 16\naddresses = 64\nprefixes = 64\nrules = 4096\n"
    )
}

/// Puts this thread, and the children that it starts, into a namespace of the test; or tells why the test is skipped.
pub(crate) fn in_namespace() -> bool {
    let Err(cause) = enter_namespace() else { return true };
    assert!(std::env::var_os("CI").is_none(), "CI must not skip: {cause}");
    println!("skipped, because {cause}");
    false
}

/// Puts this thread into a new network namespace with an underlay device.
fn enter_namespace() -> Result<(), String> {
    // SAFETY: takes no pointers, and changes only what this thread's system calls see.
    if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
        return Err(format!("a network namespace cannot be made: {}", std::io::Error::last_os_error()));
    }
    // A runtime of its own: the netlink socket must not outlive the set-up.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(add_underlay());
    Ok(())
}

async fn add_underlay() {
    use futures_util::TryStreamExt;
    let (connection, handle, _) = rtnetlink::new_connection().unwrap();
    tokio::spawn(connection);
    handle.link().add(rtnetlink::LinkVeth::new("wire0", "wire1").up().build()).execute().await.unwrap();
    let link = handle.link().get().match_name("wire0").execute().try_next().await.unwrap().unwrap();
    handle.address().add(link.header.index, [192, 0, 2, 1].into(), 24).execute().await.unwrap();
}
