//! Serial executors.
