//! Work-stealing queues: crossbeam's, or stand-ins behind a lock under loom.

#[cfg(not(tress_loom))]
pub(crate) use crossbeam_deque::{Injector, Steal, Stealer, Worker};

#[cfg(tress_loom)]
pub(crate) use self::stand_in::{Injector, Steal, Stealer, Worker};

#[cfg(tress_loom)]
pub(crate) mod stand_in {
    //! Queues behind locks; and, for models that ask for it, an injector of which loom sees the length only.
    //!
    //! The idle protocol rests on a push to the injector × a look into it. A lock orders whatever comes before the look with
    //! whatever comes after the next push, so that who lacks a fence there looks right. A *bare* injector's look is a load that
    //! may be stale, and a push or steal orders what an item brings with it, and nothing else. (Crossbeam's are stronger:
    //! some of their accesses and fences are `SeqCst`. Nobody may rely on it.) Stale looks multiply the courses of a model,
    //! more than those with three threads and whole workers can bear.

    use std::cell::Cell;
    use std::collections::VecDeque;

    use crate::primitive::sync::atomic::{AtomicUsize, Ordering};
    use crate::primitive::sync::{Arc, Mutex};

    #[expect(clippy::disallowed_types, reason = "unseen by loom on purpose")]
    type PlainMutex<T> = std::sync::Mutex<T>;

    std::thread_local! {
        /// Whether an injector that is made now is bare.
        static BARE: Cell<bool> = const { Cell::new(false) };
    }

    /// Makes something whose injectors are bare.
    #[cfg(test)]
    pub(crate) fn bare<R>(make: impl FnOnce() -> R) -> R {
        BARE.set(true);
        let made = make();
        BARE.set(false);
        made
    }

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
    pub(crate) enum Injector<T> {
        Locked(Mutex<VecDeque<T>>),
        Bare(Bare<T>),
    }

    #[derive(Debug)]
    pub(crate) struct Bare<T> {
        /// At least as many as `len` says.
        items: PlainMutex<VecDeque<T>>,
        /// How many items may be taken. Raised with `Release` once an item is in; whoever takes items lowers it first,
        /// with `Acquire`.
        len: AtomicUsize,
    }

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
            if BARE.get() {
                Self::Bare(Bare { items: PlainMutex::new(VecDeque::new()), len: AtomicUsize::new(0) })
            } else {
                Self::Locked(Mutex::new(VecDeque::new()))
            }
        }
        pub(crate) fn push(&self, item: T) {
            match self {
                Self::Locked(items) => items.lock().push_back(item),
                Self::Bare(bare) => bare.push(item),
            }
        }
        pub(crate) fn is_empty(&self) -> bool {
            self.len() == 0
        }
        pub(crate) fn len(&self) -> usize {
            match self {
                Self::Locked(items) => items.lock().len(),
                Self::Bare(bare) => bare.len.load(Ordering::Acquire),
            }
        }
        pub(crate) fn steal(&self) -> Steal<T> {
            self.take(|_| 1).pop().map_or(Steal::Empty, Steal::Success)
        }
        pub(crate) fn steal_batch_and_pop(&self, to: &Worker<T>) -> Steal<T> {
            finish(self.take(|len| len.div_ceil(2)), to)
        }

        /// Takes as many as `wanted` makes of the length, if there are any.
        fn take(&self, wanted: impl Fn(usize) -> usize) -> Vec<T> {
            match self {
                Self::Locked(items) => {
                    let mut items = items.lock();
                    let count = wanted(items.len()).min(items.len());
                    items.drain(..count).collect()
                }
                Self::Bare(bare) => bare.take(wanted),
            }
        }
    }

    impl<T> Bare<T> {
        fn push(&self, item: T) {
            self.items.lock().expect("nothing panics under it").push_back(item);
            self.len.fetch_add(1, Ordering::Release);
        }

        fn take(&self, wanted: impl Fn(usize) -> usize) -> Vec<T> {
            let mut len = self.len.load(Ordering::Acquire);
            while len > 0 {
                let left = len - wanted(len);
                match self.len.compare_exchange(len, left, Ordering::Acquire, Ordering::Acquire) {
                    Ok(_) => {
                        let mut items = self.items.lock().expect("nothing panics under it");
                        return items.drain(..len - left).collect();
                    }
                    Err(actual) => len = actual,
                }
            }
            Vec::new()
        }
    }

    fn finish<T>(stolen: Vec<T>, to: &Worker<T>) -> Steal<T> {
        let mut stolen = stolen.into_iter();
        let Some(first) = stolen.next() else { return Steal::Empty };
        stolen.for_each(|item| to.push(item));
        Steal::Success(first)
    }
}
