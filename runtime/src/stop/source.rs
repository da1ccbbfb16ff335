//! Who requests a stop.

use super::guard::StopGuard;
use super::shared::StopRef;
use super::token::StopToken;

/// Can request a stop, once.
///
/// Clones are sources of the same stop. Dropping a source requests nothing; [`guard`](Self::guard) makes something that does.
///
/// # Examples
///
/// ```
/// use tress::stop::StopSource;
///
/// let source = StopSource::new();
/// let token = source.token();
/// assert!(!token.is_stop_requested());
/// assert!(source.request_stop());
/// assert!(token.is_stop_requested());
/// assert!(!source.request_stop(), "it was requested before");
/// ```
#[derive(Debug, Clone)]
pub struct StopSource(StopRef);

impl StopSource {
    /// Makes a source of a stop that nobody has requested.
    #[must_use]
    pub fn new() -> Self {
        Self(StopRef::new())
    }

    /// Makes a source whose stop is also requested when that of `parent` is. Requesting it does nothing to the parent.
    ///
    /// If the parent's stop was requested already, so is this one.
    ///
    /// # Examples
    ///
    /// ```
    /// use tress::stop::StopSource;
    ///
    /// let server = StopSource::new();
    /// let connection = StopSource::linked_to(&server.token());
    /// let request = StopSource::linked_to(&connection.token());
    ///
    /// connection.request_stop();
    /// assert!(request.token().is_stop_requested());
    /// assert!(!server.token().is_stop_requested());
    /// ```
    #[must_use]
    pub fn linked_to(parent: &StopToken) -> Self {
        Self(parent.stop().map_or_else(StopRef::new, StopRef::child_of))
    }

    /// A token of this stop.
    #[must_use]
    pub fn token(&self) -> StopToken {
        StopToken::new(self.0.clone())
    }

    /// Requests the stop. True if nobody has before.
    ///
    /// Calls each [`StopCallback`](super::StopCallback) that is registered, on this thread and in the order of registration, and wakes who
    /// waits; then it does the same for the stops that are linked to this one. When it returns true, all of that is done, save what another
    /// request is at, of a linked stop: also one further up on this stack. When it returns false, another request may still be at it.
    ///
    /// # Panics
    ///
    /// If a callback does; the others are called all the same, and the first panic goes on then. While this thread unwinds, panics of
    /// callbacks end here.
    pub fn request_stop(&self) -> bool {
        self.0.request_stop()
    }

    /// Whether the stop has been requested.
    #[must_use]
    #[inline]
    pub fn is_stop_requested(&self) -> bool {
        self.0.is_stopped()
    }

    /// Makes a guard whose drop requests the stop.
    ///
    /// # Examples
    ///
    /// ```
    /// use tress::stop::StopSource;
    ///
    /// let source = StopSource::new();
    /// let token = source.token();
    /// drop(source.guard());
    /// assert!(token.is_stop_requested());
    /// ```
    #[must_use = "the stop is requested when the guard is dropped"]
    pub fn guard(self) -> StopGuard {
        StopGuard::new(self)
    }
}

impl Default for StopSource {
    fn default() -> Self {
        Self::new()
    }
}
