//! weftd dies a hundred times, at any moment, and no packet, connection or object of the kernel's is lost or left over.
//!
//! ```text
//! red-1 (red-a) ┐                       ┌ red-3 (red-a)
//! red-2 (red-b) ┴ h1 ────── sw ────── h2 ┴ red-4 (red-b)
//!                            │
//!                           h3 ┬ red-5 (red-a)
//!                              └ red-6 (red-b)
//! ```
//! Every pod talks to every other: ping, UDP and TCP, IPv4 and IPv6, switched within a subnet and routed between the
//! two, on one host and between hosts.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use weft_tests::cloud::{Cloud, Holdings, Intent, Pod, Uncounted};
use weft_tests::probe::Mesh;
use weft_tests::{Dice, Lab, PATIENCE, Weft, Wire, let_pass, underlay, wait_for};

const HOSTS: usize = 3;
const KILLS: u32 = 100;
/// Packets that pods send by themselves, such as router solicitations, while counters are read.
const NOISE: i64 = 12;

/// What comes and goes while weftd is killed: addresses behind a host that is not there, in the tables of every kind.
const CHANGE: &str = "kind: remote\nname: far\nvtep: 192.0.2.99\naddresses:\n";

/// Starts the cloud of the drawing.
pub fn three_hosts(lab: &Lab) -> Result<Cloud<'_>> {
    let mut cloud = Cloud::start(lab, underlay::three_hosts(lab, Wire::default())?)?;
    let mut intent = Intent::default().tenant("red", 100)?;
    for number in 0..2 * HOSTS {
        let subnet = if number % 2 == 0 { "red-a" } else { "red-b" };
        let nth = u8::try_from(11 + number)?;
        intent = intent.pod(&format!("red-{}", number + 1), subnet, number / 2, nth)?;
    }
    cloud.deploy(&intent)?;
    let pods: Vec<_> = cloud.pods().collect();
    for (from, to) in pods.iter().flat_map(|from| pods.iter().map(move |to| (from, to))) {
        // Also so that every neighbour is known before the first counted packet.
        if from.name != to.name {
            from.pings(to)?;
        }
    }
    Ok(cloud)
}

/// When weftd is killed.
#[derive(Debug, Clone, Copy)]
enum Moment {
    /// While it has nothing to do.
    Idle,
    /// After it was told of a change: while it stores it, or writes it into the kernel.
    Change,
    /// While it starts: it opens, replaces programs, reconciles.
    Start,
}

/// In: the traffic of the drawing, and 100 kills, of a weftd of chance at a moment of chance. Out: everything sent
/// arrives, no connection breaks; what weft holds in the kernel and in its process is what it held before.
#[test]
fn a_hundred() -> Result<()> {
    Lab::test(|lab| {
        let mut cloud = three_hosts(lab)?;
        let mut dice = Dice::new();
        println!("repeat with {}", dice.seed());
        // The guards that the first left on the devices stay, beside that of every later one: that is no growth.
        let mut start = Duration::ZERO;
        for host in 0..HOSTS {
            cloud.daemon_mut(host).kill()?;
            let begun = Instant::now();
            cloud.daemon_mut(host).start()?;
            start = start.max(begun.elapsed());
        }
        cloud.wait_until_up()?;
        let begun = Instant::now();
        let before = holdings(&cloud)?;
        let uncounted = Uncounted::begin(&cloud)?;

        let pods: Vec<&Pod> = cloud.pods().collect();
        let mesh = Mesh::start(&pods)?;
        let mut moments = [0; 3];
        for kill in 0..KILLS {
            let host = usize::try_from(dice.below(HOSTS as u64))?;
            let moment = dice.one(&[Moment::Idle, Moment::Change, Moment::Start, Moment::Start]);
            moments[moment as usize] += 1;
            self::kill(&mut cloud, host, moment, start, &mut dice)
                .with_context(|| format!("kill {kill}, of h{}: {moment:?}", host + 1))?;
        }
        for host in 0..HOSTS {
            // One that was killed while it started is away.
            if cloud.daemon(host).pid().is_none() {
                cloud.daemon_mut(host).launch()?;
            }
            cloud.daemon_mut(host).wait_until_ready()?;
            let weft = cloud.daemon(host).weft();
            // Deleting what is not there is refused, and no matter.
            weft.run(&["delete", "remote", "far"])?;
        }
        cloud.wait_until_up()?;
        let took = begun.elapsed();
        let report = mesh.finish()?;
        let (uncounted, of) = uncounted.end(&cloud)?;
        println!(
            "{KILLS} kills in {took:.0?} ({} idle, {} under a change, {} at a start of {start:.0?}): {report}; \
             {uncounted} of {of} packets of the pods not counted",
            moments[0], moments[1], moments[2]
        );
        report.assert_lossless()?;
        ensure!(uncounted.abs() <= NOISE, "{uncounted} of {of} packets of the pods were not counted");
        wait_for(PATIENCE, "what weft holds to be as before", || {
            let now = holdings(&cloud).map_err(|error| format!("{error:#}"))?;
            if now == before { Ok(()) } else { Err(format!("before {before:#?}, now {now:#?}")) }
        })
    })
}

/// Kills the weftd of `host`, which may be on its way up, and starts it again. `start` is how long a start takes.
fn kill(cloud: &mut Cloud<'_>, host: usize, moment: Moment, start: Duration, dice: &mut Dice) -> Result<()> {
    let file = cloud.lab().folder().join("far.yaml");
    if cloud.daemon(host).pid().is_none() {
        cloud.daemon_mut(host).launch()?;
    }
    match moment {
        // It was started by the kill before, or long ago: this one begins anew.
        Moment::Start => {
            cloud.daemon_mut(host).terminate()?;
            cloud.daemon_mut(host).launch()?;
            let_pass(dice.time(start));
        }
        Moment::Idle => {
            cloud.daemon_mut(host).wait_until_ready()?;
            let_pass(dice.time(Duration::from_millis(20)));
        }
        Moment::Change => {
            cloud.daemon_mut(host).wait_until_ready()?;
            fs::write(&file, change())?;
            let weft = cloud.daemon(host).weft().clone();
            let delay = dice.time(Duration::from_millis(150));
            let (apply, file) = (dice.below(2) == 0, file.to_string_lossy().into_owned());
            let change = thread::spawn(move || tell(&weft, apply, &file));
            let_pass(delay);
            cloud.daemon_mut(host).kill()?;
            // Whether it was done before the kill is chance.
            drop(change.join());
            return cloud.daemon_mut(host).launch();
        }
    }
    cloud.daemon_mut(host).kill()?;
    cloud.daemon_mut(host).launch()
}

fn tell(weft: &Weft, apply: bool, file: &str) -> Result<()> {
    let arguments = if apply { ["apply", "-f", file] } else { ["delete", "remote", "far"] };
    weft.run(&arguments).map(drop)
}

fn change() -> String {
    let addresses = (100..120).map(|nth| {
        format!("  - {{subnet: red-a, address: 10.0.0.{nth}, mac: \"02:00:00:00:02:{:02x}\"}}\n", nth)
    });
    CHANGE.to_owned() + &addresses.collect::<String>()
}

fn holdings(cloud: &Cloud<'_>) -> Result<Vec<Holdings>> {
    (0..HOSTS).map(|host| cloud.holdings(host)).collect()
}

/// Packets from pods, by weft's count.
pub fn counted(cloud: &Cloud<'_>) -> Result<u64> {
    let mut sum = 0;
    for daemon in cloud.daemons() {
        sum += daemon.weft().counters()?.iter().map(|port| port.from_port.packets).sum::<u64>();
    }
    Ok(sum)
}
