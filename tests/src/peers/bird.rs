//! BIRD 2: a speaker of IPv4 and IPv6 unicast.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use ipnet::IpNet;

use super::client::ask;
use super::{Daemon, program};
use crate::{Lab, Namespace, PATIENCE, wait_for};

/// A BIRD in a namespace.
#[derive(Debug)]
pub struct Bird {
    folder: PathBuf,
    daemon: Daemon,
}

/// A route of BIRD's tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BirdRoute {
    /// Where to.
    pub prefix: IpNet,
    /// BIRD's name of the protocol that it comes from.
    pub protocol: String,
    /// The next hop, if it has one.
    pub next_hop: Option<IpAddr>,
}

impl Bird {
    /// Starts bird on a configuration, in front of which the harness says where to log to, and waits until it answers.
    ///
    /// # Errors
    /// It is not installed, or does not take the configuration; the end of its log.
    pub fn start(lab: &Lab, name: &str, namespace: &Namespace, configuration: &str) -> Result<Self> {
        let folder = lab.folder().join(name);
        fs::create_dir(&folder).with_context(|| format!("{}", folder.display()))?;
        fs::write(folder.join("bird.conf"), format!("log stderr all;\n{configuration}"))?;
        let daemon = Daemon::new("bird", &folder, namespace)?;
        let mut bird = Self { folder, daemon };
        bird.start_again()?;
        Ok(bird)
    }

    /// Starts it after it was stopped.
    ///
    /// # Errors
    /// It runs, or does not answer in time.
    pub fn start_again(&mut self) -> Result<()> {
        let mut command = Command::new(program::path("bird")?);
        command.arg("-f").arg("-c").arg(self.folder.join("bird.conf"));
        command.arg("-s").arg(self.folder.join("bird.ctl"));
        self.daemon.launch(command)?;
        let (folder, namespace) = (self.folder.clone(), self.daemon.namespace().try_clone()?);
        self.daemon.wait_for("bird's answer", || ask(client(&folder, &["show", "status"])?, &namespace))?;
        Ok(())
    }

    /// Its process.
    pub fn daemon(&mut self) -> &mut Daemon {
        &mut self.daemon
    }

    /// What BIRD says to these words, such as `["show", "protocols"]`.
    ///
    /// # Errors
    /// It does not understand them, or does not answer.
    pub fn birdc(&self, words: &[&str]) -> Result<String> {
        let said = ask(client(&self.folder, words)?, self.daemon.namespace())?;
        ensure!(!said.contains("syntax error"), "birdc {}: {said}", words.join(" "));
        Ok(said)
    }

    /// Waits until the session of a protocol, by the name that the configuration gives it, is established.
    ///
    /// # Errors
    /// It is not in time.
    pub fn wait_established(&self, protocol: &str) -> Result<()> {
        wait_for(PATIENCE, &format!("BIRD's session {protocol}"), || {
            match self.birdc(&["show", "protocols", protocol]) {
                Ok(said) if said.contains("Established") => Ok(()),
                Ok(said) => Err(said),
                Err(error) => Err(format!("{error:#}")),
            }
        })
    }

    /// Routes of all tables.
    ///
    /// # Errors
    /// It does not answer.
    pub fn routes(&self) -> Result<Vec<BirdRoute>> {
        routes(&self.birdc(&["show", "route"])?)
    }

    /// Waits until there is a route to `prefix`.
    ///
    /// # Errors
    /// There is none in time; all that there are.
    pub fn wait_for_route(&self, prefix: IpNet) -> Result<BirdRoute> {
        wait_for(PATIENCE, &format!("BIRD's route to {prefix}"), || {
            let routes = self.routes().map_err(|error| format!("{error:#}"))?;
            routes.iter().find(|route| route.prefix == prefix).cloned().ok_or_else(|| format!("{routes:#?}"))
        })
    }
}

fn client(folder: &Path, words: &[&str]) -> Result<Command> {
    let mut command = Command::new(program::path("birdcl")?);
    command.arg("-s").arg(folder.join("bird.ctl")).args(words);
    Ok(command)
}

/// A route is a line that begins with its prefix, followed by lines about its next hops.
fn routes(said: &str) -> Result<Vec<BirdRoute>> {
    let mut routes: Vec<BirdRoute> = Vec::new();
    for line in said.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match (words.as_slice(), routes.last_mut()) {
            ([prefix, _, protocol, ..], _) if prefix.contains('/') => routes.push(BirdRoute {
                prefix: prefix.parse().with_context(|| format!("no prefix: {line}"))?,
                protocol: protocol.trim_start_matches('[').to_owned(),
                next_hop: None,
            }),
            (["via", next_hop, ..], Some(route)) => route.next_hop = Some(next_hop.parse()?),
            _ => {}
        }
    }
    Ok(routes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_are_read_as_bird_shows_them() {
        let said = "BIRD 2.0.12 ready.\nTable master4:\n\
                    203.0.113.0/24       unicast [frr 09:21:00.123] * (100) [AS65001i]\n\
                    \tvia 192.0.2.1 on up0\n\
                    198.51.100.0/24      blackhole [static4 09:20:58.001] * (200)\n";
        let routes = routes(said).unwrap();
        assert_eq!(routes.len(), 2);
        assert_eq!(routes[0].prefix, "203.0.113.0/24".parse().unwrap());
        assert_eq!((routes[0].protocol.as_str(), routes[0].next_hop), ("frr", "192.0.2.1".parse().ok()));
        assert_eq!((routes[1].protocol.as_str(), routes[1].next_hop), ("static4", None));
    }
}
