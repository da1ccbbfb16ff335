//! Resident memory of tasks that wait for something that never comes.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::clock::{Sample, Stopwatch, resident_len_bytes};
use crate::peer::Rt;

/// One op is one of the `tasks`; its value is resident bytes, its CPU time that of spawning it and of its one poll.
pub(crate) fn idle_memory<R: Rt>(runtime: &R, tasks: usize) -> Sample {
    runtime.block_on(async {
        R::spawn(async move {
            // What the runtime allocates once is not counted.
            spawn_and_wait::<R>(WARM_UP_TASKS, 0).await;
            let before_bytes = resident_len_bytes();
            let stopwatch = Stopwatch::start();
            spawn_and_wait::<R>(tasks, WARM_UP_TASKS).await;
            let spent = stopwatch.spent();
            let grown_bytes = resident_len_bytes().saturating_sub(before_bytes);
            Sample { value: grown_bytes as f64 / tasks as f64, ..Sample::per_op(spent, tasks as u64) }
        })
        .await
    })
}

/// Spawns in batches, as a server that accepts does, so that queues stay short and only the tasks remain.
async fn spawn_and_wait<R: Rt>(tasks: usize, already_pending: usize) {
    for first in (0..tasks).step_by(TASKS_PER_BATCH) {
        let batch = TASKS_PER_BATCH.min(tasks - first);
        for _ in 0..batch {
            R::spawn_detached(Idle::default());
        }
        while PENDING.load(Ordering::Acquire) < already_pending + first + batch {
            R::sleep(Duration::from_millis(1)).await;
        }
    }
}

/// Pends for ever and keeps its waker, as an operation that waits does.
#[derive(Default)]
struct Idle {
    waker: Option<Waker>,
    state: [u64; 6],
}

impl Future for Idle {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.waker.is_none() {
            self.state[0] = 1;
            self.waker = Some(context.waker().clone());
            PENDING.fetch_add(1, Ordering::Release);
        }
        Poll::Pending
    }
}

const _: () = assert!(size_of::<Idle>() == 64, "the future that is measured has 64 bytes");

/// Tasks that were polled once; the spawner waits for it.
static PENDING: AtomicUsize = AtomicUsize::new(0);

const WARM_UP_TASKS: usize = 10_000;
const TASKS_PER_BATCH: usize = 10_000;
