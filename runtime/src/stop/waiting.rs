//! Who is stopped by a token: operations that wait, and how they learn of it.
#![expect(unsafe_code, reason = "a node of a stop's list lies in it")]

use std::collections::HashMap;
use std::fmt;
use std::ptr::NonNull;
use std::sync::Weak;
use std::task::Waker;
use std::time::{Duration, Instant};

use super::list::{Due, Node};
use super::shared::{Registered, deregister, register};
use super::token::StopToken;
use crate::containment::contain_panic;
use crate::primitive::clock;
use crate::primitive::sync::{Mutex, PlainArc};

/// Everything that runs with one stop token because of one [`scope`](crate::env::scope()).
///
/// The scope is registered with its token once; operations that wait leave their wakers here instead, which no other scope's operations do.
/// So what a server-wide stop costs a connection is one registration, and what waits in it takes no lock that it shares with others.
///
/// It is registered for as long as it exists, which is while anybody has its environment.
#[repr(C)]
pub(crate) struct StopScope {
    /// First, so that a pointer to it is one to the scope.
    node: Node,
    this: Weak<StopScope>,
    token: StopToken,
    noted: Mutex<Noted>,
}

/// The wakers of those who wait.
///
/// A waker cannot tell whether it is still good for anything. So when there are many, everybody is woken: whoever still waits comes back, and
/// what does not come back is gone. If there are as many again before long, they do still wait, or are so many: then twice as many are kept.
/// So the number of wakers is bounded by some times the number of those who wait, or come to wait within a second.
#[derive(Default)]
struct Noted {
    /// The stop has been requested, or nobody is left who could be stopped.
    closed: bool,
    /// The last waker that was noted: most scopes have no other.
    last: Option<Waker>,
    others: HashMap<Key, Waker>,
    /// How many there may be; 0 stands for the least.
    limit: usize,
    /// When there were too many for the last time.
    roused_at: Option<Instant>,
}

/// What tells one waker from another.
type Key = (usize, usize);

impl StopScope {
    pub(crate) fn new(token: StopToken) -> PlainArc<Self> {
        let scope = PlainArc::new_cyclic(|this| Self {
            node: Node::new(take),
            this: this.clone(),
            token,
            noted: Mutex::new(Noted::default()),
        });
        if let Some(stop) = scope.token.stop() {
            let node =
                NonNull::new(PlainArc::as_ptr(&scope).cast_mut()).expect("an `Arc` lies somewhere").cast();
            // SAFETY: an `Arc`'s content stays where it is; the node is deregistered when it is dropped, and wakers may be woken on any
            // thread.
            if unsafe { register(node, stop) } == Registered::Stopped {
                scope.noted.lock().closed = true;
            }
        }
        scope
    }

    #[inline]
    pub(crate) fn token(&self) -> &StopToken {
        &self.token
    }

    #[inline]
    pub(crate) fn is_stop_requested(&self) -> bool {
        self.token.is_stop_requested()
    }

    /// Has `waker` woken when the stop is requested; at once, if it has been.
    ///
    /// If a waker is noted already, a stop that has been missed by the operation before this call wakes it nevertheless: it was noted when the
    /// stop came, and whoever is woken during its poll is polled again.
    pub(crate) fn note(&self, waker: &Waker) {
        let noted = self.noted.lock();
        if noted.closed {
            drop(noted);
            return waker.wake_by_ref();
        }
        if noted.last.as_ref().is_some_and(|last| last.will_wake(waker)) {
            return;
        }
        drop(noted);
        // A foreign waker's clone and drop may do anything: they are called without the lock.
        let new = waker.clone();
        let mut noted = self.noted.lock();
        if noted.closed {
            drop(noted);
            return new.wake();
        }
        let (replaced, roused) = noted.put(new, clock::now);
        drop(noted);
        contain_panic(|| drop(replaced));
        wake_all(roused);
    }

    /// Wakes everybody who waits, and who comes later: the stop has been requested.
    pub(crate) fn wake_all(&self) {
        let mut noted = self.noted.lock();
        noted.closed = true;
        let wakers = noted.take();
        drop(noted);
        wake_all(wakers);
    }

    /// Lets go of the wakers: of those who have waited, nobody does any more, and they may be what keeps this.
    pub(crate) fn clear(&self) {
        let wakers = self.noted.lock().take();
        for waker in wakers {
            contain_panic(|| drop(waker));
        }
    }

    /// Lets go of a waker that is good for nothing any more.
    pub(crate) fn forget(&self, waker: &Waker) {
        let mut noted = self.noted.lock();
        let forgotten = match &noted.last {
            Some(last) if key(last) == key(waker) => noted.last.take(),
            _ => noted.others.remove(&key(waker)),
        };
        drop(noted);
        contain_panic(|| drop(forgotten));
    }
}

// SAFETY: the node is used as its protocol says, from any thread; the rest is `Send` and `Sync` by itself.
unsafe impl Send for StopScope {}
// SAFETY: as above.
unsafe impl Sync for StopScope {}

impl Drop for StopScope {
    fn drop(&mut self) {
        // SAFETY: the owner drops it.
        unsafe { deregister(&self.node) };
        self.clear();
    }
}

/// What a stop does for a scope.
///
/// # Safety
///
/// The node is that of a scope, and the caller has its state's lock.
unsafe fn take(node: NonNull<Node>) -> Due {
    // SAFETY: the node is the scope's first field; whoever drops the scope takes the lock before it goes.
    let scope = unsafe { node.cast::<StopScope>().as_ref() };
    Due::Scope(scope.this.upgrade())
}

impl Noted {
    /// Adds a waker. Returns the one in whose place it is, and those that are to be woken because there are too many.
    fn put(&mut self, new: Waker, now: impl FnOnce() -> Instant) -> (Option<Waker>, Vec<Waker>) {
        let new_key = key(&new);
        let mut replaced = self.others.remove(&new_key);
        match self.last.replace(new) {
            // Somebody else has noted the same meanwhile.
            Some(last) if key(&last) == new_key => replaced = Some(last),
            Some(last) => {
                self.others.insert(key(&last), last);
            }
            None => {}
        }
        if self.others.len() < self.limit.max(LEAST_LIMIT) {
            return (replaced, Vec::new());
        }
        let now = now();
        let is_often = self.roused_at.is_some_and(|then| now.saturating_duration_since(then) < ROUSED_SELDOM);
        self.limit = if is_often { 2 * self.limit } else { self.limit / 2 }.max(LEAST_LIMIT);
        self.roused_at = Some(now);
        (replaced, self.take())
    }

    fn take(&mut self) -> Vec<Waker> {
        let last = self.last.take();
        self.others.drain().map(|(_, waker)| waker).chain(last).collect()
    }
}

fn key(waker: &Waker) -> Key {
    (waker.data().addr(), std::ptr::from_ref(waker.vtable()).addr())
}

fn wake_all(wakers: Vec<Waker>) {
    for waker in wakers {
        // A foreign waker may panic; the others are woken all the same.
        contain_panic(|| waker.wake());
    }
}

impl fmt::Debug for StopScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StopScope").field("token", &self.token).finish_non_exhaustive()
    }
}

/// So many wakers are kept without asking whether they are still good for anything.
const LEAST_LIMIT: usize = 64;

/// Asking is worth it if it is not done more often than once in this time.
const ROUSED_SELDOM: Duration = Duration::from_secs(1);

#[cfg(all(test, tress_loom))]
mod model;

#[cfg(all(test, not(tress_loom)))]
mod tests {
    use std::task::Wake;

    use super::*;
    use crate::primitive::sync::PlainArc as Arc;
    use crate::primitive::sync::atomic::{AtomicUsize, Ordering};
    use crate::stop::StopSource;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn wakers(count: usize) -> Vec<(Arc<Count>, Waker)> {
        let make = |_| {
            let count = Arc::new(Count::default());
            (count.clone(), Waker::from(count))
        };
        (0..count).map(make).collect()
    }

    fn woken(count: &Count) -> usize {
        count.0.load(Ordering::Relaxed)
    }

    #[test]
    fn each_waker_is_kept_once_and_woken_once() {
        let scope = StopScope::new(StopSource::new().token());
        let wakers = wakers(10);
        for _ in 0..3 {
            wakers.iter().for_each(|(_, waker)| scope.note(waker));
        }
        scope.wake_all();
        assert!(wakers.iter().all(|(count, _)| woken(count) == 1));
    }

    #[test]
    fn who_comes_after_the_stop_is_woken_at_once() {
        let scope = StopScope::new(StopSource::new().token());
        scope.wake_all();
        let wakers = wakers(1);
        scope.note(&wakers[0].1);
        assert_eq!(woken(&wakers[0].0), 1);
    }

    #[test]
    fn wakers_that_do_not_come_back_are_let_go_of() {
        let mut noted = Noted::default();
        let (mut most, mut now) = (0, clock::now());
        for count in 0..200 * LEAST_LIMIT {
            // A hundred in a second, after a burst.
            now += if count < 40 * LEAST_LIMIT { Duration::ZERO } else { Duration::from_millis(10) };
            let (_, waker) = wakers(1).remove(0);
            wake_all(noted.put(waker, || now).1);
            if count > 150 * LEAST_LIMIT {
                most = most.max(noted.others.len());
            }
        }
        assert!(most <= 2 * LEAST_LIMIT, "{most}");
    }

    #[test]
    fn however_many_wait_the_number_of_false_alarms_is_bounded() {
        let scope = StopScope::new(StopSource::new().token());
        let wakers = wakers(10_000);
        let mut seen = vec![0; wakers.len()];
        // Each is noted; whoever is woken comes back, until nobody is woken any more.
        let mut polls = 0;
        wakers.iter().for_each(|(_, waker)| scope.note(waker));
        loop {
            let mut is_quiet = true;
            for (index, (count, waker)) in wakers.iter().enumerate() {
                if woken(count) > seen[index] {
                    seen[index] = woken(count);
                    is_quiet = false;
                    polls += 1;
                    scope.note(waker);
                }
            }
            if is_quiet {
                break;
            }
            assert!(polls < 20 * wakers.len(), "they rouse each other for ever");
        }
        scope.wake_all();
        let missed = wakers.iter().zip(&seen).filter(|((count, _), seen)| woken(count) == **seen).count();
        assert_eq!(missed, 0);
    }

    #[test]
    fn a_closed_scope_holds_no_waker() {
        let scope = StopScope::new(StopSource::new().token());
        let wakers = wakers(3);
        wakers.iter().for_each(|(_, waker)| scope.note(waker));
        scope.clear();
        for (count, waker) in wakers {
            drop(waker);
            assert_eq!((Arc::strong_count(&count), woken(&count)), (1, 0));
        }
    }
}
