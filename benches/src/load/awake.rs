//! Threads of the kernel's idle class that keep the cores from halting.
//!
//! With one connection, client and server take turns to sleep. Whether a wake then costs a microsecond or thirty depends on whether the
//! kernel put both on one core or on two, and on how slowly a halted core of this (perhaps virtual) machine wakes, and that would drown
//! what the figure should say of the server. A thread of the idle class runs only when a core has nothing else to do and makes way at
//! once, so it takes nothing from anybody.
#![expect(unsafe_code, reason = "no safe crate in use here wraps sched_setscheduler")]

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;

/// Keeps every core awake until it is dropped.
#[derive(Debug)]
pub(super) struct Awake {
    /// Set once, by the drop; the threads only look at it.
    is_over: Arc<AtomicBool>,
}

impl Awake {
    pub(super) fn start() -> io::Result<Self> {
        let awake = Self { is_over: Arc::default() };
        let (sender, started) = mpsc::channel();
        for _ in 0..thread::available_parallelism()?.get() {
            let is_over = Arc::clone(&awake.is_over);
            let sender = sender.clone();
            thread::Builder::new().name("awake".into()).spawn(move || {
                let result = enter_idle_class();
                let is_idle = result.is_ok();
                // The receiver waits for it.
                let _told = sender.send(result);
                drop(sender);
                while is_idle && !is_over.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            })?;
        }
        drop(sender);
        started.iter().collect::<io::Result<()>>()?;
        Ok(awake)
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

/// Moves the calling thread to the idle class.
fn enter_idle_class() -> io::Result<()> {
    // SAFETY: a zeroed `sched_param` is valid: plain integers.
    let parameters: libc::sched_param = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is valid for the call; 0 names the calling thread.
    let result = unsafe { libc::sched_setscheduler(0, libc::SCHED_IDLE, &raw const parameters) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
