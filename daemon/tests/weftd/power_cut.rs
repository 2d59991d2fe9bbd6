//! The power is cut while the store is written, again and again: what a disk may then hold is made from a record of
//! every write and sync, and opened.
//!
//! | the disk | what it may do | what must come out |
//! | --- | --- | --- |
//! | honest | lose any sectors written since the last sync | the last acknowledged change, or the one under way |
//! | lying | lose any sectors, synced or not | some change as a whole, or a refusal |
//! | copied meanwhile | each block is of another moment | some change as a whole, or a refusal |

mod recorder;

use std::collections::BTreeMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use tempfile::TempDir;
use weft_api::resource::{Network, Resource};
use weft_api::view::Stored;
use weft_daemon::store::{FILE_NAME, Store, StoreError, Write};

use recorder::{Event, record};

/// What a store is called until it is whole.
const UNFINISHED: &str = "weft.redb.new-1";
/// What a disk writes whole or not at all, in bytes.
const SECTOR: usize = 512;
/// What is copied at a time, in bytes.
const BLOCK: usize = 4096;
const COMMITS: u32 = 90;
const CUTS: usize = 300;
const LIES: usize = 150;
const COPIES: usize = 150;

/// Every object by revision.
type History = BTreeMap<u64, Vec<Stored>>;

/// Random numbers from a seed that is printed, or given (xorshift64*, Vigna 2016).
struct Dice(u64);

impl Dice {
    fn new() -> Self {
        let given = std::env::var("WEFT_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = given.unwrap_or_else(|| {
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() | 1
        });
        println!("repeat with WEFT_TEST_SEED={seed}");
        Self(seed)
    }

    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33).unwrap() % limit
    }
}

/// A file as it is on a disk.
#[derive(Clone, Default)]
struct Image(Vec<u8>);

impl Image {
    fn apply(&mut self, event: &Event) {
        match event {
            Event::Write(offset, bytes) => self.write(usize::try_from(*offset).unwrap(), bytes),
            Event::Length(length) => self.0.resize(usize::try_from(*length).unwrap(), 0),
            Event::Synced | Event::Named | Event::NameSynced | Event::Acknowledged(_) => {}
        }
    }

    /// What lies beyond the end makes it longer.
    fn write(&mut self, offset: usize, bytes: &[u8]) {
        let end = offset + bytes.len();
        if self.0.len() < end {
            self.0.resize(end, 0);
        }
        self.0[offset..end].copy_from_slice(bytes);
    }

    /// The same, of which each sector was written or not: `odds` of 100 were. A length that was not written cuts off
    /// what lies beyond.
    fn apply_in_part(&mut self, event: &Event, odds: usize, dice: &mut Dice) {
        match event {
            Event::Write(offset, bytes) => {
                let offset = usize::try_from(*offset).unwrap();
                for (index, sector) in bytes.chunks(SECTOR).enumerate() {
                    let at = offset + index * SECTOR;
                    if dice.below(100) < odds && at + sector.len() <= self.0.len() {
                        self.write(at, sector);
                    }
                }
            }
            Event::Length(_) => {
                if dice.below(100) < odds {
                    self.apply(event);
                }
            }
            Event::Synced | Event::Named | Event::NameSynced | Event::Acknowledged(_) => {}
        }
    }
}

fn network(name: String, vni: u32) -> Resource {
    Resource::Network(Network {
        name,
        tenant: "t".repeat(100),
        vni: vni.try_into().unwrap(),
        default_ingress: weft_api::resource::RuleVerdict::Deny,
        default_egress: weft_api::resource::RuleVerdict::Allow,
        route_targets: None,
        route_distinguisher: None,
    })
}

/// Changes of many sizes, one after the other, with weftd stopped and started in between; what was stored at each
/// revision goes into `history`.
fn write(folder: &Path, events: &recorder::Events, history: &mut History, dice: &mut Dice) {
    let mut objects: BTreeMap<String, Stored> = BTreeMap::new();
    let mut store = Store::open(folder).unwrap();
    events.lock().unwrap().push(Event::Acknowledged(0));
    history.insert(0, Vec::new());
    for commit in 0..COMMITS {
        let mut writes = Vec::new();
        for number in 0..u32::try_from(1 + dice.below(25)).unwrap() {
            let known = objects.keys().nth(dice.below(objects.len().max(1))).cloned();
            match known {
                Some(name) if dice.below(3) == 0 => {
                    writes.push(Write::Delete(objects[&name].resource.reference()))
                }
                _ => writes
                    .push(Write::Put(network(format!("n-{commit}-{number}"), commit * 100 + number + 1))),
            }
        }
        let revision = store.commit(&writes).unwrap();
        events.lock().unwrap().push(Event::Acknowledged(revision));
        for write in writes {
            match write {
                Write::Put(resource) => {
                    objects.insert(resource.reference().to_string(), Stored { resource, revision });
                }
                Write::Delete(reference) => drop(objects.remove(&reference.to_string())),
            }
        }
        history.insert(revision, objects.values().cloned().collect());
        if commit % 30 == 29 {
            drop(store);
            store = Store::open(folder).unwrap();
        }
    }
}

/// What became of a disk.
#[derive(Debug)]
enum Opened {
    /// This revision, as it was.
    Whole(u64),
    /// It says so, and what to do.
    Refused(String),
}

/// Opens what a disk holds, as weftd does.
fn open(image: &Image, history: &History) -> Opened {
    open_named(FILE_NAME, image, history)
}

fn open_named(name: &str, image: &Image, history: &History) -> Opened {
    let folder = in_memory();
    fs::write(folder.path().join(name), &image.0).unwrap();
    let opened =
        catch_unwind(AssertUnwindSafe(|| Store::open(folder.path()).and_then(|mut store| store.load())));
    match opened.expect("weftd must not panic") {
        Ok((revision, stored)) => {
            assert!(stored == history[&revision], "revision {revision} is not as it was: {stored:#?}");
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "something unfinished is left");
            Opened::Whole(revision)
        }
        Err(error) => {
            assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
            let said = error.to_string();
            for words in ["it is damaged", "is lost", "goes on forwarding", "Restore a copy", "--take-over"] {
                assert!(said.contains(words), "no {words:?} in {said}");
            }
            // redb has written into it in trying; systemd starts weftd again and again.
            let again = Store::open(folder.path()).and_then(|mut store| store.load());
            assert!(matches!(again, Err(StoreError::Damaged { .. })), "then: {again:?}; but first: {said}");
            Opened::Refused(said)
        }
    }
}

/// A folder that costs no time to sync.
fn in_memory() -> TempDir {
    TempDir::new_in("/dev/shm").or_else(|_| TempDir::new()).unwrap()
}

fn acknowledged(events: &[Event]) -> Option<u64> {
    let revision =
        |event: &Event| if let Event::Acknowledged(revision) = event { Some(*revision) } else { None };
    events.iter().rev().find_map(revision)
}

/// Where the last sync ended.
fn synced(events: &[Event]) -> usize {
    events.iter().rposition(|event| matches!(event, Event::Synced)).map_or(0, |last| last + 1)
}

/// Where the first change was acknowledged.
fn synced_to_begin(events: &[Event]) -> usize {
    events.iter().position(|event| matches!(event, Event::Acknowledged(_))).unwrap()
}

/// The record, with an image every [`Film::STEP`] events.
struct Film {
    events: Vec<Event>,
    images: Vec<Image>,
}

impl Film {
    const STEP: usize = 32;

    fn new(events: Vec<Event>) -> Self {
        let mut image = Image::default();
        let mut images = Vec::new();
        for (number, event) in events.iter().enumerate() {
            if number % Self::STEP == 0 {
                images.push(image.clone());
            }
            image.apply(event);
        }
        images.push(image);
        Self { events, images }
    }

    /// What the file may be called after so many events.
    fn name(&self, after: usize, dice: &mut Dice) -> &'static str {
        let happened = |wanted: fn(&Event) -> bool| self.events[..after].iter().any(wanted);
        let named = happened(|event| matches!(event, Event::NameSynced))
            || happened(|event| matches!(event, Event::Named)) && dice.below(2) == 0;
        if named { FILE_NAME } else { UNFINISHED }
    }

    /// The file after so many events.
    fn image(&self, after: usize) -> Image {
        if after == self.events.len() {
            return self.images[self.images.len() - 1].clone();
        }
        let mut image = self.images[after / Self::STEP].clone();
        self.events[after - after % Self::STEP..after].iter().for_each(|event| image.apply(event));
        image
    }
}

/// In: a cut at a moment of chance, after which any sectors since the last sync are lost. Out: every disk opens, and
/// holds the last change that was acknowledged, or the whole of the next.
fn honest(film: &Film, history: &History, dice: &mut Dice) {
    let mut next = 0;
    let events = &film.events;
    for number in 0..CUTS {
        // Some of them while there is no store yet, but the beginning of one.
        let until = if number < CUTS / 5 { synced_to_begin(events) } else { events.len() };
        let cut = dice.below(until + 1);
        let before = &events[..cut];
        let mut disk = film.image(synced(before));
        let odds = [0, 10, 50, 90, 100][dice.below(5)];
        before[synced(before)..].iter().for_each(|event| disk.apply_in_part(event, odds, dice));
        let promised = acknowledged(before);
        match open_named(film.name(cut, dice), &disk, history) {
            Opened::Whole(revision) => {
                let promised = promised.unwrap_or(0);
                assert!(revision == promised || revision == promised + 1, "{revision} instead of {promised}");
                next += usize::from(revision > promised);
            }
            Opened::Refused(said) => panic!("{promised:?} was promised at {cut}, and now: {said}"),
        }
    }
    println!("{CUTS} power cuts: {CUTS} opened ({next} with the change that was under way), 0 refused");
}

/// In: a cut, after which also what was synced is lost here and there. Out: a whole change, or a refusal.
fn lying(film: &Film, history: &History, dice: &mut Dice) {
    let events = &film.events;
    let (mut refused, mut behind) = (0, 0);
    for _ in 0..LIES {
        let cut = dice.below(events.len() + 1);
        let mut disk = film.image(cut.saturating_sub(dice.below(60)));
        let odds = [50, 90, 99][dice.below(3)];
        let from = cut.saturating_sub(60);
        events[from..cut].iter().for_each(|event| disk.apply_in_part(event, odds, dice));
        let promised = acknowledged(&events[..cut]).unwrap_or(0);
        match open(&disk, history) {
            Opened::Whole(revision) => behind += usize::from(revision < promised),
            Opened::Refused(_) => refused += 1,
        }
    }
    println!(
        "{LIES} disks that lost synced sectors: {} opened ({behind} at an older change), {refused} refused",
        LIES - refused
    );
}

/// In: a copy of the file, block by block in any order, while it is written. Out: a whole change, or a refusal.
fn copied(film: &Film, history: &History, dice: &mut Dice) {
    let mut refused = 0;
    for _ in 0..COPIES {
        let begin = dice.below(film.events.len());
        let moments = [2, 20, 200][dice.below(3)];
        // Some moments of the copying; each block is of one of them.
        let mut images = vec![film.image(begin)];
        for _ in 0..8 {
            images.push(film.image((begin + dice.below(moments)).min(film.events.len())));
        }
        let length = images[dice.below(images.len())].0.len();
        let mut copy = Image(vec![0; length]);
        for at in (0..length).step_by(BLOCK) {
            let of = &images[dice.below(images.len())].0;
            if let Some(block) = of.get(at..(at + BLOCK).min(of.len()).max(at)) {
                copy.write(at, &block[..block.len().min(length - at)]);
            }
        }
        refused += usize::from(matches!(open(&copy, history), Opened::Refused(_)));
    }
    println!(
        "{COPIES} copies of a store that was written meanwhile: {} opened, {refused} refused",
        COPIES - refused
    );
}

#[test]
fn what_was_promised_is_there_and_nothing_is_half() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path().canonicalize().unwrap();
    let mut dice = Dice::new();
    let mut history = History::new();
    let watched = folder.join(FILE_NAME);
    let events = record(&watched, |events| write(&folder, events, &mut history, &mut dice));
    println!("{} writes and syncs in {COMMITS} changes", events.len());
    let film = Film::new(events);
    let whole = film.image(film.events.len()).0 == fs::read(&watched).unwrap();
    assert!(whole, "the record is not complete");
    honest(&film, &history, &mut dice);
    lying(&film, &history, &mut dice);
    copied(&film, &history, &mut dice);
}
