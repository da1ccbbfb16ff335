//! A multi-threaded, work-stealing async runtime, and the networking stack on top of it.
//!
//! Each worker has its own queue, reactor and timers; idle workers steal tasks, and take over the sockets and timers of
//! a worker that is busy for long. This crate re-exports the others of its workspace: it is the one dependency that a
//! program needs.
//!
//! # Examples
//!
//! An echo server and its client:
//!
//! ```
//! use tress::net::{TcpListener, TcpStream};
//!
//! async fn echo(stream: TcpStream) -> std::io::Result<()> {
//!     let mut buf = [0; 1024];
//!     loop {
//!         match stream.read(&mut buf).await? {
//!             0 => return Ok(()),
//!             read => stream.write_all(&buf[..read]).await?,
//!         }
//!     }
//! }
//!
//! #[tress::main(worker_threads = 2)]
//! async fn main() -> std::io::Result<()> {
//!     let listener = TcpListener::bind("127.0.0.1:0").await?;
//!     let address = listener.local_addr()?;
//!     tress::spawn(async move {
//!         while let Ok((stream, _)) = listener.accept().await {
//!             tress::spawn(echo(stream));
//!         }
//!     });
//!
//!     let stream = TcpStream::connect(address).await?;
//!     stream.write_all(b"hello").await?;
//!     let mut answer = [0; 5];
//!     stream.read_exact(&mut answer).await?;
//!     assert_eq!(&answer, b"hello");
//!     Ok(())
//! }
//! ```
//!
//! # Where to find what
//!
//! | | |
//! |---|---|
//! | [`main`](macro@main), [`test`](macro@test), [`Runtime`], [`Builder`], [`Handle`] | starting a runtime |
//! | [`spawn`], [`task`] | tasks and their handles |
//! | [`task::scope`], [`task::JoinSet`], [`task::CountingScope`] | several tasks at once: waiting for them, and stopping them |
//! | [`task::lazy`], [`task::Lazy`] | futures in frames of their own: recursion, cheap wakes at any depth |
//! | [`net`] | TCP |
//! | [`http`] | an HTTP server on hyper |
//! | [`time`] | timers |
//! | [`frame`] | the memory of tasks and boxed futures: the pool, and other allocators |
//! | [`io`] | the `futures-io` traits and their extensions |
//! | [`join!`], [`try_join!`], [`select!`], [`future`] | several futures at once, in one task |
//! | [`algorithm`] | many futures at once with one result, work shared out over all workers, trying again |
//! | [`stream`] | streams, async generators, and waiting for whichever of many futures is done first |
//! | [`sync`] | locks, channels and notifications between tasks, on those of tokio |
//! | [`stop`] | asking for work to stop, and being told |
//! | [`executor`] | where tasks run: lanes, the current thread, executors of one's own; launching, and running elsewhere for a while |
//! | [`env`](mod@env) | what code runs with: its stop token, and values of its callers |
//! | [`signal`] | ctrl-c and termination |
//! | [`trace`] | what the tasks of a live runtime wait for |
//! | [`strand`] | serial executors, state that belongs to one, and state that is called from anywhere without a lock |
//! | [`runtime`] | the seams below all of these, for leaf operations of one's own |
//!
//! # Features
//!
//! `tracing`, off by default: a [`task::Lazy`] stays in the spans of the crate `tracing`, also where a worker polls it directly; see
//! [`env`](mod@env#spans).
//!
//! # What is not here yet
//!
//! *Files*: [`task::spawn_blocking`] with `std::fs`.

pub use futures_util::{join, select, select_biased, try_join};

pub use tress_net::http;
#[cfg(unix)]
pub use tress_net::signal;
pub use tress_net::socket as net;
// Inlined, as the modules of other crates are below: else it depends on the order in which the crates are documented whether there is a page for it.
#[doc(inline)]
pub use tress_runtime as runtime;
pub use tress_runtime::{
    Builder, Handle, Runtime, algorithm, env, executor, frame, main, spawn, stop, sync, task, test, time,
    trace,
};
#[doc(inline)]
pub use tress_strand as strand;

pub mod future {
    //! What [`join!`](crate::join) and [`select!`](crate::select) need and leave out, from `futures-util`.
    //!
    //! The macros are those of `futures-util`: [`select!`](crate::select) wants futures that are fused and pinned, and its arms
    //! are written `pattern = future => expression`.
    //!
    //! ```
    //! use std::pin::pin;
    //! use std::time::Duration;
    //! use tress::future::FutureExt;
    //!
    //! #[tress::main(worker_threads = 1)]
    //! async fn main() {
    //!     let (one, two) = tress::join!(async { 1 }, async { 2 });
    //!     let mut sum = pin!(async { one + two }.fuse());
    //!     let mut late = pin!(tress::time::sleep(Duration::from_secs(60)).fuse());
    //!     tress::select! {
    //!         sum = sum => assert_eq!(sum, 3),
    //!         () = late => unreachable!("the sum is there at once"),
    //!     }
    //! }
    //! ```
    pub use futures_util::future::{FusedFuture, FutureExt, TryFutureExt, select, try_join_all};
    pub use tress_runtime::algorithm::join_all;
}

pub mod io {
    //! The `futures-io` traits, which every stream here implements, and their extensions from `futures-util`.
    pub use futures_util::io::{
        AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader,
        BufWriter, copy,
    };
}

pub mod stream {
    //! Streams, which give one value after the other, from `futures-util`; and ours: [`generator`] writes one as a function, and
    //! [`chunks_timeout`] gathers items by count and time.
    //!
    //! ```
    //! use tress::io::{AsyncBufReadExt, BufReader};
    //! use tress::net::{TcpListener, TcpStream};
    //! use tress::stream::{StreamExt, TryStreamExt};
    //!
    //! #[tress::main(worker_threads = 1)]
    //! async fn main() -> std::io::Result<()> {
    //!     let listener = TcpListener::bind("127.0.0.1:0").await?;
    //!     let client = TcpStream::connect(listener.local_addr()?).await?;
    //!     client.write_all(b"one\ntwo\nthree\n").await?;
    //!     drop(client);
    //!
    //!     let (server, _) = listener.accept().await?;
    //!     let mut lines = BufReader::new(server).lines();
    //!     assert_eq!(lines.next().await.transpose()?.as_deref(), Some("one"));
    //!     let rest: Vec<String> = lines.try_collect().await?;
    //!     assert_eq!(rest, ["two", "three"]);
    //!     Ok(())
    //! }
    //! ```
    pub use futures_util::stream::{
        FuturesOrdered, FuturesUnordered, Stream, StreamExt, TryStream, TryStreamExt, empty, iter, once,
        poll_fn, select, select_all, try_unfold, unfold,
    };
    pub use tress_runtime::stream::{ChunksTimeout, Emit, Generator, Yielder, chunks_timeout, generator};
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;
