//! Tasks that share a table, in one of several ways.

use std::sync::mpsc;
use std::time::Instant;

use super::plan::Plan;
use super::table::{Table, Totals, first_number, spin};
use crate::clock::{Sample, Stopwatch, Tail, Window};
use crate::peer::Rt;

/// A way in which the tasks of a runtime share a [`Table`]. Its clones share the same one.
pub(crate) trait Sharing: Clone + Send + Sync + 'static {
    type Runtime: Rt;

    /// Whether a caller can be kept waiting within a call. If not, how long a call takes says nothing.
    const CALLS_WAIT: bool = true;

    /// Called within a task.
    fn share(table: Table) -> Self;

    /// Spawns one of the tasks that will call; called within a task.
    fn spawn<F>(&self, task: F) -> <Self::Runtime as Rt>::Task<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        Self::Runtime::spawn(task)
    }

    /// [Updates](Table::update) the table, by one caller at a time.
    fn update(&self, number: u64, rounds: u32) -> impl Future<Output = u64> + Send;

    /// The table, when all who called have ended.
    fn end(self) -> impl Future<Output = Table> + Send;
}

/// One op is one call.
pub(crate) fn shared<S: Sharing>(runtime: &S::Runtime, plan: Plan, window: Window) -> Result<Sample, String> {
    let short = plan.shorter(10);
    let expected = expected(short);
    let warm_up = Stopwatch::start();
    loop {
        let totals = batch::<S, false>(runtime, short).0;
        if totals != expected {
            return Err(format!("the table comes to {totals:?} and not to {expected:?}"));
        }
        if warm_up.spent().wall >= window.warm_up {
            break;
        }
    }
    let sample = window.repeat_warm(|| {
        let totals = batch::<S, false>(runtime, plan).0;
        assert_eq!(totals.updates, plan.calls(), "no call is lost");
        plan.calls()
    });
    // In a run of its own: to look at the clock takes as long as the work of some variants.
    let tail =
        if plan.has_tail && S::CALLS_WAIT { Tail::of(batch::<S, true>(runtime, plan).1) } else { None };
    Ok(Sample { tail, ..sample })
}

/// The same work in one thread, which shares with nobody.
pub(crate) fn bare(plan: Plan, window: Window) -> Sample {
    let batch = || {
        assert_eq!(bare_batch(plan).totals().updates, plan.calls(), "no call is lost");
        plan.calls()
    };
    batch();
    window.repeat_warm(batch)
}

/// What the table has to come to, in whatever order the calls are.
pub(crate) fn expected(plan: Plan) -> Totals {
    bare_batch(plan).totals()
}

fn bare_batch(plan: Plan) -> Table {
    let mut table = Table::new();
    for task in 0..plan.tasks {
        let mut number = first_number(task);
        for _ in 0..plan.calls_per_task {
            number = spin(table.update(number, plan.inside), plan.outside);
        }
    }
    table
}

/// Lets all tasks run to their end. Gives what the table comes to, and, if it is timed, the latencies of some calls.
///
/// The caller waits outside of the runtime, so that it is the workers alone who run the tasks.
fn batch<S: Sharing, const IS_TIMED: bool>(runtime: &S::Runtime, plan: Plan) -> (Totals, Vec<u32>) {
    let (sender, receiver) = mpsc::channel();
    runtime.spawn_remote(async move {
        let sharing = S::share(Table::new());
        let mut tasks = Vec::with_capacity(plan.tasks as usize);
        for number in 0..plan.tasks {
            tasks.push(sharing.spawn(task::<S, IS_TIMED>(sharing.clone(), plan, number)));
        }
        let mut latencies_ns = Vec::new();
        for task in tasks {
            latencies_ns.extend(task.await);
        }
        sender.send((sharing.end().await.totals(), latencies_ns)).expect("the caller waits");
    });
    receiver.recv().expect("the tasks end")
}

async fn task<S: Sharing, const IS_TIMED: bool>(sharing: S, plan: Plan, task: u64) -> Vec<u32> {
    let samples = if IS_TIMED { plan.calls_per_task.div_ceil(CALLS_PER_SAMPLE) } else { 0 };
    let mut latencies_ns = Vec::with_capacity(samples as usize);
    let mut number = first_number(task);
    for call in 1..=plan.calls_per_task {
        number = if IS_TIMED && call % CALLS_PER_SAMPLE == 0 {
            let start = Instant::now();
            let reply = sharing.update(number, plan.inside).await;
            latencies_ns.push(u32::try_from(start.elapsed().as_nanos()).unwrap_or(u32::MAX));
            reply
        } else {
            sharing.update(number, plan.inside).await
        };
        number = spin(number, plan.outside);
        if call % CALLS_PER_TURN == 0 {
            S::Runtime::yield_now().await;
        }
    }
    latencies_ns
}

/// After so many calls a task lets others run. It is the budget of both runtimes, so that it never runs out within a call.
const CALLS_PER_TURN: u64 = 128;

/// Prime to [`CALLS_PER_TURN`], so that calls at the begin of a turn are looked at neither more nor less often than others.
const CALLS_PER_SAMPLE: u64 = 17;
