//! What users see of a readiness: a direction, and what a source was ready for.

use std::fmt;

use super::snapshot::Snapshot;

/// One of the two directions in which a source can be ready.
///
/// # Examples
///
/// ```
/// use tress::runtime::reactor::Direction;
///
/// assert_ne!(Direction::Read, Direction::Write);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Receiving: reads, accepts.
    Read,
    /// Sending: writes, connects.
    Write,
}

/// What a source was ready for at one moment.
///
/// It remembers the moment: [`Registration::clear_ready`](super::Registration::clear_ready) forgets the readiness only
/// if no event has come since.
///
/// # Examples
///
/// ```no_run
/// # async fn example(registration: tress::runtime::reactor::Registration) -> std::io::Result<()> {
/// use tress::runtime::reactor::Direction;
///
/// let ready = registration.ready(Direction::Read, "a datagram").await?;
/// assert!(ready.is_readable() || ready.is_read_closed());
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Ready(Snapshot);

impl Ready {
    /// Whether a read is worth an attempt.
    #[must_use]
    pub const fn is_readable(self) -> bool {
        self.0.is_readable()
    }

    /// Whether a write is worth an attempt.
    #[must_use]
    pub const fn is_writable(self) -> bool {
        self.0.is_writable()
    }

    /// Whether the peer has ended its side.
    #[must_use]
    pub const fn is_read_closed(self) -> bool {
        self.0.is_read_closed()
    }

    /// Whether nothing more can be written.
    #[must_use]
    pub const fn is_write_closed(self) -> bool {
        self.0.is_write_closed()
    }

    /// Whether an event reported an error. Which one, the next operation says.
    #[must_use]
    pub const fn is_error(self) -> bool {
        self.0.is_error()
    }

    pub(super) const fn new(snapshot: Snapshot) -> Self {
        Self(snapshot)
    }

    pub(super) const fn snapshot(self) -> Snapshot {
        self.0
    }
}

impl fmt::Debug for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ready")
            .field("readable", &self.is_readable())
            .field("writable", &self.is_writable())
            .field("read_closed", &self.is_read_closed())
            .field("write_closed", &self.is_write_closed())
            .field("error", &self.is_error())
            .finish()
    }
}
