//! Work-stealing queues: crossbeam's, or stand-ins behind a lock under loom.

#[cfg(not(tress_loom))]
pub(crate) use crossbeam_deque::{Injector, Steal, Stealer, Worker};

#[cfg(tress_loom)]
pub(crate) use self::stand_in::{Injector, Steal, Stealer, Worker};

#[cfg(tress_loom)]
mod stand_in {
    use std::collections::VecDeque;

    use crate::primitive::sync::{Arc, Mutex};

    /// The outcome of a steal.
    #[derive(Debug)]
    pub(crate) enum Steal<T> {
        Empty,
        Success(T),
        #[expect(dead_code, reason = "a lock never asks to try again")]
        Retry,
    }

    /// The owner's end.
    #[derive(Debug)]
    pub(crate) struct Worker<T>(Arc<Mutex<VecDeque<T>>>);

    /// A thief's end.
    #[derive(Debug, Clone)]
    pub(crate) struct Stealer<T>(Arc<Mutex<VecDeque<T>>>);

    /// A queue for everybody.
    #[derive(Debug)]
    pub(crate) struct Injector<T>(Mutex<VecDeque<T>>);

    impl<T> Worker<T> {
        pub(crate) fn new_fifo() -> Self {
            Self(Arc::new(Mutex::new(VecDeque::new())))
        }
        pub(crate) fn push(&self, item: T) {
            self.0.lock().push_back(item);
        }
        pub(crate) fn pop(&self) -> Option<T> {
            self.0.lock().pop_front()
        }
        pub(crate) fn len(&self) -> usize {
            self.0.lock().len()
        }
        pub(crate) fn is_empty(&self) -> bool {
            self.len() == 0
        }
        pub(crate) fn stealer(&self) -> Stealer<T> {
            Stealer(Arc::clone(&self.0))
        }
    }

    impl<T> Stealer<T> {
        pub(crate) fn len(&self) -> usize {
            self.0.lock().len()
        }
        pub(crate) fn steal(&self) -> Steal<T> {
            self.0.lock().pop_front().map_or(Steal::Empty, Steal::Success)
        }
        pub(crate) fn steal_batch_and_pop(&self, to: &Worker<T>) -> Steal<T> {
            let stolen: Vec<T> = {
                let mut from = self.0.lock();
                let count = from.len().div_ceil(2);
                from.drain(..count).collect()
            };
            finish(stolen, to)
        }
    }

    impl<T> Injector<T> {
        pub(crate) fn new() -> Self {
            Self(Mutex::new(VecDeque::new()))
        }
        pub(crate) fn push(&self, item: T) {
            self.0.lock().push_back(item);
        }
        pub(crate) fn is_empty(&self) -> bool {
            self.len() == 0
        }
        pub(crate) fn len(&self) -> usize {
            self.0.lock().len()
        }
        pub(crate) fn steal(&self) -> Steal<T> {
            self.0.lock().pop_front().map_or(Steal::Empty, Steal::Success)
        }
        pub(crate) fn steal_batch_and_pop(&self, to: &Worker<T>) -> Steal<T> {
            let stolen: Vec<T> = {
                let mut from = self.0.lock();
                let count = from.len().div_ceil(2);
                from.drain(..count).collect()
            };
            finish(stolen, to)
        }
    }

    fn finish<T>(stolen: Vec<T>, to: &Worker<T>) -> Steal<T> {
        let mut stolen = stolen.into_iter();
        let Some(first) = stolen.next() else { return Steal::Empty };
        stolen.for_each(|item| to.push(item));
        Steal::Success(first)
    }
}
