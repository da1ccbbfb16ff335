//! A lazy future that many can await.

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
#[expect(
    clippy::disallowed_types,
    reason = "std's Wake is defined for std's Arc; no protocol without a lock is here"
)]
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Wake, Waker};

use super::{Lazy, island};
use crate::containment::contain_panic;
use crate::env;
use crate::frame;
use crate::primitive::coarse::{self, Moment};
use crate::primitive::sync::Mutex;
use crate::stop::raise;
use crate::trace::collector;

/// A [`Lazy`] that many can await: it runs once, and each gets a clone of the output.
///
/// It starts when one of the clones is first awaited, is driven by whichever of those that wait is polled, and is dropped
/// with the last clone. It is an island (see [`Lazy`]): each of its polls is in the [environment](crate::env) and the spans of whoever drives
/// it then. Made by [`Lazy::shared`].
///
/// # Cancel safety
///
/// Dropping one clone, pending or not, takes nothing from the others, the one that drives included: whenever the future is
/// woken, all who wait are. Dropping the last clone cancels.
///
/// # Panics
///
/// A panic of the future goes on in the one who drives it; the others panic too. So does polling a clone again that has given
/// its output.
///
/// # Examples
///
/// ```
/// use tress::task::lazy;
///
/// let runtime = tress::Runtime::new()?;
/// let shared = lazy(async { String::from("once") }).shared();
/// let other = shared.clone();
/// let task = runtime.spawn(async move { other.await });
/// assert_eq!(runtime.block_on(shared), "once");
/// assert_eq!(runtime.block_on(task).unwrap(), "once");
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use = "futures do nothing unless awaited"]
pub struct SharedLazy<'a, T: Clone> {
    /// `None` once the output has been given.
    shared: Option<PlainArc<Shared<'a, T>>>,
    /// Where this clone's waker is among those that wait.
    seat: Option<u64>,
    /// Since when this clone waits.
    since: Moment,
}

/// What all clones have in common.
struct Shared<'a, T> {
    /// The future; `None` while it is being polled, and after that if it is done.
    future: Mutex<Option<Pin<frame::Box<Lazy<'a, T>>>>>,
    output: OnceLock<T>,
    bell: PlainArc<Bell>,
}

/// The waker of the future: rings for all who wait.
#[derive(Debug)]
struct Bell(Mutex<Waiting>);

#[derive(Debug)]
struct Waiting {
    drive: Drive,
    /// Whether the future has been woken since its last poll began.
    is_woken: bool,
    wakers: Vec<(u64, Waker)>,
    next_seat: u64,
}

/// Who drives the future.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Drive {
    /// Nobody at the moment.
    Idle,
    /// Somebody polls it.
    Polling,
    /// The output is there.
    Done,
    /// It has panicked.
    Poisoned,
}

#[expect(
    clippy::disallowed_types,
    reason = "std's Wake is defined for std's Arc; no protocol without a lock is here"
)]
type PlainArc<T> = Arc<T>;

impl<'a, T: Clone> SharedLazy<'a, T> {
    pub(super) fn new(lazy: Lazy<'a, T>) -> Self {
        let waiting = Waiting { drive: Drive::Idle, is_woken: true, wakers: Vec::new(), next_seat: 0 };
        let shared = Shared {
            // From the pool, whatever window is open: the frame itself came from there already.
            future: Mutex::new(Some(frame::within(None, || frame::Box::pin(lazy)))),
            output: OnceLock::new(),
            bell: PlainArc::new(Bell(Mutex::new(waiting))),
        };
        Self { shared: Some(PlainArc::new(shared)), seat: None, since: Moment::NEVER }
    }

    /// The output, if there is one yet and this clone has not given it.
    #[must_use]
    pub fn peek(&self) -> Option<&T> {
        self.shared.as_ref()?.output.get()
    }
}

impl<T: Clone> Clone for SharedLazy<'_, T> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone(), seat: None, since: Moment::NEVER }
    }
}

impl<T: Clone> Future for SharedLazy<'_, T> {
    type Output = T;

    #[track_caller]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let this = &mut *self;
        let caller = Location::caller();
        let shared = this.shared.as_ref().expect("a SharedLazy was polled after it had completed");
        match shared.bell.wait(&mut this.seat, cx.waker()) {
            Drive::Polling => return wait(&mut this.since, caller, cx),
            Drive::Poisoned => panic!("the future of a SharedLazy has panicked"),
            Drive::Done => {}
            Drive::Idle => {
                if !shared.drive() {
                    return wait(&mut this.since, caller, cx);
                }
            }
        }
        let output = shared.output.get().expect("a future that is done has left its output").clone();
        this.leave();
        this.shared = None;
        Poll::Ready(output)
    }
}

/// Says what is waited for, and goes on waiting. Not by `leaf::Wait`: the future spends the budget of who drives it.
///
/// Who drives the future is stopped by what waits in it; who does not, here.
fn wait<T>(since: &mut Moment, caller: &'static Location<'static>, cx: &Context<'_>) -> Poll<T> {
    collector::found("shared lazy", caller, *since);
    env::stop_scope(|stop| if stop.is_stop_requested() { raise(cx) } else { stop.note(cx.waker()) });
    if !since.has_come() {
        *since = coarse::now();
    }
    Poll::Pending
}

impl<T: Clone> SharedLazy<'_, T> {
    /// Gives up the place among those that wait.
    fn leave(&mut self) {
        if let (Some(shared), Some(seat)) = (&self.shared, self.seat.take()) {
            let waker = shared.bell.leave(seat);
            contain_panic(|| drop(waker));
        }
    }
}

impl<T: Clone> Drop for SharedLazy<'_, T> {
    fn drop(&mut self) {
        self.leave();
    }
}

impl<T> Shared<'_, T> {
    /// Polls the future, as the only one who does. True if the output is there.
    fn drive(&self) -> bool {
        /// Says that nobody drives any more, also when the poll unwinds.
        struct Stop<'b> {
            bell: &'b Bell,
            drive: Drive,
        }

        impl Drop for Stop<'_> {
            fn drop(&mut self) {
                self.bell.stop(self.drive);
            }
        }

        let mut stop = Stop { bell: &self.bell, drive: Drive::Poisoned };
        let future = self.future.lock().take();
        let mut future = future.expect("whoever drives a future has it alone");
        let waker = Waker::from(PlainArc::clone(&self.bell));
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Pending => {
                *self.future.lock() = Some(future);
                stop.drive = Drive::Idle;
                false
            }
            Poll::Ready(output) => {
                if self.output.set(output).is_err() {
                    unreachable!("a future is done once");
                }
                stop.drive = Drive::Done;
                true
            }
        }
    }
}

impl Bell {
    /// Takes, or keeps, a place among those that wait. `Idle` means that the caller drives the future now.
    fn wait(&self, seat: &mut Option<u64>, waker: &Waker) -> Drive {
        // Wakers are foreign: cloned and dropped outside the lock.
        let mut waker = waker.clone();
        let mut waiting = self.0.lock();
        let number = *seat.get_or_insert_with(|| {
            waiting.next_seat += 1;
            waiting.next_seat
        });
        let former = match waiting.wakers.iter_mut().find(|(other, _)| *other == number) {
            Some((_, place)) => {
                std::mem::swap(place, &mut waker);
                Some(waker)
            }
            None => {
                waiting.wakers.push((number, waker));
                None
            }
        };
        let drive = match waiting.drive {
            Drive::Idle if waiting.is_woken => {
                waiting.drive = Drive::Polling;
                waiting.is_woken = false;
                Drive::Idle
            }
            // Whoever waits is woken with the future.
            Drive::Idle => Drive::Polling,
            drive => drive,
        };
        drop(waiting);
        contain_panic(|| drop(former));
        drive
    }

    fn leave(&self, seat: u64) -> Option<Waker> {
        let mut waiting = self.0.lock();
        let place = waiting.wakers.iter().position(|(other, _)| *other == seat)?;
        Some(waiting.wakers.swap_remove(place).1)
    }

    /// The poll has ended.
    fn stop(&self, drive: Drive) {
        let mut waiting = self.0.lock();
        waiting.drive = drive;
        // A wake during the poll rang for those who waited then; others have come since, and found somebody driving.
        let due = drive != Drive::Idle || waiting.is_woken;
        let wakers = if due { std::mem::take(&mut waiting.wakers) } else { Vec::new() };
        drop(waiting);
        wake_all(wakers);
    }

    fn ring(&self) {
        let mut waiting = self.0.lock();
        waiting.is_woken = true;
        // While somebody polls, it is they who ring, when they have stopped.
        let is_polling = waiting.drive == Drive::Polling;
        let wakers = if is_polling { Vec::new() } else { std::mem::take(&mut waiting.wakers) };
        drop(waiting);
        wake_all(wakers);
    }
}

impl Wake for Bell {
    fn wake(self: PlainArc<Self>) {
        self.ring();
    }

    fn wake_by_ref(self: &PlainArc<Self>) {
        self.ring();
    }
}

/// Wakes everybody, whatever one of the wakers does. One that is the bell of another shared lazy rings in turn, at any depth: each finds stack for that.
fn wake_all(wakers: Vec<(u64, Waker)>) {
    island::with_stack(|| {
        for (_, waker) in wakers {
            contain_panic(|| waker.wake());
        }
    });
}

impl<T: Clone> fmt::Debug for SharedLazy<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedLazy").finish_non_exhaustive()
    }
}
