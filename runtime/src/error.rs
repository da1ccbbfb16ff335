//! Errors of the runtime as a whole.

use std::fmt;

use crate::task::Id;

/// What did not end in time when a runtime was shut down.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use tress::Builder;
///
/// let runtime = Builder::new().worker_threads(1).build()?;
/// let stuck = runtime.spawn(async { std::thread::sleep(Duration::from_millis(300)) });
/// std::thread::sleep(Duration::from_millis(100));
/// let error = runtime.shutdown(Duration::from_millis(10)).unwrap_err();
/// assert_eq!(error.tasks(), [stuck.id()]);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShutdownError {
    tasks: Vec<Id>,
    threads: usize,
}

impl ShutdownError {
    pub(crate) fn new(tasks: Vec<Id>, threads: usize) -> Self {
        Self { tasks, threads }
    }

    /// The tasks whose poll, or blocking call, had not returned.
    #[must_use]
    pub fn tasks(&self) -> &[Id] {
        &self.tasks
    }

    /// How many threads of the runtime had not ended.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.threads
    }
}

impl fmt::Display for ShutdownError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} threads did not end in time; tasks that did not return:", self.threads)?;
        self.tasks.iter().try_for_each(|task| write!(f, " {task}"))
    }
}

impl std::error::Error for ShutdownError {}
