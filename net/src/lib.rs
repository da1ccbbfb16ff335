//! Sockets, HTTP and signals for tress.
//!
//! Use them as `tress::net`, `tress::http` and `tress::signal`.

pub mod http;
#[cfg(unix)]
pub mod signal;
pub mod socket;
mod sys;
