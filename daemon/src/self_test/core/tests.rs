use super::*;
use crate::self_test::probe::Kind;
use crate::self_test::trial::{FLOWS, INTERVAL, PATIENCE, ROUNDS};

/// What a way does to packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Good,
    /// Loses what has a checksum that is left to the device.
    Damages,
    /// Loses that in this flow alone.
    DamagesFlow(usize),
    /// Loses that if it is of TCP.
    DamagesBulk,
    /// Loses it however it was computed.
    Hopeless,
    Silent,
}

/// A core, its clock, and ways that answer it at once.
struct World {
    core: Core,
    now: Instant,
    ways: BTreeMap<Vtep, Way>,
    targets: Targets,
    /// What was asked for, one after the other.
    asked: Vec<Vec<String>>,
    news: Vec<(String, Finding)>,
    /// When rounds were sent, and to whom.
    sent: Vec<(Instant, Vtep)>,
}

fn vtep(number: u8) -> Vtep {
    format!("192.0.2.{number}").parse().unwrap()
}

impl World {
    fn new(ways: &[(u8, Way)], kept: &[u8]) -> Self {
        let ways: BTreeMap<_, _> = ways.iter().map(|(number, way)| (vtep(*number), *way)).collect();
        let targets = Targets { ready: true, vteps: ways.keys().map(|vtep| (*vtep, true)).collect() };
        let core = Core::new(kept.iter().map(|number| vtep(*number)).collect(), 1);
        let (asked, news, sent) = (Vec::new(), Vec::new(), Vec::new());
        let mut world = Self { core, now: Instant::now(), ways, targets, asked, news, sent };
        world.tell();
        world
    }

    fn tell(&mut self) {
        self.core.handle_targets(self.now, &self.targets);
    }

    /// Lets time pass, up to as much, or until nothing is due any more.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            self.core.handle_timeout(self.now);
            while let Some(round) = self.core.poll_round() {
                self.answer(round);
            }
            if let Some(software) = self.core.poll_software() {
                self.asked.push(software.iter().map(ToString::to_string).collect());
                self.core.handle_applied(self.now, software);
            }
            while let Some((vtep, finding)) = self.core.poll_news() {
                self.news.push((vtep.to_string(), finding));
            }
            match self.core.next_deadline() {
                Some(next) if next <= end => self.now = next.max(self.now),
                Some(_) | None => break,
            }
        }
        self.now = end;
    }

    fn answer(&mut self, round: Round) {
        let (&vtep, &way) = self.ways.iter().find(|(vtep, _)| address::address(**vtep) == round.to).unwrap();
        self.sent.push((self.now, vtep));
        let software = self.core.applied.contains(&vtep)
            || (!self.core.applied.is_empty() && !self.targets.vteps[&vtep]);
        for (flow, probe) in
            round.flows.iter().flat_map(|flow| round.probes.iter().map(|probe| (*flow, *probe)))
        {
            let arrives = match (way, probe.kind) {
                (Way::Silent, _) => false,
                (_, Kind::Unsummed) | (Way::Good, _) => true,
                (Way::DamagesBulk, Kind::Plain | Kind::Segmented) => true,
                (Way::DamagesFlow(damaged), _) if damaged != flow => true,
                (Way::Damages | Way::DamagesFlow(_) | Way::DamagesBulk, _) => software,
                (Way::Hopeless, Kind::Plain | Kind::Segmented | Kind::Bulk) => false,
            };
            for segment in (0..3).filter(|_| arrives) {
                self.core.handle_answer(self.now, round.to, flow, Probe { segment, ..probe });
            }
        }
    }

    fn finding(&self, number: u8) -> Finding {
        self.core.findings()[&vtep(number)]
    }
}

/// Longer than a trial.
const TRIAL: Duration = Duration::from_secs(3);

#[test]
fn each_way_gets_its_finding_and_the_damaged_ones_a_way_around() {
    let ways = [
        (2, Way::Good),
        (3, Way::Damages),
        (4, Way::Silent),
        (5, Way::Hopeless),
        (6, Way::DamagesFlow(FLOWS - 1)),
        (7, Way::DamagesBulk),
    ];
    let mut world = World::new(&ways, &[]);
    assert_eq!(world.finding(2), Finding::Testing);
    world.pass(TRIAL * 3);
    assert_eq!(world.finding(2), Finding::Good);
    assert_eq!(world.finding(3), Finding::Damaged(Workaround::Verified));
    assert_eq!(world.finding(4), Finding::NotTested(Reason::Silent));
    assert_eq!(world.finding(5), Finding::Damaged(Workaround::Failing));
    assert_eq!(world.finding(6), Finding::Damaged(Workaround::Verified));
    assert_eq!(world.finding(7), Finding::Damaged(Workaround::Verified));
    let last = world.asked.last().unwrap();
    assert_eq!(*last, ["192.0.2.3", "192.0.2.5", "192.0.2.6", "192.0.2.7"]);
    let of_3: Vec<_> = world.news.iter().filter(|(vtep, _)| vtep == "192.0.2.3").map(|(_, it)| *it).collect();
    let told = [Workaround::Testing, Workaround::Verified].map(Finding::Damaged);
    assert_eq!(of_3, [&[Finding::Testing], told.as_slice()].concat());
    // What is known is not asked for again.
    let (rounds, asked) = (world.sent.len(), world.asked.len());
    world.ways.retain(|vtep, _| [2, 3].map(self::vtep).contains(vtep));
    world.targets.vteps.retain(|vtep, _| [2, 3].map(self::vtep).contains(vtep));
    world.tell();
    world.pass(Duration::from_secs(7200));
    assert_eq!((world.sent.len(), world.asked.len()), (rounds, asked + 1));
    assert_eq!(world.asked.last().unwrap(), &["192.0.2.3"]);
}

#[test]
fn who_does_not_answer_is_asked_less_and_less_and_at_once_when_it_asks_us() {
    let mut world = World::new(&[(4, Way::Silent)], &[]);
    world.pass(Duration::from_secs(4000));
    let trial = INTERVAL * u32::from(ROUNDS - 1) + PATIENCE;
    let starts = world.sent.chunks(usize::from(ROUNDS)).map(|rounds| rounds[0].0);
    let pauses: Vec<_> =
        starts.clone().zip(starts.skip(1)).map(|(from, to)| (to - from - trial).as_secs()).collect();
    assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600, 600, 600]);
    assert_eq!(world.news.len(), 2, "{:?}", world.news);
    // It is never called anything else meanwhile.
    assert_eq!(world.finding(4), Finding::NotTested(Reason::Silent));
    world.ways.insert(vtep(4), Way::Good);
    world.core.handle_request(world.now, address::address(vtep(4)));
    world.core.handle_request(world.now, address::address(vtep(9)));
    world.pass(FIRST_PAUSE + TRIAL);
    assert_eq!(world.finding(4), Finding::Good);
}

#[test]
fn a_verdict_of_before_is_in_force_and_only_verified() {
    let mut world = World::new(&[(2, Way::Good), (3, Way::Damages)], &[3, 9]);
    assert_eq!(world.finding(3), Finding::Damaged(Workaround::Testing));
    world.pass(TRIAL);
    assert_eq!(world.finding(3), Finding::Damaged(Workaround::Verified));
    // The one that is no remote any more is forgotten, and nothing else is asked for.
    assert_eq!(world.asked, [["192.0.2.3"]]);
    assert_eq!(world.sent.iter().filter(|(_, to)| *to == vtep(3)).count(), 2);
}

#[test]
fn nothing_is_asked_for_before_it_is_known_who_there_is() {
    let mut core = Core::new([vtep(3)].into(), 1);
    assert_eq!(core.poll_software(), None);
    core.handle_targets(Instant::now(), &Targets::default());
    assert_eq!(core.poll_software(), None);
    core.handle_targets(Instant::now(), &Targets { ready: true, ..Targets::default() });
    assert_eq!(core.poll_software(), Some(BTreeSet::new()));
}

#[test]
fn no_way_is_found_good_because_the_vxlan_device_sums() {
    let mut world = World::new(&[(3, Way::Damages), (4, Way::Damages)], &[3]);
    world.targets.vteps.insert(vtep(4), false);
    world.tell();
    world.pass(TRIAL);
    assert_eq!(world.finding(4), Finding::NotTested(Reason::NoWay));
    world.targets.vteps.insert(vtep(4), true);
    world.tell();
    world.pass(TRIAL * 2);
    assert_eq!(world.finding(4), Finding::Damaged(Workaround::Verified));
}

#[test]
fn a_trial_through_the_vxlan_device_begins_anew_when_that_begins_to_sum() {
    let mut world = World::new(&[(3, Way::Damages), (4, Way::Damages)], &[]);
    world.targets.vteps.remove(&vtep(4));
    world.tell();
    world.pass(PATIENCE);
    world.targets.vteps.insert(vtep(4), false);
    world.tell();
    world.pass(TRIAL);
    assert_eq!(world.finding(3), Finding::Damaged(Workaround::Verified));
    assert_eq!(world.finding(4), Finding::NotTested(Reason::NoWay));
}

#[test]
fn when_the_last_damaged_way_goes_the_good_ones_are_tested_again() {
    let mut world = World::new(&[(2, Way::Good), (3, Way::Damages)], &[]);
    world.pass(TRIAL * 2);
    world.targets.vteps.remove(&vtep(3));
    world.ways.insert(vtep(2), Way::Damages);
    world.tell();
    world.pass(TRIAL * 2);
    assert_eq!(world.asked, [vec!["192.0.2.3"], vec![], vec!["192.0.2.2"]]);
    assert_eq!(world.finding(2), Finding::Damaged(Workaround::Verified));
}

#[test]
fn a_host_without_a_port_waits() {
    let mut world = World::new(&[(2, Way::Good)], &[]);
    world.core = Core::new(BTreeSet::new(), 1);
    world.targets.ready = false;
    world.tell();
    world.pass(TRIAL);
    assert_eq!((world.finding(2), world.sent.len()), (Finding::NotTested(Reason::NoWay), 0));
    world.targets.ready = true;
    world.tell();
    world.pass(TRIAL);
    assert_eq!(world.finding(2), Finding::Good);
}

#[test]
fn rounds_keep_their_pace_whatever_there_is_to_do() {
    let ways: Vec<_> = (2..=250).map(|number| (number, Way::Good)).collect();
    let mut world = World::new(&ways, &[]);
    world.pass(Duration::from_secs(10));
    assert_eq!(world.sent.len(), 2 * 249);
    assert!(world.sent.windows(2).all(|pair| pair[1].0 - pair[0].0 >= PACE));
    assert!(world.core.findings().values().all(|finding| *finding == Finding::Good));
}
