//! `weft drops --follow`, as a program that watches it sees it.

use std::io::{BufRead as _, BufReader};
use std::process::Child;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, Result, bail};
use weft_api::view::{Drop as Dropped, DropLine};

use crate::{PATIENCE, Weft, wait_for};

/// A running `weft drops --follow`. Dropping it ends it.
#[derive(Debug)]
pub struct Drops {
    child: Child,
    lines: Arc<Mutex<Vec<DropLine>>>,
}

impl Weft {
    /// Follows the drops, beginning with those that weftd remembers.
    ///
    /// # Errors
    /// It could not be started.
    pub fn follow_drops(&self) -> Result<Drops> {
        let mut child = self.begin(&["drops", "--follow", "--last", "1024", "-o", "json"])?;
        let output = child.stdout.take().context("the output is piped")?;
        let lines = Arc::<Mutex<Vec<DropLine>>>::default();
        let sink = lines.clone();
        std::thread::spawn(move || {
            // A line that cannot be read ends the lines: whoever waits for more tells which there were.
            for line in BufReader::new(output).lines().map_while(std::io::Result::ok) {
                let Ok(line) = serde_json::from_str(&line) else { break };
                held(&sink).push(line);
            }
        });
        Ok(Drops { child, lines })
    }
}

impl Drops {
    /// Waits for a drop that `is` what was meant; `again` is called every now and then, to cause it.
    ///
    /// # Errors
    /// There was none in time, or `again` failed; what was dropped instead.
    pub fn wait(
        &self,
        what: &str,
        mut again: impl FnMut() -> Result<()>,
        is: impl Fn(&Dropped) -> bool,
    ) -> Result<Dropped> {
        let mut looks = 0_u32;
        wait_for(PATIENCE, what, || {
            if looks.is_multiple_of(25) {
                again().map_err(|error| vec![format!("{error:#}")])?;
            }
            looks += 1;
            let lines = self.lines();
            let found = lines.iter().find_map(|line| match line {
                DropLine::Drop(dropped) if is(dropped) => Some(dropped.as_ref().clone()),
                DropLine::Drop(_) | DropLine::Untold(_) | DropLine::Missed(_) => None,
            });
            found
                .ok_or_else(|| lines.iter().rev().take(5).map(|line| format!("{line:?}")).collect::<Vec<_>>())
        })
    }

    /// Waits until it was told how many more of a port's packets were dropped; how many.
    ///
    /// # Errors
    /// That was not told in time.
    pub fn wait_for_untold(&self, port: &str) -> Result<u64> {
        wait_for(PATIENCE, "how many more there were", || {
            let told = self
                .lines()
                .iter()
                .filter_map(|line| match line {
                    DropLine::Untold(untold) if untold.port == port => Some(untold.count),
                    DropLine::Drop(_) | DropLine::Untold(_) | DropLine::Missed(_) => None,
                })
                .sum();
            if told > 0 { Ok(told) } else { Err("nothing") }
        })
    }

    /// What was told until now.
    #[must_use]
    pub fn all(&self) -> Vec<DropLine> {
        self.lines().clone()
    }

    /// Waits until it ends by itself; its exit status.
    ///
    /// # Errors
    /// It goes on.
    pub fn wait_until_ended(&mut self) -> Result<i32> {
        let child = &mut self.child;
        let status = wait_for(PATIENCE, "the end of `weft drops`", || match child.try_wait() {
            Ok(Some(status)) => Ok(status),
            Ok(None) => Err("running".to_owned()),
            Err(error) => Err(error.to_string()),
        })?;
        match status.code() {
            Some(code) => Ok(code),
            None => bail!("killed: {status}"),
        }
    }

    fn lines(&self) -> MutexGuard<'_, Vec<DropLine>> {
        held(&self.lines)
    }
}

impl Drop for Drops {
    fn drop(&mut self) {
        // One that cannot be killed has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn held(lines: &Mutex<Vec<DropLine>>) -> MutexGuard<'_, Vec<DropLine>> {
    lines.lock().unwrap_or_else(PoisonError::into_inner)
}
