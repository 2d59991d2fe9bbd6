//! Ping flood: the next request goes out when the last was answered, to one address after the other, at no more than a
//! certain rate.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::Flow;
use crate::PATIENCE;
use crate::cloud::Pod;
use crate::probe::ping::Pinger;
use crate::wait::let_pass;

/// Least time between two requests of a pod over one family.
const PERIOD: Duration = Duration::from_millis(4);

/// Pings `to`, addresses of one family, until told to stop.
pub(super) fn start(
    from: &Pod,
    to: Vec<IpAddr>,
    stop: &Arc<AtomicBool>,
) -> Result<JoinHandle<Result<Vec<Flow>>>> {
    let stop = Arc::clone(stop);
    let name = from.name.clone();
    from.namespace.spawn(move || {
        let flow = |to: &IpAddr| -> Result<(Pinger, Flow)> {
            let what = format!("ping {name} to {to}");
            Ok((Pinger::open(*to)?, Flow { what, sent: 0, arrived: 0 }))
        };
        let mut flows = to.iter().map(flow).collect::<Result<Vec<_>>>()?;
        let mut next = Instant::now();
        while !stop.load(Ordering::Relaxed) {
            for (pinger, flow) in &mut flows {
                let_pass(next.saturating_duration_since(Instant::now()));
                next = Instant::now() + PERIOD;
                let sequence = u16::try_from(flow.sent % 65_536)?;
                pinger.send(sequence, &[0x5a; 56])?;
                flow.sent += 1;
                flow.arrived += u64::from(is_answered(pinger, sequence)?);
            }
        }
        Ok(flows.into_iter().map(|(_, flow)| flow).collect())
    })
}

/// Whether the answer comes. One that does not within a time that no queue of a live machine holds it is lost.
fn is_answered(pinger: &Pinger, sequence: u16) -> Result<bool> {
    let deadline = Instant::now() + PATIENCE;
    while let Some(answered) = pinger.receive(deadline)? {
        if answered == sequence {
            return Ok(true);
        }
    }
    Ok(false)
}
