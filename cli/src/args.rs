//! The command line as a whole. Each command's own arguments are in its file.

use std::path::PathBuf;
use std::sync::LazyLock;

use clap::builder::PossibleValue;
use clap::{Parser, ValueEnum};
use weft_api::client::DEFAULT_SOCKET;
use weft_api::kind::Kind;

use crate::command::Command;
use crate::output::Format;

const GLOBAL: &str = "Global options";

const AFTER_HELP: &str = "\
Examples:
  weft status                                  the host at a glance
  weft apply -f tenants/ --dry-run             what the files in a folder would change
  weft apply -f red.yaml                       change it: all of it, or nothing
  weft get ports                               every port, as a table
  weft get subnet red-a -o yaml                one subnet, as a document that can be applied
  weft port attach web-1 --netns web-1         put a port into /run/netns/web-1
  weft sg get web                              a security group: its rules and its members
  weft counters --watch                        packets, bytes and drops, every second
  weft drops --follow --port web-1             each packet of a port that is dropped, and why
  weft routes --network red -o json            for programs
  weft bgp explain 10.0.0.9                    who says where an address is, and who is believed

Exit status:
  0  done
  1  refused, or failed; the reasons are on standard error
  2  the command line is wrong
  3  weftd could not be reached; nothing was changed

`weft COMMAND --help` tells more about a command.";

static SOCKET: LazyLock<String> = LazyLock::new(|| format!("Socket of weftd [default: {DEFAULT_SOCKET}]"));

/// The command line of weft, an SDN overlay network: asks the weftd of this host.
#[derive(Debug, Parser)]
#[command(name = "weft", version, after_help = AFTER_HELP, max_term_width = 100)]
pub(crate) struct Args {
    // Without a default: whether a socket was named decides what else a command may take for granted.
    #[arg(long, global = true, env = "WEFT_SOCKET", value_name = "PATH", help = SOCKET.as_str())]
    #[arg(help_heading = GLOBAL, hide_env_values = true)]
    pub(crate) socket: Option<PathBuf>,

    /// Form of the answer: for people, for programs, or for files
    #[arg(short, long, global = true, value_enum, default_value_t, value_name = "FORMAT")]
    #[arg(help_heading = GLOBAL)]
    pub(crate) output: Format,

    #[command(subcommand)]
    pub(crate) command: Command,
}

/// A kind on the command line: plural, singular or short.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KindArg(pub(crate) Kind);

impl ValueEnum for KindArg {
    fn value_variants<'a>() -> &'a [Self] {
        const KINDS: [KindArg; Kind::ALL.len()] = {
            let [network, security, subnet, port, remote, peering, group, peer] = Kind::ALL;
            [
                KindArg(network),
                KindArg(security),
                KindArg(subnet),
                KindArg(port),
                KindArg(remote),
                KindArg(peering),
                KindArg(group),
                KindArg(peer),
            ]
        };
        &KINDS
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.0.plural()).aliases([self.0.singular(), self.0.short()]))
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn kinds_in_every_spelling() {
        assert_eq!(KindArg::value_variants().len(), Kind::ALL.len());
        for kind in Kind::ALL {
            for word in [kind.plural(), kind.singular(), kind.short()] {
                assert_eq!(KindArg::from_str(word, false).map(|arg| arg.0), Ok(kind));
            }
        }
    }
}
