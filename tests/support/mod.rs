//! What the stress and API tests of the runtime share.
//!
//! `TRESS_STRESS_SECONDS` says for how long each stress case runs with each number of workers (a second if unset);
//! `TRESS_SEED` repeats a run's random choices, as far as threads allow.
#![allow(dead_code, reason = "each test uses the part that it needs")]

#[path = "../watchdog/mod.rs"]
mod watchdog_thread;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tress::task::JoinError;
use tress::{Builder, Runtime};

/// Numbers of workers that stress tests run with.
pub(crate) const WORKERS: [usize; 3] = [2, 4, 16];

/// Ends the process if the test takes much longer than it should.
#[must_use]
pub(crate) fn watchdog() -> impl Sized {
    let stress = Duration::from_secs_f64(stress_seconds() * WORKERS.len() as f64);
    watchdog_thread::watchdog(Duration::from_secs(120) + 4 * stress)
}

/// A runtime with so many workers.
pub(crate) fn runtime(workers: usize) -> Runtime {
    Builder::new().worker_threads(workers).build().expect("threads can be started")
}

fn stress_seconds() -> f64 {
    let set = std::env::var("TRESS_STRESS_SECONDS").ok();
    set.map_or(1.0, |seconds| seconds.parse().expect("TRESS_STRESS_SECONDS is a number"))
}

/// Calls `round` with each number of workers, again and again until the time is over, each time with a new seed.
///
/// Prints the first seed: with `TRESS_SEED` set to it, the rounds make the same choices.
pub(crate) fn stress(mut round: impl FnMut(usize, &mut Random)) {
    let _watchdog = watchdog();
    let seed = seed();
    for workers in WORKERS {
        let mut seeds = Random(seed);
        let end = Instant::now() + Duration::from_secs_f64(stress_seconds());
        let mut rounds = 0_u32;
        while rounds == 0 || Instant::now() < end {
            round(workers, &mut Random(seeds.next()));
            rounds += 1;
        }
        println!("{workers} workers: {rounds} rounds");
    }
}

fn seed() -> u64 {
    let seed = match std::env::var("TRESS_SEED") {
        Ok(seed) => seed.parse().expect("TRESS_SEED is a number"),
        Err(_) => {
            use std::hash::{BuildHasher, RandomState};
            RandomState::new().hash_one(0)
        }
    };
    println!("TRESS_SEED={seed}");
    seed
}

/// A sequence of numbers from a seed (splitmix64).
#[derive(Clone)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    /// True once in `times`.
    pub(crate) fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// Another sequence, for another thread or task.
    pub(crate) fn fork(&mut self) -> Self {
        Self(self.next())
    }
}

/// Counts values that are made and dropped.
#[derive(Clone, Default)]
pub(crate) struct Census(Arc<Counts>);

#[derive(Default)]
struct Counts {
    made: AtomicUsize,
    dropped: AtomicUsize,
}

/// A value that is counted; it knows when it is dropped a second time.
pub(crate) struct Counted {
    census: Census,
    alive: AtomicBool,
}

impl Census {
    pub(crate) fn count(&self) -> Counted {
        self.0.made.fetch_add(1, Ordering::Relaxed);
        Counted { census: self.clone(), alive: AtomicBool::new(true) }
    }

    pub(crate) fn alive(&self) -> usize {
        self.0.made.load(Ordering::SeqCst) - self.0.dropped.load(Ordering::SeqCst)
    }

    pub(crate) fn made(&self) -> usize {
        self.0.made.load(Ordering::SeqCst)
    }

    /// Waits until everything that was made has been dropped.
    #[track_caller]
    pub(crate) fn wait_until_empty(&self) {
        wait_until(|| self.alive() == 0, "not everything was dropped");
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if !self.alive.swap(false, Ordering::Relaxed) {
            eprintln!("a value was dropped twice");
            std::process::abort();
        }
        self.census.0.dropped.fetch_add(1, Ordering::SeqCst);
    }
}

/// Waits for a condition, for ten seconds at most.
#[track_caller]
pub(crate) fn wait_until(mut condition: impl FnMut() -> bool, otherwise: &str) {
    let end = Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(Instant::now() < end, "{otherwise}");
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// Keeps the thread busy.
pub(crate) fn burn(duration: Duration) {
    let end = Instant::now() + duration;
    while Instant::now() < end {
        std::hint::spin_loop();
    }
}

/// Polls a future on this thread, without any runtime.
pub(crate) fn block_on_foreign<F: Future>(future: F) -> F::Output {
    use std::task::{Wake, Waker};
    struct Unpark(std::thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = std::pin::pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        std::thread::park();
    }
}

/// A future that yields to nobody but its waker: it is pending for so many polls, waking itself each time.
pub(crate) struct Pend(pub(crate) usize);

impl Future for Pend {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.0 == 0 {
            return Poll::Ready(());
        }
        self.0 -= 1;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Runs `f` without the messages of panics that are part of the test.
pub(crate) fn without_panic_messages<R>(f: impl FnOnce() -> R) -> R {
    use std::sync::Once;
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        let loud = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let payload = info.payload();
            let text = payload.downcast_ref::<&str>().copied();
            let text = text.or(payload.downcast_ref::<String>().map(String::as_str));
            if std::env::var_os("TRESS_LOUD").is_some() || !is_expected(text.unwrap_or_default()) {
                loud(info);
            }
        }));
    });
    f()
}

/// What the messages of expected panics begin with.
pub(crate) const EXPECTED: &str = "expected";

fn is_expected(text: &str) -> bool {
    text.starts_with(EXPECTED) || says_no_frame(text)
}

/// Whether that is the panic of who got no memory for a frame.
pub(crate) fn says_no_frame(text: &str) -> bool {
    text.starts_with("a Lazy got no frame: ") || text.starts_with("the current allocator refused a frame")
}

/// What a panic has said.
pub(crate) fn payload_text(payload: Box<dyn std::any::Any + Send>) -> String {
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => payload.downcast_ref::<&str>().copied().unwrap_or_default().to_owned(),
    }
}

/// The text that a task panicked with.
#[track_caller]
pub(crate) fn panic_text(error: JoinError) -> String {
    let payload = error.into_panic();
    match payload.downcast::<&'static str>() {
        Ok(text) => (*text).to_owned(),
        Err(payload) => *payload.downcast::<String>().expect("panics of these tests have a text"),
    }
}
