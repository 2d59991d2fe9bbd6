//! A lab: the owner of all that a test or the demo makes.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use anyhow::{Context as _, Result, bail};

use crate::weftd::end_of;
use crate::{Namespace, cleanup, require};

/// Owns namespaces, pins, files and processes under one name, and removes them when dropped, also by a panic.
#[derive(Debug)]
pub struct Lab {
    name: String,
    folder: PathBuf,
    kept: bool,
    handed_over: AtomicBool,
}

impl Lab {
    /// A new lab. Leftovers of labs whose process died are removed first.
    ///
    /// # Errors
    /// The machine lacks something.
    pub fn new() -> Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        Self::make(cleanup::lab_name(COUNT.fetch_add(1, Ordering::Relaxed)), false)
    }

    /// A lab that stays after this process. Its name must be free; [`remove_lab`](crate::remove_lab) removes it.
    ///
    /// # Errors
    /// The machine lacks something, or the lab is there.
    pub fn kept(name: &str) -> Result<Self> {
        if cleanup::lab_folder(name).exists() {
            bail!("{name} is there already: `cargo xtask demo --clean` removes it");
        }
        Self::make(name.to_owned(), true)
    }

    /// Runs a test in a lab of its own. If it fails, the ends of all logs in the lab are shown.
    ///
    /// # Errors
    /// Those of `work`.
    ///
    /// # Panics
    /// As `work` does; and if the machine cannot have a lab while `CI` is set: a test that is skipped there would be
    /// missed by nobody. Elsewhere it is skipped with a word about why.
    #[expect(clippy::print_stderr, reason = "cargo test has no other way to tell why a test failed")]
    pub fn test(work: impl FnOnce(&Self) -> Result<()>) -> Result<()> {
        if let Some(reason) = require::missing() {
            require::skip(&reason);
            return Ok(());
        }
        let lab = Self::new()?;
        let result = catch_unwind(AssertUnwindSafe(|| work(&lab)));
        if !matches!(result, Ok(Ok(()))) {
            for (log, end) in lab.logs() {
                eprintln!("---- the end of {}\n{end}", log.display());
            }
        }
        result.unwrap_or_else(|panic| resume_unwind(panic))
    }

    fn logs(&self) -> Vec<(PathBuf, String)> {
        let entries = |folder: &Path| fs::read_dir(folder).into_iter().flatten().flatten();
        let files = entries(&self.folder).flat_map(|folder| entries(&folder.path())).map(|file| file.path());
        let logs = files.filter(|file| file.extension().is_some_and(|extension| extension == "log"));
        logs.map(|log| (log.clone(), end_of(&log, 40))).collect()
    }

    fn make(name: String, kept: bool) -> Result<Self> {
        if let Some(reason) = require::missing() {
            bail!(reason);
        }
        cleanup::sweep();
        cleanup::register(&name);
        let _making = cleanup::making();
        let folder = cleanup::lab_folder(&name);
        let lab = Self { name, folder, kept, handed_over: AtomicBool::new(false) };
        fs::create_dir(&lab.folder).with_context(|| format!("creating {}", lab.folder.display()))?;
        Ok(lab)
    }

    /// What everything of the lab is named after.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A folder for the lab's files.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A folder on the bpffs for someone of the lab; not made yet.
    #[must_use]
    pub fn pin_folder(&self, who: &str) -> PathBuf {
        Path::new("/sys/fs/bpf").join(format!("{}-{who}", self.name))
    }

    /// A namespace with `lo` up and nothing else, as a container's is before a network is attached.
    ///
    /// # Errors
    /// The name is taken.
    pub fn namespace(&self, name: &str) -> Result<Namespace> {
        let namespace = Namespace::create(&format!("{}-{name}", self.name))?;
        namespace.set_up("lo", true)?;
        Ok(namespace)
    }

    /// A namespace that forwards between its devices: a router, or a host that would route if weft let it.
    ///
    /// # Errors
    /// The name is taken.
    pub fn router(&self, name: &str) -> Result<Namespace> {
        let namespace = self.namespace(name)?;
        namespace.sysctl("ipv4/ip_forward", "1")?;
        namespace.sysctl("ipv6/conf/all/forwarding", "1")?;
        // Routes are symmetric here; a default of the machine must not decide what arrives.
        for of in ["all", "default"] {
            namespace.sysctl(&format!("ipv4/conf/{of}/rp_filter"), "0")?;
            // A router solicits neighbours from its link-local address, which would be held back for seconds.
            namespace.sysctl(&format!("ipv6/conf/{of}/accept_dad"), "0")?;
        }
        Ok(namespace)
    }

    /// From here on, nothing removes the lab but [`remove_lab`](crate::remove_lab), if it was made to be kept.
    pub fn hand_over(&self) {
        if self.kept {
            cleanup::unregister(&self.name);
            self.handed_over.store(true, Ordering::Relaxed);
        }
    }

    /// Whether its processes are to outlive this one.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        self.kept
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if !self.handed_over.load(Ordering::Relaxed) {
            let _making = cleanup::making();
            cleanup::remove(&self.name);
            cleanup::unregister(&self.name);
        }
    }
}
