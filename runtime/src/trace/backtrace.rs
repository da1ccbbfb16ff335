//! The frames of the current task.

use std::fmt;
use std::panic::Location;

use super::json::Json;
use super::text;
use crate::task::Id;
use crate::tree;

/// The frames from the one that runs up to the task, made by [`backtrace`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Backtrace {
    /// The task; `None` in the future of a `block_on`, and on another executor.
    pub task: Option<Id>,
    /// The innermost one first; the task's own future is not among them.
    pub frames: Vec<BacktraceFrame>,
}

/// One frame of a [`Backtrace`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BacktraceFrame {
    /// The name of the future's type, which contains that of the function.
    pub future: &'static str,
    /// The line that awaits it.
    pub awaited_at: Option<&'static Location<'static>>,
}

/// The chain of frames from the one that is being polled up to the task that it belongs to.
///
/// Frames are those of [`Lazy`](crate::task::Lazy): of a task without them there are none. Those that are polled like boxed futures are part of
/// it, too, also where another executor polls them, outside any task. A panic hook may call it.
///
/// # Examples
///
/// ```
/// use tress::{Runtime, task::lazy, trace};
///
/// let runtime = Runtime::new()?;
/// let backtrace = runtime.block_on(async {
///     lazy(async { lazy(async { trace::backtrace() }).await }).await
/// });
/// assert_eq!(backtrace.frames.len(), 2);
/// println!("{backtrace}");
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use]
pub fn backtrace() -> Backtrace {
    let mut frames = Vec::new();
    let task = tree::backtrace(|future, awaited_at| frames.push(BacktraceFrame { future, awaited_at }));
    Backtrace { task, frames }
}

impl Backtrace {
    /// As a JSON object.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut json = Json::new();
        json.object(|json| {
            json.key("task").number_or_null(self.task);
            json.key("frames").array(&self.frames, |json, frame| {
                json.object(|json| {
                    json.key("future").string(frame.future);
                    json.key("awaited_at").location(frame.awaited_at);
                });
            });
        });
        json.into_string()
    }
}

/// A line for each frame, the innermost first.
impl fmt::Display for Backtrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, frame) in self.frames.iter().enumerate() {
            write!(f, "{number:4}: {}", text::short(frame.future))?;
            if let Some(location) = frame.awaited_at {
                write!(f, " at {location}")?;
            }
            writeln!(f)?;
        }
        match self.task {
            Some(id) => writeln!(f, "      task {id}"),
            None => Ok(()),
        }
    }
}
