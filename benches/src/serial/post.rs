//! Posts to a queue that is worked off by one thread at a time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;

use crate::clock::{Sample, Window};
use crate::peer::Rt;

/// A queue of closures, none of which begins before the one before it has ended. Its clones are the same queue.
pub(crate) trait Poster: Clone + Send + Sync + 'static {
    type Runtime: Rt;

    /// Called within a task.
    fn make() -> Self;

    /// Queues a closure.
    fn post(&self, item: impl FnOnce() + Send + 'static);
}

/// One op is one post, and the run of what was posted. They are made by a thread outside of the runtime, all in one burst.
pub(crate) fn post_remote<P: Poster>(runtime: &P::Runtime, window: Window) -> Sample {
    let poster: P = within(runtime, P::make);
    let (sender, all_ran) = mpsc::channel();
    // It lasts as long as the process, so that an item is one pointer, and costs no counting.
    let burst: &'static Burst = Box::leak(Box::new(Burst { items_run: AtomicU64::new(0), sender }));
    window.repeat(|| {
        for _ in 0..POSTS_PER_BURST {
            poster.post(|| burst.one_ran());
        }
        all_ran.recv().expect("the last item sends");
        POSTS_PER_BURST
    })
}

#[derive(Debug)]
struct Burst {
    /// Counts on through all bursts. Only items write it, one at a time, which is why it takes no read-modify-write.
    items_run: AtomicU64,
    sender: mpsc::Sender<()>,
}

impl Burst {
    fn one_ran(&self) {
        let items_run = self.items_run.load(Ordering::Relaxed) + 1;
        self.items_run.store(items_run, Ordering::Relaxed);
        if items_run.is_multiple_of(POSTS_PER_BURST) {
            self.sender.send(()).expect("whoever posts waits");
        }
    }
}

/// One op is one post, and the run of what was posted: each item posts the next.
pub(crate) fn post_self<P: Poster>(runtime: &P::Runtime, window: Window) -> Sample {
    chain(within(runtime, P::make), window, |chain| chain.poster.post(|| chain.link()))
}

/// The same on the pool itself: each task spawns the next, and nobody joins them.
pub(crate) fn post_pool<R: Rt>(runtime: &R, window: Window) -> Sample {
    let runtime = runtime.clone();
    chain(OnPool::<R>::make(), window, move |chain| runtime.spawn_remote(async { chain.link() }))
}

/// A pool is no serial queue, but of a chain there is one item at a time.
#[derive(Debug)]
struct OnPool<R>(std::marker::PhantomData<fn() -> R>);

impl<R> Clone for OnPool<R> {
    fn clone(&self) -> Self {
        Self(self.0)
    }
}

impl<R: Rt> Poster for OnPool<R> {
    type Runtime = R;

    fn make() -> Self {
        Self(std::marker::PhantomData)
    }

    fn post(&self, item: impl FnOnce() + Send + 'static) {
        R::spawn_detached(async { item() });
    }
}

fn chain<P: Poster>(poster: P, window: Window, begin: impl Fn(&'static Chain<P>)) -> Sample {
    let (sender, ended) = mpsc::channel();
    let chain: &'static Chain<P> = Box::leak(Box::new(Chain { poster, links: AtomicU64::new(0), sender }));
    window.repeat(|| {
        begin(chain);
        ended.recv().expect("the last link sends");
        LINKS_PER_CHAIN
    })
}

#[derive(Debug)]
struct Chain<P> {
    poster: P,
    /// Counts on through all chains; as [`Burst::items_run`].
    links: AtomicU64,
    sender: mpsc::Sender<()>,
}

impl<P: Poster> Chain<P> {
    fn link(&'static self) {
        let links = self.links.load(Ordering::Relaxed) + 1;
        self.links.store(links, Ordering::Relaxed);
        if links.is_multiple_of(LINKS_PER_CHAIN) {
            self.sender.send(()).expect("whoever begins waits");
        } else {
            self.poster.post(|| self.link());
        }
    }
}

/// Calls a function within a task, and waits outside of the runtime for what it gives.
fn within<R: Rt, T: Send + 'static>(runtime: &R, f: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = mpsc::channel();
    runtime.spawn_remote(
        async move { sender.send(f()).unwrap_or_else(|_gone| unreachable!("the caller waits")) },
    );
    receiver.recv().expect("the task ends")
}

const POSTS_PER_BURST: u64 = 200_000;
const LINKS_PER_CHAIN: u64 = 200_000;
