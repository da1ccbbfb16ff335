//! How models are run.

use std::cell::Cell;
use std::ptr::NonNull;
use std::sync::Once;

thread_local! {
    /// Whether anything has panicked in the model that this thread explores.
    static PANICKED: Cell<bool> = const { Cell::new(false) };
    /// How many courses the model has taken.
    static COURSES: Cell<usize> = const { Cell::new(0) };
}

loom::thread_local! {
    /// The model's executor whose tasks the thread runs.
    static WORKS_FOR: Cell<Option<NonNull<()>>> = Cell::new(None);
}

/// Has the thread run tasks of the model's executor at this address meanwhile.
pub(crate) fn as_worker<R>(executor: NonNull<()>, f: impl FnOnce() -> R) -> R {
    let former = WORKS_FOR.with(|works_for| works_for.replace(Some(executor)));
    let result = f();
    WORKS_FOR.with(|works_for| works_for.set(former));
    result
}

/// Whether the thread runs tasks of the model's executor at this address.
pub(crate) fn is_worker(executor: NonNull<()>) -> bool {
    WORKS_FOR.try_with(|works_for| works_for.get() == Some(executor)).unwrap_or(false)
}

/// Explores `model` with at most this many preemptions, or fewer if `LOOM_MAX_PREEMPTIONS` says so.
///
/// What loom or a model complains of inside a future, a waker or a drop would be contained as a panic of foreign code,
/// so panics are noted where they are reported.
pub(crate) fn explore(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let report = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            // Loom ends its threads by a panic that has no message.
            let payload = panic.payload();
            if payload.is::<&str>() || payload.is::<String>() {
                PANICKED.set(true);
            }
            report(panic);
        }));
    });
    PANICKED.set(false);
    COURSES.set(0);
    let mut builder = loom::model::Builder::new();
    let asked = builder.preemption_bound.unwrap_or(preemptions);
    builder.preemption_bound = Some(asked.min(preemptions));
    builder.max_branches = MAX_BRANCHES;
    builder.check(move || {
        COURSES.set(COURSES.get() + 1);
        model();
        assert!(!PANICKED.get(), "something panicked, and the panic was contained");
    });
    println!("{} courses with up to {} preemptions", COURSES.get(), asked.min(preemptions));
}

/// Loom's own limit on the length of one course is meant for smaller things than a pool of threads.
const MAX_BRANCHES: usize = 10_000;
