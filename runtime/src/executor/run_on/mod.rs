//! Awaiting a future that runs on another executor.
#![doc = include_str!("README.md")]

mod hop;
mod hop_to;
#[cfg(all(test, tress_loom))]
mod model;

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use pin_project_lite::pin_project;

pub use self::hop_to::{HopError, HopTo, hop_to};

use self::hop::Hop;
use super::caught::Caught;
use super::rendezvous::call_on;
use super::{AnyExecutor, Executor};
use crate::containment::contain_panic;
use crate::env::{self, Env, RecordedSpan};
use crate::primitive::sync::PlainArc;
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
    RunOn { stage: Stage::Fresh(executor), inner: Some(stop::outcome(Caught::new(future))) }
}

type Inner<F> = CatchStop<Caught<F>>;

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
    /// Where the future is polled.
    executor: PlainArc<AnyExecutor>,
    /// What it runs with.
    env: Env,
    /// Who polls it.
    task: Option<Id>,
    /// Where that one belongs; `None` if that is on no executor.
    origin: Option<PlainArc<AnyExecutor>>,
    /// How often it has been asked for in one and the same run.
    asked_in_vain: u32,
    /// Whether a hop inside this one had its way last.
    has_passed: bool,
}

impl Trip {
    fn new(executor: AnyExecutor) -> Self {
        context::count_hop(executor.is_innermost());
        let env = env::with(|env| env.on_executor(executor.clone()));
        let executor = PlainArc::new(executor);
        let hop = Hop::new(PlainArc::clone(&executor));
        let (task, origin) = (None, None);
        let mut trip = Self { hop, executor, env, task, origin, asked_in_vain: 0, has_passed: false };
        trip.begin_here();
        trip
    }

    /// Whoever polls now is where it is to come back to.
    fn begin_here(&mut self) {
        // Whatever was asked of another task is not asked any more.
        self.hop.wish.give_up();
        (self.task, self.origin) = (tree::current_id(), super::current().map(PlainArc::new));
    }

    /// Takes note of the executor that the future has chosen in its last poll, if it has.
    fn follow(&mut self) {
        if let Some(executor) = self.hop.take_move() {
            context::count_hop(executor.is_innermost());
            self.env = self.env.on_executor(AnyExecutor::clone(&executor));
            self.executor = executor;
        }
    }

    /// Has the task go to an executor, and this polled there.
    fn go(&mut self, to: &PlainArc<AnyExecutor>) {
        let is_first = self.hop.wish.ask(to);
        self.asked_in_vain = if is_first { 0 } else { self.asked_in_vain + 1 };
        assert!(self.asked_in_vain < PATIENCE, "{STUCK}");
        self.rouse(to);
    }

    /// Has this polled again, by way of the hops around it, which know where it is to be then.
    fn rouse(&self, to: &PlainArc<AnyExecutor>) {
        if let Some((waker, _)) = self.hop.rouser(Some(to)) {
            waker.wake();
        }
    }

    /// It is polled where it asked to be, or does not ask any more.
    fn arrive(&mut self) {
        self.hop.withdraw();
        if self.hop.wish.take_back() {
            self.asked_in_vain = 0;
        }
    }

    /// Has the task stay here, for another turn, unless somebody has waited for longer to go elsewhere.
    fn stay(&mut self) {
        self.hop.wish.ask(&self.executor);
        // Whoever woke this has said so to the hops around it, or is about to.
        self.rouse(&self.executor);
    }
}

impl Drop for Trip {
    fn drop(&mut self) {
        self.hop.wish.take_back();
        self.hop.unlink();
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

    impl<F: Future> PinnedDrop for RunOn<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if let Stage::Away(trip) = this.stage {
                env::within(&trip.env, || this.inner.set(None));
            }
        }
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
            let executor = executor.clone();
            *stage = Stage::Away(Trip::new(executor));
        }
        if let Stage::Away(trip) | Stage::Back(trip, _) = stage {
            // Before any flag is looked at: who sets one later finds the waker.
            let is_elsewhere = trip.hop.register(cx.waker());
            if is_elsewhere || trip.task != tree::current_id() {
                // It has been taken out of where it was, or given to another task.
                trip.begin_here();
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
            // The hop around this one may have been moved meanwhile.
            let origin = trip.hop.outer_executor().or_else(|| trip.origin.clone());
            let away = origin.filter(|origin| !origin.is_innermost());
            if let Some(origin) = away
                && moving::is_in_task()
            {
                trip.go(&origin);
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
    if !moving::is_in_task() {
        // Also if that is below a strand that the code is on: it cannot leave that, and the thread may be the only one.
        let is_here = trip.executor.is_current();
        return if is_here { poll_here(trip, inner) } else { poll_there(trip, inner) };
    }
    if trip.executor.is_innermost() {
        trip.arrive();
        trip.has_passed = false;
        let poll = poll_here(trip, inner);
        if poll.is_pending() && trip.hop.is_woken() {
            // It asked for another turn.
            if trip.executor.is_innermost() {
                trip.stay();
            } else {
                let to = PlainArc::clone(&trip.executor);
                trip.go(&to);
            }
        }
        return poll;
    }
    let to_here = trip.hop.passes_to_here();
    if !to_here.is_empty() {
        trip.arrive();
        trip.has_passed = true;
        trip.hop.set_home(false);
        if let Poll::Ready(end) = poll_inner(trip, inner) {
            return Poll::Ready(end);
        }
        // Those inside that are to go elsewhere have been polled, and have said so.
        if !trip.hop.is_woken() {
            trip.hop.note_tried(&to_here);
        }
    } else {
        let is_woken = trip.hop.is_woken();
        if let Some(pass) = trip.hop.passes().into_iter().find(|pass| !pass.is_tried)
            && !(is_woken && trip.has_passed)
        {
            trip.go(&pass.to);
            return Poll::Pending;
        }
    }
    if !trip.hop.is_woken() {
        // Whoever inside wanted to go elsewhere has got there, or is gone.
        trip.arrive();
    }
    // Also after that: the wish of a wake that has come meanwhile may just have been taken back.
    if trip.hop.is_woken() {
        let to = PlainArc::clone(&trip.executor);
        trip.go(&to);
    }
    Poll::Pending
}

/// Polls the future on its executor, which this is.
fn poll_here<F: Future>(trip: &mut Trip, inner: Pin<&mut Option<Inner<F>>>) -> Poll<End<F::Output>> {
    trip.hop.take_wake();
    trip.hop.set_home(true);
    poll_inner(trip, inner)
}

/// Has the executor poll the future, and waits for that.
fn poll_there<F>(trip: &mut Trip, mut inner: Pin<&mut Option<Inner<F>>>) -> Poll<End<F::Output>>
where
    F: Future + Send,
    F::Output: Send,
{
    let passes = trip.hop.passes();
    for pass in &passes {
        // Those inside are polled with this, wherever they want to be.
        trip.hop.withdraw_here(pass.asker);
    }
    if !trip.hop.take_wake() && passes.is_empty() {
        return Poll::Pending;
    }
    let env: Env = env::current();
    let span = RecordedSpan::current();
    let executor = PlainArc::clone(&trip.executor);
    let mut poll = Poll::Pending;
    trip.hop.set_home(true);
    let is_called = call_on(executor.as_ref().as_ref(), &mut || {
        let _in_span = span.as_ref().map(RecordedSpan::enter);
        poll = env::within(&env, || poll_inner(trip, inner.as_mut()));
    });
    assert!(is_called, "`run_on`: the executor has dropped what it was given");
    poll
}

fn poll_inner<F: Future>(trip: &mut Trip, mut inner: Pin<&mut Option<Inner<F>>>) -> Poll<End<F::Output>> {
    let waker = Waker::from(PlainArc::clone(&trip.hop));
    let mut cx = Context::from_waker(&waker);
    let poll = || {
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
    };
    let poll = hop::inside(&trip.hop, || env::within(&trip.env, poll));
    trip.follow();
    poll
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

/// So often may a move be asked for in one poll of the task. Some combinators poll what is woken more than once in theirs.
const PATIENCE: u32 = 64;

const STUCK: &str =
    "`run_on` cannot move: it is polled by another library's executor that runs inside a task";
