//! Timers where no runtime is.
//!
//! A sleep that is polled on a thread without a runtime, or by a runtime that is going down, registers with a wheel of
//! the process. Its thread is started by the first such sleep and stays; it parks for good while nothing is pending.

use std::thread;

use super::bell::Bell;
use super::clock;
use super::driver::TimeDriver;
use crate::primitive::sync::atomic::{AtomicBool, Ordering};
use crate::primitive::sync::{Arc, Mutex, OnceLock};

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
