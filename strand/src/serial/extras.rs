//! What most serial executors have no need of, in a box of its own.
#![expect(unsafe_code, reason = "a box that is made on demand, and values that are the holder's")]

use std::any::Any;
use std::fmt;
use std::ptr::{self, NonNull};
use std::time::Duration;

use tress_runtime::Handle;
use tress_runtime::executor::Executor;
use tress_runtime::seam::primitive::PlainAtomicU64;
use tress_runtime::seam::strands::{Name, Place};
use tress_runtime::seam::{self, Limits};

use crate::builder::LIMITS;
use crate::primitive::UnsafeCell;
use crate::primitive::atomic::{AtomicPtr, Ordering};

/// What is chosen when a strand or an actor is made.
#[derive(Debug)]
pub(crate) struct Choices {
    pub(crate) limits: Limits,
    pub(crate) name: Option<Name>,
    /// Whether times are measured, also if the runtime does not.
    pub(crate) is_measured: bool,
    pub(crate) locals: Locals,
}

impl Default for Choices {
    fn default() -> Self {
        Self { limits: LIMITS, name: None, is_measured: false, locals: Locals::default() }
    }
}

/// | field | who may touch it, when |
/// |---|---|
/// | `limits`, `name`, `place`, `times` | read by anybody who has a reference; never written again |
/// | what is in `times` | written by the holder, `Relaxed`; read by anybody |
/// | `locals` | the holder; and whoever makes or frees it |
pub(crate) struct Extras {
    pub(super) limits: Limits,
    pub(super) name: Option<Name>,
    /// Where it is listed, if it has a name and is over a runtime.
    pub(super) place: Option<Place>,
    pub(super) times: Option<Times>,
    locals: UnsafeCell<Locals>,
}

// SAFETY: the locals are the holder's, one thread at a time, and may be sent.
unsafe impl Sync for Extras {}

/// Times, in nanoseconds. Plain: they publish nothing.
#[derive(Debug)]
pub(super) struct Times {
    /// When the drain was handed to the executor.
    queued_at: PlainAtomicU64,
    wait: PlainAtomicU64,
    busy: PlainAtomicU64,
}

/// A stretch of a turn, whose time is yet to be counted.
pub(super) struct Stretch<'a> {
    times: Option<&'a Times>,
    since: u64,
}

/// Values that belong to a strand, each with the address of its key. They are dropped in the order in which they were made.
#[derive(Default)]
pub(crate) struct Locals(Vec<(usize, NonNull<dyn Any + Send>)>);

// SAFETY: it owns what the pointers name, which may be sent.
unsafe impl Send for Locals {}

impl Extras {
    fn new(choices: Choices, place: Option<Place>) -> Self {
        let Choices { limits, name, is_measured, locals } = choices;
        let times = is_measured.then(Times::new);
        Self { limits, name, place, times, locals: UnsafeCell::new(locals) }
    }

    /// Lends the locals.
    ///
    /// # Safety
    ///
    /// By the holder, or an item that he runs; and `f` calls nothing of a user's.
    pub(super) unsafe fn with_locals<R>(&self, f: impl FnOnce(&mut Locals) -> R) -> R {
        // SAFETY: they are the holder's, and lent only for as long as nobody else's code runs.
        self.locals.with_mut(|locals| f(unsafe { &mut *locals }))
    }
}

impl Locals {
    /// Finds a value of this type by its key, or makes it. The address is good until the locals are dropped.
    pub(crate) fn find_or_put<T: Any + Send>(&mut self, key: usize, make: impl FnOnce() -> T) -> NonNull<T> {
        self.find(key).unwrap_or_else(|| self.put(key, make()))
    }

    fn find<T: Any + Send>(&self, key: usize) -> Option<NonNull<T>> {
        self.0.iter().find_map(|(found, value)| {
            // SAFETY: what is in the list is there; as a shared one, it is only asked for its type.
            let is_it = *found == key && unsafe { value.as_ref() }.is::<T>();
            is_it.then(|| value.cast())
        })
    }

    /// Puts a value that is not there.
    pub(crate) fn put<T: Any + Send>(&mut self, key: usize, value: T) -> NonNull<T> {
        let value = NonNull::from(Box::leak(Box::new(value)));
        self.0.push((key, value));
        value
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Drop for Locals {
    fn drop(&mut self) {
        if self.is_empty() {
            return;
        }
        let values = std::mem::take(&mut self.0);
        seam::apart(|| {
            for (_, value) in values {
                // SAFETY: it is from the box that `put` has made, and dropped once.
                let value = unsafe { Box::from_raw(value.as_ptr()) };
                seam::contain_panic(|| drop(value));
            }
        });
    }
}

impl fmt::Debug for Locals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} values", self.0.len())
    }
}

impl Times {
    const fn new() -> Self {
        let [queued_at, wait, busy] = [const { PlainAtomicU64::new(0) }; 3];
        Self { queued_at, wait, busy }
    }

    /// The holder is about to hand the drain over.
    pub(super) fn hand_over(&self) {
        self.queued_at.store(seam::now_ns(), Ordering::Relaxed);
    }

    /// The drain runs.
    pub(super) fn arrive(&self) {
        add(&self.wait, seam::now_ns().saturating_sub(self.queued_at.load(Ordering::Relaxed)));
    }

    pub(super) fn wait(&self) -> Duration {
        Duration::from_nanos(self.wait.load(Ordering::Relaxed))
    }

    pub(super) fn busy(&self) -> Duration {
        Duration::from_nanos(self.busy.load(Ordering::Relaxed))
    }
}

/// By the only writer.
fn add(counter: &PlainAtomicU64, nanos: u64) {
    counter.store(counter.load(Ordering::Relaxed).saturating_add(nanos), Ordering::Relaxed);
}

impl<'a> Stretch<'a> {
    /// Begins; looks at the clock only if times are measured.
    #[inline]
    pub(super) fn begin(times: Option<&'a Times>) -> Self {
        Self { times, since: if times.is_some() { seam::now_ns() } else { 0 } }
    }

    /// Counts what has passed, by the holder: before he may be it no more.
    #[inline]
    pub(super) fn count(&mut self) {
        if let Some(times) = self.times {
            let now = seam::now_ns();
            add(&times.busy, now.saturating_sub(self.since));
            self.since = now;
        }
    }
}

/// Null, or what is in a box. Written before it is shared, or once by the holder, which publishes it (`Release`) to whoever reads it without being
/// the holder (`Acquire`).
pub(super) struct ExtrasCell(AtomicPtr<Extras>);

impl ExtrasCell {
    /// Nothing, where nothing is chosen that needs it.
    pub(super) fn new(mut choices: Choices, executor: Option<&impl Executor>) -> Self {
        let runtime = executor.and_then(|executor| executor.runtime());
        choices.is_measured |= runtime.is_some_and(seam::is_measuring);
        let Choices { limits, name, is_measured, locals } = &choices;
        if *limits == LIMITS && name.is_none() && !is_measured && locals.is_empty() {
            return Self(AtomicPtr::new(ptr::null_mut()));
        }
        let place = runtime.filter(|_| name.is_some()).map(|runtime: &Handle| Place::new(runtime));
        Self(AtomicPtr::new(Box::into_raw(Box::new(Extras::new(choices, place)))))
    }

    #[inline]
    pub(super) fn get(&self) -> Option<&Extras> {
        // Acquire: see `ExtrasCell`.
        // SAFETY: null, or from a box that is freed together with this.
        unsafe { self.0.load(Ordering::Acquire).as_ref() }
    }

    /// # Safety
    ///
    /// By the holder, or an item that he runs.
    pub(super) unsafe fn get_or_make(&self) -> &Extras {
        if self.get().is_none() {
            let extras = Box::into_raw(Box::new(Extras::new(Choices::default(), None)));
            // Release: see `ExtrasCell`.
            self.0.store(extras, Ordering::Release);
        }
        self.get().expect("it has just been made")
    }
}

impl Drop for ExtrasCell {
    fn drop(&mut self) {
        // Relaxed: nobody else refers to it.
        let extras = self.0.load(Ordering::Relaxed);
        if !extras.is_null() {
            // SAFETY: it is from a box, and freed once.
            drop(unsafe { Box::from_raw(extras) });
        }
    }
}
