//! A source's place in a reactor. How operations wait there is in `operation`.

use std::io;

use mio::event::Source;
use mio::{Interest, Token};

use super::driver::Reactor;
use super::slab::{Key, Refused};
use super::slot::Slot;
use super::snapshot::Flags;
use crate::context;
use crate::handle::no_runtime;
use crate::primitive::sync::Arc;

/// A source that is known to a reactor.
///
/// It knows in which directions the source is ready and wakes those who wait for it to be. The source stays with its
/// owner, who calls [`deregister`](Self::deregister) before it closes the source; dropping the registration ends it,
/// whatever events are still on their way.
///
/// Any number of tasks may wait at the same time, in either direction, on any thread and on any executor; an event
/// wakes all of its direction. Who waits until the runtime is gone gets an error.
///
/// Operations must report [`WouldBlock`](io::ErrorKind::WouldBlock) only if the source itself did: it is taken for
/// proof that the source is not ready, and then only an event makes it ready again.
///
/// # Examples
///
/// A stream of one's own:
///
/// ```no_run
/// use std::io::{self, Read};
/// use tress::runtime::reactor::{Direction, Interest, Registration, mio::net::TcpStream};
///
/// struct Stream {
///     source: TcpStream,
///     registration: Registration,
/// }
///
/// impl Stream {
///     fn new(mut source: TcpStream) -> io::Result<Self> {
///         let registration = Registration::new(&mut source, Interest::READABLE | Interest::WRITABLE)?;
///         Ok(Self { source, registration })
///     }
///
///     async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
///         let full = buffer.len();
///         self.registration.transfer(Direction::Read, "stream read", full, || (&self.source).read(buffer)).await
///     }
/// }
///
/// impl Drop for Stream {
///     fn drop(&mut self) {
///         let _ = self.registration.deregister(&mut self.source);
///     }
/// }
/// ```
#[derive(Debug)]
pub struct Registration {
    reactor: Arc<Reactor>,
    key: Key,
}

impl Registration {
    /// Registers a source with the current worker's reactor.
    ///
    /// It starts as ready in both directions: the first operation tries its system call.
    ///
    /// # Errors
    ///
    /// Of the kind [`NotFound`](io::ErrorKind::NotFound) outside a runtime, after the runtime was shut down, and whatever the selector says
    /// (a descriptor that cannot be polled, no memory).
    ///
    /// # Examples
    ///
    /// ```
    /// use tress::runtime::reactor::{Interest, Registration, mio::net::UdpSocket};
    ///
    /// let mut socket = UdpSocket::bind("127.0.0.1:0".parse().unwrap())?;
    /// let error = Registration::new(&mut socket, Interest::READABLE).unwrap_err();
    /// assert!(error.to_string().contains("runtime"), "there is none here");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn new(source: &mut impl Source, interest: Interest) -> io::Result<Self> {
        Self::new_in(&current_reactor()?, source, interest)
    }

    /// Registers what this source has given, such as a connection that a listener has accepted: with the current worker's reactor, or, outside a
    /// runtime, with that of this registration.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new), other than outside a runtime.
    ///
    /// # Examples
    ///
    /// ```
    /// use tress::runtime::reactor::{Direction, Interest, Registration, mio::net::TcpListener};
    ///
    /// let runtime = tress::Runtime::new()?;
    /// let mut listener = TcpListener::bind("127.0.0.1:0".parse().unwrap())?;
    /// let entered = runtime.handle().enter();
    /// let registration = Registration::new(&mut listener, Interest::READABLE)?;
    /// drop(entered);
    /// let peer = std::net::TcpStream::connect(listener.local_addr()?)?;
    /// let (mut stream, _) = loop {
    ///     match listener.accept() {
    ///         Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
    ///         accepted => break accepted?,
    ///     }
    /// };
    /// let accepted = registration.register_given(&mut stream, Interest::READABLE)?;
    /// # drop((accepted, peer));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn register_given(&self, source: &mut impl Source, interest: Interest) -> io::Result<Self> {
        match context::current_reactor() {
            Some(reactor) => Self::new_in(&reactor, source, interest),
            None => Self::new_in(&self.reactor, source, interest),
        }
    }

    /// Registers a source that is not ready yet, such as a connecting socket.
    ///
    /// Operations wait for the first event.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn example() -> std::io::Result<()> {
    /// use tress::runtime::reactor::{Direction, Interest, Registration, mio::net::TcpStream};
    ///
    /// let mut stream = TcpStream::connect("127.0.0.1:80".parse().unwrap())?;
    /// let registration = Registration::new_idle(&mut stream, Interest::READABLE | Interest::WRITABLE)?;
    /// registration.ready(Direction::Write, "tcp connect").await?;
    /// # Ok(()) }
    /// ```
    pub fn new_idle(source: &mut impl Source, interest: Interest) -> io::Result<Self> {
        Self::new_idle_in(&current_reactor()?, source, interest)
    }

    /// As [`new`](Self::new), with this reactor.
    pub(crate) fn new_in(
        reactor: &Arc<Reactor>,
        source: &mut impl Source,
        interest: Interest,
    ) -> io::Result<Self> {
        Self::with_flags(reactor, source, interest, Flags::READABLE.with(Flags::WRITABLE, true))
    }

    /// As [`new_idle`](Self::new_idle), with this reactor.
    pub(crate) fn new_idle_in(
        reactor: &Arc<Reactor>,
        source: &mut impl Source,
        interest: Interest,
    ) -> io::Result<Self> {
        Self::with_flags(reactor, source, interest, Flags::NONE)
    }

    fn with_flags(
        reactor: &Arc<Reactor>,
        source: &mut impl Source,
        interest: Interest,
        flags: Flags,
    ) -> io::Result<Self> {
        let key = reactor.slab().allocate(flags).map_err(|refused| match refused {
            Refused::Full => {
                let message = format!("too many registrations in the reactor of worker {}", reactor.index());
                io::Error::new(io::ErrorKind::OutOfMemory, message)
            }
            Refused::ShutDown => shut_down(),
        })?;
        // If the selector refuses, the drop of this gives the slot back.
        let registration = Self { reactor: Arc::clone(reactor), key };
        reactor.registry().register(source, Token(key.to_bits()), with_urgent(interest))?;
        Ok(registration)
    }

    /// Takes the source out of the selector.
    ///
    /// To be called before the source is closed or handed on: another descriptor may keep it open, and its events
    /// coming. Events on their way are ignored once the registration is dropped.
    ///
    /// # Errors
    ///
    /// What the selector says, such as that it does not know the source.
    ///
    /// # Examples
    ///
    /// See [`Registration`].
    pub fn deregister(&self, source: &mut impl Source) -> io::Result<()> {
        self.reactor.registry().deregister(source)
    }

    #[inline]
    pub(super) fn slot(&self) -> &Slot {
        self.reactor.slab().slot(self.key)
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.reactor.slab().release(self.key);
    }
}

/// Readers also hear of urgent data, at whose mark a read stops although more is there.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn with_urgent(interest: Interest) -> Interest {
    if interest.is_readable() { interest | Interest::PRIORITY } else { interest }
}

/// Nothing tells of urgent data here: a read that it cuts short is taken for the last one until more comes.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn with_urgent(interest: Interest) -> Interest {
    interest
}

fn current_reactor() -> io::Result<Arc<Reactor>> {
    context::current_reactor().ok_or_else(no_runtime)
}

#[cold]
pub(super) fn shut_down() -> io::Error {
    io::Error::other("the tress runtime that this source was registered with was shut down")
}
