//! Keeps memory alive while other threads may still be looking at it.
//!
//! A thread that is about to follow a pointer without owning what it points to pins itself; whoever retires the memory
//! defers its destruction until every thread that was pinned at that time has unpinned. This is crossbeam's epoch
//! scheme; under loom a stand-in.

#[cfg(not(tress_loom))]
pub(crate) use crossbeam_epoch::{Guard, pin};

/// Drops `value` once no thread that is pinned now is pinned any more: at once if there is none, else at some later time,
/// on any thread.
#[cfg(not(tress_loom))]
pub(crate) fn retire<T: Send + 'static>(value: T) {
    pin().defer(move || drop(value));
    // Each turn hands over what is deferred and tries to move on by an epoch; two epochs later it is dropped.
    for _ in 0..3 {
        pin().flush();
    }
}

#[cfg(tress_loom)]
pub(crate) use self::stand_in::{Guard, pin, retire};

#[cfg(tress_loom)]
pub(crate) mod stand_in {
    //! The scheme itself: what is retired waits for the pins that there are.

    use std::any::Any;
    use std::cell::Cell;

    use crate::primitive::sync::Mutex;

    std::thread_local! {
        /// Whether the model that this thread explores is about pins; others are spared the cost.
        static EXPLORED: Cell<bool> = const { Cell::new(false) };
    }

    loom::lazy_static! {
        static ref EPOCH: Mutex<Epoch> = Mutex::new(Epoch::default());
    }

    #[derive(Debug, Default)]
    struct Epoch {
        last_pin: usize,
        pins: Vec<usize>,
        retired: Vec<Retired>,
    }

    #[derive(Debug)]
    struct Retired {
        awaited: Vec<usize>,
        value: Box<dyn Any + Send>,
    }

    /// Runs a model in which pins count.
    pub(crate) fn explored(model: impl FnOnce()) {
        EXPLORED.set(true);
        model();
        EXPLORED.set(false);
    }

    #[derive(Debug)]
    pub(crate) struct Guard(Option<usize>);

    pub(crate) fn pin() -> Guard {
        if !EXPLORED.get() {
            return Guard(None);
        }
        let mut epoch = EPOCH.lock();
        epoch.last_pin += 1;
        let pin = epoch.last_pin;
        epoch.pins.push(pin);
        Guard(Some(pin))
    }

    impl Drop for Guard {
        fn drop(&mut self) {
            let Some(pin) = self.0 else { return };
            let mut epoch = EPOCH.lock();
            epoch.pins.retain(|&other| other != pin);
            for retired in &mut epoch.retired {
                retired.awaited.retain(|&other| other != pin);
            }
            let (free, rest) = std::mem::take(&mut epoch.retired)
                .into_iter()
                .partition(|retired| retired.awaited.is_empty());
            epoch.retired = rest;
            drop(epoch);
            let free: Vec<Retired> = free;
            drop(free);
        }
    }

    /// Drops `value` once no pin that there is now is left; at once in a model that is not about pins.
    pub(crate) fn retire<T: Send + 'static>(value: T) {
        if !EXPLORED.get() {
            return drop(value);
        }
        let mut epoch = EPOCH.lock();
        let awaited = epoch.pins.clone();
        if awaited.is_empty() {
            drop(epoch);
            return drop(value);
        }
        epoch.retired.push(Retired { awaited, value: Box::new(value) });
    }
}
