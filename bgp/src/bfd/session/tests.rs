//! One session against packets made by hand, on a clock made by hand.

use super::*;

const PEER: u32 = 77;

struct Bench {
    session: Session,
    now: Instant,
    start: Instant,
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn config(tx: u64, rx: u64, multiplier: u8) -> Config {
    Config::new(ms(tx), ms(rx), multiplier).unwrap()
}

/// From a peer with 3 × 100 ms that knows us.
fn packet(state: State) -> Packet {
    Packet {
        diagnostic: Diagnostic::None,
        state,
        poll: false,
        final_: false,
        control_plane_independent: false,
        demand: false,
        detect_multiplier: NonZeroU8::new(3).unwrap(),
        my_discriminator: NonZeroU32::new(PEER).unwrap(),
        your_discriminator: NonZeroU32::new(5),
        desired_min_tx: Interval::from_micros(100_000),
        required_min_rx: Interval::from_micros(100_000),
        required_min_echo_rx: Interval::ZERO,
    }
}

impl Bench {
    fn new(config: Config) -> Self {
        let now = Instant::now();
        let session = Session::new(config, NonZeroU32::new(5).unwrap(), now, 42);
        Self { session, now, start: now }
    }

    /// Up, with the poll sequence that makes it fast behind it and nothing left to be asked for.
    fn up(config: Config) -> Self {
        let mut bench = Self::new(config);
        bench.hear(packet(State::Init));
        bench.hear(Packet { final_: true, ..packet(State::Up) });
        bench.hear(packet(State::Up));
        assert_eq!(bench.session.state(), State::Up);
        bench.sent();
        assert_eq!(bench.events(), [Event::Up]);
        bench
    }

    fn hear(&mut self, packet: Packet) {
        self.session.handle_packet(&packet, self.now);
    }

    fn sent(&mut self) -> Vec<Packet> {
        std::iter::from_fn(|| self.session.poll_transmit()).collect()
    }

    fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.session.poll_event()).collect()
    }

    /// Lets time pass, stopping at each deadline, and hears `chatter` each 50 ms; returns what was sent when.
    fn pass(&mut self, time: Duration, chatter: Option<Packet>) -> Vec<(Duration, Packet)> {
        let end = self.now + time;
        let mut next_chat = self.now + ms(50);
        let mut sent = Vec::new();
        loop {
            let deadline = self.session.next_deadline().unwrap_or(end).min(end);
            self.now = if chatter.is_some() { deadline.min(next_chat) } else { deadline };
            if let Some(packet) = chatter
                && self.now == next_chat
            {
                next_chat += ms(50);
                self.hear(packet);
            }
            self.session.handle_timeout(self.now);
            let at = self.now - self.start;
            sent.extend(self.sent().into_iter().map(|packet| (at, packet)));
            if self.now >= end {
                return sent;
            }
        }
    }
}

/// Least and greatest pause between packets.
fn pauses(sent: &[(Duration, Packet)]) -> (Duration, Duration) {
    let pauses = || sent.windows(2).map(|pair| pair[1].0 - pair[0].0);
    (pauses().min().unwrap(), pauses().max().unwrap())
}

#[test]
fn nothing_heard_means_one_packet_a_second() {
    let mut bench = Bench::new(config(100, 100, 3));
    let first = bench.sent();
    assert_eq!(first.len(), 1);
    assert_eq!(first[0].state, State::Down);
    assert_eq!(first[0].your_discriminator, None);
    assert_eq!(first[0].desired_min_tx, Interval::from_micros(1_000_000));
    assert_eq!(first[0].required_min_rx, Interval::from_micros(100_000));
    assert!(!first[0].poll && !first[0].demand && !first[0].control_plane_independent);
    let sent = bench.pass(ms(100_000), None);
    let (least, greatest) = pauses(&sent);
    assert!(least >= ms(750) && greatest <= ms(1000), "{least:?} to {greatest:?}");
    // Jitter that is not there would not be seen in the bounds.
    assert!(least < ms(800) && greatest > ms(950), "{least:?} to {greatest:?}");
}

#[test]
fn a_slower_wish_is_kept_while_down() {
    let mut bench = Bench::new(config(3000, 100, 3));
    assert_eq!(bench.sent()[0].desired_min_tx, Interval::from_micros(3_000_000));
}

#[test]
fn the_three_way_handshake_answers_at_once_and_gets_fast_by_a_poll() {
    let mut bench = Bench::new(config(100, 100, 3));
    bench.sent();
    bench.hear(Packet { your_discriminator: None, ..packet(State::Down) });
    let init = bench.sent();
    assert_eq!((init.len(), init[0].state, init[0].poll), (1, State::Init, false));
    assert_eq!(init[0].your_discriminator, NonZeroU32::new(PEER));
    assert_eq!(bench.events(), []);

    bench.hear(packet(State::Up));
    let up = bench.sent();
    assert_eq!((up.len(), up[0].state, up[0].poll), (1, State::Up, true));
    assert_eq!(up[0].desired_min_tx, Interval::from_micros(100_000));
    assert_eq!(bench.events(), [Event::Up]);

    // P until F, in the periodic packets and in no others.
    let sent = bench.pass(ms(1000), Some(packet(State::Up)));
    assert!(sent.iter().all(|(_, packet)| packet.poll && !packet.final_));
    let (least, greatest) = pauses(&sent);
    assert!(least >= ms(75) && greatest <= ms(100), "{least:?} to {greatest:?}");
    bench.hear(Packet { final_: true, ..packet(State::Up) });
    assert!(bench.pass(ms(1000), Some(packet(State::Up))).iter().all(|(_, packet)| !packet.poll));
}

#[test]
fn with_a_multiplier_of_one_jitter_leaves_a_tenth() {
    let mut bench = Bench::up(config(100, 100, 1));
    let (least, greatest) = pauses(&bench.pass(ms(20_000), Some(packet(State::Up))));
    assert!(least >= ms(75) && greatest <= ms(90), "{least:?} to {greatest:?}");
}

#[test]
fn each_direction_runs_at_the_slower_wish() {
    let mut bench = Bench::up(config(100, 100, 3));
    assert_eq!(bench.session.transmit_interval(), ms(100));
    assert_eq!(bench.session.detection_time(), ms(300));
    bench.hear(Packet {
        required_min_rx: Interval::from_micros(400_000),
        desired_min_tx: Interval::from_micros(250_000),
        detect_multiplier: NonZeroU8::new(4).unwrap(),
        ..packet(State::Up)
    });
    assert_eq!(bench.session.transmit_interval(), ms(400));
    assert_eq!(bench.session.detection_time(), ms(1000));
    // The peer may be faster than we can take: we do not expect it to be.
    bench.hear(Packet { desired_min_tx: Interval::from_micros(1000), ..packet(State::Up) });
    assert_eq!(bench.session.detection_time(), ms(300));
}

#[test]
fn silence_is_failure_at_the_detection_time_and_not_before() {
    let mut bench = Bench::up(config(100, 100, 3));
    let heard = bench.now;
    bench.pass(ms(299), None);
    assert_eq!(bench.session.state(), State::Up);
    let sent = bench.pass(ms(1), None);
    let last = sent.last().unwrap();
    assert_eq!(last.0, heard + ms(300) - bench.start);
    assert_eq!(last.1.state, State::Down);
    assert_eq!(last.1.diagnostic, Diagnostic::ControlDetectionTimeExpired);
    assert_eq!(last.1.your_discriminator, None);
    assert_eq!(last.1.desired_min_tx, Interval::from_micros(1_000_000));
    assert!(!last.1.poll);
    let down = Event::Down {
        diagnostic: Diagnostic::ControlDetectionTimeExpired,
        peer_state: State::Up,
        peer_diagnostic: Diagnostic::None,
    };
    assert_eq!(bench.events(), [down]);
    assert!(down.is_failure());
    let (least, _) = pauses(&bench.pass(ms(10_000), None));
    assert!(least >= ms(750), "{least:?}");
}

#[test]
fn a_peer_that_went_silent_in_init_is_forgotten_without_a_word() {
    let mut bench = Bench::new(config(100, 100, 3));
    bench.hear(Packet { your_discriminator: None, ..packet(State::Down) });
    bench.pass(ms(300), None);
    assert_eq!(bench.session.state(), State::Down);
    assert_eq!(bench.session.peer_state(), None);
    assert_eq!(bench.events(), []);
}

#[test]
fn a_peer_that_says_down_is_believed_and_asked_with_a_poll() {
    let mut bench = Bench::up(config(100, 100, 3));
    let diagnostic = Diagnostic::PathDown;
    bench.hear(Packet { diagnostic, your_discriminator: None, ..packet(State::Down) });
    let sent = bench.sent();
    assert_eq!((sent.len(), sent[0].state, sent[0].poll), (1, State::Down, true));
    assert_eq!(sent[0].diagnostic, Diagnostic::NeighborSignaledDown);
    let down = Event::Down {
        diagnostic: Diagnostic::NeighborSignaledDown,
        peer_state: State::Down,
        peer_diagnostic: diagnostic,
    };
    assert_eq!(bench.events(), [down]);
    assert!(down.is_failure());
}

#[test]
fn a_peer_taken_down_by_its_administrator_is_no_failure() {
    let mut bench = Bench::up(config(100, 100, 3));
    bench.hear(Packet { diagnostic: Diagnostic::AdministrativelyDown, ..packet(State::AdminDown) });
    let events = bench.events();
    assert!(
        matches!(events[..], [Event::Down { peer_state: State::AdminDown, .. }]) && !events[0].is_failure(),
        "{events:?}"
    );
    bench.hear(packet(State::AdminDown));
    assert_eq!(bench.session.state(), State::Down);
}

#[test]
fn a_session_held_down_says_so_and_hears_nothing() {
    let mut bench = Bench::up(config(100, 100, 3));
    bench.session.set_admin_down(true, bench.now);
    let sent = bench.sent();
    assert_eq!(sent.len(), 1);
    assert_eq!((sent[0].state, sent[0].diagnostic), (State::AdminDown, Diagnostic::AdministrativelyDown));
    let events = bench.events();
    assert!(matches!(events[..], [Event::Down { .. }]) && !events[0].is_failure(), "{events:?}");

    bench.hear(Packet { poll: true, your_discriminator: None, ..packet(State::Down) });
    assert_eq!((bench.session.state(), bench.sent()), (State::AdminDown, vec![]));
    let sent = bench.pass(ms(10_000), Some(packet(State::Down)));
    assert!(sent.iter().all(|(_, packet)| packet.state == State::AdminDown));
    assert!(pauses(&sent).0 >= ms(750));

    bench.session.set_admin_down(false, bench.now);
    let sent = bench.sent();
    assert_eq!((sent[0].state, sent[0].your_discriminator), (State::Down, None));
    bench.hear(packet(State::Down));
    bench.hear(packet(State::Init));
    assert_eq!(bench.events(), [Event::Up]);
}

#[test]
fn a_session_held_down_forgets_a_peer_that_is_silent() {
    let mut bench = Bench::up(config(100, 100, 3));
    bench.session.set_admin_down(true, bench.now);
    bench.events();
    bench.hear(packet(State::Down));
    bench.pass(ms(299), None);
    assert_eq!(bench.session.peer_state(), Some(State::Down));
    bench.pass(ms(1), None);
    assert_eq!(bench.session.peer_state(), None);
    let sent = bench.pass(ms(3_000), None);
    assert!(!sent.is_empty());
    for (_, packet) in sent {
        let said = (packet.state, packet.diagnostic, packet.your_discriminator, packet.poll);
        assert_eq!(said, (State::AdminDown, Diagnostic::AdministrativelyDown, None, false));
    }
    assert_eq!(bench.events(), []);
}

#[test]
fn letting_go_of_a_session_that_is_not_held_changes_nothing() {
    let mut bench = Bench::up(config(100, 100, 3));
    bench.session.set_admin_down(false, bench.now);
    assert_eq!((bench.session.state(), bench.sent(), bench.events()), (State::Up, vec![], vec![]));
    assert_eq!(bench.session.peer_state(), Some(State::Up));
}

#[test]
fn a_poll_is_answered_at_once_in_any_state_with_f_and_without_p() {
    let mut bench = Bench::new(config(100, 100, 3));
    bench.sent();
    bench.hear(Packet { poll: true, ..packet(State::Up) });
    let sent = bench.sent();
    assert_eq!((sent.len(), sent[0].state), (1, State::Down));
    assert!(sent[0].final_ && !sent[0].poll);

    // Going up with a poll: the answer, and the own poll in a packet of its own.
    bench.hear(Packet { poll: true, ..packet(State::Init) });
    let sent = bench.sent();
    assert_eq!(
        sent.iter().map(|packet| (packet.final_, packet.poll)).collect::<Vec<_>>(),
        [(true, false), (false, true)]
    );
    // An answer does not put off the next packet.
    let (sent_at, deadline) = (bench.now, bench.session.next_deadline());
    bench.now = sent_at + ms(10);
    bench.hear(Packet { poll: true, ..packet(State::Up) });
    assert_eq!((bench.session.next_deadline(), bench.sent().len()), (deadline, 1));
}

#[test]
fn demand_mode_of_the_peer_silences_us_but_for_polls() {
    let demand = Packet { demand: true, ..packet(State::Up) };
    let mut bench = Bench::up(config(100, 100, 3));
    assert_eq!(bench.pass(ms(5000), Some(demand))[..], []);
    assert_eq!(bench.session.state(), State::Up);
    bench.hear(Packet { poll: true, ..demand });
    assert!(bench.sent()[0].final_);

    bench.session.reconfigure(config(50, 100, 3), bench.now);
    let sent = bench.pass(ms(500), Some(demand));
    assert!(sent.len() > 2 && sent.iter().all(|(_, packet)| packet.poll), "{sent:?}");
    bench.hear(Packet { final_: true, ..demand });
    assert_eq!(bench.pass(ms(500), Some(demand))[..], []);
    // The peer is watched all the same.
    bench.pass(ms(300), None);
    assert_eq!(bench.session.state(), State::Down);
    assert!(!bench.pass(ms(2000), None).is_empty());
}

#[test]
fn a_peer_that_wants_nothing_gets_nothing_but_answers() {
    let deaf = Packet { required_min_rx: Interval::ZERO, ..packet(State::Up) };
    let mut bench = Bench::up(config(100, 100, 3));
    bench.hear(deaf);
    assert_eq!(bench.pass(ms(5000), Some(deaf))[..], []);
    bench.hear(Packet { poll: true, ..deaf });
    assert!(bench.sent()[0].final_);
    // Its successor has not said that it wants nothing.
    assert!(!bench.pass(ms(2000), None).is_empty());
}

#[test]
fn slower_sending_waits_for_the_answer() {
    let mut bench = Bench::up(config(100, 100, 3));
    bench.session.reconfigure(config(500, 100, 3), bench.now);
    assert_eq!(bench.session.transmit_interval(), ms(100));
    let sent = bench.pass(ms(400), Some(packet(State::Up)));
    let slow = Interval::from_micros(500_000);
    assert!(sent.len() >= 3 && sent.iter().all(|(_, packet)| packet.poll && packet.desired_min_tx == slow));
    bench.hear(Packet { final_: true, ..packet(State::Up) });
    assert_eq!(bench.session.transmit_interval(), ms(500));
}

#[test]
fn faster_sending_begins_at_once() {
    let mut bench = Bench::up(config(800, 100, 3));
    bench.now += ms(50);
    bench.session.reconfigure(config(50, 100, 3), bench.now);
    assert_eq!(bench.session.transmit_interval(), ms(100));
    bench.hear(Packet { required_min_rx: Interval::from_micros(40_000), ..packet(State::Up) });
    assert_eq!(bench.session.transmit_interval(), ms(50));
    // More than that has passed since the last one.
    assert_eq!(bench.sent().len(), 1);
}

#[test]
fn faster_detection_waits_for_the_answer_and_slower_does_not() {
    let mut bench = Bench::up(config(100, 400, 3));
    let fast = Packet { desired_min_tx: Interval::from_micros(10_000), ..packet(State::Up) };
    bench.hear(fast);
    assert_eq!(bench.session.detection_time(), ms(1200));
    bench.session.reconfigure(config(100, 100, 3), bench.now);
    assert_eq!(bench.session.detection_time(), ms(1200));
    bench.hear(Packet { final_: true, ..fast });
    assert_eq!(bench.session.detection_time(), ms(300));
    bench.hear(fast);
    bench.session.reconfigure(config(100, 200, 3), bench.now);
    assert_eq!(bench.session.detection_time(), ms(600));
}

#[test]
fn a_second_change_waits_until_no_answer_can_be_mistaken() {
    let mut bench = Bench::up(config(100, 100, 3));
    bench.session.reconfigure(config(500, 100, 3), bench.now);
    bench.session.reconfigure(config(700, 100, 3), bench.now);
    let advertised = |bench: &mut Bench| {
        bench.now += ms(700);
        bench.hear(packet(State::Up));
        bench.sent().last().unwrap().desired_min_tx.duration()
    };
    assert_eq!(advertised(&mut bench), ms(500));
    bench.hear(Packet { final_: true, ..packet(State::Up) });
    bench.hear(Packet { final_: true, ..packet(State::Up) });
    assert_eq!(bench.session.transmit_interval(), ms(500));
    assert_eq!(advertised(&mut bench), ms(700));
    assert_eq!(bench.session.transmit_interval(), ms(500));
    bench.hear(Packet { final_: true, ..packet(State::Up) });
    assert_eq!(bench.session.transmit_interval(), ms(700));
}

#[test]
fn a_late_call_sends_one_packet_and_not_those_missed() {
    let mut bench = Bench::new(config(100, 100, 3));
    bench.sent();
    bench.now += ms(60_000);
    bench.session.handle_timeout(bench.now);
    assert_eq!(bench.sent().len(), 1);
    assert!(bench.session.next_deadline().unwrap() >= bench.now + ms(750));
}

#[test]
fn events_nobody_asks_for_do_not_pile_up() {
    let mut bench = Bench::up(config(100, 100, 3));
    for _ in 0..50 {
        bench.hear(packet(State::Down));
        bench.hear(packet(State::Init));
        bench.hear(packet(State::Init));
    }
    let events = bench.events();
    assert!(matches!(events[..], [Event::Down { .. }, Event::Up]), "{events:?}");
    bench.hear(packet(State::Down));
    bench.hear(packet(State::Init));
    bench.hear(packet(State::Down));
    let events = bench.events();
    assert!(matches!(events[..], [Event::Down { .. }]), "{events:?}");
}
