//! A socket and its registration with a reactor, kept together.

use std::io;

use mio::event::Source;
use tress_runtime::reactor::{Interest, Registration};

/// A source that a reactor knows.
///
/// Dropping it closes the source without deregistering it first: the close takes it out of the selector, and spares
/// every connection a system call. If the user has duplicated the descriptor, the selector goes on reporting events of
/// the duplicate; they carry a key that is no longer valid, and are ignored.
#[derive(Debug)]
pub(crate) struct Registered<S> {
    // Dropped first: no event can reach the slot of a source that is closed.
    registration: Registration,
    source: S,
}

impl<S: Source> Registered<S> {
    /// Registers a source that may be ready already.
    pub(crate) fn new(mut source: S, interest: Interest) -> io::Result<Self> {
        let registration = Registration::new(&mut source, interest)?;
        Ok(Self { registration, source })
    }

    /// Registers a source that is not ready before its first event.
    pub(crate) fn new_idle(mut source: S, interest: Interest) -> io::Result<Self> {
        let registration = Registration::new_idle(&mut source, interest)?;
        Ok(Self { registration, source })
    }

    /// Registers what this source has given, which may be ready already: also outside a runtime, with the reactor of this one.
    pub(crate) fn register_given<T: Source>(
        &self,
        mut source: T,
        interest: Interest,
    ) -> io::Result<Registered<T>> {
        let registration = self.registration.register_given(&mut source, interest)?;
        Ok(Registered { registration, source })
    }

    #[inline]
    pub(crate) fn source(&self) -> &S {
        &self.source
    }

    #[inline]
    pub(crate) fn registration(&self) -> &Registration {
        &self.registration
    }

    /// Takes the source out of the reactor.
    pub(crate) fn into_source(self) -> io::Result<S> {
        let Self { registration, mut source } = self;
        registration.deregister(&mut source)?;
        Ok(source)
    }
}
