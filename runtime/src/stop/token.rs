//! What tells that a stop was requested.

use super::requested::StopRequested;
use super::shared::StopRef;

/// Tells whether a stop has been requested.
///
/// Clones are tokens of the same stop. Two tokens are equal if they are of the same stop.
///
/// # Examples
///
/// See [`StopSource`](super::StopSource).
#[derive(Debug, Clone, Default)]
pub struct StopToken {
    /// `None` if nobody can request the stop.
    stop: Option<StopRef>,
}

impl StopToken {
    pub(super) fn new(stop: StopRef) -> Self {
        Self { stop: Some(stop) }
    }

    /// Makes a token of a stop that nobody can request.
    ///
    /// # Examples
    ///
    /// ```
    /// use tress::stop::StopToken;
    ///
    /// assert!(!StopToken::never().is_stop_possible());
    /// ```
    #[must_use]
    pub const fn never() -> Self {
        Self { stop: None }
    }

    /// Whether the stop has been requested. What whoever requested it had done before is visible then.
    #[must_use]
    #[inline]
    pub fn is_stop_requested(&self) -> bool {
        self.stop.as_ref().is_some_and(StopRef::is_stopped)
    }

    /// Whether there is, or was, a source of this stop: false for [`never`](Self::never).
    #[must_use]
    pub fn is_stop_possible(&self) -> bool {
        self.stop.is_some()
    }

    /// Waits until the stop is requested: for ever, if nobody can.
    ///
    /// # Cancel safety
    ///
    /// Dropping it loses nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use tress::{Runtime, stop::StopSource};
    ///
    /// let runtime = Runtime::new()?;
    /// let source = StopSource::new();
    /// let token = source.token();
    /// let waits = runtime.spawn(async move { token.stop_requested().await });
    /// source.request_stop();
    /// runtime.block_on(waits).unwrap();
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn stop_requested(&self) -> StopRequested {
        StopRequested::new(self.clone())
    }

    #[inline]
    pub(super) fn stop(&self) -> Option<&StopRef> {
        self.stop.as_ref()
    }
}

impl PartialEq for StopToken {
    fn eq(&self, other: &Self) -> bool {
        match (&self.stop, &other.stop) {
            (Some(this), Some(other)) => this.is_same(other),
            (None, None) => true,
            _ => false,
        }
    }
}

impl Eq for StopToken {}
