//! Sleeping until a driver's deadline, on a thread that has nothing else to do.

use super::clock;
use super::driver::TimeDriver;
use crate::primitive::sync::{Condvar, Mutex};

/// How an earlier deadline reaches the thread.
#[derive(Default)]
pub(super) struct Bell {
    rung: Mutex<bool>,
    changed: Condvar,
}

impl Bell {
    /// Ends the present or the next wait.
    pub(super) fn ring(&self) {
        *self.rung.lock() = true;
        self.changed.notify_one();
    }

    /// Sleeps until the driver's deadline, or a ring since the last wait.
    ///
    /// A deadline is published before the bell is rung, and read here with the bell's lock held: either it is seen, or
    /// its ring comes after this sleep has begun and ends it.
    pub(super) fn wait(&self, driver: &TimeDriver) {
        let mut rung = self.rung.lock();
        if !*rung {
            rung = match driver.next_deadline() {
                None => self.changed.wait(&self.rung, rung),
                Some(deadline) => self.changed.wait_timeout(
                    &self.rung,
                    rung,
                    deadline.saturating_duration_since(clock::now()),
                ),
            };
        }
        *rung = false;
    }
}
