//! Which program is where, and what to say if it is not.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// Where distributions put daemons, beside the folders of the PATH; FRR's are in folders of their own.
const FOLDERS: [&str; 5] = ["/usr/sbin", "/usr/bin", "/usr/lib/frr", "/usr/libexec/frr", "/usr/local/sbin"];

/// A BGP speaker that is installed, or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// FRR.
    Frr,
    /// GoBGP.
    GoBgp,
    /// ExaBGP.
    ExaBgp,
    /// BIRD 2.
    Bird,
}

impl Program {
    const fn executables(self) -> &'static [&'static str] {
        match self {
            Self::Frr => &["zebra", "bgpd", "bfdd", "vtysh"],
            Self::GoBgp => &["gobgpd", "gobgp"],
            Self::ExaBgp => &["exabgp"],
            Self::Bird => &["bird", "birdcl"],
        }
    }

    const fn package(self) -> &'static str {
        match self {
            Self::Frr => "frr",
            Self::GoBgp => "gobgpd",
            Self::ExaBgp => "exabgp",
            Self::Bird => "bird2",
        }
    }

    /// Why it cannot be started here, if so.
    #[must_use]
    pub fn missing(self) -> Option<String> {
        let missing = self.executables().iter().find(|name| find(name).is_none())?;
        let package = self.package();
        Some(format!("{missing} is not installed: run `cargo xtask test`, or install Debian's {package}"))
    }
}

/// Path of an executable.
pub(super) fn path(name: &str) -> Result<PathBuf> {
    find(name).with_context(|| format!("{name} is not installed"))
}

fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders =
        FOLDERS.iter().map(|folder| Path::new(folder).to_owned()).chain(std::env::split_paths(&path));
    folders.map(|folder| folder.join(name)).find(|path| path.is_file())
}
