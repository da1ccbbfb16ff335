//! Peer comparison.
