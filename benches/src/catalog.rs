//! What can be measured, and on whom.

use crate::peer::Peer;

/// One workload, or those variants of it that the same peers take part in; its variants are measured and reported one by one.
#[derive(Debug)]
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    /// [`PLAIN`] alone if there is only one way to run it.
    pub(crate) variants: &'static [&'static str],
    pub(crate) unit: &'static str,
    pub(crate) better: Better,
    pub(crate) peers: &'static [Peer],
    pub(crate) about: &'static str,
}

impl Workload {
    /// `name` or `name/variant`.
    pub(crate) fn label(&self, variant: &str) -> String {
        if variant == PLAIN { self.name.to_owned() } else { format!("{}/{variant}", self.name) }
    }
}

/// Which way a value is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Better {
    Lower,
    Higher,
}

impl Better {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Lower => "lower",
            Self::Higher => "higher",
        }
    }
}

/// The variant of a workload that has only one.
pub(crate) const PLAIN: &str = "default";

const RUNTIMES: &[Peer] =
    &[Peer::Tress, Peer::Tokio, Peer::TokioMimalloc, Peer::TokioCurrentThread, Peer::Smol];

/// An await that is ready at once sees the allocator and not the runtime, so tokio on each allocator stands for all.
const AWAITERS: &[Peer] = &[Peer::Tress, Peer::Tokio, Peer::TokioMimalloc];

const HANDOVERS: &[Peer] = &[Peer::Tress, Peer::Tokio, Peer::Smol];

/// Pools that share out work that computes.
const COMPUTERS: &[Peer] = &[Peer::Tress, Peer::Rayon];

const ALONE: &[Peer] = &[Peer::Tress];

const SERVERS: &[Peer] =
    &[Peer::Tress, Peer::Tokio, Peer::TokioMimalloc, Peer::TokioCurrentThread, Peer::Smol, Peer::Epoll];

const HTTP_SERVERS: &[Peer] = &[
    Peer::Tress,
    Peer::Tokio,
    Peer::TokioMimalloc,
    Peer::TokioCurrentThread,
    Peer::Smol,
    Peer::Epoll,
    Peer::Nginx,
];

const ALLOCATORS: &[Peer] = &[Peer::Tress, Peer::Glibc, Peer::Jemalloc, Peer::Mimalloc, Peer::Snmalloc];

const ALLOCATORS_AND_LIMIT: &[Peer] =
    &[Peer::Tress, Peer::Glibc, Peer::Jemalloc, Peer::Mimalloc, Peer::Snmalloc, Peer::FreeList];

/// Ways for tasks to share state.
const SHARERS: &[Peer] = &[
    Peer::Tress,
    Peer::TressStrand,
    Peer::Bare,
    Peer::TokioMutex,
    Peer::TokioActor,
    Peer::StdMutex,
    Peer::ParkingLot,
    Peer::Asio,
];

/// The same where there is one task: what a call costs by itself.
const CALLED: &[Peer] =
    &[Peer::Tress, Peer::Bare, Peer::TokioMutex, Peer::TokioActor, Peer::StdMutex, Peer::ParkingLot];

/// Queues whose items do not overlap.
const SERIAL_QUEUES: &[Peer] = &[Peer::Tress, Peer::TokioActor, Peer::Asio];

/// Pools that are posted to directly.
const POOLS: &[Peer] = &[Peer::Tress, Peer::Tokio, Peer::Asio];

const HOSTAGE_SERVERS: &[Peer] = &[Peer::Tress, Peer::Tokio, Peer::Smol];

/// Every workload, in the order in which they run.
pub(crate) const WORKLOADS: &[Workload] = &[
    Workload {
        name: "spawn_join",
        variants: &[PLAIN],
        unit: "ns/op",
        better: Better::Lower,
        peers: RUNTIMES,
        about: "200k empty tasks in batches of 1000, spawned and joined by a task",
    },
    Workload {
        name: "spawn_remote",
        variants: &[PLAIN],
        unit: "ns/op",
        better: Better::Lower,
        peers: RUNTIMES,
        about: "200k empty tasks spawned by a thread outside the runtime, until all have run",
    },
    Workload {
        name: "block_on_spawn",
        variants: &[PLAIN],
        unit: "ns/op",
        better: Better::Lower,
        peers: RUNTIMES,
        about: "spawn and join one task at a time from block_on",
    },
    Workload {
        name: "yield",
        variants: &[PLAIN],
        unit: "ns/op",
        better: Better::Lower,
        peers: RUNTIMES,
        about: "1000 tasks that yield 1000 times each",
    },
    Workload {
        name: "chained_spawn",
        variants: &[PLAIN],
        unit: "ns/op",
        better: Better::Lower,
        peers: RUNTIMES,
        about: "each task spawns the next, 1000 deep",
    },
    Workload {
        name: "ping_pong",
        variants: &["slot", "oneshot"],
        unit: "ns/op",
        better: Better::Lower,
        peers: RUNTIMES,
        about: "1000 pairs; slot: long-lived pairs, one round trip an op; oneshot: a fresh pair of tasks and channels an op",
    },
    Workload {
        name: "fork_join",
        variants: &[PLAIN],
        unit: "ms",
        better: Better::Lower,
        peers: RUNTIMES,
        about: "fib 24, a task per node (150,049 of them)",
    },
    Workload {
        name: "join_handover",
        variants: &[PLAIN],
        unit: "ns/op",
        better: Better::Lower,
        peers: HANDOVERS,
        about: "1M (100k when quick) empty tasks, each spawned and joined by a task before the next",
    },
    Workload {
        name: "lazy_call",
        variants: &["bare", "plain", "lifo", "mix"],
        unit: "ns/op",
        better: Better::Lower,
        peers: AWAITERS,
        about: "await what is ready at once; bare: no future; plain: an async fn; lifo: that in a frame; mix: frames of 64 B to 2 KiB, 64 live",
    },
    Workload {
        name: "deep_wake",
        variants: &["1", "1000"],
        unit: "ns/op",
        better: Better::Lower,
        peers: HANDOVERS,
        about: "wake the leaf of that many frames, each awaited by the one before",
    },
    Workload {
        name: "deep_wake",
        variants: &["100000"],
        unit: "ns/op",
        better: Better::Lower,
        peers: ALONE,
        about: "the same so deep that a chain of boxed futures overflows the stack",
    },
    Workload {
        name: "deep_chain",
        variants: &["build", "complete", "error", "panic", "cancel", "drop"],
        unit: "ns/level",
        better: Better::Lower,
        peers: ALONE,
        about: "1M frames (panic: 100k when quick), each awaited by the one before, on a stack of 64 KiB",
    },
    Workload {
        name: "deep_chain",
        variants: &["memory"],
        unit: "bytes/level",
        better: Better::Lower,
        peers: ALONE,
        about: "resident memory of 1M waiting frames, beyond their futures",
    },
    Workload {
        name: "idle_memory",
        variants: &[PLAIN],
        unit: "bytes/task",
        better: Better::Lower,
        peers: RUNTIMES,
        about: "resident memory of 1M (250k when quick) pending tasks with a 64-byte future each",
    },
    Workload {
        name: "frame_alloc",
        variants: &["lifo", "mix"],
        unit: "ns/op",
        better: Better::Lower,
        peers: ALLOCATORS_AND_LIMIT,
        about: "a frame allocated and freed; lifo: a tree of calls, 66 frames; mix: random sizes (64 B to 2 KiB) and lifetimes",
    },
    Workload {
        name: "frame_alloc",
        variants: &["cross"],
        unit: "ns/op",
        better: Better::Lower,
        peers: ALLOCATORS,
        about: "each of 100M frames (5M when quick) is freed on another thread; fails if memory grows",
    },
    Workload {
        name: "env_with",
        variants: &["empty", "value"],
        unit: "ns/op",
        better: Better::Lower,
        peers: ALONE,
        about: "a look at the current environment for a value; value: where there is one, behind another",
    },
    Workload {
        name: "stop_callback",
        variants: &["alone", "million"],
        unit: "ns/op",
        better: Better::Lower,
        peers: ALONE,
        about: "a callback registered with a stop token and dropped; million: while that many others are registered",
    },
    Workload {
        name: "run_on",
        variants: &["lane", "runtime"],
        unit: "ns/op",
        better: Better::Lower,
        peers: AWAITERS,
        about: "a task goes to another executor and comes back: a lane of its runtime, another runtime; others spawn a task there and join it",
    },
    Workload {
        name: "when_all",
        variants: &[PLAIN],
        unit: "ns/op",
        better: Better::Lower,
        peers: AWAITERS,
        about: "1000 futures that are ready at once, awaited together: when_all, and the join_all of futures",
    },
    Workload {
        name: "bulk",
        variants: &[PLAIN],
        unit: "ns/op",
        better: Better::Lower,
        peers: COMPUTERS,
        about: "a function of two nanoseconds called for 10M numbers, on two threads",
    },
    Workload {
        name: "shared",
        variants: &["10ns", "50ns", "1us", "50ns-outside50", "50ns-outside500", "50ns-4", "50ns-512"],
        unit: "ns/op",
        better: Better::Lower,
        peers: SHARERS,
        about: "64 tasks update one map 20,000 times each (1,000 when quick); work in a call, work of the task's own between, other numbers of tasks",
    },
    Workload {
        name: "actor_uncontended",
        variants: &[PLAIN],
        unit: "ns/op",
        better: Better::Lower,
        peers: CALLED,
        about: "one task calls what nobody else uses, with 10 ns of work",
    },
    Workload {
        name: "strand_post",
        variants: &["remote", "self"],
        unit: "ns/op",
        better: Better::Lower,
        peers: SERIAL_QUEUES,
        about: "a closure posted to a strand and run; remote: 200k in a burst by a thread outside; self: each by the one before",
    },
    Workload {
        name: "strand_post",
        variants: &["pool"],
        unit: "ns/op",
        better: Better::Lower,
        peers: POOLS,
        about: "the same chain without a strand",
    },
    Workload {
        name: "strand_neighbour",
        variants: &["local", "remote", "worst"],
        unit: "us",
        better: Better::Lower,
        peers: SERIAL_QUEUES,
        about: "how long a task waits beside a strand with 100k items of 1 us (20k when quick) on one worker: first turn, longest wait",
    },
    Workload {
        name: "echo",
        variants: &["1", "64", "512"],
        unit: "requests/s",
        better: Better::Higher,
        peers: SERVERS,
        about: "64-byte echo over that many connections, one request outstanding on each",
    },
    Workload {
        name: "connections",
        variants: &[PLAIN],
        unit: "ns/op",
        better: Better::Lower,
        peers: SERVERS,
        about: "accept, one byte in and out, close; 16 in flight",
    },
    Workload {
        name: "http_plaintext",
        variants: &[PLAIN],
        unit: "ns/op",
        better: Better::Lower,
        peers: HTTP_SERVERS,
        about: "HTTP/1.1 GET of 13 bytes over 64 keep-alive connections, no pipelining",
    },
    Workload {
        name: "hostage",
        variants: &[PLAIN],
        unit: "ms",
        better: Better::Lower,
        peers: HOSTAGE_SERVERS,
        about: "p99 latency of 64 echo connections and 16 timers while one of the tasks burns CPU for 1 s (0.5 s when quick)",
    },
];
