//! Dumps as text.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use super::{Dump, FrameDump, State, StrandDump, StrandState, TaskDump, WaitDump};

/// Each task with its frames below it, indented by their depth; then the named strands. The deeper frames of a long chain are all indented alike, and say how
/// deep they are by a number in brackets.
impl fmt::Display for Dump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.tasks.len();
        writeln!(f, "{count} {}", if count == 1 { "task" } else { "tasks" })?;
        for task in &self.tasks {
            write!(f, "\n{task}")?;
        }
        match self.strands.len() {
            0 => return Ok(()),
            count => writeln!(f, "\n{count} named {}", if count == 1 { "strand" } else { "strands" })?,
        }
        self.strands.iter().try_for_each(|strand| strand.fmt(f))
    }
}

impl fmt::Display for TaskDump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "task {}", self.id)?;
        if let Some(name) = &self.name {
            write!(f, " {name:?}")?;
        }
        if let Some(strand) = &self.strand {
            write!(f, " on {strand:?}")?;
        }
        write!(f, ": {}, {} {}", self.state, self.polls, if self.polls == 1 { "poll" } else { "polls" })?;
        if let Some(age) = self.age {
            write!(f, ", {} old", Rounded(age))?;
        }
        if let Some(busy) = self.busy {
            write!(f, ", {} busy", Rounded(busy))?;
        }
        if let Some(location) = self.spawned_at {
            write!(f, ", spawned at {location}")?;
        }
        writeln!(f)?;
        if self.frames.is_empty() {
            writeln!(f, "  {}", short(self.future))?;
        }
        self.frames.iter().try_for_each(|frame| frame.fmt(f))
    }
}

/// A line.
impl fmt::Display for StrandDump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, state, metrics } = self;
        write!(f, "strand {name:?}: {state}, {} waiting, {} at most", metrics.depth, metrics.max_depth)?;
        let (items, turns) = (metrics.items, metrics.turns);
        write!(f, ", {items} {}", if items == 1 { "item" } else { "items" })?;
        write!(f, " in {turns} {}", if turns == 1 { "turn" } else { "turns" })?;
        if let Some(busy) = metrics.busy {
            write!(f, ", {} busy", Rounded(busy))?;
        }
        if let Some(wait) = metrics.wait {
            write!(f, ", {} queued", Rounded(wait))?;
        }
        writeln!(f)
    }
}

impl fmt::Display for FrameDump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let indent = Indent(self.depth);
        write!(f, "{indent}{}", short(self.future))?;
        if let Some(location) = self.awaited_at {
            write!(f, " at {location}")?;
        }
        writeln!(f)?;
        self.waits.iter().try_for_each(|wait| writeln!(f, "{indent}- {wait}"))
    }
}

impl fmt::Display for WaitDump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.what, self.location)?;
        match self.waited {
            Some(waited) => write!(f, " for {}", Rounded(waited)),
            None => Ok(()),
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for StrandState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The beginning of a line about a frame at this depth.
struct Indent(usize);

impl fmt::Display for Indent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            depth @ ..=DEEPEST_INDENT => write!(f, "{:width$}", "", width = 2 * (depth + 1)),
            // Each line of a recursion further to the right would make the text as wide as it is long.
            depth => write!(f, "{:width$}[{depth}] ", "", width = 2 * (DEEPEST_INDENT + 1)),
        }
    }
}

const DEEPEST_INDENT: usize = 30;

/// A duration with as many digits as are of interest.
struct Rounded(Duration);

impl fmt::Display for Rounded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(duration) = self;
        match duration.as_secs() {
            0 => write!(f, "{duration:.0?}"),
            1..100 => write!(f, "{:.1} s", duration.as_secs_f64()),
            seconds => write!(f, "{seconds} s"),
        }
    }
}

/// The name of a type without the paths of what it consists of, except for the last steps of those: `server::answer::{{closure}}`
/// of `app::http::server::answer::{{closure}}`.
pub(super) fn short(name: &str) -> Cow<'_, str> {
    let is_plain = !name.contains(['<', '(', '[', ' ', ',']);
    if is_plain { Cow::Borrowed(last_steps(name)) } else { Cow::Owned(shorten_each(name)) }
}

fn shorten_each(name: &str) -> String {
    let mut result = String::with_capacity(name.len());
    let mut path = 0;
    for (at, character) in name.char_indices() {
        if matches!(character, '<' | '>' | '(' | ')' | '[' | ']' | ',' | ' ' | '&') {
            result.push_str(last_steps(&name[path..at]));
            result.push(character);
            path = at + character.len_utf8();
        }
    }
    result.push_str(last_steps(&name[path..]));
    result
}

/// The part of a path that names a function and its module, with the closures inside.
fn last_steps(path: &str) -> &str {
    let named = path.trim_end_matches("::{{closure}}");
    let mut steps = named.rmatch_indices("::");
    match (steps.next(), steps.next()) {
        (Some(_), Some((before, _))) => &path[before + 2..],
        _ => path,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Rounded, short};

    #[test]
    fn names_are_shortened() {
        assert_eq!(short("a::b::c::d::{{closure}}::{{closure}}"), "c::d::{{closure}}::{{closure}}");
        assert_eq!(short("d::{{closure}}"), "d::{{closure}}");
        assert_eq!(short("x::y::Map<a::b::c::{{closure}}, u8>"), "y::Map<b::c::{{closure}}, u8>");
        assert_eq!(short("(a::b::c, &d::e::f)"), "(b::c, &e::f)");
    }

    #[test]
    fn durations_are_rounded() {
        let shown = |nanos| Rounded(Duration::from_nanos(nanos)).to_string();
        assert_eq!(shown(0), "0ns");
        assert_eq!(shown(1_234_567), "1ms");
        assert_eq!(shown(1_234_567_890), "1.2 s");
        assert_eq!(shown(123_456_789_012), "123 s");
    }
}
