//! TCP.
//!
//! Sockets belong to a reactor from the moment they are made, so making one needs a runtime: the functions here give
//! an `io::Error` outside one. On another thread or executor, [`Handle::enter`](tress_runtime::Handle::enter) says which
//! runtime is meant. Once made, a socket may be awaited from any executor.
//!
//! All methods take `&self`, and any number of tasks may wait on the same socket.
//!
//! Every operation tries its system call first and waits only if that would block. A buffer of length zero gives
//! `Ok(0)` without a system call.

mod accept_backoff;
mod addrs;
pub(crate) mod registered;
mod split;
mod split_owned;
mod tcp_listener;
mod tcp_socket;
mod tcp_stream;

use std::future::poll_fn;
use std::panic::Location;
use std::task::Poll;

use tress_runtime::leaf::Wait;

pub use addrs::{ToSocketAddrs, lookup_host};
pub use split::{ReadHalf, WriteHalf};
pub use split_owned::{OwnedReadHalf, OwnedWriteHalf, ReuniteError};
pub use std::net::Shutdown;
pub use tcp_listener::TcpListener;
pub use tcp_socket::TcpSocket;
pub use tcp_stream::TcpStream;
pub use tress_runtime::reactor::{Interest, Ready};

/// Lets an operation of several steps begin, unless whoever awaits it is to stop.
async fn begin(what: &'static str, caller: &'static Location<'static>) {
    let mut wait = Wait::at(what, caller);
    poll_fn(|cx| wait.poll(cx, |_| Poll::Ready(()))).await;
}
