//! How a runtime is set up.

use std::fmt;
use std::io;
use std::time::Duration;

use crate::Runtime;
use crate::frame::AllocatorRef;
use crate::primitive::sync::PlainArc;
use crate::scheduler::{Config, Hooks};

/// Sets up a [`Runtime`].
///
/// Settings are checked by [`build`](Self::build), which names the one that is wrong.
///
/// # Examples
///
/// ```
/// let runtime = tress::Builder::new().worker_threads(2).thread_name("worker").build()?;
/// assert_eq!(runtime.block_on(async { 1 }), 1);
///
/// let error = tress::Builder::new().worker_threads(0).build().unwrap_err();
/// assert!(error.to_string().contains("worker_threads"));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct Builder {
    workers: Option<usize>,
    pin: bool,
    thread_name: PlainArc<dyn Fn(usize) -> String + Send + Sync>,
    stack_size: Option<usize>,
    queue_interval: u32,
    event_interval: u32,
    max_blocking_threads: usize,
    keep_alive: Duration,
    shutdown_timeout: Duration,
    measure_tasks: bool,
    hooks: Hooks,
}

impl Builder {
    /// Starts with the default settings.
    pub fn new() -> Self {
        Self {
            workers: None,
            pin: false,
            thread_name: PlainArc::new(|index| format!("tress-worker-{index}")),
            stack_size: None,
            queue_interval: 61,
            event_interval: 31,
            max_blocking_threads: 512,
            keep_alive: Duration::from_secs(10),
            shutdown_timeout: Duration::from_secs(10),
            measure_tasks: false,
            hooks: Hooks::default(),
        }
    }

    /// How many workers there are: 1 to [`MAX_WORKERS`](Self::MAX_WORKERS). The default is one for each CPU that the
    /// process may use.
    pub fn worker_threads(mut self, workers: usize) -> Self {
        self.workers = Some(workers);
        self
    }

    /// Whether each worker is bound to a core of its own. The default is no.
    ///
    /// Where the system refuses, workers stay unbound.
    pub fn pin_workers(mut self, pin: bool) -> Self {
        self.pin = pin;
        self
    }

    /// What the workers are called; the worker's number is appended.
    pub fn thread_name(self, name: impl Into<String>) -> Self {
        let name = name.into();
        self.thread_name_fn(move |index| format!("{name}-{index}"))
    }

    /// What each worker is called, by its number.
    pub fn thread_name_fn(mut self, name: impl Fn(usize) -> String + Send + Sync + 'static) -> Self {
        self.thread_name = PlainArc::new(name);
        self
    }

    /// The stack size of workers and blocking threads, in bytes; at least 1, and the system takes more where that is too little. The
    /// default is std's.
    pub fn thread_stack_size(mut self, bytes: usize) -> Self {
        self.stack_size = Some(bytes);
        self
    }

    /// After how many polls a worker takes from the queue that is shared by all before its own; at least 1.
    pub fn queue_interval(mut self, polls: u32) -> Self {
        self.queue_interval = polls;
        self
    }

    /// After how many polls a busy worker looks at the clock, and, if it is time, at its sockets and timers; at least 1.
    pub fn event_interval(mut self, polls: u32) -> Self {
        self.event_interval = polls;
        self
    }

    /// How many threads there may be for blocking calls; at least 1. The default is 512.
    pub fn max_blocking_threads(mut self, threads: usize) -> Self {
        self.max_blocking_threads = threads;
        self
    }

    /// How long a thread for blocking calls waits for the next one before it ends. The default is 10 s.
    pub fn thread_keep_alive(mut self, duration: Duration) -> Self {
        self.keep_alive = duration;
        self
    }

    /// How long dropping the runtime waits for polls and blocking calls to return. The default is 10 s.
    pub fn shutdown_timeout(mut self, duration: Duration) -> Self {
        self.shutdown_timeout = duration;
        self
    }

    /// Whether each task's polls are measured, for [`trace::dump`](crate::trace::dump). The default is no.
    ///
    /// It costs two looks at the clock for each poll, and a second, small allocation for each task. Dumps then also say which
    /// line spawned a task that has no name.
    pub fn measure_tasks(mut self, measure: bool) -> Self {
        self.measure_tasks = measure;
        self
    }

    /// Called by each worker when it starts.
    pub fn on_thread_start(mut self, f: impl Fn() + Send + Sync + 'static) -> Self {
        self.hooks.on_start = Some(PlainArc::new(f));
        self
    }

    /// Called by each worker when it ends.
    pub fn on_thread_stop(mut self, f: impl Fn() + Send + Sync + 'static) -> Self {
        self.hooks.on_stop = Some(PlainArc::new(f));
        self
    }

    /// Called by a worker before it goes to sleep. It must not use the runtime.
    pub fn on_thread_park(mut self, f: impl Fn() + Send + Sync + 'static) -> Self {
        self.hooks.on_park = Some(PlainArc::new(f));
        self
    }

    /// Called by a worker after it has slept. It must not use the runtime.
    pub fn on_thread_unpark(mut self, f: impl Fn() + Send + Sync + 'static) -> Self {
        self.hooks.on_unpark = Some(PlainArc::new(f));
        self
    }

    /// Where the frames of the runtime's tasks come from, and what those tasks make in turn: the pool, if not set.
    ///
    /// A window that is open when a task is spawned ([`with_allocator`](crate::frame::with_allocator)) wins. When the allocator
    /// refuses, what is spawned is refused.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::Arc;
    /// use tress::frame::{Counting, Pool};
    ///
    /// let frames = Arc::new(Counting::new(Pool));
    /// let runtime = tress::Builder::new().frames(frames.clone()).build()?;
    /// let task = runtime.spawn(async { tress::task::lazy(async { 7 }).await });
    /// assert_eq!(runtime.block_on(task).unwrap(), 7);
    /// assert_eq!(frames.allocated(), 2);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn frames(mut self, allocator: impl Into<AllocatorRef>) -> Self {
        self.hooks.frames = Some(allocator.into()).filter(|allocator: &AllocatorRef| !allocator.is_pool());
        self
    }

    /// The most workers that a runtime can have.
    pub const MAX_WORKERS: usize = 1024;

    /// Makes the runtime and starts its workers.
    ///
    /// # Errors
    ///
    /// Of the kind [`InvalidInput`](io::ErrorKind::InvalidInput) if a setting is out of range; otherwise what the
    /// system said when it refused threads or reactors.
    pub fn build(self) -> io::Result<Runtime> {
        let workers = match self.workers {
            Some(workers) => workers,
            None => std::thread::available_parallelism().map_or(1, usize::from).min(Self::MAX_WORKERS),
        };
        check("worker_threads", workers, 1, Self::MAX_WORKERS)?;
        // What is more than an allocation may have is refused by name; less may still be more than there is.
        check("thread_stack_size", self.stack_size.unwrap_or(1), 1, isize::MAX as usize)?;
        check("queue_interval", self.queue_interval as usize, 1, u32::MAX as usize)?;
        check("event_interval", self.event_interval as usize, 1, u32::MAX as usize)?;
        check("max_blocking_threads", self.max_blocking_threads, 1, usize::MAX)?;
        // Before there is any thread: the function may panic.
        let names: Vec<String> = (0..workers).map(|index| (self.thread_name)(index)).collect();
        if let Some(name) = names.iter().find(|name| name.contains('\0')) {
            let message = format!("thread_name is {name:?}, but must not contain a zero byte");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let config = Config {
            workers,
            pin: self.pin,
            stack_size: self.stack_size,
            queue_interval: self.queue_interval,
            event_interval: self.event_interval,
            max_blocking_threads: self.max_blocking_threads,
            keep_alive: self.keep_alive,
            shutdown_timeout: self.shutdown_timeout,
            measure_tasks: self.measure_tasks,
        };
        Runtime::start(config, self.hooks, names)
    }
}

fn check(name: &str, value: usize, least: usize, most: usize) -> io::Result<()> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    let range = if most == usize::MAX { format!("at least {least}") } else { format!("{least} to {most}") };
    Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{name} is {value}, but must be {range}")))
}

impl Default for Builder {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("worker_threads", &self.workers)
            .field("pin_workers", &self.pin)
            .field("queue_interval", &self.queue_interval)
            .field("event_interval", &self.event_interval)
            .field("max_blocking_threads", &self.max_blocking_threads)
            .field("shutdown_timeout", &self.shutdown_timeout)
            .field("measure_tasks", &self.measure_tasks)
            .finish_non_exhaustive()
    }
}
