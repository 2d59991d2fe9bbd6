//! The documents of `docs/examples/`, which README and `docs/GETTING-STARTED.md` tell people to apply.
//!
//! ```text
//! web-1 10.0.0.11 ─ h1 192.0.2.1 ─────── 192.0.2.2 h2 ─ db-1 10.0.0.12
//! ```

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use weft_tests::cloud::{Cloud, POD_DEVICE};
use weft_tests::{Lab, Wire, underlay};

/// The project's folder.
fn project() -> Result<&'static Path> {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the project's folder")
}

fn example(name: &str) -> Result<PathBuf> {
    Ok(project()?.join("docs/examples").join(name))
}

/// In: on each host, the network's document and its own; workloads attached as the text says. Out: they ping each
/// other at the addresses that the text names, IPv4 and IPv6.
#[test]
fn the_examples_lead_to_a_ping() -> Result<()> {
    Lab::test(|lab| {
        let cloud = Cloud::start(lab, underlay::two_hosts(lab, Wire::default())?)?;
        let mut workloads = Vec::new();
        for (host, file, port) in [(0, "h1.yaml", "web-1"), (1, "h2.yaml", "db-1")] {
            let weft = cloud.daemon(host).weft();
            let (red, own) = (example("red.yaml")?, example(file)?);
            weft.must(&["apply", "-f", &red.to_string_lossy(), "-f", &own.to_string_lossy()])?;
            let workload = lab.namespace(port)?;
            weft.must(&["port", "attach", port, "--netns", workload.name()])?;
            workload.wait_until_running(POD_DEVICE)?;
            workloads.push(workload);
        }
        for (from, to) in [(0, "10.0.0.12"), (0, "fd00:a::12"), (1, "10.0.0.11"), (1, "fd00:a::11")] {
            let answer = workloads[from].ping(to.parse()?)?;
            ensure!(answer.is_ok(), "ping from {} to {to}: {answer:?}", workloads[from].name());
        }
        Ok(())
    })
}

/// The README shows the documents as they are.
#[test]
fn the_readme_shows_the_examples() -> Result<()> {
    let readme = fs::read_to_string(project()?.join("README.md"))?;
    for name in ["red.yaml", "h1.yaml"] {
        let document = fs::read_to_string(example(name)?)?;
        ensure!(readme.contains(&document), "the README shows another {name}");
    }
    Ok(())
}
