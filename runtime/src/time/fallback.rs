//! Timers where no runtime is.
//!
//! A sleep that is polled on a thread without a runtime, or by a runtime that is going down, registers with a wheel of
//! the process. Its thread is started by the first such sleep and stays; it parks for good while nothing is pending.

use std::thread;

use super::clock;
use super::driver::TimeDriver;
use crate::primitive::sync::atomic::{AtomicBool, Ordering};
use crate::primitive::sync::{Arc, Condvar, Mutex, OnceLock};

/// The process-wide driver, or `None` if its thread cannot be started now.
pub(super) fn driver() -> Option<Arc<TimeDriver>> {
    static FALLBACK: OnceLock<Fallback> = OnceLock::new();
    let fallback = FALLBACK.get_or_init(Fallback::new);
    fallback.ensure_thread().then(|| fallback.driver.clone())
}

struct Fallback {
    driver: Arc<TimeDriver>,
    bell: Arc<Bell>,
    /// Set once, under `start`, when the thread exists. Publishes nothing.
    is_started: AtomicBool,
    start: Mutex<()>,
}

impl Fallback {
    fn new() -> Self {
        let bell = Arc::new(Bell::default());
        let ringer = bell.clone();
        Self {
            driver: TimeDriver::new(Box::new(move || ringer.ring())),
            bell,
            is_started: AtomicBool::new(false),
            start: Mutex::new(()),
        }
    }

    fn ensure_thread(&self) -> bool {
        if self.is_started.load(Ordering::Relaxed) {
            return true;
        }
        let _start = self.start.lock();
        if !self.is_started.load(Ordering::Relaxed) {
            let (driver, bell) = (self.driver.clone(), self.bell.clone());
            let spawned =
                thread::Builder::new().name("tress-timers".to_owned()).spawn(move || serve(&driver, &bell));
            self.is_started.store(spawned.is_ok(), Ordering::Relaxed);
        }
        self.is_started.load(Ordering::Relaxed)
    }
}

/// The thread: fires what is due, then sleeps until the next deadline or a ring.
fn serve(driver: &TimeDriver, bell: &Bell) {
    loop {
        driver.process(clock::now());
        bell.wait(driver);
    }
}

/// How an earlier deadline reaches the thread.
#[derive(Default)]
struct Bell {
    rung: Mutex<bool>,
    changed: Condvar,
}

impl Bell {
    fn ring(&self) {
        *self.rung.lock() = true;
        self.changed.notify_one();
    }

    /// Sleeps until the driver's deadline, or a ring since the last wait.
    ///
    /// A deadline is published before the bell is rung, and read here with the bell's lock held: either it is seen, or
    /// its ring comes after this sleep has begun and ends it.
    fn wait(&self, driver: &TimeDriver) {
        let mut rung = self.rung.lock();
        if !*rung {
            rung = match driver.next_deadline() {
                None => self.changed.wait(rung),
                Some(deadline) => {
                    self.changed.wait_timeout(rung, deadline.saturating_duration_since(clock::now()))
                }
            };
        }
        *rung = false;
    }
}
