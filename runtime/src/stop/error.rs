//! Operations that were stopped half-way.

use std::error::Error;
use std::fmt;
use std::io;

/// An operation of several steps was stopped after some of them.
///
/// What [`io::Error::get_ref`] of its error gives. One that was stopped before its first step gives no error: whoever awaits it is stopped.
///
/// # Examples
///
/// ```
/// use std::io;
/// use tress::stop::StoppedAfter;
///
/// let error = io::Error::from(StoppedAfter::bytes(3));
/// assert_eq!(StoppedAfter::in_error(&error).map(|stopped| stopped.moved()), Some(3));
/// assert_eq!(error.to_string(), "stopped after 3 bytes");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoppedAfter {
    bytes: usize,
}

impl StoppedAfter {
    /// It was stopped when so many bytes had been moved.
    #[must_use]
    pub const fn bytes(bytes: usize) -> Self {
        Self { bytes }
    }

    /// How many bytes had been moved.
    #[must_use]
    pub const fn moved(self) -> usize {
        self.bytes
    }

    /// What the error says, if it is one of these.
    #[must_use]
    pub fn in_error(error: &io::Error) -> Option<Self> {
        error.get_ref()?.downcast_ref().copied()
    }
}

impl fmt::Display for StoppedAfter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stopped after {} bytes", self.bytes)
    }
}

impl Error for StoppedAfter {}

impl From<StoppedAfter> for io::Error {
    fn from(stopped: StoppedAfter) -> Self {
        Self::other(stopped)
    }
}
