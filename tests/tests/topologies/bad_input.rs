//! Input that is wrong gets a clear error and changes nothing.
//!
//! ```text
//! web 10.0.0.11 ─ h1 ─── r
//! ```

use std::fs;

use anyhow::{Context as _, Result, ensure};
use weft_tests::cloud::{Cloud, Intent};
use weft_tests::{End, Lab, PATIENCE, Settings, Weft, Weftd, Wire, underlay, wait_for};

/// What is there before the bad input comes.
fn intent() -> Result<Intent> {
    Intent::default().tenant("red", 100)?.pod("web", "red-a", 0, 11)
}

/// Bad documents and words that their errors must have.
const BAD: &[(&str, &[&str])] = &[
    (
        "kind: subnet\nname: red-b\nnetwork: red\nvni: 102\nipv4: 10.0.0.128/25\n",
        &["subnet/red-b", "10.0.0.128/25", "overlaps", "subnet/red-a"],
    ),
    ("kind: network\nname: n\ntenant: t\nvni: 0\n", &["network/n", "VNI 0", "16777215"]),
    ("kind: network\nname: n\ntenant: t\nvni: 16777216\n", &["network/n", "VNI 16777216", "16777215"]),
    ("kind: network\nname: n\ntenant: t\nvni: 101\n", &["network/n", "VNI 101", "taken", "subnet/red-a"]),
    ("kind: port\nname: p\nsubnet: red-a\naddresses: [10.0.1.5]\n", &["port/p", "10.0.1.5", "subnet/red-a"]),
    ("kind: port\nname: p\nsubnet: red-a\naddresses: [10.0.0.11]\n", &["port/p", "10.0.0.11", "port/web"]),
    (
        "kind: port\nname: p\nsubnet: red-a\nmac: 02:ee:00:00:65:0b\n",
        &["port/p", "02:ee:00:00:65:0b", "port/web"],
    ),
    ("kind: port\nname: p\nsubnet: nowhere\n", &["port/p", "nowhere"]),
    (
        "kind: network\nname: n\ntenant: t\nvni: 300\ncolour: red\n",
        &["network/n at", "bad.yaml:10:1 ", "colour: unknown field"],
    ),
    ("kind: planet\nname: p\n", &["planet/p at", "bad.yaml:6:7 ", "unknown kind `planet`"]),
    // Values of a wrong type, or that no value of theirs is written like.
    (
        "kind: network\nname: n\ntenant: t\nvni: [1]\n",
        &["network/n at", "bad.yaml:9:6 ", "vni: expected a positive whole number, found a list"],
    ),
    ("kind: port\nname: p\nsubnet: red-a\nmac: 02:zz\n", &["port/p at", "bad.yaml:9:6 ", "mac: \"02:zz\""]),
    (
        "kind: subnet\nname: s\nnetwork: red\nvni: 3\nipv4: 10.0.0.0/33\n",
        &["subnet/s at", "bad.yaml:10:7 ", "ipv4: \"10.0.0.0/33\""],
    ),
    // No YAML.
    ("kind: network\nname: n\n  tenant: t\n", &["bad.yaml:8:9 ", "not YAML"]),
    ("kind: network\nname: n\ntenant: [\n", &["bad.yaml:9:1 ", "not YAML"]),
];

/// In: each bad document behind a good one, through `weft apply`. Out: the error names the file, the object and what
/// is wrong, with line and column where the document itself is; the good one is not there either; revision, resources, ports and counters of ports are as before.
#[test]
fn apply_refuses_as_a_whole() -> Result<()> {
    Lab::test(|lab| {
        let mut cloud = Cloud::start(lab, underlay::one_host(lab)?)?;
        cloud.deploy(&intent()?)?;
        let weft = cloud.daemon(0).weft();
        let before = snapshot(weft)?;
        let file = lab.folder().join("bad.yaml");
        for (document, words) in BAD {
            fs::write(&file, format!("kind: network\nname: good\ntenant: t\nvni: 400\n---\n{document}"))?;
            let output = weft.run(&["apply", "-f", &file.to_string_lossy()])?;
            ensure!(!output.success, "this was taken:\n{document}");
            for word in words.iter().chain(&["bad.yaml"]) {
                ensure!(output.stderr.contains(word), "no {word:?} in {:?}, for\n{document}", output.stderr);
            }
            ensure!(snapshot(weft)? == before, "something changed by\n{document}");
        }
        Ok(())
    })
}

/// In: attaching to a namespace that is not there, a port that is not there, and a device name that the pod has.
/// Out: errors that say so; nothing changed.
#[test]
fn attach_refuses() -> Result<()> {
    Lab::test(|lab| {
        let mut cloud = Cloud::start(lab, underlay::one_host(lab)?)?;
        cloud.deploy(&intent()?)?;
        let weft = cloud.daemon(0).weft();
        fs::write(lab.folder().join("free.yaml"), "kind: port\nname: free\nsubnet: red-a\n")?;
        weft.must(&["apply", "-f", &lab.folder().join("free.yaml").to_string_lossy()])?;
        let before = snapshot(weft)?;
        let taken = cloud.pod("web").namespace.path().to_string_lossy().into_owned();
        for (arguments, words) in [
            (["port", "attach", "free", "--netns", "/run/netns/weft-none"], ["free", "/run/netns/weft-none"]),
            (["port", "attach", "nobody", "--netns", &taken], ["nobody", "nobody"]),
            (["port", "attach", "free", "--netns", &taken], ["free", "eth0"]),
        ] {
            let output = weft.run(&arguments)?;
            ensure!(!output.success, "taken: {arguments:?}");
            for word in words {
                ensure!(output.stderr.contains(word), "no {word:?} in {:?}", output.stderr);
            }
            ensure!(snapshot(weft)? == before, "something changed by {arguments:?}");
        }
        Ok(())
    })
}

/// In: configurations with a field that nobody knows, and with a VTEP that no other host could send to. Out: weftd ends
/// with an error that names file, line and column; nothing is pinned.
#[test]
fn weftd_refuses_a_bad_configuration() -> Result<()> {
    Lab::test(|lab| {
        let underlay = underlay::one_host(lab)?;
        let machine = &underlay.machines[0];
        for (number, (from, to, words)) in [
            ("[host]", "[host]\ncolour = \"red\"", ["weftd.toml:2:1", "colour"]),
            ("vtep = \"192.0.2.1\"", "vtep = \"127.0.0.1\"", ["weftd.toml:6:8", "127.0.0.1"]),
        ]
        .into_iter()
        .enumerate()
        {
            let settings = Settings::new(lab, &format!("bad{number}"), underlay::UPLINK, machine.vtep);
            let mut daemon = Weftd::new(lab, settings, &machine.namespace)?;
            let settings = daemon.settings().clone();
            fs::write(settings.config(), settings.toml().replace(from, to))?;
            daemon.launch()?;
            let status = daemon.wait_until_ended().with_context(|| to.to_owned())?;
            let log = daemon.log_end(10);
            ensure!(!status.success(), "weftd takes {to}");
            for word in words {
                ensure!(log.contains(word), "no {word:?} in {log}");
            }
            ensure!(!settings.pin_folder.exists(), "{} is left", settings.pin_folder.display());
        }
        Ok(())
    })
}

/// In: a configuration with an underlay device that the host has not yet. Out: weftd runs, and says that the device is
/// missing; as soon as it is there, nothing is wrong any more.
#[test]
fn a_missing_underlay_device_is_waited_for() -> Result<()> {
    Lab::test(|lab| {
        let underlay = underlay::one_host(lab)?;
        let machine = &underlay.machines[0];
        let mut daemon =
            Weftd::new(lab, Settings::new(lab, "h1", "late0", machine.vtep), &machine.namespace)?;
        daemon.start()?;
        let failures = || daemon.weft().status().map(|status| status.failures);
        wait_for(PATIENCE, "a word about the device", || match failures() {
            Ok(failures) if failures.iter().any(|failure| failure.contains("late0")) => Ok(()),
            failures => Err(failures),
        })?;
        Wire::default().lay(
            End { namespace: &machine.namespace, device: "late0", addresses: &[] },
            End { namespace: &underlay.routers[0], device: "late1", addresses: &[] },
        )?;
        wait_for(PATIENCE, "no failures", || match failures() {
            Ok(failures) if failures.is_empty() => Ok(()),
            failures => Err(failures),
        })
    })
}

/// All that weft tells of its state, but for the time.
fn snapshot(weft: &Weft) -> Result<Vec<String>> {
    let mut status = weft.status()?;
    (status.uptime_seconds, status.checked_seconds_ago) = (0, 0);
    let mut all = vec![format!("{status:?}")];
    for kind in ["networks", "subnets", "ports", "remotes"] {
        all.push(weft.must(&["get", kind, "-o", "json"])?);
    }
    all.push(weft.must(&["routes", "-o", "json"])?);
    Ok(all)
}
