//! What the tasks of a workload with shared state do.

use super::rounds::Rounds;

/// So many tasks that update a [`Table`](super::table::Table) so many times each.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) tasks: u64,
    pub(crate) calls_per_task: u64,
    /// Rounds of arithmetic within each call.
    pub(crate) inside: u32,
    /// Rounds of arithmetic of the task's own after each call.
    pub(crate) outside: u32,
    /// Whether it is looked at how long single calls take, too.
    pub(crate) has_tail: bool,
}

impl Plan {
    /// That of a variant of `shared`.
    pub(crate) fn shared(variant: &str, is_quick: bool) -> Option<Self> {
        let rounds = Rounds::here();
        let usual = Self {
            tasks: 64,
            calls_per_task: 20_000,
            inside: rounds.update_50ns,
            outside: 0,
            has_tail: false,
        };
        let plan = match variant {
            "10ns" => Self { inside: rounds.update_10ns, ..usual },
            "50ns" => Self { has_tail: true, ..usual },
            "1us" => Self { inside: rounds.update_1us, has_tail: true, ..usual },
            "50ns-outside50" => Self { outside: rounds.spin_50ns, ..usual },
            "50ns-outside500" => Self { outside: rounds.spin_500ns, ..usual },
            "50ns-4" => Self { tasks: 4, calls_per_task: 320_000, ..usual },
            "50ns-512" => Self { tasks: 512, calls_per_task: 2_500, ..usual },
            _ => return None,
        };
        Some(if is_quick { plan.shorter(20) } else { plan })
    }

    /// One task, which nobody is in the way of.
    pub(crate) fn uncontended(is_quick: bool) -> Self {
        let plan = Self {
            tasks: 1,
            calls_per_task: 2_000_000,
            inside: Rounds::here().update_10ns,
            outside: 0,
            has_tail: false,
        };
        if is_quick { plan.shorter(20) } else { plan }
    }

    /// The same with fewer calls.
    pub(crate) fn shorter(self, factor: u64) -> Self {
        Self { calls_per_task: self.calls_per_task / factor, ..self }
    }

    pub(crate) fn calls(self) -> u64 {
        self.tasks * self.calls_per_task
    }
}
