//! A socket and its registration with a reactor, kept together.

use std::io;

use mio::event::Source;
use tress_runtime::reactor::{Interest, Registration};

/// Deregisters the source when dropped.
#[derive(Debug)]
pub(crate) struct Registered<S: Source> {
    /// `None` only after `into_source`.
    source: Option<S>,
    registration: Registration,
}

impl<S: Source> Registered<S> {
    /// Registers a source that may be ready already.
    pub(crate) fn new(mut source: S, interest: Interest) -> io::Result<Self> {
        let registration = Registration::new(&mut source, interest)?;
        Ok(Self { source: Some(source), registration })
    }

    /// Registers a source that is not ready before its first event.
    pub(crate) fn new_idle(mut source: S, interest: Interest) -> io::Result<Self> {
        let registration = Registration::new_idle(&mut source, interest)?;
        Ok(Self { source: Some(source), registration })
    }

    #[inline]
    pub(crate) fn source(&self) -> &S {
        self.source.as_ref().expect("only `into_source` takes the source, and it consumes `self`")
    }

    #[inline]
    pub(crate) fn registration(&self) -> &Registration {
        &self.registration
    }

    /// Takes the source out of the reactor.
    pub(crate) fn into_source(mut self) -> io::Result<S> {
        let mut source = self.source.take().expect("only this takes the source");
        self.registration.deregister(&mut source)?;
        Ok(source)
    }
}

impl<S: Source> Drop for Registered<S> {
    fn drop(&mut self) {
        if let Some(mut source) = self.source.take() {
            // An error leaves nothing to do: the descriptor is closed next, which deregisters it too.
            let _ = self.registration.deregister(&mut source);
        }
    }
}
