//! The runtimes and servers that are compared, and the two traits through which a workload sees a runtime.

mod asio;
mod epoll;
mod frames;
mod nginx;
mod smol;
mod tokio;
mod tress;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use futures_util::future::join_all;

pub(crate) use self::asio::Asio;
pub(crate) use self::epoll::EpollServer;
pub(crate) use self::frames::{Frames, FreeList, Malloc, SYSTEM};
pub(crate) use self::nginx::{Nginx, nginx_path};
pub(crate) use self::smol::Smol;
pub(crate) use self::tokio::Tokio;
pub(crate) use self::tress::Tress;
use crate::allocator;

/// One of the things that are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    Tress,
    Tokio,
    TokioMimalloc,
    TokioCurrentThread,
    Smol,
    /// A bare single-threaded epoll loop: the limit for a server.
    Epoll,
    /// nginx, where it is installed.
    Nginx,
    /// The system's allocator; like those that follow, it takes part in `frame_alloc` only.
    Glibc,
    Jemalloc,
    Mimalloc,
    Snmalloc,
    /// A bare thread-local list of free blocks: the limit for an allocator.
    FreeList,
    /// A pool for work that computes; takes part in `bulk` only.
    Rayon,
    /// Tasks that live on a strand, where [`Tress`](Self::Tress) is an actor that is called; like those that follow, it takes part only where
    /// work must not overlap.
    TressStrand,
    /// The work by itself, in one thread that shares with nobody: the limit for those that share.
    Bare,
    /// tokio with its own mutex.
    TokioMutex,
    /// tokio with a task that is sent messages.
    TokioActor,
    /// tokio with the mutex of the standard library.
    StdMutex,
    /// tokio with that of `parking_lot`.
    ParkingLot,
    /// Strands on a pool of threads in C++, where that can be built.
    Asio,
}

impl Peer {
    pub(crate) const ALL: [Self; 20] = [
        Self::Tress,
        Self::Tokio,
        Self::TokioMimalloc,
        Self::TokioCurrentThread,
        Self::Smol,
        Self::Epoll,
        Self::Nginx,
        Self::Glibc,
        Self::Jemalloc,
        Self::Mimalloc,
        Self::Snmalloc,
        Self::FreeList,
        Self::Rayon,
        Self::TressStrand,
        Self::Bare,
        Self::TokioMutex,
        Self::TokioActor,
        Self::StdMutex,
        Self::ParkingLot,
        Self::Asio,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Tress => "tress",
            Self::Tokio => "tokio",
            Self::TokioMimalloc => "tokio+mimalloc",
            Self::TokioCurrentThread => "tokio-ct",
            Self::Smol => "smol",
            Self::Epoll => "epoll",
            Self::Nginx => "nginx",
            Self::Glibc => "glibc",
            Self::Jemalloc => "jemalloc",
            Self::Mimalloc => "mimalloc",
            Self::Snmalloc => "snmalloc",
            Self::FreeList => "free-list",
            Self::Rayon => "rayon",
            Self::TressStrand => "tress-strand",
            Self::Bare => "bare",
            Self::TokioMutex => "tokio-mutex",
            Self::TokioActor => "tokio-actor",
            Self::StdMutex => "std-mutex",
            Self::ParkingLot => "parking-lot",
            Self::Asio => "asio",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|peer| peer.name() == name)
    }

    pub(crate) fn is_ours(self) -> bool {
        self == Self::Tress
    }

    /// Whether this is a yardstick, or another way of tress's, rather than a runtime or an allocator: it is never the "best peer".
    pub(crate) fn is_reference(self) -> bool {
        matches!(self, Self::Epoll | Self::Nginx | Self::FreeList | Self::Bare | Self::TressStrand)
    }

    /// Why this peer cannot run here, if it cannot.
    pub(crate) fn missing(self) -> Option<String> {
        match self {
            Self::Nginx if nginx_path().is_none() => {
                Some("no nginx in PATH, /usr/sbin or /usr/local/sbin".to_owned())
            }
            Self::Asio => Asio::missing(),
            _ => None,
        }
    }

    /// Sets the environment of a process that will run this peer.
    pub(crate) fn prepare(self, command: &mut Command) {
        command.env_remove(allocator::VARIABLE);
        if self == Self::TokioMimalloc {
            command.env(allocator::VARIABLE, "mimalloc");
        }
    }
}

/// What the workloads need of a runtime. The handle is cheap to clone; the associated functions act on the runtime that the caller runs in.
pub(crate) trait Rt: Clone + Send + Sync + 'static {
    /// A spawned task; awaiting it gives its output.
    type Task<T: Send + 'static>: Future<Output = T> + Send + 'static;

    /// A future in an allocation of its own whose type does not show what is inside, so that it can recurse.
    type ErasedFrame<T: Send + 'static>: Future<Output = T> + Send + 'static;

    fn block_on<F: Future>(&self, future: F) -> F::Output;

    /// Keeps a runtime that works only inside `block_on` going without the caller.
    fn run_in_background(&self) {}

    /// Spawns from a thread that is not part of the runtime; the task is detached.
    fn spawn_remote<F: Future<Output = ()> + Send + 'static>(&self, future: F);

    fn spawn<F>(future: F) -> Self::Task<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static;

    fn spawn_detached<F: Future<Output = ()> + Send + 'static>(future: F);

    /// Where a future can be run that is not where the calling task runs: for [`away`](Self::away). `is_other` asks for another runtime with
    /// threads of its own; else it is another part of this one, if there are any.
    type Place: Clone + Send + Sync + 'static;

    fn place(&self, is_other: bool) -> Self::Place;

    /// Runs a future there, and goes on here.
    fn away<F>(place: &Self::Place, future: F) -> impl Future<Output = F::Output> + Send
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static;

    /// Puts a future into an allocation of its own, in the way that costs this runtime's users least.
    fn frame<F>(future: F) -> impl Future<Output = F::Output> + Send
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static;

    fn erased_frame<F>(future: F) -> Self::ErasedFrame<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static;

    /// Runs futures side by side and adds up what they give, in the way that costs this runtime's users least.
    fn add_all<F>(futures: impl Iterator<Item = F> + Send) -> impl Future<Output = u64> + Send
    where
        F: Future<Output = Result<u64, Infallible>> + Send,
    {
        let all = join_all(futures);
        async { all.await.into_iter().map(|Ok(number)| number).sum() }
    }

    fn yield_now() -> impl Future<Output = ()> + Send;

    fn sleep(duration: Duration) -> impl Future<Output = ()> + Send;
}

/// What the server workloads need of a runtime.
pub(crate) trait Net: Rt {
    type Listener: Send + Sync + 'static;
    type Stream: Send + 'static;

    fn bind(address: SocketAddr) -> impl Future<Output = io::Result<Self::Listener>> + Send;

    fn local_address(listener: &Self::Listener) -> io::Result<SocketAddr>;

    /// Accepts a connection and sets `TCP_NODELAY` on it.
    fn accept(listener: &Self::Listener) -> impl Future<Output = io::Result<Self::Stream>> + Send;

    fn read(stream: &mut Self::Stream, buffer: &mut [u8]) -> impl Future<Output = io::Result<usize>> + Send;

    fn write_all(stream: &mut Self::Stream, bytes: &[u8]) -> impl Future<Output = io::Result<()>> + Send;

    /// Answers every request with [`PLAINTEXT`](crate::server::PLAINTEXT) through hyper, for as long as the process lives.
    fn serve_http(listener: Self::Listener) -> impl Future<Output = io::Result<()>> + Send;
}

/// The worker threads of every multi-threaded peer.
pub(crate) const WORKERS: usize = 2;
