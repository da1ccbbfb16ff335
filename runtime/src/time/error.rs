//! Errors of timers.

use std::{fmt, io};

/// The deadline of a [`timeout`](super::timeout()) passed before its future was ready.
///
/// # Examples
///
/// ```
/// # fn read() -> Result<(), tress::time::error::Elapsed> { Ok(()) }
/// fn read_as_io() -> std::io::Result<()> {
///     Ok(read()?)
/// }
/// # read_as_io().expect("it never elapses");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Elapsed(());

impl Elapsed {
    pub(super) const fn new() -> Self {
        Self(())
    }
}

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("deadline has elapsed")
    }
}

impl std::error::Error for Elapsed {}

impl From<Elapsed> for io::Error {
    fn from(_: Elapsed) -> Self {
        io::ErrorKind::TimedOut.into()
    }
}
