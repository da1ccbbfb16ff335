//! Every task of a runtime, and every named strand.

use std::panic::Location;
use std::time::Duration;

use super::collector::Collector;
use super::json::Json;
use super::strands::StrandDump;
use crate::Handle;
use crate::primitive::clock;
use crate::primitive::coarse::Moment;
use crate::task::{self, Id, RawTask, Snapshot};
use crate::{context, coop, run};

/// The tasks of a runtime, at about the time of the call that made it: [`dump`].
///
/// It is displayed as text; [`to_json`](Self::to_json) makes JSON of it.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Dump {
    /// In the order of their ids: about that in which they were spawned.
    pub tasks: Vec<TaskDump>,
    /// The strands and actors over the runtime that have a name, in the order in which they were made.
    pub strands: Vec<StrandDump>,
}

/// One task.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TaskDump {
    /// The task's id.
    pub id: Id,
    /// Its name, if it was spawned with one (see [`task::Builder`](crate::task::Builder)).
    pub name: Option<String>,
    /// The name of the strand that it lives on; of the nearest one that has a name, if that stands on others.
    pub strand: Option<String>,
    /// What it did.
    pub state: State,
    /// The name of its future's type, which contains that of the function.
    pub future: &'static str,
    /// How long ago it was spawned or, if that was outside the runtime's threads, first polled. Coarse: see
    /// [the module](crate::trace#what-it-does-not-see).
    pub age: Option<Duration>,
    /// How often it has been polled so far, not counting a poll that goes on, nor those of dumps; it starts again from zero after `u32::MAX`.
    pub polls: u32,
    /// How long those polls took together, if the runtime measures that (see
    /// [`measure_tasks`](crate::Builder::measure_tasks)).
    pub busy: Option<Duration>,
    /// The line that spawned it, if it or its strand has a name, or the runtime measures tasks.
    pub spawned_at: Option<&'static Location<'static>>,
    /// Its frames, each after its parent; the first is the task's own future. Empty unless it was idle.
    ///
    /// The list is flat, because a task may be a million frames deep.
    pub frames: Vec<FrameDump>,
}

/// What a task did when it was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum State {
    /// It waited.
    Idle,
    /// It was queued in order to run.
    Scheduled,
    /// It ran, or another dump looked at it.
    Running,
    /// It was dumped while it waited, and has ended by that: what it waited for had just happened.
    Ended,
}

/// One future of a task: its own, or that of a [`Lazy`](crate::task::Lazy) below it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FrameDump {
    /// The name of the future's type, which contains that of the function.
    pub future: &'static str,
    /// The line that awaits it. The task's own future has none, nor has a frame that is spawned as it is, or that this crate polls for
    /// its user, as [`timeout`](crate::time::timeout) does.
    pub awaited_at: Option<&'static Location<'static>>,
    /// The place in [`TaskDump::frames`] of the frame that awaits it; `None` for the task's own future. If the one that awaited it has panicked,
    /// of the nearest frame above that has not.
    pub parent: Option<usize>,
    /// How many frames lie above it.
    pub depth: usize,
    /// What it waits for, frames aside.
    pub waits: Vec<WaitDump>,
}

/// One operation that a future waits for.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WaitDump {
    /// What it is, in a few words, such as `tcp read`.
    pub what: &'static str,
    /// The line that began it.
    pub location: &'static Location<'static>,
    /// For how long it has been waiting, if that is known. Coarse: see
    /// [the module](crate::trace#what-it-does-not-see).
    pub waited: Option<Duration>,
}

/// Looks at every task of a runtime, and at every named strand.
///
/// From any thread, also inside a task, but not in a signal handler. Idle tasks are polled for it, on this thread: what that
/// means is said at [the module](crate::trace). Tasks that begin or end meanwhile may be missing. Of a runtime that shuts down, and in the
/// destructors of a thread's locals, tasks are shown from outside only.
///
/// How long tasks were busy, and the lines that spawned those without a name, are known only where the runtime was built with
/// [`measure_tasks`](crate::Builder::measure_tasks).
///
/// # Examples
///
/// See [the module](crate::trace).
#[must_use]
pub fn dump(handle: &Handle) -> Dump {
    // What tasks do in their polls belongs to their runtime, and their frames are their own.
    let may_poll = context::can_enter() && !handle.pool.is_closed();
    let _entered = handle.enter();
    let mut tasks = Vec::new();
    context::apart(|| task::for_each(handle.pool.data(), |task| tasks.push(TaskDump::new(task, may_poll))));
    tasks.sort_by_key(|task| task.id);
    Dump { tasks, strands: handle.pool.strands.look() }
}

impl TaskDump {
    /// Looks at a task that the caller holds a reference to, and whose executor it keeps alive.
    fn new(task: RawTask, may_poll: bool) -> Self {
        let now = Moment::of(clock::now());
        let (state, frames) = if may_poll && !task.is_placed() {
            look(task, now)
        } else {
            (State::of(task.state().load()), Vec::new())
        };
        let annex = task.annex();
        Self {
            id: task.id(),
            name: annex.and_then(|annex| annex.name()).map(String::from),
            strand: annex.and_then(|annex| annex.strand()).map(String::from),
            state,
            future: task.future_name(),
            age: task.born().elapsed(now),
            polls: task.polls(),
            busy: annex.and_then(|annex| annex.busy_ns()).map(Duration::from_nanos),
            spawned_at: annex.and_then(|annex| annex.spawned_at()),
            frames,
        }
    }
}

/// Polls the task in order to see what it waits for, if it is idle.
fn look(task: RawTask, now: Moment) -> (State, Vec<FrameDump>) {
    let collector = Collector::new(now);
    let looked = collector.collect(|| {
        let runnable = task.claim()?;
        let _budget = coop::enter(Some(OPERATIONS));
        // Whatever strand this is an item of: the task is none of it.
        let _run = run::begin();
        // Whoever is to run next takes its turn in a queue.
        drop(runnable.execute());
        Ok(task.state().load())
    });
    match looked.unwrap_or_else(|| Err(task.state().load())) {
        Ok(after) if after.is_complete() => (State::Ended, collector.into_frames()),
        Ok(_) => (State::Idle, collector.into_frames()),
        Err(state) => (State::of(state), Vec::new()),
    }
}

impl State {
    fn of(state: Snapshot) -> Self {
        match state {
            state if state.is_complete() || state.is_ending() => Self::Ended,
            // A task that another dump has claimed is as good as running.
            state if state.is_running() || state.is_tracing() => Self::Running,
            state if state.is_scheduled() => Self::Scheduled,
            _ => Self::Idle,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Scheduled => "scheduled",
            Self::Running => "running",
            Self::Ended => "ended",
        }
    }
}

impl Dump {
    /// As a JSON object: `{"tasks":[…],"strands":[…]}`, whose members are named like the fields here. Durations are in seconds, unknown
    /// values `null`. Frames are a flat list: however deep they are nested, all are in it, and the JSON is not.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = tress::Runtime::new()?;
    /// assert_eq!(tress::trace::dump(runtime.handle()).to_json(), r#"{"tasks":[],"strands":[]}"#);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut json = Json::new();
        json.object(|json| {
            json.key("tasks").array(&self.tasks, |json, task| task.write(json));
            json.key("strands").array(&self.strands, |json, strand| strand.write(json));
        });
        json.into_string()
    }
}

impl TaskDump {
    fn write(&self, json: &mut Json) {
        json.object(|json| {
            json.key("id").number_or_null(Some(self.id));
            json.key("name").string_or_null(self.name.as_deref());
            json.key("strand").string_or_null(self.strand.as_deref());
            json.key("state").string(self.state.name());
            json.key("future").string(self.future);
            json.key("age").seconds_or_null(self.age);
            json.key("polls").number_or_null(Some(self.polls));
            json.key("busy").seconds_or_null(self.busy);
            json.key("spawned_at").location(self.spawned_at);
            json.key("frames").array(&self.frames, |json, frame| frame.write(json));
        });
    }
}

impl StrandDump {
    fn write(&self, json: &mut Json) {
        let metrics = &self.metrics;
        json.object(|json| {
            json.key("name").string(&self.name);
            json.key("state").string(self.state.name());
            json.key("depth").number_or_null(Some(metrics.depth));
            json.key("max_depth").number_or_null(Some(metrics.max_depth));
            json.key("turns").number_or_null(Some(metrics.turns));
            json.key("items").number_or_null(Some(metrics.items));
            json.key("wait").seconds_or_null(metrics.wait);
            json.key("busy").seconds_or_null(metrics.busy);
        });
    }
}

impl FrameDump {
    fn write(&self, json: &mut Json) {
        json.object(|json| {
            json.key("future").string(self.future);
            json.key("awaited_at").location(self.awaited_at);
            json.key("parent").number_or_null(self.parent);
            json.key("depth").number_or_null(Some(self.depth));
            json.key("waits").array(&self.waits, |json, wait| {
                json.object(|json| {
                    json.key("what").string(wait.what);
                    json.key("location").location(Some(wait.location));
                    json.key("waited").seconds_or_null(wait.waited);
                });
            });
        });
    }
}

/// What became ready just when it was looked at may do so many operations with success before it has to ask for another turn.
const OPERATIONS: u16 = 1;
