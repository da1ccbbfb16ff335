//! Errors of the runtime as a whole.

use std::fmt;

use crate::task::Id;

/// What did not end in time when a runtime was shut down.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use tress::{Builder, task};
///
/// let runtime = Builder::new().worker_threads(1).build()?;
/// let sleep = async { std::thread::sleep(Duration::from_millis(300)) };
/// let stuck = task::Builder::new().name("sleeper").spawn_on(sleep, runtime.handle());
/// std::thread::sleep(Duration::from_millis(100));
/// let error = runtime.shutdown(Duration::from_millis(10)).unwrap_err();
/// assert_eq!(error.tasks(), [stuck.id()]);
/// assert_eq!(error.name(stuck.id()), Some("sleeper"));
/// println!("{error}");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShutdownError {
    tasks: Vec<Id>,
    /// Of the same length.
    names: Vec<Option<Box<str>>>,
    threads: usize,
}

impl ShutdownError {
    pub(crate) fn new(tasks: impl IntoIterator<Item = (Id, Option<Box<str>>)>, threads: usize) -> Self {
        let (tasks, names) = tasks.into_iter().unzip();
        Self { tasks, names, threads }
    }

    /// The tasks whose poll, or blocking call, had not returned.
    #[must_use]
    pub fn tasks(&self) -> &[Id] {
        &self.tasks
    }

    /// The name of one of those tasks, if it was spawned with one (see [`task::Builder`](crate::task::Builder)).
    #[must_use]
    pub fn name(&self, task: Id) -> Option<&str> {
        let place = self.tasks.iter().position(|other| *other == task)?;
        self.names[place].as_deref()
    }

    /// How many threads of the runtime had not ended.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.threads
    }
}

/// Names the first few tasks, and says how many more there are.
impl fmt::Display for ShutdownError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let threads = self.threads;
        write!(f, "{threads} {} did not end in time", if threads == 1 { "thread" } else { "threads" })?;
        for (place, (task, name)) in self.tasks.iter().zip(&self.names).take(MOST_SHOWN).enumerate() {
            f.write_str(if place == 0 { "; tasks that did not return: " } else { ", " })?;
            match name {
                Some(name) => write!(f, "{task} {name:?}")?,
                None => write!(f, "{task}")?,
            }
        }
        match self.tasks.len().saturating_sub(MOST_SHOWN) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

impl std::error::Error for ShutdownError {}

impl From<ShutdownError> for std::io::Error {
    fn from(error: ShutdownError) -> Self {
        Self::new(std::io::ErrorKind::TimedOut, error)
    }
}

/// How many tasks a message names.
const MOST_SHOWN: usize = 16;
