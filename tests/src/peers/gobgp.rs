//! GoBGP: a speaker that EVPN routes of every type can be put into by hand, and a route reflector.

use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::client::{ask, ask_json};
use super::{Daemon, program};
use crate::{Lab, Namespace, PATIENCE, wait_for};

/// `session_state` of a neighbour (`PeerState_SessionState` of GoBGP's API).
const ESTABLISHED: u64 = 6;

/// A GoBGP in a namespace.
#[derive(Debug)]
pub struct GoBgp {
    folder: PathBuf,
    daemon: Daemon,
}

/// A path that GoBGP knows.
#[derive(Debug, Clone)]
pub struct GoBgpPath {
    /// Whom it was learnt from; none if it is GoBGP's own.
    pub neighbour: Option<IpAddr>,
    /// The route, as GoBGP shows it.
    pub nlri: Value,
    /// Path attributes by type code, as GoBGP shows them.
    pub attributes: BTreeMap<u64, Value>,
}

impl GoBgp {
    /// Starts gobgpd on a configuration in TOML, and waits until it answers.
    ///
    /// # Errors
    /// It is not installed, or does not take the configuration; the end of its log.
    pub fn start(lab: &Lab, name: &str, namespace: &Namespace, toml: &str) -> Result<Self> {
        let folder = lab.folder().join(name);
        fs::create_dir(&folder).with_context(|| format!("{}", folder.display()))?;
        fs::write(folder.join("gobgpd.toml"), toml)?;
        let daemon = Daemon::new("gobgpd", &folder, namespace)?;
        let mut gobgp = Self { folder, daemon };
        gobgp.start_again()?;
        Ok(gobgp)
    }

    /// Starts it after it was stopped.
    ///
    /// # Errors
    /// It runs, or does not answer in time.
    pub fn start_again(&mut self) -> Result<()> {
        // A killed one leaves its socket, and the next one stumbles over it.
        drop(fs::remove_file(self.folder.join("gobgp.sock")));
        let mut command = Command::new(program::path("gobgpd")?);
        command.arg("-f").arg(self.folder.join("gobgpd.toml")).arg("--api-hosts").arg(self.socket());
        command.args(["--log-plain", "--pprof-disable"]);
        self.daemon.launch(command)?;
        let (folder, namespace) = (self.folder.clone(), self.daemon.namespace().try_clone()?);
        self.daemon.wait_for("gobgpd's answer", || {
            // Its socket is there before there is somebody behind it.
            ensure!(folder.join("gobgp.sock").exists(), "no socket");
            ask(client(&folder, &["global"])?, &namespace)
        })?;
        Ok(())
    }

    fn socket(&self) -> String {
        format!("unix://{}", self.folder.join("gobgp.sock").display())
    }

    /// Its process.
    pub fn daemon(&mut self) -> &mut Daemon {
        &mut self.daemon
    }

    /// What `gobgp` says to these words.
    ///
    /// # Errors
    /// It complains, or gobgpd does not answer.
    pub fn gobgp(&self, words: &[&str]) -> Result<String> {
        let said = ask(client(&self.folder, words)?, self.daemon.namespace())?;
        // Some mistakes are told with success.
        ensure!(!said.starts_with("error:"), "gobgp {}: {said}", words.join(" "));
        Ok(said)
    }

    /// Puts an EVPN route in: words of `gobgp global rib add -a evpn`, such as
    /// `macadv 02:00:00:00:00:01 10.0.0.1 etag 0 label 5 rd 1:5 rt 1:5 encap vxlan`.
    ///
    /// # Errors
    /// GoBGP does not understand it.
    pub fn add_evpn(&self, route: &str) -> Result<()> {
        self.change_evpn("add", route)
    }

    /// Takes an EVPN route out, by the same words.
    ///
    /// # Errors
    /// GoBGP does not understand it.
    pub fn delete_evpn(&self, route: &str) -> Result<()> {
        self.change_evpn("del", route)
    }

    fn change_evpn(&self, verb: &str, route: &str) -> Result<()> {
        let words = ["global", "rib", verb].into_iter().chain(route.split_whitespace()).chain(["-a", "evpn"]);
        self.gobgp(&words.collect::<Vec<_>>()).map(drop)
    }

    /// All paths of a family (`evpn`, `ipv4`, `ipv6`), by GoBGP's text of the route, such as
    /// `[type:multicast][rd:1:5][etag:0][ip:192.0.2.1]`.
    ///
    /// # Errors
    /// gobgpd does not answer.
    pub fn rib(&self, family: &str) -> Result<BTreeMap<String, Vec<GoBgpPath>>> {
        let said = self.ask_json(&["global", "rib", "-a", family, "-j"])?;
        let routes = said.as_object().with_context(|| format!("no routes: {said}"))?;
        let paths = |paths: &Value| paths.as_array().into_iter().flatten().map(path).collect();
        Ok(routes.iter().map(|(route, said)| (route.clone(), paths(said))).collect())
    }

    /// Waits until there is a path of a family of which `wanted`, given GoBGP's text of the route, says so.
    ///
    /// # Errors
    /// There is none in time; all that there are.
    pub fn wait_for_path(
        &self,
        family: &str,
        what: &str,
        wanted: impl Fn(&str, &GoBgpPath) -> bool,
    ) -> Result<GoBgpPath> {
        wait_for(PATIENCE, what, || {
            let rib = self.rib(family).map_err(|error| format!("{error:#}"))?;
            let mut all = rib.iter().flat_map(|(route, paths)| paths.iter().map(move |path| (route, path)));
            let found = all.find(|(route, path)| wanted(route, path)).map(|(_, path)| path.clone());
            found.ok_or_else(|| format!("{:#?}", rib.keys()))
        })
    }

    /// What GoBGP says of a neighbour.
    ///
    /// # Errors
    /// It has no such neighbour.
    pub fn neighbour(&self, address: IpAddr) -> Result<Value> {
        let said = self.ask_json(&["neighbor", "-j"])?;
        let is_it = |one: &&Value| one["state"]["neighbor_address"] == address.to_string();
        let found = said.as_array().and_then(|all| all.iter().find(is_it)).cloned();
        found.with_context(|| format!("no neighbour {address}: {said}"))
    }

    /// Waits until the session with a neighbour is established.
    ///
    /// # Errors
    /// It is not in time.
    pub fn wait_established(&self, address: IpAddr) -> Result<()> {
        wait_for(PATIENCE, &format!("GoBGP's session with {address}"), || match self.neighbour(address) {
            Ok(neighbour) if neighbour["state"]["session_state"].as_u64() == Some(ESTABLISHED) => Ok(()),
            Ok(neighbour) => Err(neighbour["state"].to_string()),
            Err(error) => Err(format!("{error:#}")),
        })
    }

    fn ask_json(&self, words: &[&str]) -> Result<Value> {
        ask_json(client(&self.folder, words)?, self.daemon.namespace())
    }
}

fn client(folder: &std::path::Path, words: &[&str]) -> Result<Command> {
    let mut command = Command::new(program::path("gobgp")?);
    command.arg("--target").arg(format!("unix://{}", folder.join("gobgp.sock").display())).args(words);
    Ok(command)
}

fn path(said: &Value) -> GoBgpPath {
    let attributes = said["attrs"].as_array().into_iter().flatten();
    GoBgpPath {
        neighbour: said["neighbor-ip"].as_str().and_then(|address| address.parse().ok()),
        nlri: said["nlri"].clone(),
        attributes: attributes.filter_map(|one| Some((one["type"].as_u64()?, one.clone()))).collect(),
    }
}
