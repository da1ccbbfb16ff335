//! A chain of awaits far deeper than the stack of the thread that runs it, on tress alone: elsewhere it is a stack overflow.

use std::future::pending;
use std::panic;
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use futures_util::future::{Either, select};
use tress::task::{lazy, yield_now};

use super::slot::Slot;
use crate::clock::{Sample, Spent, Stopwatch, resident_len_bytes};
use crate::peer::{Rt, Tress};

/// One op is one level of the chain, in what the variant names.
///
/// Tasks run on the thread in `block_on` too, so that one gets a small stack as the workers do.
pub(crate) fn deep_chain(variant: &str, is_quick: bool) -> Result<Sample, String> {
    let variant = variant.to_owned();
    let small = thread::Builder::new().stack_size(STACK_LEN_BYTES);
    let thread = small.spawn(move || sample(&variant, is_quick)).expect("a thread starts");
    thread.join().map_err(|_panic| "the measurement panicked".to_owned())?
}

fn sample(variant: &str, is_quick: bool) -> Result<Sample, String> {
    let runtime =
        Tress::start_with_stack(STACK_LEN_BYTES).map_err(|error| format!("tress does not start: {error}"))?;
    if variant == "memory" {
        return Ok(memory(&runtime));
    }
    let part = Part::from_name(variant).ok_or_else(|| format!("a deep chain has no part `{variant}`"))?;
    let (levels, runs) = match (part, is_quick) {
        (Part::Panic, true) => (LEVELS / 10, 1),
        (Part::Panic, false) => (LEVELS, 1),
        (_, true) => (LEVELS, 1),
        (_, false) => (LEVELS, 8),
    };
    if part == Part::Panic {
        let report = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            if !panic.payload().is::<Refused>() {
                report(panic);
            }
        }));
    }
    // The first run takes the frames' pages from the system.
    measure(&runtime, part, levels);
    let mut total = Spent { wall: Duration::ZERO, cpu: Duration::ZERO };
    for _ in 0..runs {
        let spent = measure(&runtime, part, levels);
        total = Spent { wall: total.wall + spent.wall, cpu: total.cpu + spent.cpu };
    }
    Ok(Sample::per_op(total, u64::from(levels) * runs))
}

/// Resident bytes of a level beyond its future.
fn memory(runtime: &Tress) -> Sample {
    let future_len_bytes = size_of_val(&level(1, Probe::new(Leaf::Pends)));
    runtime.block_on(async {
        Tress::spawn(async move {
            // What the runtime allocates once is not counted.
            suspend(WARM_UP_LEVELS, &Probe::new(Leaf::Pends), resident_len_bytes).await;
            let before_bytes = resident_len_bytes();
            let stopwatch = Stopwatch::start();
            let probe = Probe::new(Leaf::Pends);
            let (after_bytes, spent) =
                suspend(LEVELS, &probe, || (resident_len_bytes(), stopwatch.spent())).await;
            let level_len_bytes = after_bytes.saturating_sub(before_bytes) as f64 / f64::from(LEVELS);
            Sample {
                value: level_len_bytes - future_len_bytes as f64,
                ..Sample::per_op(spent, u64::from(LEVELS))
            }
        })
        .await
    })
}

/// Runs one chain, in a task, and returns what its `part` took.
fn measure(runtime: &Tress, part: Part, levels: u32) -> Spent {
    runtime.block_on(async { Tress::spawn(run(part, levels)).await })
}

async fn run(part: Part, levels: u32) -> Spent {
    match part {
        Part::Build => {
            let probe = Probe::new(Leaf::Pends);
            let stopwatch = Stopwatch::start();
            suspend(levels, &probe, || stopwatch.spent()).await
        }
        Part::Complete => {
            let probe = Probe::new(Leaf::Returns);
            let outcome = lazy(level(levels, Arc::clone(&probe))).await;
            let spent = probe.since_the_end();
            assert_eq!(outcome, Ok(levels), "every level adds one");
            spent
        }
        Part::Error => {
            let probe = Probe::new(Leaf::Fails);
            let outcome = lazy(level(levels, Arc::clone(&probe))).await;
            let spent = probe.since_the_end();
            assert_eq!(outcome, Err(Refused), "the leaf fails");
            spent
        }
        Part::Panic => {
            let probe = Probe::new(Leaf::Panics);
            let outcome = tress::spawn(lazy(level(levels, Arc::clone(&probe)))).await;
            let spent = probe.since_the_end();
            assert!(outcome.is_err_and(|error| error.is_panic()), "the leaf panics");
            spent
        }
        Part::Cancel => {
            let probe = Probe::new(Leaf::Pends);
            let task = tress::spawn(lazy(level(levels, Arc::clone(&probe))));
            probe.reached.receive().await;
            let stopwatch = Stopwatch::start();
            task.abort();
            let outcome = task.await;
            let spent = stopwatch.spent();
            assert!(outcome.is_err_and(|error| error.is_aborted()), "the leaf waits for ever");
            assert_eq!(Arc::strong_count(&probe), 1, "the frames are gone when the handle says so");
            spent
        }
        Part::Drop => {
            let probe = Probe::new(Leaf::Pends);
            let stopwatch = suspend(levels, &probe, Stopwatch::start).await;
            let spent = stopwatch.spent();
            assert_eq!(Arc::strong_count(&probe), 1, "the frames are gone when the drop returns");
            spent
        }
    }
}

/// Builds a chain down to a leaf that waits for ever, calls `look`, and drops the chain.
async fn suspend<T>(levels: u32, probe: &Arc<Probe>, look: impl FnOnce() -> T) -> T {
    let chain = pin!(lazy(level(levels, Arc::clone(probe))));
    let reached = pin!(probe.reached.receive());
    match select(reached, chain).await {
        Either::Left(_) => look(),
        Either::Right(_) => unreachable!("the leaf waits for ever"),
    }
}

#[expect(
    clippy::manual_async_fn,
    reason = "it awaits itself, so that it is `Send` must be said, not inferred"
)]
fn level(levels: u32, probe: Arc<Probe>) -> impl Future<Output = Result<u32, Refused>> + Send {
    async move {
        if levels == 1 {
            // In a frame of its own, so that the levels' future does not grow by it.
            lazy(leaf(probe)).await
        } else {
            Ok(lazy(level(levels - 1, probe)).await? + 1)
        }
    }
}

async fn leaf(probe: Arc<Probe>) -> Result<u32, Refused> {
    probe.reached.send();
    if probe.leaf == Leaf::Pends {
        pending::<()>().await;
    }
    // However the chain ends, it ends by a wake and not within the poll that built it.
    yield_now().await;
    probe.end.set(Stopwatch::start()).expect("a probe is for one chain");
    match probe.leaf {
        Leaf::Fails => Err(Refused),
        Leaf::Panics => panic::panic_any(Refused),
        Leaf::Returns | Leaf::Pends => Ok(1),
    }
}

/// What the leaf and the task that measures share.
#[derive(Debug)]
struct Probe {
    leaf: Leaf,
    /// Signalled by the leaf when it runs for the first time.
    reached: Slot,
    /// Started by the leaf just before it ends.
    end: OnceLock<Stopwatch>,
}

impl Probe {
    fn new(leaf: Leaf) -> Arc<Self> {
        Arc::new(Self { leaf, reached: Slot::default(), end: OnceLock::new() })
    }

    fn since_the_end(&self) -> Spent {
        self.end.get().expect("the leaf has ended").spent()
    }
}

/// What the leaf does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leaf {
    Returns,
    Fails,
    Panics,
    Pends,
}

/// The part of a chain's life that is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// From the first poll of the outermost frame to that of the leaf.
    Build,
    /// From the leaf's return to the outermost frame's.
    Complete,
    /// The same where the leaf returns an error and every level passes it on with `?`.
    Error,
    /// From the leaf's panic until the task's handle reports it.
    Panic,
    /// From the abort of the waiting task until its handle reports it.
    Cancel,
    /// The drop of the outermost frame while the leaf waits.
    Drop,
}

impl Part {
    fn from_name(name: &str) -> Option<Self> {
        match name {
            "build" => Some(Self::Build),
            "complete" => Some(Self::Complete),
            "error" => Some(Self::Error),
            "panic" => Some(Self::Panic),
            "cancel" => Some(Self::Cancel),
            "drop" => Some(Self::Drop),
            _ => None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Refused;

const LEVELS: u32 = 1_000_000;
const WARM_UP_LEVELS: u32 = 10_000;
const STACK_LEN_BYTES: usize = 64 * 1024;
