//! tress.
