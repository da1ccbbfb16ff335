//! When to stop.

use std::fmt::Display;
use std::io::{self, Write};

/// Waits until somebody wants the server to stop, and gives the name of how they said so.
///
/// The signals are caught from the call on.
#[cfg(unix)]
pub(crate) fn wanted() -> impl Future<Output = &'static str> + Send {
    use tress::future::{FutureExt, select};
    use tress::signal;

    async fn or_never(name: &'static str, signal: impl Future<Output = io::Result<()>>) -> &'static str {
        if let Err(error) = signal.await {
            eprintln!("{name} cannot be caught, so it will not finish what is in flight: {error}");
            std::future::pending::<()>().await;
        }
        name
    }

    let interrupted = Box::pin(or_never("ctrl-c", signal::ctrl_c()));
    let terminated = Box::pin(or_never("SIGTERM", signal::terminate()));
    select(interrupted, terminated).map(|first| first.factor_first().0)
}

/// There is nothing to wait for: ctrl-c ends the process by itself.
#[cfg(not(unix))]
pub(crate) fn wanted() -> impl Future<Output = &'static str> + Send {
    std::future::pending()
}

/// Prints a line; it is no failure if nobody reads it any more.
pub(crate) fn say(line: impl Display) {
    let _ = writeln!(io::stdout(), "{line}");
}
