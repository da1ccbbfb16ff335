//! What `std::sync` or loom provides, by the names of the runtime.

pub(crate) use tress_runtime::seam::primitive::{UnsafeCell, atomic, spin_loop, thread_local};
