//! weftd's life: config, store, data plane, kernel as stored, API, "ready"; then until a signal or a teardown.
//!
//! Tasks: the engine; the server, told to stop through a watch channel; the speaker's, which ends with the server; the
//! watchdog's, the drops', the flow log's and the self-test's, which are
//! aborted: they only ask and tell.
//! Stopping leaves the kernel as it is: its programs go on forwarding, and the next weftd adopts them.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::{error, info, warn};
use weft_dataplane::Dataplane;

use crate::bgp;
use crate::config::Config;
use crate::drops;
use crate::engine::{Ended, Engine, Handle};
use crate::flows::log;
use crate::self_test::kept::Kept;
use crate::self_test::namespace::Sockets;
use crate::self_test::task::{self, Ends};
use crate::server::{self, Allowed, Asked, Boards};
use crate::store::Store;

/// How long each task may take to end once weftd was told to stop: the server has open requests.
const GRACE: Duration = Duration::from_secs(5);

/// Runs until SIGTERM, SIGINT or a teardown. With `take_over`, a kernel that follows another store is made to follow
/// this one.
///
/// # Errors
/// If it cannot start, or if a part of it ended that must not. The kernel then goes on as it was.
pub async fn run(config: &Config, take_over: bool) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be caught")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be caught")?;
    let socket = config.api.socket.as_path();
    if server::answers(socket) {
        bail!(server::SocketError::InUse { path: socket.to_owned() });
    }
    let (mut engine, handle) = Engine::start(config, take_over).await?;
    let listener = server::bind(&config.api)?;
    let (stop, stopping) = watch::channel(false);
    let boards = Boards::default();
    let (reader, names) = (engine.drops()?, engine.names());
    let drops = tokio::spawn(drops::run(reader, boards.drops.clone(), names.clone(), handle.clone()));
    let flow_log = engine.ended_flows().map(|ended| {
        let (board, names, engine) = (boards.ended.clone(), names.clone(), handle.clone());
        tokio::spawn(log::run(ended, board, names, engine, config.flow_log()))
    });
    let flows = engine.flows();
    let self_test = engine.self_test(handle.clone()).map(|(sockets, ends)| tokio::spawn(test(sockets, ends)));
    let speaker = config.speaker().map(|_| {
        let (handle_of_speaker, commands) = bgp::command::channel();
        let (models, adopted) = (engine.models(), engine.adopted());
        let ends = bgp::task::Ends { commands, models, engine: handle.clone(), adopted };
        (handle_of_speaker, bgp::task::start(engine.host(), ends))
    });
    let (bgp, speaker) = speaker.unzip();
    let mut engine = tokio::spawn(engine.run());
    let allowed = Allowed::of(&config.api, own_uid());
    let asked = Asked { engine: handle.clone(), bgp, boards, flows, room: config.flow_room(), names };
    let mut api = tokio::spawn(server::serve(listener, asked, allowed, stopping));
    notify(&[NotifyState::Ready]);
    info!(host = config.host_name(), vtep = %config.underlay.vtep, socket = %socket.display(), "ready");
    let watchdog = tokio::spawn(watchdog(handle));

    let outcome = tokio::select! {
        _ = terminate.recv() => Ok("SIGTERM"),
        _ = interrupt.recv() => Ok("SIGINT"),
        ended = &mut engine => match ended {
            Ok(Ended::TornDown) => Ok("teardown"),
            Ok(Ended::Died) => {
                Err(anyhow::anyhow!("the data plane's thread died; please report what the log says before"))
            }
            Ok(Ended::Released) => Err(anyhow::anyhow!("the engine ended; the log says why")),
            Err(error) => Err(anyhow::anyhow!("the engine died: {error}")),
        },
        ended = &mut api => {
            let cause = ended.map_or_else(|error| error.to_string(), |result| format!("{result:?}"));
            Err(anyhow::anyhow!("the API server ended: {cause}"))
        }
    };
    notify(&[NotifyState::Stopping]);
    match &outcome {
        Ok("teardown") => info!("stopping; what weft made in the kernel was removed"),
        Ok(why) => info!(why, "stopping; the kernel goes on as it is"),
        Err(error) => error!(%error, "stopping; the kernel goes on as it is"),
    }
    // They hold a handle, and the engine ends when the last one is gone.
    watchdog.abort();
    if let Some(self_test) = self_test {
        self_test.abort();
    }
    drops.abort();
    if let Some(flow_log) = flow_log {
        flow_log.abort();
    }
    // The socket goes first: whoever calls now finds nobody rather than somebody who leaves.
    let _ = std::fs::remove_file(socket);
    let _ = stop.send(true);
    finish(api, "API server").await;
    if let Some(speaker) = speaker {
        finish(speaker, "speaker").await;
    }
    finish(engine, "engine").await;
    outcome.map(|_| ())
}

/// Removes what weft made in the kernel and, on `purge`, the stored intent. Returns what was removed.
///
/// # Errors
/// If a weftd is running on this config, or if something could not be removed; all else was.
pub async fn teardown(config: &Config, purge: bool) -> anyhow::Result<Vec<String>> {
    let socket = config.api.socket.as_path();
    if server::answers(socket) {
        bail!(
            "weftd is running (it answers on {}) and would make everything again; use `weft teardown`, or stop it first",
            socket.display()
        );
    }
    let mut removed = Dataplane::teardown(&config.dataplane_options()).await.map_err(|failures| {
        let lines: Vec<_> = failures.iter().map(|failure| format!("  {failure}")).collect();
        anyhow::anyhow!("not everything could be removed; mend this and run it again:\n{}", lines.join("\n"))
    })?;
    // A weftd that was killed leaves its socket behind; that nobody answers on it was seen above.
    if server::remove_stale(socket).with_context(|| format!("socket {}", socket.display()))? {
        removed.push(format!("socket {}", socket.display()));
    }
    if purge && config.database().exists() {
        purge_database(config, &mut removed)?;
    }
    let kept = Kept::in_folder(config.state.folder.as_path());
    if purge && kept.file().exists() {
        kept.forget().with_context(|| format!("file {}", kept.file().display()))?;
        removed.push(format!("file {}", kept.file().display()));
    }
    Ok(removed)
}

/// Opens the database first: only its lock tells whether another weftd has it.
fn purge_database(config: &Config, removed: &mut Vec<String>) -> anyhow::Result<()> {
    let file = config.database();
    // One that is damaged or too new is to go as well.
    if let Err(error @ crate::store::StoreError::InUse { .. }) = Store::open(config.state.folder.as_path()) {
        return Err(error.into());
    }
    std::fs::remove_file(&file).with_context(|| format!("database {}", file.display()))?;
    removed.push(format!("database {}", file.display()));
    Ok(())
}

/// Waits for a task that was told to end; one that does not is left to the runtime's end.
async fn finish<T>(task: JoinHandle<T>, name: &str) {
    if task.is_finished() {
        return;
    }
    if tokio::time::timeout(GRACE, task).await.is_err() {
        warn!(task = name, "does not end in time");
    }
}

/// Tests the ways to other hosts. weftd does its work without, too.
async fn test(sockets: Sockets, ends: Ends) {
    if let Err(error) = task::run(sockets, ends).await {
        warn!(%error, "ways to other hosts are not tested any more; restart weftd");
    }
}

/// Tells systemd, if it asked, that the engine answers: a weftd whose engine hangs is restarted.
async fn watchdog(engine: Handle) {
    let Some(interval) = sd_notify::watchdog_enabled().map(|limit| limit / 2) else { return };
    loop {
        if engine.revision().await.is_err() {
            return;
        }
        notify(&[NotifyState::Watchdog]);
        tokio::time::sleep(interval).await;
    }
}

/// Without systemd this does nothing.
fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        warn!(%error, "systemd could not be told");
    }
}

/// The user that owns our own entry of /proc: the effective one.
fn own_uid() -> u32 {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(Path::new("/proc/self")).map_or(0, |metadata| metadata.uid())
}
