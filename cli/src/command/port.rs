//! `weft port`: puts ports into network namespaces and takes them out.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use weft_api::client::Client;
use weft_api::resource::Attachment;

use crate::output::Output;
use crate::plan;

const AFTER_HELP: &str = "\
Examples:
  weft port attach web-1 --netns web-1                     /run/netns/web-1, device eth0
  weft port attach web-1 --netns /proc/4711/ns/net --device net1
  weft port attach web-1 --netns web-2 --move              from wherever it is attached now
  weft port detach web-1";

/// Attach ports to network namespaces, and detach them
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Port {
    #[command(subcommand)]
    action: PortAction,
}

#[derive(Debug, Subcommand)]
enum PortAction {
    /// Give a namespace a device with the port's MAC and addresses
    Attach {
        /// The port
        name: String,

        /// Path of the namespace; a bare name means /run/netns/NAME
        #[arg(long, value_name = "PATH|NAME")]
        netns: PathBuf,

        /// Name of the device in the namespace
        #[arg(long, default_value = "eth0")]
        device: String,

        /// Take the port away from where it is attached, instead of refusing
        #[arg(long = "move")]
        may_move: bool,
    },
    /// Remove the port's device from its namespace; the port keeps its addresses
    Detach {
        /// The port
        name: String,
    },
}

impl Port {
    pub(crate) fn run(&self, client: &Client, output: &mut Output) -> Result<()> {
        let outcome = match &self.action {
            PortAction::Attach { name, netns, device, may_move } => {
                let attachment = Attachment { netns: netns_path(netns)?, device: device.clone() };
                client.attach(name, &attachment, *may_move)?
            }
            PortAction::Detach { name } => client.detach(name)?,
        };
        plan::print(output, &outcome)
    }
}

/// weftd has another working directory: it gets an absolute path.
fn netns_path(netns: &Path) -> Result<PathBuf> {
    if netns.components().count() == 1
        && !netns.has_root()
        && !netns.starts_with(".")
        && !netns.starts_with("..")
    {
        return Ok(Path::new("/run/netns").join(netns));
    }
    std::path::absolute(netns).with_context(|| format!("--netns {}", netns.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_name_is_one_of_ip_netns() {
        let path = |netns| netns_path(Path::new(netns)).unwrap();
        assert_eq!(path("web-1"), Path::new("/run/netns/web-1"));
        assert_eq!(path("/proc/1/ns/net"), Path::new("/proc/1/ns/net"));
        assert_eq!(path("./web-1"), std::env::current_dir().unwrap().join("web-1"));
    }
}
