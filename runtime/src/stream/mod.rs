//! Streams that the crates of the field do not have: written like a function, and cut into chunks by count and by time.

mod chunks_timeout;
mod generator;

pub use self::chunks_timeout::{ChunksTimeout, chunks_timeout};
pub use self::generator::{Emit, Generator, Yielder, generator};
