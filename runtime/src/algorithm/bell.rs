//! Which children of a future were woken.

#[cfg(all(test, tress_loom))]
mod model;
#[cfg(tress_loom)]
mod stand_in;
#[cfg(not(tress_loom))]
mod wake;

use std::collections::VecDeque;
use std::mem;
use std::task::Waker;

use crate::containment::contain_panic;
use crate::primitive::sync::atomic::{AtomicUsize, Ordering, fence};
use crate::primitive::sync::{Arc, Mutex};
#[cfg(tress_loom)]
use stand_in as wake;

/// Queues the children that were woken, and wakes their parent for the first of them.
#[derive(Debug)]
pub(super) struct Bell(Mutex<Woken>);

#[derive(Debug)]
struct Woken {
    queue: VecDeque<usize>,
    /// Whether a wake of this child adds nothing: it is in the queue, or has ended.
    is_settled: Box<[bool]>,
    /// `None` while the parent is polled, or has been woken.
    parent: Option<Waker>,
}

impl Bell {
    pub(super) fn new(children: usize) -> Self {
        let is_settled = vec![false; children].into();
        Self(Mutex::new(Woken { queue: VecDeque::new(), is_settled, parent: None }))
    }

    /// The parent's poll begins: until it ends, wakes are for its own eyes. Says how many children are queued.
    pub(super) fn attend(&self) -> (usize, Option<Waker>) {
        let mut woken = self.0.lock();
        (woken.queue.len(), woken.parent.take())
    }

    /// The parent's poll ends: what is queued from now on wakes it by `parent`. True if there is something already.
    pub(super) fn leave(&self, parent: Waker) -> bool {
        let mut woken = self.0.lock();
        let is_due = !woken.queue.is_empty();
        if !is_due {
            woken.parent = Some(parent);
        }
        is_due
    }

    /// Takes the child that has been queued for longest.
    pub(super) fn next(&self) -> Option<usize> {
        let mut woken = self.0.lock();
        let child = woken.queue.pop_front()?;
        woken.is_settled[child] = false;
        Some(child)
    }

    /// Queues children as if they had been woken, without a word to the parent.
    pub(super) fn queue(&self, children: impl Iterator<Item = usize>) {
        let mut woken = self.0.lock();
        for child in children {
            woken.queue(child);
        }
    }

    /// Wakes of this child are ignored from now on.
    pub(super) fn retire(&self, child: usize) {
        self.0.lock().is_settled[child] = true;
    }

    fn ring(&self, child: usize) {
        let mut woken = self.0.lock();
        let parent = if woken.queue(child) { woken.parent.take() } else { None };
        drop(woken);
        if let Some(parent) = parent {
            parent.wake();
        }
    }
}

impl Woken {
    /// False if there is no need to.
    fn queue(&mut self, child: usize) -> bool {
        let is_new = !mem::replace(&mut self.is_settled[child], true);
        if is_new {
            self.queue.push_back(child);
        }
        is_new
    }
}

/// The waker of one child, which is made before it is known whether the child needs one, and goes on to the next child if not.
#[derive(Debug)]
pub(super) struct ChildWaker {
    node: Arc<Node>,
    waker: Waker,
}

#[derive(Debug)]
struct Node {
    /// Written while nobody but the owner has the waker.
    child: AtomicUsize,
    bell: Arc<Bell>,
}

impl ChildWaker {
    pub(super) fn new(child: usize, bell: &Arc<Bell>) -> Self {
        let node = Arc::new(Node { child: AtomicUsize::new(child), bell: Arc::clone(bell) });
        Self { waker: wake::waker(Arc::clone(&node)), node }
    }

    pub(super) fn waker(&self) -> &Waker {
        &self.waker
    }

    /// Makes it the waker of another child. `None` if the former one has kept it.
    #[inline]
    pub(super) fn pass_on(self, child: usize) -> Option<Self> {
        // The one that is owned, and the one in the waker.
        if Arc::strong_count(&self.node) > 2 {
            return None;
        }
        // Acquire: pairs with the drop of the last clone, which comes after what was done with it.
        fence(Ordering::Acquire);
        self.node.child.store(child, Ordering::Relaxed);
        Some(self)
    }
}

impl Node {
    fn ring(&self) {
        self.bell.ring(self.child.load(Ordering::Relaxed));
    }
}

/// The waker to leave for the parent: the one that was left last time, if it is still good.
pub(super) fn renew(former: Option<Waker>, current: &Waker) -> Waker {
    match former {
        Some(former) if former.will_wake(current) => former,
        former => {
            contain_panic(|| drop(former));
            current.clone()
        }
    }
}
