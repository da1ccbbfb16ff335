//! Stands in for `span` without the feature `tracing`: there are no spans, and this is no code.

/// There is none.
#[derive(Debug)]
pub(crate) struct RecordedSpan;

/// Nothing is entered.
#[derive(Debug)]
pub(crate) struct EnteredSpan;

impl RecordedSpan {
    #[inline(always)]
    pub(crate) fn current() -> Option<Self> {
        None
    }

    #[inline(always)]
    pub(crate) fn enter(&self) -> EnteredSpan {
        EnteredSpan
    }

    #[inline(always)]
    pub(crate) fn release(self) {}
}

/// Runs `f`.
#[inline(always)]
pub(crate) fn outside_spans<R>(f: impl FnOnce() -> R) -> R {
    f()
}
