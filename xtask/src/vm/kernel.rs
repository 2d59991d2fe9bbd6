//! A kernel of Debian's: its package, downloaded and unpacked under `target/vm/`, never installed, and what is in it.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};

use crate::setup::apt;
use crate::step::{line, run, step};

/// An unpacked kernel.
#[derive(Debug)]
pub(crate) struct Kernel {
    series: &'static str,
    release: String,
    root: PathBuf,
}

impl Kernel {
    /// The newest kernel of a series such as `6.1`. One that was unpacked before is used as it is.
    pub(crate) fn fetch(series: &'static str) -> Result<Self> {
        let root = folder().join(series);
        if !root.exists() {
            step(&format!("download of Debian's kernel {series}"), || download(series, &root))?;
        }
        let release = release(&root.join("lib/modules"))?;
        Ok(Self { series, release, root })
    }

    /// Such as `6.1`.
    pub(crate) fn series(&self) -> &'static str {
        self.series
    }

    /// Such as `6.1.0-56-cloud-amd64`.
    pub(crate) fn release(&self) -> &str {
        &self.release
    }

    /// The bootable kernel.
    pub(crate) fn vmlinuz(&self) -> PathBuf {
        self.root.join("boot").join(format!("vmlinuz-{}", self.release))
    }

    /// The modules that `wanted` need, themselves included, each behind those that it needs, as (name, bytes). Those
    /// that are built into the kernel are none.
    pub(crate) fn modules(&self, wanted: &[&str]) -> Result<Vec<(String, Vec<u8>)>> {
        let mut files = BTreeMap::new();
        index(&self.root.join("lib/modules").join(&self.release).join("kernel"), &mut files)?;
        let mut loaded = Vec::new();
        let mut seen = BTreeSet::new();
        for name in wanted {
            if files.contains_key(*name) {
                self.load(name, &files, &mut seen, &mut loaded)?;
            } else if !self.is_built_in(name)? {
                bail!("kernel {} has no module {name}", self.release);
            }
        }
        Ok(loaded)
    }

    fn load(
        &self,
        name: &str,
        files: &BTreeMap<String, PathBuf>,
        seen: &mut BTreeSet<String>,
        loaded: &mut Vec<(String, Vec<u8>)>,
    ) -> Result<()> {
        if !seen.insert(name.to_owned()) {
            return Ok(());
        }
        let file =
            files.get(name).with_context(|| format!("kernel {} has no module {name}", self.release))?;
        let module = unpacked(file)?;
        for needed in needed(&module) {
            self.load(&needed, files, seen, loaded)?;
        }
        loaded.push((name.to_owned(), module));
        Ok(())
    }

    fn is_built_in(&self, name: &str) -> Result<bool> {
        let list = self.root.join("lib/modules").join(&self.release).join("modules.builtin");
        let list = fs::read_to_string(&list).with_context(|| format!("{}", list.display()))?;
        Ok(list.lines().any(|line| {
            module_name(OsStr::new(line.rsplit('/').next().unwrap_or(line))).as_deref() == Some(name)
        }))
    }
}

/// Where kernels, packages and images are.
pub(crate) fn folder() -> PathBuf {
    crate::workspace().join("target/vm")
}

/// Downloads the newest package of the series and unpacks it as `root`, which is there only when it is whole.
fn download(series: &str, root: &Path) -> Result<()> {
    let packages = folder().join("packages");
    fs::create_dir_all(&packages).with_context(|| format!("{}", packages.display()))?;
    apt::update()?;
    let pattern = format!("^linux-image-{}[.][0-9].*-cloud-amd64$", series.replace('.', "[.]"));
    let found = said(Command::new("apt-cache").args(["search", "--names-only", &pattern]))?;
    let names = found.lines().filter_map(|line| line.split_whitespace().next());
    let newest = names.max_by_key(|name| numbers(name)).with_context(|| {
        format!("Debian's package lists name no linux-image-{series}.*-cloud-amd64: add bookworm-security to apt's sources")
    })?;
    run(Command::new("apt-get").args(["download", "-qq", newest]).current_dir(&packages))?;
    let prefix = format!("{newest}_");
    let is_it =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&prefix));
    let package = children(&packages)?
        .into_iter()
        .find(is_it)
        .with_context(|| format!("{newest} was not downloaded"))?;
    let partial = root.with_extension("partial");
    if partial.exists() {
        fs::remove_dir_all(&partial).with_context(|| format!("{}", partial.display()))?;
    }
    run(Command::new("dpkg-deb").arg("-x").arg(&package).arg(&partial))?;
    fs::rename(&partial, root).with_context(|| format!("{}", root.display()))?;
    fs::remove_file(&package).with_context(|| format!("{}", package.display()))
}

/// The one release that there are modules of.
fn release(modules: &Path) -> Result<String> {
    let releases = children(modules)?;
    let [release] = releases.as_slice() else {
        bail!("{} does not hold one release, but {}: remove target/vm", modules.display(), releases.len());
    };
    let name = release.file_name().and_then(OsStr::to_str).context("a kernel's release is UTF-8")?;
    Ok(name.to_owned())
}

/// Fills in module names and their files, below `folder`.
fn index(folder: &Path, files: &mut BTreeMap<String, PathBuf>) -> Result<()> {
    for path in children(folder)? {
        if path.is_dir() {
            index(&path, files)?;
        } else if let Some(name) = path.file_name().and_then(module_name) {
            files.insert(name, path);
        }
    }
    Ok(())
}

/// The module that a file holds: the kernel takes dashes for underscores.
fn module_name(file: &OsStr) -> Option<String> {
    let file = file.to_str()?;
    let name = file.strip_suffix(".xz").unwrap_or(file).strip_suffix(".ko")?;
    Some(name.replace('-', "_"))
}

/// A module's bytes, unpacked if need be.
fn unpacked(file: &Path) -> Result<Vec<u8>> {
    if file.extension() != Some(OsStr::new("xz")) {
        return fs::read(file).with_context(|| format!("{}", file.display()));
    }
    let mut xz = Command::new("xz");
    xz.arg("-dc").arg(file);
    let output = xz.output().with_context(|| format!("cannot run {}", line(&xz)))?;
    ensure!(output.status.success(), "`{}` failed ({})", line(&xz), output.status);
    Ok(output.stdout)
}

/// The modules that a module names in its `.modinfo`: the package has no `modules.dep`, which is made when it is installed.
fn needed(module: &[u8]) -> Vec<String> {
    let strings = module.split(|byte| *byte == 0);
    let depends = strings.filter_map(|string| string.strip_prefix(b"depends="));
    let names = depends.flat_map(|names| names.split(|byte| *byte == b','));
    names
        .filter(|name| !name.is_empty())
        .map(|name| String::from_utf8_lossy(name).replace('-', "_"))
        .collect()
}

/// The numbers in a name, by which a newer one is greater.
fn numbers(name: &str) -> Vec<u32> {
    name.split(|symbol: char| !symbol.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect()
}

fn children(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("{}", folder.display()))?;
    entries.map(|entry| Ok(entry.with_context(|| format!("{}", folder.display()))?.path())).collect()
}

/// What a command that must succeed prints.
pub(crate) fn said(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot run {}", line(command)))?;
    ensure!(
        output.status.success(),
        "`{}` failed ({}): {}",
        line(command),
        output.status,
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newer_kernels_have_greater_numbers() {
        assert!(numbers("linux-image-6.1.0-56-cloud-amd64") > numbers("linux-image-6.1.0-9-cloud-amd64"));
        assert!(
            numbers("linux-image-6.12.117+deb12-cloud-amd64")
                > numbers("linux-image-6.12.17+deb12-cloud-amd64")
        );
    }

    #[test]
    fn modules_are_known_by_their_files() {
        let name = |file: &str| module_name(OsStr::new(file));
        assert_eq!(name("veth.ko").as_deref(), Some("veth"));
        assert_eq!(name("ip6-udp-tunnel.ko.xz").as_deref(), Some("ip6_udp_tunnel"));
        assert_eq!(name("modules.order"), None);
    }

    #[test]
    fn a_module_says_what_it_needs() {
        let module = b"\x7fELF\0\0license=GPL\0depends=udp_tunnel,ip6-udp-tunnel\0name=vxlan\0";
        assert_eq!(needed(module), ["udp_tunnel", "ip6_udp_tunnel"]);
        assert!(needed(b"\0depends=\0").is_empty());
    }
}
