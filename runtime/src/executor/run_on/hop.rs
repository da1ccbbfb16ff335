//! A stay on another executor, as wakers know it.

use std::cell::RefCell;
use std::task::{Wake, Waker};

use crate::executor::{AnyExecutor, Executor};
use crate::primitive::sync::atomic::{AtomicBool, Ordering};
use crate::primitive::sync::{Mutex, PlainArc, PlainAtomicU64};
use crate::primitive::thread::thread_local;
use crate::task::moving::{self, Wish};
use crate::tree;

/// What wakers of the future refer to.
pub(super) struct Hop {
    /// Values: whether the future has been woken since it was last polled on its executor. Set by wakers, cleared by whoever polls; publishes what the
    /// wakers did.
    is_woken: AtomicBool,
    /// Values: whether another executor has been chosen since whoever polls has looked. Set and cleared by whoever polls; publishes nothing.
    has_moved: AtomicBool,
    /// Values: whether the future is being polled on its executor, and not on the way of a hop inside it. Written by whoever polls; publishes nothing.
    is_home: AtomicBool,
    /// What it asks of the task.
    pub(super) wish: Wish,
    link: Mutex<Link>,
}

/// How a hop reaches whoever polls it.
struct Link {
    /// Where the future is polled. Exchanged by whoever polls.
    executor: PlainArc<AnyExecutor>,
    /// The hop that it is inside of.
    outer: Option<PlainArc<Hop>>,
    /// The waker that it was polled with, unless that is the outer hop's own.
    waker: Option<Waker>,
    /// Where hops inside this one, at any depth, want the task: there the future is polled, too, on the way. The oldest first.
    passes: Vec<Pass>,
}

impl Link {
    /// Adds a wish, in the place of a former one of the same asker, which is returned.
    fn add(&mut self, pass: Pass) -> Option<Pass> {
        match self.passes.iter_mut().find(|other| other.asker == pass.asker) {
            Some(place) => Some(std::mem::replace(place, pass)),
            None => {
                self.passes.push(pass);
                None
            }
        }
    }
}

/// A wish of a hop that is inside another one.
#[derive(Clone)]
pub(super) struct Pass {
    /// Whose: an address.
    pub(super) asker: usize,
    pub(super) to: PlainArc<AnyExecutor>,
    /// Tells it from what the same hop has said before and after.
    number: u64,
    /// Whether the future has been polled there, and nobody has asked for another turn: whoever has said it has been kept by something that does not poll it.
    pub(super) is_tried: bool,
}

/// Numbers all wishes. Publishes nothing.
static NEXT_NUMBER: PlainAtomicU64 = PlainAtomicU64::new(0);

thread_local! {
    /// The innermost hop whose future is being polled on this thread, and the run that this is part of.
    static CURRENT: RefCell<Option<(PlainArc<Hop>, tree::Place)>> = const { RefCell::new(None) };
}

/// The innermost hop whose future is being polled on this thread, if it is part of what is being polled innermost: inside it, the thread may run other tasks.
pub(super) fn current() -> Option<PlainArc<Hop>> {
    let is_here = |place: &tree::Place| place.is_same_run(&tree::place());
    let find = |current: &RefCell<Option<(PlainArc<Hop>, tree::Place)>>| {
        current.borrow().as_ref().filter(|(_, place)| is_here(place)).map(|(hop, _)| PlainArc::clone(hop))
    };
    CURRENT.try_with(find).ok().flatten()
}

/// Polls `f` as the inside of a hop.
pub(super) fn inside<R>(hop: &PlainArc<Hop>, f: impl FnOnce() -> R) -> R {
    struct Restore(Option<(PlainArc<Hop>, tree::Place)>);

    impl Drop for Restore {
        fn drop(&mut self) {
            let former = CURRENT.try_with(|current| current.replace(self.0.take()));
            drop(former);
        }
    }

    let former = CURRENT.try_with(|current| current.replace(Some((PlainArc::clone(hop), tree::place()))));
    let _restore = Restore(former.ok().flatten());
    f()
}

impl Hop {
    /// A hop to an executor, whose future is to be polled at once.
    pub(super) fn new(executor: PlainArc<AnyExecutor>) -> PlainArc<Self> {
        let link = Link { executor, outer: None, waker: None, passes: Vec::new() };
        PlainArc::new(Self {
            is_woken: AtomicBool::new(true),
            has_moved: AtomicBool::new(false),
            is_home: AtomicBool::new(false),
            wish: Wish::new(),
            link: Mutex::new(link),
        })
    }

    /// Whether the future has been woken since it was last polled on its executor.
    pub(super) fn is_woken(&self) -> bool {
        self.is_woken.load(Ordering::Acquire)
    }

    /// The future is about to be polled on its executor: a wake that comes later leads to another poll. Says whether it has been woken.
    pub(super) fn take_wake(&self) -> bool {
        self.is_woken.swap(false, Ordering::AcqRel)
    }

    /// Says whether the future is about to be polled on its executor, or on the way of another hop.
    pub(super) fn set_home(&self, is_home: bool) {
        self.is_home.store(is_home, Ordering::Relaxed);
    }

    pub(super) fn is_home(&self) -> bool {
        self.is_home.load(Ordering::Relaxed)
    }

    /// Has the future polled on another executor from now on, when it is woken. By whoever polls it.
    pub(super) fn move_to(&self, executor: PlainArc<AnyExecutor>) {
        self.has_moved.store(true, Ordering::Relaxed);
        self.set_home(false);
        let former = std::mem::replace(&mut self.link.lock().executor, executor);
        drop(former);
    }

    /// The executor, if it is another one than at the last call.
    pub(super) fn take_move(&self) -> Option<PlainArc<AnyExecutor>> {
        if !self.has_moved.load(Ordering::Relaxed) {
            return None;
        }
        self.has_moved.store(false, Ordering::Relaxed);
        Some(self.executor())
    }

    pub(super) fn executor(&self) -> PlainArc<AnyExecutor> {
        PlainArc::clone(&self.link.lock().executor)
    }

    /// Whoever polls this now is woken from now on. Says whether it is another hop than before.
    pub(super) fn register(self: &PlainArc<Self>, waker: &Waker) -> bool {
        let outer = current();
        // By the address alone: the compiler may make several tables for one kind of waker.
        let is_direct = outer.as_ref().is_some_and(|outer| PlainArc::as_ptr(outer).cast() == waker.data());
        let is_same = {
            let link = self.link.lock();
            let is_same_outer =
                outer.as_ref().map(PlainArc::as_ptr) == link.outer.as_ref().map(PlainArc::as_ptr);
            let needs_none = is_direct || link.waker.as_ref().is_some_and(|own| own.will_wake(waker));
            if is_same_outer && needs_none {
                return false;
            }
            is_same_outer
        };
        // What is foreign is cloned and dropped without the lock.
        let waker = if is_direct { None } else { Some(waker.clone()) };
        let former = {
            let mut link = self.link.lock();
            (std::mem::replace(&mut link.outer, outer), std::mem::replace(&mut link.waker, waker))
        };
        if !is_same && self.leave(former.0) {
            // Polled at home, those inside say it again where this is now.
            self.is_woken.store(true, Ordering::Release);
        }
        !is_same
    }

    /// What has the task polled, and this in it, on an executor: on its own, if none is given.
    pub(super) fn rouser(
        self: &PlainArc<Self>,
        to: Option<&PlainArc<AnyExecutor>>,
    ) -> Option<(Waker, PlainArc<AnyExecutor>)> {
        let (outer, mut waker, to) = {
            let mut link = self.link.lock();
            // One that finds none comes after another that has taken it, and before the poll that was brought about by that.
            (link.outer.clone(), link.waker.take(), PlainArc::clone(to.unwrap_or(&link.executor)))
        };
        if let Some(outer) = outer {
            self.tell(outer, &to, &mut waker);
        }
        Some((waker?, to))
    }

    /// Tells the hops around it where this is to be polled. `waker` becomes that of the innermost that has one: what has a waker of its own between two
    /// hops is woken by that, and wakes the outer one's.
    fn tell(
        self: &PlainArc<Self>,
        outer: PlainArc<Self>,
        to: &PlainArc<AnyExecutor>,
        waker: &mut Option<Waker>,
    ) {
        let number = NEXT_NUMBER.fetch_add(1, Ordering::Relaxed);
        let pass = Pass { asker: self.address(), to: PlainArc::clone(to), number, is_tried: false };
        let mut innermost = Some(outer);
        while let Some(first) = innermost {
            let mut told = Vec::new();
            let mut next = Some(first);
            while let Some(hop) = next {
                let former = {
                    let mut link = hop.link.lock();
                    next = link.outer.clone();
                    if waker.is_none() {
                        *waker = link.waker.take();
                    }
                    link.add(pass.clone())
                };
                drop(former);
                told.push(hop);
            }
            if self.is_inside(&told) {
                return;
            }
            // Whoever has taken it out of them meanwhile may have been too early to take this back. It may have come back, too: it is said again.
            for hop in told {
                hop.withdraw_here(self.address());
            }
            innermost = self.link.lock().outer.clone();
        }
    }

    /// Whether these hops are those around this one, from the inside out.
    fn is_inside(self: &PlainArc<Self>, hops: &[PlainArc<Self>]) -> bool {
        let mut inner = self;
        hops.iter().all(|hop| {
            let outer = inner.link.lock().outer.clone();
            inner = hop;
            outer.is_some_and(|outer| PlainArc::ptr_eq(&outer, hop))
        })
    }

    /// Lets go of whoever polls: wakers of the future wake nobody from now on.
    pub(super) fn unlink(self: &PlainArc<Self>) {
        let (outer, waker) = {
            let mut link = self.link.lock();
            (link.outer.take(), link.waker.take())
        };
        drop(waker);
        self.leave(outer);
    }

    /// Takes back its own wish from a hop that this has been inside of, and from those around that, with those of hops inside this one, which may be
    /// somewhere else by now. Whether there are any of these.
    fn leave(self: &PlainArc<Self>, outer: Option<PlainArc<Self>>) -> bool {
        let Some(outer) = outer else { return false };
        let inside = self.passes();
        for pass in &inside {
            withdraw(Some(PlainArc::clone(&outer)), pass.asker);
        }
        withdraw(Some(outer), self.address());
        !inside.is_empty()
    }

    /// Where the task is to go for the sake of hops inside this one.
    pub(super) fn passes(&self) -> Vec<Pass> {
        self.link.lock().passes.clone()
    }

    /// The wishes of hops inside this one that are to be polled where the task is. Each takes its own back when that is done: what polls it may poll
    /// others first, and it only in a later run.
    pub(super) fn passes_to_here(&self) -> Vec<Pass> {
        let mut passes = self.passes();
        passes.retain(|pass| pass.to.is_innermost());
        passes
    }

    /// Where the hop around this one is to be polled, if there is one.
    pub(super) fn outer_executor(&self) -> Option<PlainArc<AnyExecutor>> {
        let outer = self.link.lock().outer.clone()?;
        Some(outer.executor())
    }

    /// The future has been polled where these wanted that. They move nobody for now, unless they have been said again meanwhile.
    pub(super) fn note_tried(&self, tried: &[Pass]) {
        let mut link = self.link.lock();
        for pass in &mut link.passes {
            pass.is_tried |= tried.iter().any(|other| other.number == pass.number);
        }
    }

    /// Takes back its own wish from the hops around it.
    pub(super) fn withdraw(self: &PlainArc<Self>) {
        let outer = self.link.lock().outer.clone();
        withdraw(outer, self.address());
    }

    pub(super) fn withdraw_here(&self, asker: usize) -> Option<PlainArc<Self>> {
        let mut link = self.link.lock();
        let place = link.passes.iter().position(|pass| pass.asker == asker);
        let pass = place.map(|place| link.passes.remove(place));
        let outer = link.outer.clone();
        drop(link);
        drop(pass);
        outer
    }

    /// Names it.
    pub(super) fn address(self: &PlainArc<Self>) -> usize {
        PlainArc::as_ptr(self).addr()
    }
}

/// Takes back the wish of a hop that has been inside of these.
fn withdraw(outer: Option<PlainArc<Hop>>, asker: usize) {
    let mut next = outer;
    while let Some(outer) = next {
        next = outer.withdraw_here(asker);
    }
}

impl Wake for Hop {
    fn wake(self: PlainArc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &PlainArc<Self>) {
        if !self.is_woken.swap(true, Ordering::AcqRel)
            && let Some((waker, executor)) = self.rouser(None)
        {
            moving::wake_on(waker, &executor);
        }
    }
}
