//! Another build of weftd, to replace the one under test with and back: a copy of the sources in `target/other-build/`,
//! in which the rule of `dataplane-abi` is used to the full. Values of three maps are longer at their end, and the
//! programs write there.
//!
//! It shares the target folder with the workspace, so that no dependency is built again, and has another version: cargo
//! names what it makes of a workspace's crate after its place in the workspace and its version.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use crate::step::{cargo, run, step};

/// Folder of the copy, in the target folder.
const COPY: &str = "other-build";
/// The executable while cargo makes it, in a folder where the workspace's own is called `weftd`.
const NAME: &str = "weftd-of-other-build";
/// The object with the eBPF programs, likewise.
const OBJECT: &str = "weft-dataplane-of-other-build";
/// What a build does not need, or what the copy has otherwise.
const LEFT_OUT: [&str; 4] = ["target", ".git", "docs", ".ci"];

/// The version of the workspace's crates, and theirs in the other build.
const VERSION: &str = concat!("version = \"", env!("CARGO_PKG_VERSION"), "\"");
const OTHER_VERSION: &str = concat!("version = \"", env!("CARGO_PKG_VERSION"), "-other\"");

/// Values that grow: the file, the type, the type and value of the field at its end, and how many bytes that is.
const LONGER: [(&str, &str, &str, &str, usize); 3] = [
    ("next_hop.rs", "HostRoute", "[u8; 8]", "[0x5a; 8]", 8),
    ("vtep.rs", "VtepEntry", "[u8; 8]", "[0x5a; 8]", 8),
    ("counters.rs", "PortCounters", "u64", "0", 8),
];

/// The smallest of all test programs.
const SOME_TEST: &str = "pipe";

/// Makes the copy, builds it, and puts its weftd into `executables`, as `other-build/weftd`. `as_tests`: the executables were
/// built as those of the tests of the whole workspace.
pub(crate) fn other_build(executables: &Path, as_tests: bool) -> Result<()> {
    step("build of another weftd, to replace the first with", || {
        let target = crate::workspace().join("target");
        let copy = target.join(COPY);
        fill(crate::workspace(), &copy).context("copying the sources")?;
        // The eBPF programs are built in `target/bpf`, with the linker in `target/tools`.
        if fs::symlink_metadata(copy.join("target")).is_err() {
            symlink(&target, copy.join("target"))?;
        }
        // With the packages of the executables, and a test where they were built as tests, dependencies have the same features.
        let like_them: &[&str] = match as_tests {
            true => &["--workspace", "--test", SOME_TEST],
            false => &["-p", "weft-daemon", "-p", "weft-cli", "-p", "weft-tests"],
        };
        let folder = executables.parent().context("the folder of the executables")?;
        let mut cargo = cargo("build");
        cargo.current_dir(&copy).args(["--locked", "--bin", NAME, "--target-dir"]).arg(folder);
        run(cargo.args(like_them))?;
        let there = executables.join(COPY);
        fs::create_dir_all(&there)?;
        let weftd = there.join("weftd");
        // A new file: the old one may be running.
        drop(fs::remove_file(&weftd));
        fs::copy(executables.join(NAME), &weftd).with_context(|| weftd.display().to_string())?;
        Ok(())
    })
}

/// Makes `to` what `from` is, but for what differs. Files that are so already are left alone, and so is what cargo made
/// of them.
fn fill(from: &Path, to: &Path) -> Result<()> {
    let mut wanted = BTreeSet::new();
    list(from, Path::new(""), &mut wanted)?;
    let mut there = BTreeSet::new();
    if to.exists() {
        list(to, Path::new(""), &mut there)?;
    }
    for gone in there.difference(&wanted) {
        fs::remove_file(to.join(gone))?;
    }
    for file in &wanted {
        let text = fs::read(from.join(file))?;
        let text = match String::from_utf8(text) {
            Ok(text) => otherwise(file, text).with_context(|| file.display().to_string())?.into_bytes(),
            Err(binary) => binary.into_bytes(),
        };
        let copy = to.join(file);
        if fs::read(&copy).ok().as_ref() != Some(&text) {
            fs::create_dir_all(copy.parent().unwrap_or(to))?;
            fs::write(&copy, text)?;
        }
    }
    Ok(())
}

/// The files of a project's folder, as paths in it.
fn list(root: &Path, folder: &Path, files: &mut BTreeSet<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(root.join(folder))? {
        let entry = entry?;
        let path = folder.join(entry.file_name());
        if LEFT_OUT.iter().any(|left_out| path.as_os_str() == *left_out) {
            continue;
        }
        if entry.file_type()?.is_dir() {
            list(root, &path, files)?;
        } else {
            files.insert(path);
        }
    }
    Ok(())
}

/// A file as it is in the other build.
fn otherwise(file: &Path, mut text: String) -> Result<String> {
    for (name, of, kind, value, bytes) in LONGER {
        if file == Path::new("dataplane-abi/src").join(name) {
            text = longer(&text, of, kind, value, bytes)?;
        }
    }
    match file.to_str() {
        Some("dataplane-ebpf/src/counters.rs") => {
            let counts = "count(&mut counters.from_port, len);";
            replace(&text, counts, &format!("{counts} counters.of_other_build += 1;"))
        }
        Some("Cargo.toml") => replace(&text, VERSION, OTHER_VERSION),
        Some("Cargo.lock" | "dataplane-ebpf/Cargo.lock") => Ok(other_versions(&text)),
        Some("dataplane-ebpf/Cargo.toml") => {
            let text = replace(&text, VERSION, OTHER_VERSION)?;
            replace(&text, "name = \"weft-dataplane\"", &format!("name = \"{OBJECT}\""))
        }
        Some("dataplane/build.rs") => replace(&text, "\"weft-dataplane\"", &format!("\"{OBJECT}\"")),
        Some("daemon/Cargo.toml") => replace(&text, "name = \"weftd\"", &format!("name = \"{NAME}\"")),
        _ => Ok(text),
    }
}

/// A lock file in which our own crates, which come from no registry, have the other version.
fn other_versions(lock: &str) -> String {
    let package = |package: &str| match package.contains("\nsource = ") {
        true => package.to_owned(),
        false => package.replace(VERSION, OTHER_VERSION),
    };
    lock.split("[[package]]").map(package).collect::<Vec<_>>().join("[[package]]")
}

/// The source of a type with one more field at its end, whose size is asserted to be so many bytes more.
fn longer(source: &str, of: &str, kind: &str, value: &str, bytes: usize) -> Result<String> {
    const FIELD: &str = "of_other_build";
    let (start, end) = braces(source, &format!("pub struct {of} "))?;
    let fields = source[start..end].trim_end().trim_end_matches(',');
    let head =
        format!("{}{fields},\n    /// Not in the first build.\n    pub {FIELD}: {kind},\n", &source[..start]);
    let source = head + &source[end..];

    let assert = format!("assert_size!({of}, ");
    let at = source.find(&assert).with_context(|| format!("no {assert}"))? + assert.len();
    let digits = source[at..].find(')').context("no end of the assertion")?;
    let size: usize = source[at..at + digits].parse().context("the size in the assertion")?;
    let source = format!("{}{}{}", &source[..at], size + bytes, &source[at + digits..]);

    // Every value that its own methods make.
    let (start, end) = braces(&source, &format!("impl {of} "))?;
    let mut methods = String::new();
    let mut rest = &source[start..end];
    let mut made = 0;
    while let Some(at) = rest.find("Self {") {
        let (before, after) = rest.split_at(at);
        methods.push_str(before);
        rest = &after["Self {".len()..];
        methods.push_str("Self {");
        if !before.trim_end().ends_with("->") {
            methods.push_str(&format!(" {FIELD}: {value}, "));
            made += 1;
        }
    }
    methods.push_str(rest);
    ensure!(made > 0, "no method of {of} makes one");
    Ok(format!("{}{methods}{}", &source[..start], &source[end..]))
}

/// Where the text between the braces after `head` begins and ends.
fn braces(source: &str, head: &str) -> Result<(usize, usize)> {
    let at = source.find(head).with_context(|| format!("no `{head}`"))?;
    let start = at + source[at..].find('{').with_context(|| format!("no brace after `{head}`"))? + 1;
    let mut depth = 1;
    for (offset, character) in source[start..].char_indices() {
        depth += match character {
            '{' => 1,
            '}' => -1,
            _ => 0,
        };
        if depth == 0 {
            return Ok((start, start + offset));
        }
    }
    anyhow::bail!("the braces after `{head}` do not close")
}

fn replace(text: &str, this: &str, by: &str) -> Result<String> {
    ensure!(
        text.matches(this).count() == 1,
        "`{this}` must be there once: the other build is made by replacing it"
    );
    Ok(text.replace(this, by))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_put_at_the_end_of_the_type_and_into_what_makes_it() {
        let source = "pub struct A {\n    b: u32,\n}\nassert_size!(A, 4);\nimpl A {\n    fn new() -> Self {\n        \
                      Self { b: 1 }\n    }\n}\nimpl B { fn new() -> Self { Self { c: 2 } } }\n";
        let longer = longer(source, "A", "u64", "7", 8).unwrap();
        assert!(
            longer.contains("b: u32,\n    /// Not in the first build.\n    pub of_other_build: u64,\n}"),
            "{longer}"
        );
        assert!(longer.contains("assert_size!(A, 12);"), "{longer}");
        assert!(longer.contains("fn new() -> Self {\n        Self { of_other_build: 7,  b: 1 }"), "{longer}");
        assert!(longer.contains("Self { c: 2 }"), "{longer}");
    }

    #[test]
    fn our_own_crates_have_another_version_and_no_other_has() {
        let lock = format!(
            "[[package]]\nname = \"weft-a\"\n{VERSION}\n\n[[package]]\nname = \"b\"\n{VERSION}\nsource = \"c\"\n"
        );
        let other = other_versions(&lock);
        assert_eq!(other.matches(OTHER_VERSION).count(), 1, "{other}");
        assert!(other.starts_with(&format!("[[package]]\nname = \"weft-a\"\n{OTHER_VERSION}\n")), "{other}");
    }

    #[test]
    fn what_is_no_longer_there_is_told() {
        let gone = longer("pub struct A {}", "B", "u64", "7", 8).unwrap_err().to_string();
        assert!(gone.contains("pub struct B"), "{gone}");
        assert!(replace("a a", "a", "b").is_err());
    }
}
