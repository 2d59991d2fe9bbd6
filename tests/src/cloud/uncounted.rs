//! What weft did not count: the packets that pods sent by their own devices' count, less those by weft's.

use anyhow::Result;

use super::Cloud;

/// The figures at the beginning. Nothing may be under way between the pods while they are taken.
#[derive(Debug)]
pub struct Uncounted {
    /// Packets by the devices.
    sent: u64,
    /// Packets by weft: passed on, answered or dropped.
    counted: u64,
}

impl Uncounted {
    /// Takes the figures.
    ///
    /// # Errors
    /// A weftd does not answer, or a pod has no device.
    pub fn begin(cloud: &Cloud<'_>) -> Result<Self> {
        let mut sent = 0;
        for pod in cloud.pods() {
            sent += pod.namespace.transmitted(&pod.device)?;
        }
        let mut counted = 0;
        for daemon in cloud.daemons() {
            let ports = daemon.weft().counters()?;
            // What belongs to no port came from elsewhere.
            for port in ports.iter().filter(|port| !port.port.is_empty()) {
                counted += port.from_port.packets + port.drops.values().sum::<u64>();
            }
        }
        Ok(Self { sent, counted })
    }

    /// How many packets were sent since and not counted, and how many were sent. The two figures are not of one moment:
    /// a few that the pods send by themselves may lie between, and make it also negative.
    ///
    /// # Errors
    /// As [`Uncounted::begin`].
    pub fn end(self, cloud: &Cloud<'_>) -> Result<(i64, u64)> {
        let now = Self::begin(cloud)?;
        let sent = now.sent - self.sent;
        let counted = i64::try_from(now.counted)? - i64::try_from(self.counted)?;
        Ok((i64::try_from(sent)? - counted, sent))
    }
}
