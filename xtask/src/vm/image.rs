//! The image that a machine boots with: busybox, modules, the test programs with the libraries that they need, and an
//! `/init` that runs them and says on the second serial port how each ended.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::cpio::Archive;
use super::kernel::{self, Kernel, said};
use super::programs::Program;
use crate::step::run;

/// What weft needs of a kernel, and the tests beyond that.
const MODULES: [&str; 9] = [
    "veth",
    "vxlan",
    "sch_ingress",
    "cls_bpf",
    "sch_netem",
    "bridge",
    "br_netfilter",
    "nf_tables",
    "af_packet",
];

/// Folders that something is mounted on, or put into.
const FOLDERS: [&str; 6] = ["/proc", "/sys", "/dev", "/tmp", "/run", "/etc"];

/// Where the image for a kernel is written.
pub(crate) fn path(kernel: &Kernel) -> PathBuf {
    kernel::folder().join(format!("{}.cpio", kernel.series()))
}

/// The `/init` that runs `programs`, each with its arguments.
pub(crate) fn script(
    kernel: &Kernel,
    programs: &[&Program],
    arguments: impl Fn(&Program) -> Vec<String>,
) -> Result<String> {
    let mut script = String::from(START);
    for (name, _) in kernel.modules(&MODULES)? {
        script.push_str(&format!("insmod /modules/{name}.ko || echo '@broken module {name}'\n"));
    }
    for program in programs {
        let name = program.name;
        let words = arguments(program);
        if let Some(odd) = words.iter().find(|word| word.contains('\'')) {
            bail!("{odd} is no part of a test's name");
        }
        let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
        script.push_str(&format!(
            "echo '@begin {name}'\n/weft/{name} {}\necho \"@end {name} $?\"\n",
            quoted.join(" ")
        ));
    }
    script.push_str("echo '@done'\npoweroff -f\n");
    Ok(script)
}

/// The first serial port has what the kernel says, the second what we say. A leading CI makes a test fail that would skip
/// itself for want of something.
const START: &str = "\
#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp
mount -t tmpfs run /run
mount -t bpf bpf /sys/fs/bpf
stty -F /dev/ttyS1 raw
exec </dev/null >/dev/ttyS1 2>&1
ip link set lo up
export WEFT_BIN_DIR=/weft CI=true HOME=/tmp WEFT_TEST_VM=1 WEFT_TEST_SLOWNESS=6
hostname weft-vm
cd /tmp
";

/// Writes the image.
pub(crate) fn write(
    path: &Path,
    kernel: &Kernel,
    executables: &BTreeMap<String, PathBuf>,
    script: &str,
) -> Result<()> {
    let file = File::create(path).with_context(|| format!("{}", path.display()))?;
    let mut archive = Archive::new(BufWriter::new(file));
    FOLDERS.iter().try_for_each(|folder| archive.folder(folder))?;
    // Before devtmpfs is mounted, the kernel opens this for /init.
    archive.device("/dev/console", 5, 1)?;
    // A file that everybody has, and that is no network namespace.
    archive.file("/etc/hostname", b"weft-vm\n")?;
    archive.file("/init", script.as_bytes())?;
    archive.file("/bin/busybox", &read(Path::new("/bin/busybox"))?)?;
    for (name, module) in kernel.modules(&MODULES)? {
        archive.file(&format!("/modules/{name}.ko"), &module)?;
    }
    let mut libraries = BTreeSet::new();
    for (name, executable) in executables {
        archive.file(&format!("/weft/{name}"), &stripped(executable)?)?;
        libraries.extend(needed(executable)?);
    }
    for library in libraries {
        archive.file(&library, &read(Path::new(&library))?)?;
    }
    archive.finish().with_context(|| format!("{}", path.display()))
}

/// An executable without its debug information, which is most of it and must fit into the machine's memory.
fn stripped(executable: &Path) -> Result<Vec<u8>> {
    let stripped = kernel::folder().join("stripped");
    run(Command::new("strip").arg("--strip-debug").arg("-o").arg(&stripped).arg(executable))?;
    read(&stripped)
}

/// The shared libraries that an executable needs, the loader among them, by their paths.
fn needed(executable: &Path) -> Result<Vec<String>> {
    Ok(libraries(&said(Command::new("ldd").arg(executable))?))
}

/// The paths in what ldd says: `NAME => PATH (ADDRESS)`, or `PATH (ADDRESS)` for the loader.
fn libraries(said: &str) -> Vec<String> {
    said.split_whitespace().filter(|word| word.starts_with('/')).map(str::to_owned).collect()
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("{}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_read_from_what_ldd_says() {
        let said = "\tlinux-vdso.so.1 (0x00007f53)\n\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f53)\n\
                    \t/lib64/ld-linux-x86-64.so.2 (0x00007f53)\n";
        assert_eq!(libraries(said), ["/lib/x86_64-linux-gnu/libc.so.6", "/lib64/ld-linux-x86-64.so.2"]);
    }
}
