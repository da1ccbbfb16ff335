//! Doing something again until it has come out as wanted.

use std::future::Future;
use std::panic::Location;

use super::stoppable::turn;
use crate::leaf::Wait;

/// Awaits futures of `factory`, one after the other, until `predicate` holds for the output of one, which is returned.
///
/// Between two of them it takes a unit of the task's budget: a loop over what is always ready lets others have their turn, which a
/// plain `loop` would not; and if its environment's [token](crate::env) asks it to stop, no other round begins.
///
/// # Panics
///
/// If the factory, one of its futures or the predicate does.
///
/// # Cancel safety
///
/// Dropping it drops the future at hand, of which it is as safe; outputs that were not wanted are gone anyway.
///
/// # Source
///
/// stdexec's `repeat_until`; D2583 has no row for it.
///
/// # Examples
///
/// ```
/// use tress::algorithm::repeat_until;
///
/// # let runtime = tress::Runtime::new()?;
/// # runtime.block_on(async {
/// let mut n = 27_u64;
/// let collatz = repeat_until(|n| *n == 1, || {
///     n = if n % 2 == 0 { n / 2 } else { 3 * n + 1 };
///     std::future::ready(n)
/// });
/// assert_eq!(collatz.await, 1);
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn repeat_until<T, P, M, F>(mut predicate: P, mut factory: M) -> impl Future<Output = T>
where
    P: FnMut(&T) -> bool,
    M: FnMut() -> F,
    F: Future<Output = T>,
{
    let caller = Location::caller();
    async move {
        loop {
            // In a block, so that no output has to be `Send` in order to be dropped before the next await.
            {
                let output = factory().await;
                if predicate(&output) {
                    return output;
                }
            }
            turn(Wait::at("repeat", caller)).await;
        }
    }
}
