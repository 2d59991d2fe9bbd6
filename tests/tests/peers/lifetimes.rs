//! Speakers that fall silent, die and come back; and that nothing is left of them.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use weft_tests::peers::{self, Bird, ExaBgp, Frr, FrrSettings, GoBgp, Program};
use weft_tests::{Lab, PATIENCE, remove_lab, wait_for, wait_until};

use crate::{A, B, frr_bgpd, gobgp_toml, hosts};

const ALL: [Program; 4] = [Program::Frr, Program::GoBgp, Program::ExaBgp, Program::Bird];

/// In: GoBGP is paused; killed and started again; asked to stop; and bgpd is killed and started again. Out: FRR's hold
/// timer ends the session of one that is silent; each time that one is back, so is the session.
#[test]
fn silence_death_and_return() -> Result<()> {
    peers::test(&[Program::Frr, Program::GoBgp], |lab| {
        let [a, b] = hosts(lab)?;
        let bgpd =
            frr_bgpd(&["l2vpn evpn"], "").replace("connect 1", "1 3\n neighbor 192.0.2.2 timers connect 1");
        let mut frr =
            Frr::start(lab, "frr", &a.namespace, FrrSettings { bgpd: &bgpd, ..FrrSettings::default() })?;
        let mut gobgp = GoBgp::start(lab, "gobgp", &b.namespace, &gobgp_toml())?;
        frr.wait_established(B)?;

        gobgp.daemon().pause()?;
        wait_for(PATIENCE, "the end of a silent session", || match frr.neighbour(B) {
            Ok(neighbour) if neighbour["lastNotificationReason"] == "Hold Timer Expired" => Ok(()),
            Ok(neighbour) => Err(neighbour["lastNotificationReason"].to_string()),
            Err(error) => Err(format!("{error:#}")),
        })?;
        gobgp.daemon().resume()?;
        gobgp.wait_established(A)?;

        gobgp.daemon().kill()?;
        gobgp.start_again()?;
        gobgp.wait_established(A)?;
        let status = gobgp.daemon().terminate()?;
        ensure!(status.success(), "{status}");
        gobgp.start_again()?;
        frr.wait_established(B)?;

        let before = frr.bgpd().pid();
        frr.bgpd().kill()?;
        frr.start_again()?;
        ensure!(frr.bgpd().pid() != before);
        frr.wait_established(B)
    })
}

/// In: a lab with all four speakers that is removed while they run, as after a test that was interrupted. Out: no
/// process, no namespace and no file of it is left, nor what FRR keeps for a crash in `/var/tmp`.
#[test]
fn nothing_is_left() -> Result<()> {
    peers::test(&ALL, |_| {
        let lab = Lab::new()?;
        let [a, b] = hosts(&lab)?;
        let bgpd = frr_bgpd(&["l2vpn evpn"], "");
        let settings = FrrSettings { bgpd: &bgpd, bfdd: Some("bfd\n"), ..FrrSettings::default() };
        let mut frr = Frr::start(&lab, "frr", &a.namespace, settings)?;
        let daemons = [("bgpd", frr.bgpd().pid()), ("zebra", frr.zebra().pid()), ("bfdd", frr.bfdd()?.pid())];
        let gobgp = GoBgp::start(&lab, "gobgp", &b.namespace, &gobgp_toml())?;
        let neighbour = format!("neighbor {A} {{\nlocal-address {B};\nlocal-as 65002;\npeer-as 65001;\n}}\n");
        let exabgp = ExaBgp::start(&lab, "exabgp", &b.namespace, &neighbour)?;
        let bird =
            Bird::start(&lab, "bird", &a.namespace, &format!("router id {A};\nprotocol device {{}}\n"))?;
        let folder = lab.folder().to_owned();
        ensure!(processes_of(&folder)? >= 7, "{} processes", processes_of(&folder)?);
        remove_lab(lab.name());
        drop((frr, gobgp, exabgp, bird));
        wait_until(PATIENCE, "the end of all processes", || {
            processes_of(&folder).is_ok_and(|count| count == 0)
        })?;
        ensure!(!folder.exists(), "{} is left", folder.display());
        for namespace in [&a.namespace, &b.namespace] {
            ensure!(!namespace.path().exists(), "{} is left", namespace.path().display());
        }
        for (daemon, pid) in daemons {
            let crash = Path::new("/var/tmp/frr").join(format!("{daemon}.{}", pid.context("a process")?));
            ensure!(!crash.exists(), "{} is left", crash.display());
        }
        Ok(())
    })
}

/// Processes with a path in the folder among their words.
fn processes_of(folder: &Path) -> Result<usize> {
    let folder = folder.to_str().context("a folder with a name")?;
    let lines = fs::read_dir("/proc")?.flatten().map(|process| fs::read(process.path().join("cmdline")));
    Ok(lines.flatten().filter(|line| String::from_utf8_lossy(line).contains(folder)).count())
}
