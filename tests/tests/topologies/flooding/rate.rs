//! How often a pod may reach a whole subnet.

use std::time::Instant;

use anyhow::{Result, ensure};
use weft_dataplane_abi::DropReason;
use weft_tests::probe::Steady;
use weft_tests::{Lab, PATIENCE, wait_until};

use super::{broadcast, hears, start};

/// `limits.floods`, by default.
const PER_SECOND: u64 = 200;
const FRAMES: u64 = 10_000;

/// In: 10,000 broadcasts from red-1 as fast as it can, while red-2 pings red-3 on another host. Out: as many as the rate
/// allows are heard, on both hosts the same; the rest is counted as `flood_limited`; no ping is lost, and red-2's own
/// broadcast is heard.
#[test]
fn a_pod_that_floods_stays_within_its_rate() -> Result<()> {
    Lab::test(|lab| {
        let cloud = start(lab)?;
        let (from, near, far) = (cloud.pod("red-1"), cloud.pod("red-2"), cloud.pod("red-3"));
        near.pings(far)?;
        let weft = cloud.daemon(0).weft();
        let before = weft.drops(DropReason::FloodLimited)?;
        let steady = Steady::ping(&near.namespace, far.v4.into(), 50)?;
        steady.wait_for_more(5)?;
        let heard = [hears(near)?, hears(far)?];
        let start = Instant::now();
        broadcast(from, usize::try_from(FRAMES)?)?;
        // Queued frames are looked at later than they are sent.
        let heard_or_dropped = || {
            let dropped = weft.drops(DropReason::FloodLimited).unwrap_or_default() - before;
            dropped + heard[0].count() >= FRAMES
        };
        wait_until(PATIENCE, "all frames", heard_or_dropped)?;
        let most = PER_SECOND + PER_SECOND * (start.elapsed().as_secs() + 1);
        steady.wait_for_more(5)?;
        let tally = steady.stop()?;
        ensure!(tally.lost() == 0, "{tally:?}");
        let dropped = weft.drops(DropReason::FloodLimited)? - before;
        let [here, there] = heard;
        wait_until(PATIENCE, "the same on the other host", || there.count() == here.count())?;
        let count = here.finish()?.count;
        ensure!((PER_SECOND..=most).contains(&count), "{count} were heard, at most {most} may be");
        ensure!(count + dropped == FRAMES, "{count} were heard and {dropped} dropped");
        let own = hears(far)?;
        broadcast(near, 1)?;
        wait_until(PATIENCE, "another pod's broadcast", || own.count() >= 1)
    })
}
