//! A multi-threaded, work-stealing async runtime with strands, and the networking stack on top of it.
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
//!         loop {
//!             let (stream, _) = listener.accept().await?;
//!             tress::spawn(echo(stream));
//!         }
//!         # #[allow(unreachable_code, reason = "gives the task its type")]
//!         # std::io::Result::Ok(())
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
//! | [`task::lazy`], [`task::Lazy`] | futures in frames of their own: recursion, cheap wakes at any depth |
//! | [`net`] | TCP |
//! | [`http`] | an HTTP server on hyper |
//! | [`time`] | timers |
//! | [`frame`] | the memory of tasks and boxed futures: the pool, and other allocators |
//! | [`io`] | the `futures-io` traits and their extensions |
//! | [`signal`] | ctrl-c |
//! | [`trace`] | what the tasks of a live runtime wait for |
//! | [`strand`] | serial executors |
//! | [`runtime`] | the seams below all of these, for leaf operations of one's own |

pub use futures_util::{join, select, select_biased, try_join};

pub use tress_net::http;
#[cfg(unix)]
pub use tress_net::signal;
pub use tress_net::socket as net;
pub use tress_runtime as runtime;
pub use tress_runtime::{Builder, Handle, Runtime, frame, main, spawn, task, test, time, trace};
pub use tress_strand as strand;

pub mod future {
    //! What [`join!`](crate::join) and [`select!`](crate::select) need and leave out, from `futures-util`.
    pub use futures_util::future::{FusedFuture, FutureExt, TryFutureExt, join_all, select, try_join_all};
}

pub mod io {
    //! The `futures-io` traits, which every stream here implements, and their extensions from `futures-util`.
    pub use futures_util::io::{
        AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader,
        BufWriter, copy,
    };
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;
