//! The spans of the crate `tracing` that the current thread runs code in.
//!
//! Subscribers are foreign code, which is called here where nobody could be told of a panic: it ends here.

use tracing::Span;
use tracing::span::Entered;

use crate::containment::contain_panic;

/// The span that was current when it was recorded: the innermost one, which knows those around it and its subscriber.
///
/// Boxed: most frames that wait do so in no span, and have room for a pointer only.
#[derive(Debug)]
pub(crate) struct RecordedSpan(Box<Span>);

/// Has the thread run in a span until it is dropped.
#[derive(Debug)]
pub(crate) struct EnteredSpan<'a>(Option<Entered<'a>>);

impl RecordedSpan {
    /// Keeps the current span, if there is one.
    #[inline]
    pub(crate) fn current() -> Option<Self> {
        let span = current();
        (!span.is_disabled()).then(|| Self(Box::new(span)))
    }

    /// Has the thread run in the span until the guard is dropped.
    pub(crate) fn enter(&self) -> EnteredSpan<'_> {
        let mut entered = None;
        contain_panic(|| entered = Some(self.0.enter()));
        EnteredSpan(entered)
    }

    /// Lets go of the span, which may be the end of it.
    pub(crate) fn release(self) {
        contain_panic(|| drop(self));
    }
}

impl Drop for EnteredSpan<'_> {
    fn drop(&mut self) {
        contain_panic(|| drop(self.0.take()));
    }
}

/// The current span; a disabled one if there is none.
#[inline]
fn current() -> Span {
    let mut span = Span::none();
    contain_panic(|| span = Span::current());
    span
}
