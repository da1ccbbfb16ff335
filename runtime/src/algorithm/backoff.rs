//! Delays that grow, with jitter.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// Exponential back-off with full jitter: what to wait before another attempt.
///
/// The `n`th delay is a random one between zero and `base · 2ⁿ⁻¹`, or [`max_delay`](Self::max_delay) if that is less. Those who failed
/// together so come back spread out. Clones draw delays of their own, unless they are [seeded](Self::seed).
///
/// A policy of [`retry_when`](super::retry_when()); elsewhere, [`next_delay`](Self::next_delay) asks it.
///
/// # Source
///
/// M. Brooker, “Exponential Backoff and Jitter”, AWS Architecture Blog, 2015 (“full jitter”).
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use tress::algorithm::Backoff;
///
/// let mut backoff = Backoff::new(Duration::from_millis(10)).max_delay(Duration::from_millis(15)).max_attempts(4).seed(7);
/// let delays: Vec<Duration> = std::iter::from_fn(|| backoff.next_delay()).collect();
/// // Three delays lie between four attempts.
/// assert_eq!(delays.len(), 3);
/// assert!(delays[0] <= Duration::from_millis(10) && delays[1..].iter().all(|delay| *delay <= Duration::from_millis(15)));
/// ```
#[derive(Clone, Debug)]
pub struct Backoff {
    base: Duration,
    max_delay: Duration,
    max_attempts: u32,
    /// How many have failed.
    failures: u32,
    /// `None` if delays are random.
    seed: Option<u64>,
}

impl Backoff {
    /// What [`max_delay`](Self::max_delay) is where nothing else is said.
    pub const MAX_DELAY: Duration = Duration::from_secs(30);

    /// Makes a back-off whose first delay is at most `base`, and which never gives up.
    #[must_use]
    pub const fn new(base: Duration) -> Self {
        Self { base, max_delay: Self::MAX_DELAY, max_attempts: u32::MAX, failures: 0, seed: None }
    }

    /// Bounds each delay.
    #[must_use]
    pub const fn max_delay(self, max_delay: Duration) -> Self {
        Self { max_delay, ..self }
    }

    /// Gives up after so many attempts, the first one included; [`u32::MAX`] means never.
    #[must_use]
    pub const fn max_attempts(self, max_attempts: u32) -> Self {
        Self { max_attempts, ..self }
    }

    /// Makes the delays a sequence that depends on `seed` alone, for tests.
    #[must_use]
    pub const fn seed(self, seed: u64) -> Self {
        Self { seed: Some(seed), ..self }
    }

    /// What to wait after one more failed attempt. `None` if that was the last one.
    pub fn next_delay(&mut self) -> Option<Duration> {
        let exponent = self.failures;
        self.failures = self.failures.saturating_add(1);
        if self.max_attempts != u32::MAX && self.failures >= self.max_attempts {
            return None;
        }
        let random = match self.seed {
            Some(seed) => mix(seed.wrapping_add(u64::from(self.failures).wrapping_mul(GOLDEN))),
            None => RandomState::new().hash_one(exponent),
        };
        let factor = 1_u32.checked_shl(exponent).unwrap_or(u32::MAX);
        let ceiling = self.base.saturating_mul(factor).min(self.max_delay);
        Some(below_or_at(ceiling, random))
    }

    /// Starts anew, as after a success.
    pub const fn reset(&mut self) {
        self.failures = 0;
    }
}

/// A duration from zero to `ceiling`, as `random` is somewhere among the numbers of its type.
fn below_or_at(ceiling: Duration, random: u64) -> Duration {
    let steps = ceiling.as_nanos().min(u128::from(u64::MAX)) + 1;
    let nanos = (steps * u128::from(random)) >> u64::BITS;
    Duration::from_nanos(u64::try_from(nanos).expect("it is below the number of steps"))
}

/// The output function of splitmix64.
const fn mix(seed: u64) -> u64 {
    let z = (seed ^ (seed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// The step of splitmix64's counter.
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;
