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

/// Spans that the thread has left, the innermost first; dropped, it enters them again.
#[derive(Debug)]
struct Left(Vec<Span>);

impl Left {
    /// Leaves every span that the thread runs in.
    fn all() -> Self {
        let mut left = Vec::new();
        while left.len() < MOST_LEFT {
            let span = current();
            if span.is_disabled() {
                break;
            }
            contain_panic(|| {
                span.with_subscriber(|(id, subscriber)| subscriber.exit(id));
            });
            left.push(span);
        }
        Self(left)
    }
}

impl Drop for Left {
    fn drop(&mut self) {
        while let Some(span) = self.0.pop() {
            contain_panic(|| {
                span.with_subscriber(|(id, subscriber)| subscriber.enter(id));
            });
            contain_panic(|| drop(span));
        }
    }
}

/// Runs `f` in no span: what it polls or drops is none of the caller's.
pub(crate) fn outside_spans<R>(f: impl FnOnce() -> R) -> R {
    let _left = Left::all();
    f()
}

/// The current span; a disabled one if there is none.
#[inline]
fn current() -> Span {
    let mut span = Span::none();
    contain_panic(|| span = Span::current());
    span
}

/// So many spans are left. Others' subscribers may have one current whatever is left.
const MOST_LEFT: usize = 256;
