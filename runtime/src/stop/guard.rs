//! A stop at the end of a scope.

use super::source::StopSource;
use crate::containment::contain_panic;

/// Requests a stop when dropped; made by [`StopSource::guard`]. Panics of callbacks end there.
///
/// # Examples
///
/// See [`StopSource::guard`].
#[derive(Debug)]
#[must_use = "the stop is requested when the guard is dropped"]
pub struct StopGuard {
    /// `None` once it has been disarmed.
    source: Option<StopSource>,
}

impl StopGuard {
    pub(super) fn new(source: StopSource) -> Self {
        Self { source: Some(source) }
    }

    /// Gives the source back; nothing is requested.
    ///
    /// # Examples
    ///
    /// ```
    /// use tress::stop::StopSource;
    ///
    /// let source = StopSource::new().guard().disarm();
    /// assert!(!source.is_stop_requested());
    /// ```
    #[must_use]
    pub fn disarm(mut self) -> StopSource {
        self.source.take().expect("a guard is disarmed once")
    }
}

impl Drop for StopGuard {
    fn drop(&mut self) {
        if let Some(source) = self.source.take() {
            contain_panic(|| {
                source.request_stop();
            });
        }
    }
}
