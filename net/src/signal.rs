//! Signals of the operating system.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::task::{Context, Poll};

use signal_hook::SigId;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::low_level::{pipe, unregister};
use tress_runtime::Handle;
use tress_runtime::leaf::Wait;
use tress_runtime::reactor::{Direction, Interest};
use tress_runtime::stop::{StopSource, StopToken};

use crate::socket::registered::Registered;

/// Waits for the next ctrl-c (`SIGINT`).
///
/// The signal is caught from the call on, not only from the first poll. Each call makes a waiter of its own, and a
/// signal reaches all of them. From the first call on, ctrl-c no longer ends the process by itself, even when no
/// waiter is left.
///
/// # Errors
///
/// The future gives an error if there was no current runtime when it was made, or no descriptor was to be had.
///
/// # Cancel safety
///
/// Dropping it consumes no signal of other waiters.
///
/// # Examples
///
/// ```no_run
/// #[tress::main]
/// async fn main() -> std::io::Result<()> {
///     println!("press ctrl-c");
///     tress::signal::ctrl_c().await?;
///     println!("good bye");
///     Ok(())
/// }
/// ```
#[track_caller]
pub fn ctrl_c() -> CtrlC {
    CtrlC(Signal::new(SIGINT, "ctrl-c"))
}

/// Waits until the process is next asked to end (`SIGTERM`), as `kill` and service managers do.
///
/// The signal is caught from the call on, not only from the first poll. Each call makes a waiter of its own, and a
/// signal reaches all of them. From the first call on, the signal no longer ends the process by itself, even when no
/// waiter is left.
///
/// # Errors
///
/// The future gives an error if there was no current runtime when it was made, or no descriptor was to be had.
///
/// # Cancel safety
///
/// Dropping it consumes no signal of other waiters.
///
/// # Examples
///
/// Whichever comes first, as a server wants it:
///
/// ```no_run
/// use tress::future::select;
///
/// #[tress::main]
/// async fn main() {
///     select(tress::signal::ctrl_c(), tress::signal::terminate()).await;
///     println!("good bye");
/// }
/// ```
#[track_caller]
pub fn terminate() -> Terminate {
    Terminate(Signal::new(SIGTERM, "terminate"))
}

/// A token that is asked to stop by the next ctrl-c (`SIGINT`).
///
/// The signal is caught from the call on, as by [`ctrl_c`]; a task of the current runtime waits for it.
///
/// # Errors
///
/// If there is no current runtime, or no descriptor is to be had.
///
/// # Examples
///
/// A program whose work is stopped by ctrl-c, and which then cleans up:
///
/// ```no_run
/// use std::time::Duration;
/// use tress::{env, signal, stop, time};
///
/// #[tress::main]
/// async fn main() -> std::io::Result<()> {
///     let work = async {
///         loop {
///             time::sleep(Duration::from_secs(1)).await;
///             println!("tick");
///         }
///     };
///     let work: stop::Outcome<()> = stop::outcome(env::scope().stop(signal::ctrl_c_token()?).run(work)).await;
///     println!("good bye: {work:?}");
///     Ok(())
/// }
/// ```
#[track_caller]
pub fn ctrl_c_token() -> io::Result<StopToken> {
    stopped_by(Signal::new(SIGINT, "ctrl-c"))
}

/// A token that is asked to stop when the process is next asked to end (`SIGTERM`); see [`ctrl_c_token`].
///
/// # Errors
///
/// If there is no current runtime, or no descriptor is to be had.
#[track_caller]
pub fn terminate_token() -> io::Result<StopToken> {
    stopped_by(Signal::new(SIGTERM, "terminate"))
}

/// A token that is asked to stop by a signal.
fn stopped_by(mut signal: Signal) -> io::Result<StopToken> {
    let runtime = Handle::try_current()?;
    signal.check()?;
    let source = StopSource::new();
    let token = source.token();
    runtime.spawn(async move {
        // An error is the end of the runtime, and of this task with it.
        if poll_fn(|cx| signal.poll(cx)).await.is_ok() {
            source.request_stop();
        }
    });
    Ok(token)
}

/// The future of [`ctrl_c`].
#[must_use = "futures do nothing unless awaited"]
pub struct CtrlC(Signal);

/// The future of [`terminate`].
#[must_use = "futures do nothing unless awaited"]
pub struct Terminate(Signal);

impl Future for CtrlC {
    type Output = io::Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll(cx)
    }
}

impl Future for Terminate {
    type Output = io::Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll(cx)
    }
}

impl fmt::Debug for CtrlC {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CtrlC").finish_non_exhaustive()
    }
}

impl fmt::Debug for Terminate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Terminate").finish_non_exhaustive()
    }
}

/// The wait for one signal.
struct Signal {
    waiter: Result<Waiter, Option<io::Error>>,
    wait: Wait,
}

impl Signal {
    #[track_caller]
    fn new(signal: i32, what: &'static str) -> Self {
        Self { waiter: Waiter::new(signal).map_err(Some), wait: Wait::new(what) }
    }

    /// Whether the signal is caught.
    fn check(&mut self) -> io::Result<()> {
        match &mut self.waiter {
            Ok(_) => Ok(()),
            Err(error) => Err(error.take().expect("a signal that is not caught is not used again")),
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.waiter {
            Ok(waiter) => waiter.poll(cx, &mut self.wait),
            Err(error) => Poll::Ready(Err(error.take().expect("a finished future is not polled again"))),
        }
    }
}

/// One end of a socket pair; the signal handler writes a byte to the other.
struct Waiter {
    handler: SigId,
    pipe: Registered<mio::net::UnixStream>,
}

impl Waiter {
    fn new(signal: i32) -> io::Result<Self> {
        let (read_end, write_end) = UnixStream::pair()?;
        read_end.set_nonblocking(true)?;
        let pipe = Registered::new(mio::net::UnixStream::from_std(read_end), Interest::READABLE)?;
        let handler = pipe::register(signal, write_end)?;
        Ok(Self { handler, pipe })
    }

    fn poll(&self, cx: &mut Context<'_>, wait: &mut Wait) -> Poll<io::Result<()>> {
        let mut source = self.pipe.source();
        let mut bytes = [0; 16];
        self.pipe.registration().poll_io(cx, Direction::Read, wait, || source.read(&mut bytes)).map_ok(drop)
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        unregister(self.handler);
    }
}
