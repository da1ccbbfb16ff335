//! Children of one future that are polled only when they were woken.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::task::{Context, Poll};

use super::bell::{Bell, ChildWaker, renew};
use super::children::{Children, Gather};
use crate::containment::contain_panic;
use crate::primitive::sync::Arc;
use crate::stop::StopSource;
use crate::tree;

/// Futures that run side by side within the poll of one parent.
///
/// The first poll goes through all of them in order. Later ones go to those that were woken, in the order of the wakes; a child
/// that is woken while its siblings are polled has to wait for the parent's next poll. Only children that were pending
/// have a waker of their own.
#[derive(Debug)]
pub(super) struct Fan<C> {
    children: C,
    /// Those of the children that are pending.
    wakers: Vec<Option<ChildWaker>>,
    /// The first child that has not been polled yet.
    fresh: usize,
    /// How many have not ended.
    live: usize,
    bell: Arc<Bell>,
}

impl<C: Children> Fan<C> {
    pub(super) fn new(children: C) -> Self {
        let (live, bell) = (children.len(), Arc::new(Bell::new(children.len())));
        Self { children, wakers: Vec::new(), fresh: 0, live, bell }
    }

    pub(super) fn len(&self) -> usize {
        self.children.len()
    }

    /// Polls the children that have a reason to be, and calls `ended` for each that ends. `Ready` when all have; also when
    /// `ended` breaks off, with what it breaks with.
    ///
    /// If a child panics, the others are dropped before the panic goes on.
    pub(super) fn poll<B>(
        &mut self,
        cx: &mut Context<'_>,
        ended: impl FnMut(usize, C::Output) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        self.guard(|this| this.pass(cx, ended))
    }

    /// Requests a stop of the children, which those that wait hear of; those that have not begun are dropped.
    ///
    /// If a drop or a callback of the stop panics, the children are dropped before the panic goes on.
    pub(super) fn stop(&mut self, source: &StopSource) {
        self.guard(|this| {
            source.request_stop();
            while this.fresh < this.children.len() {
                this.fresh += 1;
                this.live -= 1;
                this.children.clear(this.fresh - 1);
            }
        });
    }

    /// The values of all children, which have ended.
    pub(super) fn take_values<E>(&mut self) -> C::Values
    where
        C: Gather<E>,
    {
        self.children.take_values()
    }

    /// Has every child that has begun polled the next time.
    fn rouse(&self) {
        self.bell.queue((0..self.fresh).filter(|child| self.children.is_live(*child)));
    }

    fn guard<R>(&mut self, f: impl FnOnce(&mut Self) -> R) -> R {
        match catch_unwind(AssertUnwindSafe(|| f(self))) {
            Ok(result) => result,
            Err(payload) => {
                self.children.clear_all();
                (self.fresh, self.live) = (self.children.len(), 0);
                resume_unwind(payload)
            }
        }
    }

    fn pass<B>(
        &mut self,
        cx: &mut Context<'_>,
        mut ended: impl FnMut(usize, C::Output) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        // Whoever looks into the task wants to see what the children wait for.
        if tree::is_traced() {
            self.rouse();
        }
        let (woken, parent) = self.bell.attend();
        if self.fresh < self.children.len()
            && let ControlFlow::Break(broken) = self.begin(&mut ended)
        {
            return Poll::Ready(ControlFlow::Break(broken));
        }
        for _ in 0..woken {
            let Some(child) = self.bell.next() else { break };
            // One that ended at once may have been woken before.
            let Some(Some(waker)) = self.wakers.get(child) else {
                self.bell.retire(child);
                continue;
            };
            let poll = self.children.poll(child, &mut Context::from_waker(waker.waker()));
            if let Some(Poll::Ready(output)) = poll {
                self.wakers[child] = None;
                self.bell.retire(child);
                self.live -= 1;
                if let ControlFlow::Break(broken) = ended(child, output) {
                    return Poll::Ready(ControlFlow::Break(broken));
                }
            }
        }
        if self.live == 0 {
            return Poll::Ready(ControlFlow::Continue(()));
        }
        if self.bell.leave(renew(parent, cx.waker())) {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    /// Polls the children that have not been polled yet.
    fn begin<B>(&mut self, ended: &mut impl FnMut(usize, C::Output) -> ControlFlow<B>) -> ControlFlow<B> {
        let mut spare: Option<ChildWaker> = None;
        while self.fresh < self.children.len() {
            let child = self.fresh;
            self.fresh += 1;
            let waker = spare.take().unwrap_or_else(|| ChildWaker::new(child, &self.bell));
            let poll = self.children.poll(child, &mut Context::from_waker(waker.waker()));
            match poll.expect("a child that has not begun has not ended") {
                Poll::Ready(output) => {
                    self.live -= 1;
                    spare = waker.pass_on(child + 1);
                    if spare.is_none() {
                        self.bell.retire(child);
                    }
                    ended(child, output)?;
                }
                Poll::Pending => {
                    if self.wakers.is_empty() {
                        self.wakers.resize_with(self.children.len(), || None);
                    }
                    self.wakers[child] = Some(waker);
                }
            }
        }
        ControlFlow::Continue(())
    }
}

impl<C> Drop for Fan<C> {
    fn drop(&mut self) {
        // Whoever keeps a child's waker must not keep the parent with it.
        let (_woken, parent) = self.bell.attend();
        contain_panic(|| drop(parent));
    }
}
