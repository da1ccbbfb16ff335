//! Handles that another thread uses during their parent's poll × wakes of their frames.
#![expect(unsafe_code, reason = "scoped threads")]

use std::future::{Future, pending, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use loom::thread;

use super::{RootBooks, await_frame, spawn_scoped};
use crate::primitive::explore::explore;
use crate::primitive::sync::atomic::Ordering;
use crate::primitive::sync::{Arc, PlainArc};
use crate::task::model::{Books, Count, Output, Queue, Until, shut_down};
use crate::tree::{Lazy, lazy};

type Slot<'a> = Pin<&'a mut Option<Lazy<'static, Output>>>;

/// Starts a child in its first poll, leaving a waker of its own for each poll. In the second poll another thread gets the
/// child's handle, while the parent starts another child; then `rest` says what comes of the poll, and of later ones.
async fn lend(
    own: PlainArc<RootBooks>,
    child: Arc<Books>,
    elsewhere: fn(Slot<'_>),
    rest: fn(Slot<'_>, &mut Context<'_>) -> Poll<()>,
) {
    let mut slot = pin!(Some(lazy(Until { books: child, until: 1, wakers: 2 })));
    let mut sibling = pin!(lazy(pending::<()>()));
    let mut polls = 0;
    poll_fn(|cx| {
        own.keep(cx.waker().clone());
        polls += 1;
        if polls == 1 {
            let mut child = slot.as_mut().as_pin_mut().expect("nobody has dropped it");
            assert!(child.as_mut().poll(cx).is_pending());
            assert!(child.is_rooted());
            return Poll::Pending;
        }
        if polls == 2 {
            // SAFETY: it is joined at once.
            let thread = unsafe { spawn_scoped(|| elsewhere(slot.as_mut())) };
            // The list of children stays the parent's.
            assert!(sibling.as_mut().poll(cx).is_pending());
            thread.join().unwrap();
        }
        rest(slot.as_mut(), cx)
    })
    .await;
}

/// Awaits a parent, and goes on living.
async fn outlive(parent: Lazy<'static, ()>, ended: PlainArc<Count>) {
    await_frame(RootBooks::new(), 0, parent).await;
    ended.fetch_add(1, Ordering::Relaxed);
    pending::<()>().await;
}

/// The parent is polled for the second time while the child is woken by value and by reference.
fn explore_lending(
    elsewhere: fn(Slot<'_>),
    rest: fn(Slot<'_>, &mut Context<'_>) -> Poll<()>,
    ends: bool,
    is_polled_by_others: bool,
) {
    explore(3, move || {
        let queue = Queue::new();
        let (own, child) = (RootBooks::new(), Books::new());
        let parent = lazy(lend(own.clone(), child.clone(), elsewhere, rest));
        let ended = PlainArc::new(Count::new(0));
        let handle = queue.spawn(outlive(parent, ended.clone()));
        queue.run_all();
        let (by_value, by_ref) = (child.waker(), child.waker());
        let waking = thread::spawn({
            let child = child.clone();
            move || {
                child.raise(|| by_value.wake());
                by_ref.wake_by_ref();
            }
        });
        own.waker().wake();
        queue.run_all();
        waking.join().unwrap();
        queue.run_all();
        if ends {
            // Once more, now that the signal can be seen.
            own.wakers.lock().unwrap().drain(..).for_each(Waker::wake);
            queue.run_all();
        }
        assert_eq!(ended.load(Ordering::Relaxed), usize::from(ends));
        own.wakers.lock().unwrap().clear();
        let abort = handle.abort_handle();
        drop(handle);
        let _ = shut_down(&abort);
        let outputs = if is_polled_by_others { 1 } else { child.polls() - 1 };
        assert_eq!((child.futures_dropped(), child.outputs_dropped()), (1, outputs));
    });
}

fn drop_it(mut slot: Slot<'_>) {
    slot.set(None);
}

/// The handle is dropped; the parent goes on waiting, and whoever runs the tree next lets go of the frame.
#[test]
fn an_orphan_is_released_by_the_next_run() {
    explore_lending(drop_it, |_, _| Poll::Pending, false, false);
}

/// The handle is dropped and the parent ends at once, with the frame still in its list.
#[test]
fn an_orphan_is_released_by_its_parents_end() {
    explore_lending(drop_it, |_, _| Poll::Ready(()), true, false);
}

/// The handle is polled with another waker: the frame is an island from then on, and its old wakers do nothing.
#[test]
fn a_frame_is_isolated_while_it_is_woken() {
    fn poll(slot: Slot<'_>, cx: &mut Context<'_>) -> Poll<()> {
        let ready = slot.as_pin_mut().is_none_or(|child| child.poll(cx).is_ready());
        if ready { Poll::Ready(()) } else { Poll::Pending }
    }

    fn poll_elsewhere(mut slot: Slot<'_>) {
        if poll(slot.as_mut(), &mut Context::from_waker(Waker::noop())).is_ready() {
            slot.set(None);
        }
    }

    explore_lending(poll_elsewhere, poll, true, true);
}
