//! Timers where no runtime is.
//!
//! A sleep that is polled on a thread without a runtime, or by a runtime that is going down, registers with a wheel of
//! the process. Its thread is started by the first such sleep and stays; it parks for good while nothing is pending.

use std::thread;

use super::bell::Bell;
use super::clock;
use super::driver::TimeDriver;
use crate::primitive::sync::{Arc, Mutex};

/// The process-wide driver, once its thread is there.
static FALLBACK: Mutex<Option<Arc<TimeDriver>>> = Mutex::new(None);

/// The process-wide driver, or `None` if its thread cannot be started now.
pub(super) fn driver() -> Option<Arc<TimeDriver>> {
    let mut fallback = FALLBACK.lock();
    if fallback.is_none() {
        *fallback = start();
    }
    fallback.clone()
}

fn start() -> Option<Arc<TimeDriver>> {
    let bell = Arc::new(Bell::default());
    let ringer = bell.clone();
    let driver = TimeDriver::new(Box::new(move || ringer.ring()));
    let served = driver.clone();
    let thread = thread::Builder::new().name("tress-timers".to_owned()).spawn(move || serve(&served, &bell));
    thread.is_ok().then_some(driver)
}

/// The thread: fires what is due, then sleeps until the next deadline or a ring.
fn serve(driver: &TimeDriver, bell: &Bell) {
    loop {
        driver.process(clock::now());
        bell.wait(driver);
    }
}
