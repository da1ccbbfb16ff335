//! Why a task has no output.

use std::any::Any;
use std::fmt;

use super::Id;

/// Why awaiting a [`JoinHandle`](super::JoinHandle) gave no output.
///
/// # Examples
///
/// ```
/// let runtime = tress::Runtime::new()?;
/// let error = runtime.block_on(runtime.spawn(async { panic!("out of cheese") })).unwrap_err();
/// assert!(error.is_panic());
/// assert!(error.to_string().ends_with("panicked: out of cheese"));
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct JoinError {
    id: Id,
    kind: Kind,
}

enum Kind {
    Panicked(Payload),
    Aborted,
    Stopped,
    Refused,
}

/// What a task panicked with. The lock is what makes it `Sync`, so that the error fits into a `Box<dyn Error + Sync>`
/// and an `io::Error`: a payload need not be.
#[expect(
    clippy::disallowed_types,
    reason = "no protocol: the lock is never contended and outside of every model"
)]
struct Payload(std::sync::Mutex<Box<dyn Any + Send + 'static>>);

impl JoinError {
    pub(crate) fn panicked(id: Id, payload: Box<dyn Any + Send + 'static>) -> Self {
        Self { id, kind: Kind::Panicked(Payload::new(payload)) }
    }

    pub(crate) fn aborted(id: Id) -> Self {
        Self { id, kind: Kind::Aborted }
    }

    pub(crate) fn stopped(id: Id) -> Self {
        Self { id, kind: Kind::Stopped }
    }

    pub(crate) fn refused(id: Id) -> Self {
        Self { id, kind: Kind::Refused }
    }

    /// The task that has no output.
    #[must_use]
    pub fn id(&self) -> Id {
        self.id
    }

    /// Whether the task panicked.
    #[must_use]
    pub fn is_panic(&self) -> bool {
        matches!(self.kind, Kind::Panicked(_))
    }

    /// Whether the task was aborted, through a handle or because its runtime was shut down.
    #[must_use]
    pub fn is_aborted(&self) -> bool {
        matches!(self.kind, Kind::Aborted)
    }

    /// Whether the task was stopped: by [`stopped`](crate::stop::stopped), or by the token of its [environment](crate::env).
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        matches!(self.kind, Kind::Stopped)
    }

    /// Whether the task never started, because its runtime was shut down already.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        matches!(self.kind, Kind::Refused)
    }

    /// Whether the task ended without a panic of its own: aborted, stopped or refused.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        !self.is_panic()
    }

    /// The panic's payload, as for [`std::panic::resume_unwind`].
    ///
    /// # Panics
    ///
    /// If the task did not panic; [`try_into_panic`](Self::try_into_panic) does not.
    #[must_use]
    #[track_caller]
    pub fn into_panic(self) -> Box<dyn Any + Send + 'static> {
        self.try_into_panic().expect("`JoinError::into_panic` was called on a task that did not panic")
    }

    /// The panic's payload, or the error back if the task did not panic.
    ///
    /// # Errors
    ///
    /// The error itself, if it is of another kind.
    pub fn try_into_panic(self) -> Result<Box<dyn Any + Send + 'static>, Self> {
        match self.kind {
            Kind::Panicked(payload) => Ok(payload.into_inner()),
            kind => Err(Self { id: self.id, kind }),
        }
    }
}

#[expect(clippy::disallowed_types, reason = "see the type")]
impl Payload {
    fn new(payload: Box<dyn Any + Send + 'static>) -> Self {
        Self(std::sync::Mutex::new(payload))
    }

    fn into_inner(self) -> Box<dyn Any + Send + 'static> {
        self.0.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// The text, if that is what it is.
    fn message(&self) -> Option<String> {
        let payload = self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        payload
            .downcast_ref::<&'static str>()
            .map(|message| (*message).to_owned())
            .or_else(|| payload.downcast_ref::<String>().cloned())
    }
}

impl Kind {
    fn message(&self) -> Option<String> {
        match self {
            Self::Panicked(payload) => payload.message(),
            _ => None,
        }
    }
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.id;
        match &self.kind {
            kind @ Kind::Panicked(_) => match kind.message() {
                Some(message) => write!(f, "task {id} panicked: {message}"),
                None => write!(f, "task {id} panicked"),
            },
            Kind::Aborted => write!(f, "task {id} was aborted"),
            Kind::Stopped => write!(f, "task {id} was stopped"),
            Kind::Refused => write!(f, "task {id} was refused: its runtime is shut down"),
        }
    }
}

impl fmt::Debug for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind: &dyn fmt::Debug = match &self.kind {
            Kind::Panicked(_) => &"Panicked",
            Kind::Aborted => &"Aborted",
            Kind::Stopped => &"Stopped",
            Kind::Refused => &"Refused",
        };
        f.debug_struct("JoinError")
            .field("id", &self.id)
            .field("kind", kind)
            .field("message", &self.kind.message())
            .finish()
    }
}

impl std::error::Error for JoinError {}

impl From<JoinError> for std::io::Error {
    fn from(error: JoinError) -> Self {
        Self::other(error)
    }
}
