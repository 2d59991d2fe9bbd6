//! netem: a device that loses, delays and reorders what it sends, as a bad line does.

use std::io;
use std::time::Duration;

use anyhow::{Context as _, Result};
use netlink_packet_core::DefaultNla;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::tc::{TcAttribute, TcHandle, TcMessage};
use nix::errno::Errno;

use crate::Namespace;

const TCA_OPTIONS: u16 = 2;
const TCA_NETEM_REORDER: u16 = 3;
const TCA_NETEM_LATENCY64: u16 = 10;
const TCA_NETEM_JITTER64: u16 = 11;
/// More packets than any test has under way.
const QUEUE: u32 = 1_000_000;

/// What becomes of packets that a device sends. Each is judged by itself.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Impairment {
    /// Share of packets that are lost, 0 to 1.
    pub loss: f64,
    /// How long the others take.
    pub delay: Duration,
    /// By how much that varies. Packets that overtake each other so are reordered.
    pub jitter: Duration,
    /// Share of packets that are not delayed, 0 to 1, and so overtake others.
    pub reorder: f64,
}

impl Namespace {
    /// Makes the device a bad line from here on.
    ///
    /// # Errors
    /// The device is missing, or the kernel has no netem; then the cause is `ENOENT`.
    pub fn impair(&self, device: &str, impairment: Impairment) -> Result<()> {
        let mut message = TcMessage::with_index(self.link(device)?.index.cast_signed());
        message.header.parent = TcHandle::ROOT;
        message.attributes = vec![
            TcAttribute::Kind("netem".to_owned()),
            TcAttribute::Other(DefaultNla::new(TCA_OPTIONS, impairment.options()?)),
        ];
        self.netlink()
            .create(RouteNetlinkMessage::NewQueueDiscipline(message))
            .with_context(|| format!("netem on {device} in {}", self.name()))
    }
}

/// Why tests that need netem cannot run here, if so. Where `WEFT_TEST_VM` is set, a kernel without it is a failure.
///
/// # Errors
/// The kernel refuses it for another reason.
pub fn without_netem(namespace: &Namespace) -> Result<Option<String>> {
    let error = match namespace.impair("lo", Impairment::default()) {
        Ok(()) => return Ok(None),
        Err(error) => error,
    };
    let errno = error.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error).map(Errno::from_raw);
    if errno != Some(Errno::ENOENT) || std::env::var_os("WEFT_TEST_VM").is_some() {
        return Err(error);
    }
    Ok(Some(
        "this kernel has no netem (CONFIG_NET_SCH_NETEM): `cargo xtask test vm` runs it on those that have"
            .to_owned(),
    ))
}

impl Impairment {
    /// `struct tc_netem_qopt` and the attributes behind it.
    fn options(&self) -> Result<Vec<u8>> {
        // latency in ticks, limit, loss, gap, duplicate, jitter in ticks
        let gap = u32::from(self.reorder > 0.0);
        let mut options: Vec<u8> =
            [0, QUEUE, probability(self.loss), gap, 0, 0].into_iter().flat_map(u32::to_ne_bytes).collect();
        let nanoseconds = |time: Duration| i64::try_from(time.as_nanos()).map(i64::to_ne_bytes);
        options.extend(attribute(TCA_NETEM_LATENCY64, &nanoseconds(self.delay)?));
        options.extend(attribute(TCA_NETEM_JITTER64, &nanoseconds(self.jitter)?));
        if gap > 0 {
            let reorder = [probability(self.reorder), 0].map(u32::to_ne_bytes).concat();
            options.extend(attribute(TCA_NETEM_REORDER, &reorder));
        }
        Ok(options)
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "of 0 to 1, and `as` saturates")]
fn probability(share: f64) -> u32 {
    (share * f64::from(u32::MAX)) as u32
}

/// Length, type, payload; all payloads here are multiples of four bytes.
fn attribute(kind: u16, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(4 + payload.len()).unwrap_or(u16::MAX);
    [&length.to_ne_bytes()[..], &kind.to_ne_bytes()[..], payload].concat()
}
