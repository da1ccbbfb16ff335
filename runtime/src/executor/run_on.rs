//! Awaiting a future that runs on another executor.

use std::any::Any;
use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, Wake, Waker};

use pin_project_lite::pin_project;

use super::launch::Caught;
use super::rendezvous::call_on;
use super::{AnyExecutor, Executor};
use crate::containment::contain_panic;
use crate::env::{self, Env, RecordedSpan, Scoped};
use crate::primitive::sync::atomic::{AtomicBool, Ordering};
use crate::primitive::sync::{Mutex, PlainArc};
use crate::stop::{self, CatchStop, Outcome};
use crate::task::{Id, moving};
use crate::{context, tree};

/// Runs a future on another executor, and comes back.
///
/// The task that awaits this moves: it is queued on `executor`, polls the future there, and there only, and is queued on its own executor again
/// when that has ended: by its value, by a panic, or by a stop. So the future may borrow from the task, and its locals are dropped where it ran.
/// If the code runs on `executor` already, no hop is made; see [`RuntimeMetrics`](crate::RuntimeMetrics) for how many are.
///
/// While the task is there, the futures around this one are polled there, too, as part of it: in `join!(a, run_on(executor, b))`, it may be that
/// `a` is polled on `executor`, when `b` is; and not the other way round. Two that are awaited at once, on two executors, are each polled on its
/// own; the task moves to whichever is woken. What `a` spawns there, and sockets and timers that it makes there, belong to the runtime of that thread, if
/// it has one. If the future is dropped before it has ended, as by a [`timeout`](crate::time::timeout), what
/// follows may run on `executor` until the task waits the next time: then it is back.
///
/// # Outside tasks
///
/// What is no task of this crate cannot move: the future of a [`block_on`](crate::Runtime::block_on), a task of a
/// [`CurrentThread`](super::CurrentThread) that need not be `Send`, a task of another library. There, the thread waits during each poll while
/// `executor` makes it: that is as safe, and slower. If `executor` can make it on this very thread only, it waits for ever.
///
/// # Cancel safety
///
/// As that of the future inside, which is dropped with this, wherever that is.
///
/// # Panics
///
/// If the future does. Outside tasks, if `executor` drops what it is given; a task is aborted by that. If another library's executor that is run
/// inside a task polls this, it panics when it finds out: that task cannot move.
///
/// # Examples
///
/// ```
/// use tress::executor::{self, AnyExecutor, Manual, run_on};
///
/// let runtime = tress::Runtime::new()?;
/// let other = tress::Runtime::new()?;
/// let there = other.handle().clone();
/// let task = runtime.spawn(async move {
///     let mut sum = 40;
///     // It borrows.
///     run_on(there.clone(), async {
///         assert_eq!(executor::current(), Some(AnyExecutor::new(there.clone())));
///         sum += 2;
///     })
///     .await;
///     sum
/// });
/// assert_eq!(runtime.block_on(task).unwrap(), 42);
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Source
///
/// P2300 §4.20.2 (`on`), P3552 §4.1 (affinity), P4003 (`run`).
pub fn run_on<F>(executor: impl Executor, future: F) -> RunOn<F>
where
    F: Future + Send,
    F::Output: Send,
{
    let executor = AnyExecutor::new(executor);
    let scoped = env::scope().executor(Some(executor.clone())).run(future);
    RunOn { stage: Stage::Fresh(executor), inner: Some(stop::outcome(Caught::new(scoped))) }
}

type Inner<F> = CatchStop<Caught<Scoped<F>>>;

/// How the future has ended.
type End<T> = Outcome<Result<T, Box<dyn Any + Send>>>;

enum Stage<T> {
    /// It was never polled.
    Fresh(AnyExecutor),
    /// The future has not ended.
    Away(Trip),
    /// It has, and this is to be told on the executor where that was begun.
    Back(Trip, End<T>),
    /// It was stopped, and so is whoever awaits this.
    Stopped,
    Done,
}

struct Trip {
    hop: PlainArc<Hop>,
    /// Who polls it.
    task: Option<Id>,
    /// Where that one belongs; `None` if that is on no executor.
    origin: Option<AnyExecutor>,
    /// Since when a move has been asked for, in the order of all that are.
    ticket: Option<u64>,
    /// How often it has been asked for since then; and how often in one and the same run.
    asked: u32,
    asked_in_vain: u32,
    /// Whether a hop inside this one had its way last.
    has_passed: bool,
}

/// What wakers of the future refer to.
struct Hop {
    executor: AnyExecutor,
    /// Values: whether the future has been woken since it was last polled on its executor. Set by wakers, cleared by whoever polls; publishes what the
    /// wakers did.
    is_woken: AtomicBool,
    link: Mutex<Link>,
}

/// How a hop reaches whoever polls it.
#[derive(Default)]
struct Link {
    /// The hop that it is inside of, if it was polled with that one's waker.
    outer: Option<PlainArc<Hop>>,
    /// Else the waker that it was polled with.
    waker: Option<Waker>,
    /// Where hops inside this one, at any depth, want the task: there the future is polled, too, on the way. The oldest first.
    passes: Vec<Pass>,
}

/// A wish of a hop that is inside another one.
#[derive(Clone)]
struct Pass {
    /// Whose: an address.
    asker: usize,
    to: PlainArc<AnyExecutor>,
}

std::thread_local! {
    /// The innermost hop whose future is being polled on this thread.
    static CURRENT: RefCell<Option<PlainArc<Hop>>> = const { RefCell::new(None) };
}

/// Polls `f` as the inside of a hop.
fn inside<R>(hop: &PlainArc<Hop>, f: impl FnOnce() -> R) -> R {
    struct Restore(Option<PlainArc<Hop>>);

    impl Drop for Restore {
        fn drop(&mut self) {
            let former = CURRENT.try_with(|current| current.replace(self.0.take()));
            drop(former);
        }
    }

    let former = CURRENT.try_with(|current| current.replace(Some(PlainArc::clone(hop))));
    let _restore = Restore(former.ok().flatten());
    f()
}

impl Hop {
    fn new(executor: AnyExecutor) -> PlainArc<Self> {
        PlainArc::new(Self { executor, is_woken: AtomicBool::new(true), link: Mutex::new(Link::default()) })
    }

    /// Whoever polls this now is woken from now on. Says whether it is another hop than before.
    fn register(self: &PlainArc<Self>, waker: &Waker) -> bool {
        let outer = CURRENT.try_with(|current| current.borrow().clone()).ok().flatten();
        // With something between them that has wakers of its own, they go through that.
        let outer = outer.filter(|outer| Waker::from(PlainArc::clone(outer)).will_wake(waker));
        let is_same = {
            let link = self.link.lock();
            let is_same_outer =
                outer.as_ref().map(PlainArc::as_ptr) == link.outer.as_ref().map(PlainArc::as_ptr);
            let needs_none = outer.is_some() || link.waker.as_ref().is_some_and(|own| own.will_wake(waker));
            if is_same_outer && needs_none {
                return false;
            }
            is_same_outer
        };
        // What is foreign is cloned and dropped without the lock.
        let waker = if outer.is_none() { Some(waker.clone()) } else { None };
        let former = {
            let mut link = self.link.lock();
            (std::mem::replace(&mut link.outer, outer), std::mem::replace(&mut link.waker, waker))
        };
        if !is_same {
            withdraw(former.0, self.address());
        }
        !is_same
    }

    /// What has the task polled, and this in it, on an executor.
    fn rouser(self: &PlainArc<Self>, to: &AnyExecutor) -> Option<Waker> {
        let (mut next, mut waker) = {
            let mut link = self.link.lock();
            // One that finds none comes after another that has taken it, and before the poll that was brought about by that.
            (link.outer.clone(), link.waker.take())
        };
        if next.is_some() {
            let pass = Pass { asker: self.address(), to: PlainArc::new(to.clone()) };
            while let Some(outer) = next {
                let mut link = outer.link.lock();
                let place = link.passes.iter_mut().find(|other| other.asker == pass.asker);
                let former = match place {
                    Some(place) => Some(std::mem::replace(place, pass.clone())),
                    None => {
                        link.passes.push(pass.clone());
                        None
                    }
                };
                next = link.outer.clone();
                waker = link.waker.take();
                drop(link);
                drop(former);
            }
        }
        waker
    }

    /// Where the task is to go for the sake of hops inside this one.
    fn passes(&self) -> Vec<Pass> {
        self.link.lock().passes.clone()
    }

    /// Takes out those that are to go where the task is. Says whether there were any.
    fn arrive_for_others(&self) -> bool {
        let arrived: Vec<Pass> = self.passes().into_iter().filter(|pass| pass.to.is_current()).collect();
        for pass in &arrived {
            self.withdraw_here(pass.asker);
        }
        !arrived.is_empty()
    }

    fn withdraw_here(&self, asker: usize) -> Option<PlainArc<Self>> {
        let mut link = self.link.lock();
        let place = link.passes.iter().position(|pass| pass.asker == asker);
        let pass = place.map(|place| link.passes.remove(place));
        let outer = link.outer.clone();
        drop(link);
        drop(pass);
        outer
    }

    fn address(self: &PlainArc<Self>) -> usize {
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
            && let Some(waker) = self.rouser(&self.executor)
        {
            moving::wake_on(waker, &self.executor);
        }
    }
}

impl Trip {
    /// Has the task go to an executor, and this polled there.
    fn go(&mut self, task: Id, to: &AnyExecutor) {
        let ticket = *self.ticket.get_or_insert_with(moving::ticket);
        self.asked += 1;
        // Others may ask for the opposite, each time before this is polled, where a combinator polls but a few at a time of those that were woken:
        // chance ends that.
        let gives_way = self.asked > FAIR_CHANCE && moving::ticket().count_ones().is_multiple_of(2);
        if !gives_way {
            let is_first = moving::ask(task, self.asker(), ticket, to);
            self.asked_in_vain = if is_first { 0 } else { self.asked_in_vain + 1 };
            assert!(self.asked_in_vain < PATIENCE, "{STUCK}");
        }
        if let Some(waker) = self.hop.rouser(to) {
            waker.wake();
        }
    }

    /// It is polled where it asked to be.
    fn arrive(&mut self) {
        (self.ticket, self.asked, self.asked_in_vain) = (None, 0, 0);
    }

    /// Has the task stay here, for another turn, unless somebody has waited for longer to go elsewhere.
    fn stay(&self, task: Id) {
        let _ = moving::ask(task, self.asker(), moving::ticket(), &self.hop.executor);
    }

    fn asker(&self) -> usize {
        self.hop.address()
    }
}

impl Drop for Trip {
    fn drop(&mut self) {
        moving::forget(self.asker());
        let (outer, waker) = {
            let mut link = self.hop.link.lock();
            (link.outer.take(), link.waker.take())
        };
        // Whoever keeps a waker of the future wakes nobody from now on.
        drop(waker);
        withdraw(outer, self.asker());
    }
}

pin_project! {
    /// The future of [`run_on`].
    #[must_use = "futures do nothing unless awaited"]
    pub struct RunOn<F: Future> {
        stage: Stage<F::Output>,
        #[pin]
        inner: Option<Inner<F>>,
    }
}

impl<F> Future for RunOn<F>
where
    F: Future + Send,
    F::Output: Send,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let (stage, mut inner) = (this.stage, this.inner);
        if let Stage::Fresh(executor) = stage {
            let hop = Hop::new(executor.clone());
            context::count_hop(hop.executor.is_current());
            *stage = Stage::Away(Trip {
                hop,
                task: tree::current_id(),
                origin: super::current(),
                ticket: None,
                asked: 0,
                asked_in_vain: 0,
                has_passed: false,
            });
        }
        if let Stage::Away(trip) | Stage::Back(trip, _) = stage {
            // Before any flag is looked at: who sets one later finds the waker.
            let is_elsewhere = trip.hop.register(cx.waker());
            if is_elsewhere || trip.task != tree::current_id() {
                // It has been taken out of where it was, or given to another task.
                (trip.task, trip.origin) = (tree::current_id(), super::current());
            }
        }
        if let Stage::Away(trip) = stage {
            let end = std::task::ready!(poll_away(trip, inner.as_mut()));
            let Stage::Away(mut trip) = std::mem::replace(stage, Stage::Done) else {
                unreachable!("it was just that")
            };
            trip.arrive();
            *stage = Stage::Back(trip, end);
        }
        if let Stage::Back(trip, _) = stage {
            let away = trip.origin.clone().filter(|origin| !origin.is_current());
            if let (Some(origin), Some(task)) = (away, moving::current_task()) {
                trip.go(task, &origin);
                return Poll::Pending;
            }
            let Stage::Back(_, end) = std::mem::replace(stage, Stage::Done) else {
                unreachable!("it was just that")
            };
            match end {
                Outcome::Value(Ok(value)) => return Poll::Ready(value),
                Outcome::Value(Err(payload)) => resume_unwind(payload),
                Outcome::Stopped => *stage = Stage::Stopped,
            }
        }
        assert!(matches!(stage, Stage::Stopped), "`run_on` was polled after it had completed");
        stop::raise(cx);
        Poll::Pending
    }
}

fn poll_away<F>(trip: &mut Trip, inner: Pin<&mut Option<Inner<F>>>) -> Poll<End<F::Output>>
where
    F: Future + Send,
    F::Output: Send,
{
    let is_here = trip.hop.executor.is_current();
    let Some(task) = moving::current_task() else {
        return if is_here { poll_here(&trip.hop, inner) } else { poll_there(&trip.hop, inner) };
    };
    if is_here {
        trip.arrive();
        trip.has_passed = false;
        trip.hop.arrive_for_others();
        let poll = poll_here(&trip.hop, inner);
        if poll.is_pending() && trip.hop.is_woken.load(Ordering::Acquire) {
            // It asked for another turn, which it has here. Whoever woke it meanwhile has had the task scheduled.
            trip.stay(task);
        }
        return poll;
    }
    if trip.hop.arrive_for_others() {
        trip.arrive();
        trip.has_passed = true;
        if let Poll::Ready(end) = poll_inner(&trip.hop, inner) {
            return Poll::Ready(end);
        }
        // Those inside that are to go elsewhere have been polled, and have said so.
    } else {
        let is_woken = trip.hop.is_woken.load(Ordering::Acquire);
        if let Some(pass) = trip.hop.passes().into_iter().next()
            && !(is_woken && trip.has_passed)
        {
            trip.go(task, &pass.to);
            return Poll::Pending;
        }
    }
    if trip.hop.is_woken.load(Ordering::Acquire) {
        let to = trip.hop.executor.clone();
        trip.go(task, &to);
    }
    Poll::Pending
}

/// Polls the future on its executor, which this is.
fn poll_here<F: Future>(hop: &PlainArc<Hop>, inner: Pin<&mut Option<Inner<F>>>) -> Poll<End<F::Output>> {
    // Before the poll: a wake that comes later leads to another one.
    hop.is_woken.swap(false, Ordering::AcqRel);
    poll_inner(hop, inner)
}

/// Has the executor poll the future, and waits for that.
fn poll_there<F>(hop: &PlainArc<Hop>, mut inner: Pin<&mut Option<Inner<F>>>) -> Poll<End<F::Output>>
where
    F: Future + Send,
    F::Output: Send,
{
    let passes = hop.passes();
    for pass in &passes {
        // Those inside are polled with this, wherever they want to be.
        hop.withdraw_here(pass.asker);
    }
    if !hop.is_woken.swap(false, Ordering::AcqRel) && passes.is_empty() {
        return Poll::Pending;
    }
    let env: Env = env::current();
    let span = RecordedSpan::current();
    let mut poll = Poll::Pending;
    let is_called = call_on(hop.executor.as_ref(), &mut || {
        let _in_span = span.as_ref().map(RecordedSpan::enter);
        poll = env::within(&env, || poll_inner(hop, inner.as_mut()));
    });
    assert!(is_called, "`run_on`: the executor has dropped what it was given");
    poll
}

fn poll_inner<F: Future>(hop: &PlainArc<Hop>, mut inner: Pin<&mut Option<Inner<F>>>) -> Poll<End<F::Output>> {
    let waker = Waker::from(PlainArc::clone(hop));
    let mut cx = Context::from_waker(&waker);
    inside(hop, || {
        let polled = catch_unwind(AssertUnwindSafe(|| {
            let poll = inner.as_mut().as_pin_mut().expect("it has not ended").poll(&mut cx);
            if poll.is_ready() {
                inner.set(None);
            }
            poll
        }));
        match polled {
            Ok(poll) => poll,
            // Of a destructor, after a stop.
            Err(payload) => {
                contain_panic(|| inner.set(None));
                Poll::Ready(Outcome::Value(Err(payload)))
            }
        }
    })
}

impl<F: Future> fmt::Debug for RunOn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = match &self.stage {
            Stage::Fresh(_) => "fresh",
            Stage::Away(_) => "away",
            Stage::Back(..) => "on the way back",
            Stage::Stopped => "stopped",
            Stage::Done => "done",
        };
        f.debug_struct("RunOn").field("stage", &stage).finish_non_exhaustive()
    }
}

/// So often is a move asked for before chance decides whether to ask again at once.
const FAIR_CHANCE: u32 = 8;

/// So often may a move be asked for in one poll of the task. Some combinators poll what is woken more than once in theirs.
const PATIENCE: u32 = 64;

const STUCK: &str =
    "`run_on` cannot move: it is polled by another library's executor that runs inside a task";
