#![doc = include_str!("README.md")]
#![expect(
    unsafe_code,
    reason = "a hand-made runnable that lies in what it keeps, and a count of references of its own"
)]

mod counts;
mod extras;
mod list;
mod look;
#[cfg(all(test, tress_loom))]
mod model;
pub(crate) mod node;
mod waiter;
mod word;

use std::cell::Cell;
use std::fmt;
use std::ops::Deref;
use std::ptr::{self, NonNull};

use tress_runtime::executor::{AnyExecutor, Executor, Runnable};
use tress_runtime::seam::{self, Header, ItemTime, RunnableVtable, Transfer, Turn, run};

use self::counts::Counts;
pub(crate) use self::extras::{Choices, Locals};
use self::extras::{ExtrasCell, Stretch};
use self::list::List;
pub(crate) use self::waiter::Acquire;
use self::waiter::Given;
pub(crate) use self::word::Pushed;
use self::word::{Released, Word};
use crate::primitive::UnsafeCell;
use crate::primitive::atomic::{AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use crate::primitive::{spin_loop, thread_local};

/// What runs one item after the other, on whichever thread: what strands and actors have in common.
///
/// `repr(C)`: the head comes first, so that its address is this one's.
#[repr(C)]
pub(crate) struct Serial {
    /// The head of the *drain*, which is a runnable of the executor below while it is queued there. Its `state` counts references.
    header: Header,
    word: Word,
    /// Who is at work. Values: [`NOBODY`]; [`ASLEEP`]; or the number of the holder's [run](run). Written by the holder, `Relaxed`: it publishes nothing, and
    /// whoever compares it with his own run has written it himself, or reads something else.
    holder: AtomicU64,
    /// What waits, apart from what has arrived since. The holder's.
    local: UnsafeCell<List>,
    /// Beside the list, which is written with them.
    counts: Counts,
    item_time: ItemTime,
    /// Handles: with the last one, what waits is dropped instead of run. Values: a count.
    handles: AtomicU32,
    /// The address of the whole, as it was allocated: what is only known by a reference to this part must not free it. Written before it is shared.
    whole: NonNull<Self>,
    /// Where drains run; none for one that only runs on the threads of those who call.
    executor: Option<AnyExecutor>,
    extras: ExtrasCell,
}

/// The table of a drain, and what else depends on what the `Serial` is the first part of.
#[repr(C)]
pub(crate) struct SerialVtable {
    /// First, so that a pointer to this table is one to a `RunnableVtable`.
    runnable: RunnableVtable,
    /// Drops the whole and gives its memory back.
    free: unsafe fn(NonNull<Serial>),
    /// See [`Host::HAS_LOCALS`].
    has_locals: bool,
}

/// A counted reference, which keeps the memory, and nothing that is queued.
pub(crate) struct SerialRef(NonNull<Serial>);

/// A counted handle: as long as there is one, what is queued is run. All of them together have one reference.
pub(crate) struct Handle(NonNull<Serial>);

/// A type that begins with a `Serial`.
///
/// # Safety
///
/// The type is `repr(C)` and its first field is a `Serial` that was made with this type's [`VTABLE`](Host::VTABLE).
pub(crate) unsafe trait Host: Send + Sync + Sized + 'static {
    /// Whether its items may have values of it: only if all that it runs is an item.
    const HAS_LOCALS: bool;

    const VTABLE: SerialVtable = SerialVtable {
        runnable: RunnableVtable { run: Serial::run, cancel: Serial::cancel },
        free: |serial| {
            // SAFETY: nobody refers to it any more, and it is the first part of what `SerialRef::new` has boxed.
            drop(unsafe { Box::from_raw(serial.cast::<Self>().as_ptr()) });
        },
        has_locals: Self::HAS_LOCALS,
    };
}

// SAFETY: the list is touched by the holder alone, one thread at a time; what is queued may be sent; the rest may be shared.
unsafe impl Send for Serial {}
// SAFETY: as above.
unsafe impl Sync for Serial {}

/// No run is at work: nobody has it, or he is about to say so.
const NOBODY: u64 = 0;

/// It is held, and nobody is at work: it waits in a queue, or for its holder to be polled.
const ASLEEP: u64 = 1;

const _: () = assert!(ASLEEP < run::FIRST, "no run has the number of a value of `holder`");

impl Serial {
    /// To be put at the beginning of an `H`.
    pub(crate) fn new<H: Host>(executor: Option<AnyExecutor>, choices: Choices) -> Self {
        let header = Header {
            state: AtomicUsize::new(1),
            link: AtomicPtr::new(ptr::null_mut()),
            vtable: NonNull::from(const { &H::VTABLE }).cast(),
        };
        Self {
            header,
            word: Word::new(),
            holder: AtomicU64::new(NOBODY),
            local: UnsafeCell::new(List::new()),
            counts: Counts::new(),
            item_time: ItemTime::unknown(),
            handles: AtomicU32::new(1),
            whole: NonNull::dangling(),
            extras: ExtrasCell::new(choices, executor.as_ref()),
            executor,
        }
    }

    pub(crate) fn executor(&self) -> Option<&AnyExecutor> {
        self.executor.as_ref()
    }

    /// Whether the calling code is an item of it.
    #[inline]
    pub(crate) fn is_current(&self) -> bool {
        run::is_current(self.holder.load(Ordering::Relaxed))
    }

    /// Whether it is held by somebody who is not at work, so that to wait for him for a moment is of no use.
    #[inline]
    pub(crate) fn is_asleep(&self) -> bool {
        self.holder.load(Ordering::Relaxed) == ASLEEP
    }

    #[inline]
    pub(crate) fn looks_idle(&self) -> bool {
        self.word.looks_idle()
    }

    /// What it is known by as the innermost serial executor.
    pub(crate) fn address(&self) -> *const () {
        ptr::from_ref(self).cast()
    }

    /// Takes it if it is idle. The caller is then the holder, and [leaves](Self::leave) it, or [passes it on](Self::pass_on).
    #[inline]
    pub(crate) fn try_acquire(&self) -> bool {
        let is_acquired = self.word.try_acquire();
        if is_acquired {
            self.enter();
        }
        is_acquired
    }

    /// The holder says that he is at work.
    #[inline]
    pub(crate) fn enter(&self) {
        self.holder.store(run::current(), Ordering::Relaxed);
    }

    /// The holder says that nobody is at work until he enters again.
    #[inline]
    pub(crate) fn sleep(&self) {
        self.holder.store(ASLEEP, Ordering::Relaxed);
    }

    /// Has the item run after those that wait. From within, without a read-modify-write.
    ///
    /// # Safety
    ///
    /// `this` is there until the runnable is handed over; from then on it may be gone.
    #[inline]
    pub(crate) unsafe fn post(this: NonNull<Self>, runnable: Runnable, place: Place) {
        // SAFETY: the caller's promise.
        let serial = unsafe { this.as_ref() };
        if serial.is_current() {
            // SAFETY: this code is run by the holder, and not while he has the list.
            return unsafe { serial.push_local(runnable) };
        }
        let Some(runnable) = Scheduling::refuse_circles(this, runnable) else { return };
        match serial.word.push(runnable) {
            Pushed::Queued => {}
            Pushed::Acquired(runnable) => {
                // SAFETY: the caller is the holder now.
                unsafe { serial.push_local(runnable) };
                // SAFETY: as above, and thereby it stays until its drain is handed over.
                unsafe { Self::schedule(this, place) };
            }
        }
    }

    /// Queues an item if it is held, otherwise makes the caller the holder.
    #[inline]
    pub(crate) fn push(&self, runnable: Runnable) -> Pushed {
        let pushed = self.word.push(runnable);
        if matches!(pushed, Pushed::Acquired(_)) {
            self.enter();
        }
        pushed
    }

    /// Puts an item behind all that wait.
    ///
    /// # Safety
    ///
    /// By the holder, or by an item that he runs.
    pub(crate) unsafe fn push_local(&self, runnable: Runnable) {
        self.local.with_mut(|local| {
            // SAFETY: the list is the holder's, and nobody has it further up on the stack: items are run without it.
            let local = unsafe { &mut *local };
            let arrived = self.word.take_arrivals(local);
            local.push_back(runnable);
            self.counts.queued(arrived.saturating_add(1));
        });
    }

    /// The next item.
    ///
    /// # Safety
    ///
    /// By the holder.
    #[inline]
    unsafe fn next(&self) -> Option<Runnable> {
        self.local.with_mut(|local| {
            // SAFETY: as in `push_local`.
            let local = unsafe { &mut *local };
            if local.is_empty() {
                match self.word.take_arrivals(local) {
                    0 => return None,
                    arrived => self.counts.queued(arrived),
                }
            }
            self.counts.taken();
            local.pop_front()
        })
    }

    /// Whether nothing of what has been taken waits.
    ///
    /// # Safety
    ///
    /// By the holder.
    #[inline]
    unsafe fn is_local_empty(&self) -> bool {
        // SAFETY: the list is the holder's.
        self.local.with(|local| unsafe { (*local).is_empty() })
    }

    /// Gives it up if nothing waits. Otherwise the caller remains the holder, and at work.
    ///
    /// # Safety
    ///
    /// By the holder, who is at work.
    #[inline]
    pub(crate) unsafe fn try_release(&self) -> bool {
        // SAFETY: the caller's promise.
        if !unsafe { self.is_local_empty() } {
            return false;
        }
        self.holder.store(NOBODY, Ordering::Relaxed);
        if self.word.release() == Released::Idle {
            return true;
        }
        self.enter();
        false
    }

    /// Has what waits run by a drain, or gives it up if nothing does.
    ///
    /// # Safety
    ///
    /// By the holder, who is at work, and has a reference until the call returns.
    pub(crate) unsafe fn pass_on(&self, place: Place) {
        // SAFETY: the caller's promises.
        if !unsafe { self.try_release() } {
            // SAFETY: as above.
            unsafe { Self::schedule(self.whole, place) };
        }
    }

    /// Runs what waits, for one turn; then passes on the rest.
    ///
    /// # Safety
    ///
    /// By the holder, who is at work, has a reference until the call returns, and is no part of anything that is polled around this.
    unsafe fn drain(&self) {
        let _serial = run::enter_serial(self.address());
        let mut turn = Turn::begin(self.limits());
        let mut stretch = Stretch::begin(self.times());
        self.counts.turn();
        loop {
            // SAFETY: the caller's promise.
            let Some(item) = (unsafe { self.next() }) else {
                stretch.count();
                // SAFETY: as above.
                if unsafe { self.try_release() } {
                    return;
                }
                continue;
            };
            if self.handles.load(Ordering::Relaxed) == 0 {
                drop(item);
            } else if waiter::is_waiter(&item) {
                self.counts.item();
                stretch.count();
                match waiter::give(self, item) {
                    Given::Away => return,
                    Given::Kept => continue,
                }
            } else {
                self.counts.item();
                seam::run_next(item);
            }
            if turn.is_over(&self.item_time) && self.executor.is_some() {
                stretch.count();
                // SAFETY: as above.
                return unsafe { self.pass_on(Place::Behind) };
            }
        }
    }

    /// Runs what waits inside something else, for one turn; then passes on the rest, or if there is no executor goes on to the end.
    ///
    /// # Safety
    ///
    /// By the holder, who is at work, and has a reference until the call returns.
    #[inline(never)]
    unsafe fn drain_inside(&self) {
        // SAFETY: the caller's promises; and what is polled around this is not seen by what is run.
        seam::inside(|| unsafe { self.drain() });
    }

    /// Gives it up after an item of the caller's own; what waits is run here and now, for one turn.
    ///
    /// # Safety
    ///
    /// By the holder, who is at work, and has a reference until the call returns.
    #[inline]
    pub(crate) unsafe fn leave(&self) {
        // SAFETY: the caller's promises.
        if !unsafe { self.try_release() } {
            // SAFETY: as above.
            unsafe { self.drain_inside() };
        }
    }

    /// Gives it up without an item; what waits is run by others, if there is an executor.
    ///
    /// # Safety
    ///
    /// As that of [`leave`](Self::leave).
    #[cold]
    pub(crate) unsafe fn hand_back(&self) {
        if self.executor.is_some() {
            // SAFETY: the caller's promises.
            unsafe { self.pass_on(Place::Next) };
        } else {
            // SAFETY: as above.
            unsafe { self.leave() };
        }
    }

    /// Waits for a moment for the holder to give it up; whether he has, and the caller has it now.
    ///
    /// Of no use if the holder is not at work.
    #[inline(never)]
    pub(crate) fn contend(&self) -> bool {
        for pauses in PATIENCE {
            if self.is_asleep() {
                return false;
            }
            for _ in 0..pauses {
                spin_loop();
            }
            if self.word.looks_idle() && self.try_acquire() {
                return true;
            }
        }
        false
    }

    /// Hands the drain to the executor.
    ///
    /// # Safety
    ///
    /// By the holder, who gives it up to the drain. `this` may be gone when the call returns.
    unsafe fn schedule(this: NonNull<Self>, place: Place) {
        // One is the drain's; the other keeps the executor while it is at work here.
        // SAFETY: the holder keeps it.
        let keep = unsafe { SerialRef::count(this) };
        if let Some(times) = keep.times() {
            times.hand_over();
        }
        keep.sleep();
        keep.retain();
        // SAFETY: the reference has just been counted; whoever makes it idle has given up the right to make a drain, and no two are holders.
        let drain = unsafe { Runnable::from_raw(this.cast()) };
        let executor = keep.executor.as_ref().expect("only one that has an executor passes on");
        Scheduling::within(this, || {
            // The executor's own code may panic; the drain is dropped then.
            seam::contain_panic(|| match place {
                Place::Next => executor.post(drain),
                Place::Behind => executor.defer(drain),
            });
        });
    }

    unsafe fn run(header: NonNull<Header>) -> Option<Transfer> {
        // SAFETY: the drain owns a reference, which is used up here.
        let serial = SerialRef(header.cast());
        serial.enter();
        if let Some(times) = serial.times() {
            times.arrive();
        }
        // SAFETY: the drain is the holder.
        unsafe { serial.drain() };
        None
    }

    /// The executor has dropped the drain: so what waits is dropped.
    unsafe fn cancel(header: NonNull<Header>) {
        // SAFETY: the drain owns a reference, which is used up here.
        let serial = SerialRef(header.cast());
        serial.enter();
        seam::apart(|| {
            let _serial = run::enter_serial(serial.address());
            loop {
                // SAFETY: the drain is the holder.
                match unsafe { serial.next() } {
                    Some(item) => drop(item),
                    // SAFETY: as above.
                    None if unsafe { serial.try_release() } => return,
                    None => {}
                }
            }
        });
    }

    fn retain(&self) {
        // Relaxed: who counts one more has one.
        let former = self.header.state.fetch_add(1, Ordering::Relaxed);
        assert!(former < usize::MAX / 2, "there are too many references to a strand");
    }
}

/// How many pauses a contender makes before each look.
///
/// The first look is for holders who have something else to do after a short item. Where they come again and again instead, each look takes the word
/// from the holder's cache, and each that finds it idle takes all of the state from there: few of them, with long waits between, let holders
/// have long rows of items.
#[cfg(not(tress_loom))]
const PATIENCE: [u32; 3] = [4, 32, 224];
#[cfg(tress_loom)]
const PATIENCE: [u32; 0] = [];

impl fmt::Debug for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serial")
            .field("name", &self.name())
            .field("word", &self.word)
            .field("is_current", &self.is_current())
            .field("executor", &self.executor)
            .finish_non_exhaustive()
    }
}

/// Where in the executor's order a drain goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Where what has been woken goes.
    Next,
    /// Behind what is queued.
    Behind,
}

impl Handle {
    /// Moves it to where it stays.
    pub(crate) fn new<H: Host>(host: H) -> Self {
        let whole: NonNull<Serial> = NonNull::from(Box::leak(Box::new(host))).cast();
        // SAFETY: it is the first part of what has just been boxed, and nobody else knows it.
        unsafe { (*whole.as_ptr()).whole = whole };
        let handle = Self(whole);
        // SAFETY: from now on it is only shared, until its last reference withdraws it.
        unsafe { handle.enlist() };
        handle
    }

    /// Its address, with which the whole can be reached.
    #[inline]
    pub(crate) fn as_ptr(&self) -> NonNull<Serial> {
        self.0
    }

    /// A reference that does not keep what is queued.
    pub(crate) fn downgrade(&self) -> SerialRef {
        // SAFETY: the handle keeps it.
        unsafe { SerialRef::count(self.0) }
    }
}

impl Deref for Handle {
    type Target = Serial;

    #[inline]
    fn deref(&self) -> &Serial {
        // SAFETY: all handles together have a reference.
        unsafe { self.0.as_ref() }
    }
}

impl Clone for Handle {
    fn clone(&self) -> Self {
        // Relaxed: who counts one more has one.
        let former = self.handles.fetch_add(1, Ordering::Relaxed);
        if former >= u32::MAX / 2 {
            // Taken back: some that are refused must not be as many as it takes for the count to begin anew.
            self.handles.fetch_sub(1, Ordering::Relaxed);
            panic!("there are too many handles of a strand");
        }
        Self(self.0)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // Release, and Acquire of the last one: what was done with the others comes before it gives the reference up.
        if self.handles.fetch_sub(1, Ordering::AcqRel) == 1 {
            drop(SerialRef(self.0));
        }
    }
}

// SAFETY: it is a reference to something that may be shared.
unsafe impl Send for Handle {}
// SAFETY: as above.
unsafe impl Sync for Handle {}

impl SerialRef {
    /// Counts one more.
    ///
    /// # Safety
    ///
    /// It is there.
    unsafe fn count(serial: NonNull<Serial>) -> Self {
        // SAFETY: the caller's promise.
        unsafe { serial.as_ref() }.retain();
        Self(serial)
    }
}

impl Deref for SerialRef {
    type Target = Serial;

    #[inline]
    fn deref(&self) -> &Serial {
        // SAFETY: a reference is counted.
        unsafe { self.0.as_ref() }
    }
}

impl Drop for SerialRef {
    fn drop(&mut self) {
        // Release: what was done with it comes before its end, of which the acquiring load is the other side.
        if self.header.state.fetch_sub(1, Ordering::Release) != 1 {
            return;
        }
        // A load and not a fence: sanitizers see it.
        self.header.state.load(Ordering::Acquire);
        // SAFETY: it is made with a whole `SerialVtable`, of which the runnable's is the first field.
        let vtable = unsafe { self.header.vtable.cast::<SerialVtable>().as_ref() };
        // Something is queued only if a future that holds it was forgotten; no handle is left to run it for.
        // SAFETY: nobody else has a reference.
        while let Some(item) = unsafe { self.next() } {
            drop(item);
        }
        self.withdraw();
        // The state of an actor is dropped by whoever comes last, who may have nothing to do with it, as a worker.
        // SAFETY: the last reference has been given up.
        seam::contain_panic(|| unsafe { (vtable.free)(self.whole) });
    }
}

// SAFETY: it is a reference to something that may be shared.
unsafe impl Send for SerialRef {}
// SAFETY: as above.
unsafe impl Sync for SerialRef {}

/// A drain that is being handed to its executor, and those further up on this stack.
struct Scheduling {
    serial: NonNull<Serial>,
    outer: *const Self,
}

thread_local! {
    /// The innermost; null if there is none. Points to a value on this thread's stack that outlives the pointer (see `within`).
    static SCHEDULING: Cell<*const Scheduling> = const { Cell::new(ptr::null()) };
}

impl Scheduling {
    /// Runs `f`, which hands the drain of `serial` over.
    fn within(serial: NonNull<Serial>, f: impl FnOnce()) {
        struct Restore(*const Scheduling);

        impl Drop for Restore {
            fn drop(&mut self) {
                SCHEDULING.with(|innermost| innermost.set(self.0));
            }
        }

        let this = Self { serial, outer: SCHEDULING.with(Cell::get) };
        let _restore = Restore(SCHEDULING.with(|innermost| innermost.replace(&this)));
        f();
    }

    /// Drops the runnable if it is the drain that is being handed over, and comes back to one that waits for it to be handed over: two that stand on each
    /// other would wait for each other for ever.
    #[inline]
    fn refuse_circles(serial: NonNull<Serial>, runnable: Runnable) -> Option<Runnable> {
        let innermost = SCHEDULING.with(Cell::get);
        if innermost.is_null() {
            return Some(runnable);
        }
        // SAFETY: it is further up on this stack.
        if unsafe { &*innermost }.is_circle(serial, &runnable) {
            drop(runnable);
            return None;
        }
        Some(runnable)
    }

    #[cold]
    fn is_circle(&self, serial: NonNull<Serial>, runnable: &Runnable) -> bool {
        if runnable.header() != self.serial.cast() {
            return false;
        }
        let mut scheduling = self;
        loop {
            if scheduling.serial == serial {
                return true;
            }
            // SAFETY: it is further up on this stack.
            match unsafe { scheduling.outer.as_ref() } {
                Some(outer) => scheduling = outer,
                None => return false,
            }
        }
    }
}
