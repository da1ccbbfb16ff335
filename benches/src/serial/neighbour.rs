//! A task beside a long queue, on one worker.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::task::Poll;
use std::time::{Duration, Instant};

use super::post::Poster;
use super::rounds::Rounds;
use super::table::spin;
use crate::clock::{Sample, Stopwatch};
use crate::peer::Rt;

/// One op is one item of the queue; the value is how many microseconds the neighbour has had to wait.
pub(crate) fn neighbour<P: Poster>(
    runtime: &P::Runtime,
    variant: &str,
    is_quick: bool,
) -> Result<Sample, String> {
    let wait = Wait::from_name(variant).ok_or_else(|| format!("a neighbour has no wait `{variant}`"))?;
    let (items, runs) = size(is_quick);
    run::<P>(runtime, wait, items / 100);
    let stopwatch = Stopwatch::start();
    let mut waits: Vec<Duration> = (0..runs).map(|_| run::<P>(runtime, wait, items)).collect();
    let spent = stopwatch.spent();
    waits.sort_unstable();
    let value = waits[waits.len() / 2].as_nanos() as f64 / 1e3;
    Ok(Sample { value, ..Sample::per_op(spent, items * runs) })
}

/// How many items there are, and how many queues of them one after the other.
pub(super) fn size(is_quick: bool) -> (u64, u64) {
    if is_quick { (20_000, 1) } else { (100_000, 5) }
}

/// What of the neighbour's waits is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wait {
    /// That for its first turn, where the task spawns it that has just posted the items.
    Local,
    /// That for its first turn, where a thread outside spawns it when the first item runs.
    Remote,
    /// The longest for any of its turns, the first included, while there are items; spawned as the one before.
    Worst,
}

impl Wait {
    fn from_name(name: &str) -> Option<Self> {
        match name {
            "local" => Some(Self::Local),
            "remote" => Some(Self::Remote),
            "worst" => Some(Self::Worst),
            _ => None,
        }
    }
}

/// Lets one queue be worked off beside one neighbour.
fn run<P: Poster>(runtime: &P::Runtime, wait: Wait, items: u64) -> Duration {
    // It lasts as long as the process, so that an item is a pointer and a number.
    let (begun, is_begun) = mpsc::channel();
    let backlog: &'static Backlog = Box::leak(Box::new(Backlog { begun, is_done: AtomicBool::new(false) }));
    let rounds = Rounds::here().spin_1us;
    let (sender, waited) = mpsc::channel();
    let neighbour = move |due| async move {
        let waits = backlog.turns(due).await;
        sender.send(if wait == Wait::Worst { waits.worst } else { waits.first }).expect("the caller waits");
    };
    let begin = move || {
        let queue = P::make();
        for item in 0..items {
            queue.post(move || backlog.item(item, items, rounds));
        }
        // Whoever has queued items keeps the queue until they have run.
        queue
    };
    let (queued, queue) = mpsc::channel();
    if wait == Wait::Local {
        runtime.spawn_remote(async move {
            queued.send(begin()).expect("the caller waits");
            P::Runtime::spawn_detached(neighbour(Instant::now()));
        });
    } else {
        runtime.spawn_remote(async move { queued.send(begin()).expect("the caller waits") });
        is_begun.recv().expect("the first item sends");
        runtime.spawn_remote(neighbour(Instant::now()));
    }
    let _queue: P = queue.recv().expect("the items are posted");
    waited.recv().expect("the neighbour ends after the last item")
}

#[derive(Debug)]
struct Backlog {
    /// Of the first item.
    begun: mpsc::Sender<()>,
    /// Set by the last item, read by the neighbour on the same worker; it publishes nothing but the fact.
    is_done: AtomicBool,
}

/// How long the neighbour has waited for its turns.
#[derive(Debug, Clone, Copy)]
struct Waits {
    first: Duration,
    worst: Duration,
}

impl Backlog {
    fn item(&self, item: u64, items: u64, rounds: u32) {
        if item == 0 {
            // In the variant in which nobody waits for it, the receiver is there all the same.
            self.begun.send(()).expect("the caller waits");
        }
        std::hint::black_box(spin(item + 1, rounds));
        if item + 1 == items {
            self.is_done.store(true, Ordering::Relaxed);
        }
    }

    /// The neighbour: takes one turn after the other, as long as there are items. It wakes itself, because a `yield_now` of tokio's waits for
    /// more than a turn.
    async fn turns(&self, due: Instant) -> Waits {
        let mut waits: Option<Waits> = None;
        let mut due = due;
        std::future::poll_fn(move |context| {
            let waited = due.elapsed();
            let so_far = waits.unwrap_or(Waits { first: waited, worst: waited });
            let so_far = Waits { worst: so_far.worst.max(waited), ..so_far };
            waits = Some(so_far);
            if self.is_done.load(Ordering::Relaxed) {
                return Poll::Ready(so_far);
            }
            context.waker().wake_by_ref();
            due = Instant::now();
            Poll::Pending
        })
        .await
    }
}
