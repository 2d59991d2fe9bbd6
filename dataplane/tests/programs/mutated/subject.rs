//! The loaded programs in a world of known facts, and what they do with a frame compared with what they must.

use std::fs;
use std::os::fd::{AsRawFd as _, BorrowedFd};

use weft_dataplane_abi::{PortCounters, maps};
use weft_vxlan::Vtep;

use super::kernel::{Kernel, SLOTS, shortest};
use super::words::Words;
use super::{Mood, cast, compare, fill};
use crate::reference::facts::Facts;
use crate::reference::{self, Arrival, Verdict};
use crate::world::{World, vtep, vtep6};

pub struct Subject {
    pub facts: Facts,
    pub words: Words,
    kernel: Kernel,
    counters: [PortCounters; SLOTS],
    path_mtu: u64,
    /// Copies for VTEPs that must have gone to the kernel's vxlan device, and those that had before.
    copies: u64,
    sent: u64,
    world: World,
}

impl Subject {
    /// One over IPv4 and one over IPv6, in a namespace of their own; `None` where the programs cannot be loaded.
    pub fn both() -> Option<[Self; 2]> {
        let facts = [vtep, vtep6].map(cast::facts);
        fill::enter_namespace(&facts[0]);
        let [over_ipv4, over_ipv6] = facts;
        Some([Self::new(vtep, over_ipv4)?, Self::new(vtep6, over_ipv6)?])
    }

    fn new(vtep: fn(u8) -> Vtep, mut facts: Facts) -> Option<Self> {
        facts.unwraps_other_family = World::unwraps_other_family();
        let mut world = World::load_filled(vtep, |world| fill::fill(world, &facts))?;
        world.load_programs();
        let program = |place: weft_dataplane_abi::Place| world.program_fd(place.program()).as_raw_fd();
        let counters: BorrowedFd<'_> = world.map_fd(maps::COUNTERS);
        let mut kernel = Kernel::new(program, counters).unwrap();
        let counters = kernel.counters().unwrap();
        let words = Words::of(&facts);
        Some(Self { facts, words, kernel, counters, path_mtu: 0, copies: 0, sent: 0, world })
    }

    /// Makes the world as a batch wants it.
    pub fn turn(&mut self, mood: Mood) {
        self.facts.configured = mood.configured;
        self.facts.within_limits = mood.within_limits;
        fill::limit(&mut self.world, &self.facts);
        (self.copies, self.sent) = (0, self.sent());
    }

    /// What differs from the verdict when the programs judge the frame.
    pub fn difference(&mut self, arrival: &Arrival, verdict: &Verdict) -> Option<String> {
        let outcome = match self.kernel.run(arrival) {
            Ok(outcome) => outcome,
            Err(error) => return Some(format!("the test run failed: {error}")),
        };
        let now = self.kernel.counters().unwrap();
        let before = std::mem::replace(&mut self.counters, now);
        if let Verdict::Copied { vteps, .. } = verdict {
            self.copies += vteps;
        }
        compare::answer(arrival, verdict, &outcome)
            .or_else(|| compare::counted(&self.facts, arrival, verdict, &before, &now))
            .or_else(|| self.told_of_path_mtu(arrival))
    }

    fn told_of_path_mtu(&mut self, arrival: &Arrival) -> Option<String> {
        let now = self.world.path_mtu_signal();
        let told = std::mem::replace(&mut self.path_mtu, now) != now;
        let news = reference::is_path_mtu_news(&self.facts, arrival);
        (told != news).then(|| format!("the daemon is told of a path's MTU: {told} instead of {news}"))
    }

    /// What is wrong with the number of copies that the kernel's vxlan device was given in this batch.
    pub fn miscounted_copies(&self) -> Option<String> {
        let sent = self.sent() - self.sent;
        (sent != self.copies).then(|| format!("{sent} copies for VTEPs instead of {}", self.copies))
    }

    /// Packets that the stand-in for the vxlan device has sent.
    fn sent(&self) -> u64 {
        let table = fs::read_to_string("/proc/thread-self/net/dev").unwrap();
        let name = format!("{}:", fill::device(self.facts.vxlan_ifindex));
        let line = table.lines().find_map(|line| line.trim().strip_prefix(&name)).unwrap();
        line.split_whitespace().nth(9).unwrap().parse().unwrap()
    }

    /// A smaller or plainer frame that is judged differently still.
    pub fn shrink(&mut self, mut arrival: Arrival) -> Arrival {
        for cut in [1024, 256, 64, 16, 4, 1] {
            while arrival.frame.len() > cut + 14 {
                let mut shorter = arrival.clone();
                shorter.frame.truncate(arrival.frame.len() - cut);
                if !self.differs(&shorter) {
                    break;
                }
                arrival = shorter;
            }
        }
        for at in 0..arrival.frame.len() {
            let mut plainer = arrival.clone();
            plainer.frame[at] = 0;
            if self.differs(&plainer) {
                arrival = plainer;
            }
        }
        arrival
    }

    fn differs(&mut self, arrival: &Arrival) -> bool {
        let verdict = reference::judge(&self.facts, arrival);
        arrival.frame.len() >= shortest(arrival) && self.difference(arrival, &verdict).is_some()
    }
}
