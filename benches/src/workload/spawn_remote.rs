//! Empty tasks, spawned by a thread that is not part of the runtime.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use crate::clock::{Sample, Window};
use crate::peer::Rt;

/// One op is one task spawned and run.
pub(crate) fn spawn_remote<R: Rt>(runtime: &R, window: Window) -> Sample {
    runtime.run_in_background();
    window.repeat(|| {
        let (sender, all_ran) = mpsc::channel();
        let left = Arc::new(Left { tasks: AtomicUsize::new(TASKS), sender });
        for _ in 0..TASKS {
            let left = Arc::clone(&left);
            runtime.spawn_remote(async move { left.one_ran() });
        }
        all_ran.recv().expect("the last task sends");
        TASKS as u64
    })
}

struct Left {
    /// Tasks that have not run. The last one publishes nothing but the fact.
    tasks: AtomicUsize,
    sender: mpsc::Sender<()>,
}

impl Left {
    fn one_ran(&self) {
        if self.tasks.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.sender.send(()).expect("the spawner waits");
        }
    }
}

const TASKS: usize = 200_000;
