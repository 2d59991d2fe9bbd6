//! FRR: zebra and bgpd, as a route reflector or, with a [`KernelVtep`], as a VTEP; and bfdd, if it is wanted.

mod bfd;
mod mounts;
mod vtep;

use std::fs;
use std::net::IpAddr;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use nix::unistd::Group;
use serde_json::Value;

use self::mounts::Mounts;
use super::client::{ask, ask_json};
use super::{Daemon, program};
use crate::{Lab, Namespace, PATIENCE, wait_for};
pub use bfd::BfdPeer;
pub use vtep::{KernelVtep, Pod};

/// The group that FRR was built to share its sockets with.
const GROUP: &str = "frrvty";

/// What FRR is told.
#[derive(Debug, Clone, Copy, Default)]
pub struct FrrSettings<'a> {
    /// The configuration of zebra.
    pub zebra: &'a str,
    /// The configuration of bgpd.
    pub bgpd: &'a str,
    /// The configuration of bfdd; without one, it is not started.
    pub bfdd: Option<&'a str>,
    /// Network namespaces that are VRFs, by the names that the configuration says in `netns`. If there is one, zebra
    /// takes network namespaces for VRFs (`-n`).
    pub vrfs: &'a [(&'a str, &'a Namespace)],
}

/// An FRR in a namespace.
#[derive(Debug)]
pub struct Frr {
    folder: PathBuf,
    mounts: Mounts,
    has_vrfs: bool,
    bfdd: Option<Daemon>,
    bgpd: Daemon,
    zebra: Daemon,
}

/// A path of an EVPN route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EvpnPath {
    /// Route distinguisher.
    pub rd: String,
    /// The route as FRR writes it, such as `[2]:[0]:[48]:[02:00:00:00:00:01]`.
    pub route: String,
    /// Whom it was learnt from; none if it is FRR's own.
    pub neighbour: Option<IpAddr>,
    /// Next hops.
    pub next_hops: Vec<IpAddr>,
    /// AS numbers, with spaces between them.
    pub as_path: String,
    /// Extended communities as FRR writes them, such as `RT:1:5 ET:8 Rmac:02:00:00:00:00:01`.
    pub extended_communities: String,
    /// Whether it is the best of its route.
    pub best: bool,
}

impl Frr {
    /// Starts the daemons, and waits until each answers.
    ///
    /// # Errors
    /// FRR is not installed, or does not take the configuration; the end of its log.
    pub fn start(lab: &Lab, name: &str, namespace: &Namespace, settings: FrrSettings<'_>) -> Result<Self> {
        let folder = lab.folder().join(name);
        fs::create_dir(&folder).with_context(|| format!("{}", folder.display()))?;
        // vtysh complains of a configuration that is missing.
        let files = [
            ("zebra.conf", settings.zebra),
            ("bgpd.conf", settings.bgpd),
            ("bfdd.conf", settings.bfdd.unwrap_or_default()),
            ("vtysh.conf", ""),
        ];
        for (file, text) in files {
            fs::write(folder.join(file), text)?;
        }
        let mut frr = Self {
            mounts: Mounts::new(&folder, settings.vrfs)?,
            has_vrfs: !settings.vrfs.is_empty(),
            bfdd: settings.bfdd.map(|_| Daemon::new("bfdd", &folder, namespace)).transpose()?,
            bgpd: Daemon::new("bgpd", &folder, namespace)?,
            zebra: Daemon::new("zebra", &folder, namespace)?,
            folder,
        };
        frr.start_again()?;
        Ok(frr)
    }

    /// Starts those of its daemons that do not run.
    ///
    /// # Errors
    /// One does not answer in time; the end of its log.
    pub fn start_again(&mut self) -> Result<()> {
        if self.zebra.pid().is_none() {
            let mut command = self.command("zebra")?;
            if self.has_vrfs {
                command.arg("-n");
            }
            launch(&mut self.zebra, &self.folder, "zebra", command)?;
        }
        if self.bgpd.pid().is_none() {
            let command = self.command("bgpd")?;
            launch(&mut self.bgpd, &self.folder, "bgpd", command)?;
        }
        let mut command = self.command("bfdd")?;
        if let Some(bfdd) = self.bfdd.as_mut().filter(|bfdd| bfdd.pid().is_none()) {
            command.arg("--bfdctl").arg(self.folder.join("bfdd.sock"));
            launch(bfdd, &self.folder, "bfdd", command)?;
        }
        Ok(())
    }

    /// How one of the daemons is started: all files in our folder, no telnet, and as root, because a change of user
    /// would free it from ending with us. In FRR's group from the start for the same reason.
    fn command(&self, daemon: &str) -> Result<Command> {
        let Some(group) = Group::from_name(GROUP)? else { bail!("there is no group {GROUP}") };
        let file = |kind: &str| self.folder.join(format!("{daemon}.{kind}"));
        let mut command = Command::new(program::path(daemon)?);
        command.gid(group.gid.as_raw()).args(["-u", "root", "-g", GROUP, "-P", "0", "--log", "stdout"]);
        command.arg("-f").arg(file("conf")).arg("-i").arg(file("pid"));
        command.arg("-z").arg(self.folder.join("zserv.api")).arg("--vty_socket").arg(&self.folder);
        self.mounts.enter(&mut command)?;
        Ok(command)
    }

    /// bgpd's process.
    pub fn bgpd(&mut self) -> &mut Daemon {
        &mut self.bgpd
    }

    /// zebra's process. It is not made to be stopped gently: with VRFs, FRR 8.4's crashes then.
    pub fn zebra(&mut self) -> &mut Daemon {
        &mut self.zebra
    }

    /// Kills all, as a host does that loses power.
    ///
    /// # Errors
    /// One is not running.
    pub fn kill(&mut self) -> Result<()> {
        if let Some(bfdd) = &mut self.bfdd {
            bfdd.kill()?;
        }
        self.bgpd.kill()?;
        self.zebra.kill()?;
        Ok(())
    }

    /// What FRR says to commands, one after the other in one session: `["configure", "router bgp 65001", …]`.
    ///
    /// # Errors
    /// It does not understand one.
    pub fn vtysh(&self, commands: &[&str]) -> Result<String> {
        ask(vtysh(&self.folder, commands)?, self.bgpd.namespace())
    }

    /// What `show … json` shows.
    ///
    /// # Errors
    /// FRR does not know it.
    pub fn show(&self, what: &str) -> Result<Value> {
        ask_json(vtysh(&self.folder, &[&format!("show {what} json")])?, self.bgpd.namespace())
    }

    /// What FRR says of a neighbour.
    ///
    /// # Errors
    /// It has no such neighbour.
    pub fn neighbour(&self, address: IpAddr) -> Result<Value> {
        let said = self.show("bgp neighbors")?;
        said.get(address.to_string()).cloned().with_context(|| format!("no neighbour {address}: {said}"))
    }

    /// Waits until the session with a neighbour is established.
    ///
    /// # Errors
    /// It is not in time.
    pub fn wait_established(&self, address: IpAddr) -> Result<()> {
        wait_for(PATIENCE, &format!("FRR's session with {address}"), || match self.neighbour(address) {
            Ok(neighbour) if neighbour["bgpState"] == "Established" => Ok(()),
            Ok(neighbour) => Err(neighbour["bgpState"].to_string()),
            Err(error) => Err(format!("{error:#}")),
        })
    }

    /// All paths of all EVPN routes, whichever VRF imports them.
    ///
    /// # Errors
    /// FRR does not answer.
    pub fn evpn_paths(&self) -> Result<Vec<EvpnPath>> {
        let said = self.show("bgp l2vpn evpn")?;
        let tables = said.as_object().with_context(|| format!("no routes: {said}"))?;
        let tables = tables.iter().filter_map(|(rd, table)| Some((rd, table.as_object()?)));
        let routes = tables.flat_map(|(rd, table)| table.iter().map(move |(route, said)| (rd, route, said)));
        let paths = routes.flat_map(|(rd, route, said)| {
            let paths = said["paths"].as_array().into_iter().flatten();
            paths.map(move |said| evpn_path(rd, route, said))
        });
        Ok(paths.collect())
    }

    /// Waits until there is such a path.
    ///
    /// # Errors
    /// There is none in time; all that there are.
    pub fn wait_for_evpn(&self, what: &str, wanted: impl Fn(&EvpnPath) -> bool) -> Result<EvpnPath> {
        wait_for(PATIENCE, what, || {
            let paths = self.evpn_paths().map_err(|error| format!("{error:#}"))?;
            paths.iter().find(|path| wanted(path)).cloned().ok_or_else(|| format!("{paths:#?}"))
        })
    }
}

/// Starts a daemon and waits until vtysh gets an answer from it.
fn launch(daemon: &mut Daemon, folder: &Path, name: &str, command: Command) -> Result<()> {
    daemon.launch(command)?;
    let (socket, namespace) = (folder.join(format!("{name}.vty")), daemon.namespace().try_clone()?);
    daemon.wait_for(&format!("{name}'s answer"), || {
        if !socket.exists() {
            bail!("no {}", socket.display());
        }
        let mut command = vtysh(folder, &["show version"])?;
        command.args(["-d", name]);
        ask(command, &namespace)
    })?;
    Ok(())
}

fn vtysh(folder: &Path, commands: &[&str]) -> Result<Command> {
    let mut command = Command::new(program::path("vtysh")?);
    command.arg("--vty_socket").arg(folder).arg("--config_dir").arg(folder);
    // A history is not ours to leave in somebody's home.
    command.arg("-H").arg(folder.join("vtysh.history"));
    command.args(commands.iter().flat_map(|command| ["-c", command]));
    Ok(command)
}

fn evpn_path(rd: &str, route: &str, said: &Value) -> EvpnPath {
    let text = |said: &Value| said.as_str().unwrap_or_default().to_owned();
    let hops = said["nexthops"].as_array().into_iter().flatten();
    EvpnPath {
        rd: rd.to_owned(),
        route: route.to_owned(),
        neighbour: said["peerId"].as_str().and_then(|address| address.parse().ok()),
        next_hops: hops.filter_map(|hop| hop["ip"].as_str()?.parse().ok()).collect(),
        as_path: text(&said["path"]),
        extended_communities: text(&said["extendedCommunity"]["string"]),
        best: said["bestpath"] == true,
    }
}
