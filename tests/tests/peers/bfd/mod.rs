//! weft's BFD driver at a, alone or in a weftd, with FRR's bfdd or another driver of weft's at b. Unless told otherwise,
//! both sides want 3 × 100 ms.

mod neighbours;
mod sessions;
mod silence;
mod timers;

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc::Receiver;
use tokio::time::timeout;
use weft_bgp::bfd::driver::{self, AddError, Handle, Report};
use weft_bgp::bfd::{Config, Event, Peer, State, Status};
use weft_tests::peers::{BfdPeer, Frr, FrrSettings};
use weft_tests::{Lab, Namespace, PATIENCE, wait_for};

const INTERVAL: Duration = Duration::from_millis(100);
/// Three packets that do not come.
const DETECTION: Duration = Duration::from_millis(300);

fn timers(milliseconds: u64) -> Result<Config> {
    let interval = Duration::from_millis(milliseconds);
    Ok(Config::new(interval, interval, 3)?)
}

/// weft's driver in a namespace, and its owner's runtime. That runs only while the owner is asked something; all the
/// rest of the time the owner is as busy as can be, and the driver must do without.
struct Watch {
    owner: Runtime,
    handle: Handle,
    events: Receiver<(Peer, Event)>,
}

impl Watch {
    fn start(namespace: &Namespace) -> Result<Self> {
        let (handle, events) = namespace.run(driver::start)??;
        Ok(Self { owner: Builder::new_current_thread().enable_time().build()?, handle, events })
    }

    /// Starts one with a session.
    fn of(namespace: &Namespace, peer: Peer) -> Result<Self> {
        let watch = Self::start(namespace)?;
        watch.add(peer, timers(100)?)?;
        Ok(watch)
    }

    fn add(&self, peer: Peer, config: Config) -> Result<(), AddError> {
        self.owner.block_on(self.handle.add(peer, config))
    }

    fn remove(&self, peer: Peer) {
        self.owner.block_on(self.handle.remove(peer));
    }

    fn set_admin_down(&self, peer: Peer, down: bool) {
        self.owner.block_on(self.handle.set_admin_down(peer, down));
    }

    /// The next thing that the owner is told; `None` if the driver has ended.
    fn next(&mut self) -> Result<Option<(Peer, Event)>> {
        let waited = self.owner.block_on(async { timeout(PATIENCE, self.events.recv()).await });
        waited.with_context(|| format!("nothing was told within {PATIENCE:?}: {:?}", self.report()))
    }

    fn expect_up(&mut self, of: Peer) -> Result<()> {
        match self.next()? {
            Some((peer, Event::Up)) if peer == of => Ok(()),
            other => bail!("up was expected of {of}, not {other:?}"),
        }
    }

    fn expect_down(&mut self, of: Peer) -> Result<Event> {
        match self.next()? {
            Some((peer, event @ Event::Down { .. })) if peer == of => Ok(event),
            other => bail!("down was expected of {of}, not {other:?}"),
        }
    }

    /// Nothing that the owner was not asked about has happened.
    fn expect_quiet(&mut self) -> Result<()> {
        match self.events.try_recv() {
            Err(_) => Ok(()),
            Ok(told) => bail!("nothing was expected, not {told:?}"),
        }
    }

    fn report(&self) -> Result<Report> {
        self.owner.block_on(self.handle.report()).context("the driver has ended")
    }

    fn status(&self, of: Peer) -> Result<Status> {
        let report = self.report()?;
        let status = report.sessions.iter().find(|status| status.peer == of).copied();
        status.with_context(|| format!("no session with {of}: {report:?}"))
    }

    /// Waits until the session is up and runs at these times.
    fn wait_for_times(&self, of: Peer, transmit: Duration, detection: Duration) -> Result<()> {
        wait_for(PATIENCE, &format!("{transmit:?} and {detection:?}"), || {
            let status = self.status(of).map_err(|error| format!("{error:#}"))?;
            let times = (status.transmit_interval, status.detection_time);
            if status.state == State::Up && times == (transmit, detection) {
                Ok(())
            } else {
                Err(format!("{status:?}"))
            }
        })
    }

    /// Ends the driver, and waits until it has.
    fn end(mut self) -> Result<()> {
        drop(self.handle);
        let told = self.owner.block_on(async { timeout(PATIENCE, self.events.recv()).await })?;
        ensure!(told.is_none(), "a driver that ends said {told:?}");
        Ok(())
    }
}

/// FRR with such BFD sessions.
fn bfdd(lab: &Lab, namespace: &Namespace, sessions: &str) -> Result<Frr> {
    let bfdd = format!("bfd\n{sessions}");
    Frr::start(lab, "frr", namespace, FrrSettings { bfdd: Some(&bfdd), ..FrrSettings::default() })
}

/// A session of bfdd, 3 × 100 ms; `more` follows the address.
fn session(with: IpAddr, more: &str) -> String {
    format!(
        " peer {with}{more}\n  detect-multiplier 3\n  receive-interval 100\n  transmit-interval 100\n !\n"
    )
}

/// bfdd is up, and has heard of 3 × 100 ms.
fn is_up(peer: &BfdPeer) -> bool {
    peer.status == "up" && peer.remote_multiplier == 3 && peer.remote_intervals == [100, 100]
}

/// The link-local address of a device, and its index.
fn link_local(namespace: &Namespace, device: &str) -> Result<(IpAddr, NonZeroU32)> {
    let address = wait_for(PATIENCE, "a link-local address", || {
        let addresses = namespace.addresses(device).map_err(|error| format!("{error:#}"))?;
        let mut all = addresses.iter().map(|net| net.addr());
        let found =
            all.find(|address| matches!(address, IpAddr::V6(address) if address.is_unicast_link_local()));
        found.ok_or_else(|| format!("{addresses:?}"))
    })?;
    Ok((address, NonZeroU32::new(namespace.link(device)?.index).context("a device without an index")?))
}
