//! Futures of different types in one frame.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use super::children::{ALL_GIVEN, Children, Ended, Gather, keep};
use super::slots::Slot;
use crate::frame;
use crate::stop::{self, CatchStop};

/// The futures of a tuple, each with a place for its value, in a chain of this type.
#[derive(Debug)]
pub(super) struct Branches<C>(Pin<frame::Box<C>>);

/// A chain of branches, the first of which has the index 0.
pub trait Chain: Default {
    /// What any of the branches may fail with.
    type Error;

    /// How many branches there are.
    const LEN: usize;

    /// As [`Children::is_live`].
    fn is_live(&self, index: usize) -> bool;

    /// As [`Children::poll`].
    fn poll(self: Pin<&mut Self>, index: usize, cx: &mut Context<'_>) -> Option<Poll<Ended<Self::Error>>>;

    /// As [`Children::clear`].
    fn clear(self: Pin<&mut Self>, index: usize);
}

/// A chain for the futures of a tuple.
pub trait TupleChain: Chain {
    /// The tuple.
    type Futures;

    /// The tuple of their values.
    type Values;

    /// Puts in the futures.
    fn put_all(self: Pin<&mut Self>, futures: Self::Futures);

    /// As [`Gather::take_values`].
    fn take_all(self: Pin<&mut Self>) -> Self::Values;
}

pin_project! {
    /// A future, its value, and the branches after it.
    #[derive(Debug)]
    pub struct Branch<F, T, R> {
        #[pin]
        slot: Slot<CatchStop<F>>,
        value: Option<T>,
        #[pin]
        rest: R,
    }
}

/// The end of a chain.
#[derive(Debug)]
pub struct End<E>(PhantomData<fn() -> E>);

impl<C: TupleChain> Branches<C> {
    pub(super) fn new(futures: C::Futures) -> Self {
        let mut chain = frame::Box::pin(C::default());
        chain.as_mut().put_all(futures);
        Self(chain)
    }
}

impl<F: Future, T, R> Branch<F, T, R> {
    /// Puts in the future of this branch; gives the branches after it.
    pub(super) fn put(self: Pin<&mut Self>, future: F) -> Pin<&mut R> {
        let mut me = self.project();
        me.slot.set(Slot::Live { future: stop::outcome(future) });
        me.rest
    }

    /// Takes the value of this branch; gives the branches after it, too.
    pub(super) fn take(self: Pin<&mut Self>) -> (T, Pin<&mut R>) {
        let me = self.project();
        (me.value.take().expect(ALL_GIVEN), me.rest)
    }
}

impl<F, T, R: Default> Default for Branch<F, T, R> {
    fn default() -> Self {
        Self { slot: Slot::Empty, value: None, rest: R::default() }
    }
}

impl<E> Default for End<E> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<F, T, R> Chain for Branch<F, T, R>
where
    F: Future<Output = Result<T, R::Error>>,
    R: Chain,
{
    type Error = R::Error;

    const LEN: usize = 1 + R::LEN;

    #[inline]
    fn is_live(&self, index: usize) -> bool {
        match index.checked_sub(1) {
            None => self.slot.is_live(),
            Some(index) => self.rest.is_live(index),
        }
    }

    #[inline]
    fn poll(self: Pin<&mut Self>, index: usize, cx: &mut Context<'_>) -> Option<Poll<Ended<Self::Error>>> {
        let me = self.project();
        match index.checked_sub(1) {
            None => Some(me.slot.poll(cx)?.map(|ended| keep(me.value, ended))),
            Some(index) => me.rest.poll(index, cx),
        }
    }

    #[inline]
    fn clear(self: Pin<&mut Self>, index: usize) {
        let mut me = self.project();
        match index.checked_sub(1) {
            None => me.slot.set(Slot::Empty),
            Some(index) => me.rest.clear(index),
        }
    }
}

impl<E> Chain for End<E> {
    type Error = E;

    const LEN: usize = 0;

    fn is_live(&self, _beyond: usize) -> bool {
        false
    }

    fn poll(self: Pin<&mut Self>, _beyond: usize, _cx: &mut Context<'_>) -> Option<Poll<Ended<E>>> {
        None
    }

    fn clear(self: Pin<&mut Self>, _beyond: usize) {}
}

impl<C: Chain> Children for Branches<C> {
    type Output = Ended<C::Error>;

    fn len(&self) -> usize {
        C::LEN
    }

    fn is_live(&self, index: usize) -> bool {
        self.0.is_live(index)
    }

    fn poll(&mut self, index: usize, cx: &mut Context<'_>) -> Option<Poll<Self::Output>> {
        self.0.as_mut().poll(index, cx)
    }

    fn clear(&mut self, index: usize) {
        self.0.as_mut().clear(index);
    }
}

impl<C: TupleChain> Gather<C::Error> for Branches<C> {
    type Values = C::Values;

    fn take_values(&mut self) -> C::Values {
        self.0.as_mut().take_all()
    }
}
