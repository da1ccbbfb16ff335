//! How many items make a chunk.

use std::time::Duration;

/// The length of one participant's chunks, so that each takes about [`TURN`].
///
/// Begins with one item, and doubles or halves as the clock tells: nothing is known of what an item costs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    len: usize,
}

impl Pace {
    pub(super) const fn new() -> Self {
        Self { len: 1 }
    }

    /// The length of the next chunk, where `left` items are left for so many participants: shorter towards the end, so that all of
    /// them end at about the same time, but not so short that claiming costs more than running.
    pub(super) fn chunk_len(self, left: usize, participants: usize) -> usize {
        let fair = left / (2 * participants);
        self.len.min(fair.max(self.len / SHORTEST)).max(1).min(left)
    }

    /// A chunk of `len` items took so long.
    pub(super) fn note(&mut self, len: usize, took: Duration) {
        if took > 2 * TURN {
            self.len = (len / 2).max(1);
        } else if took < TURN / 2 && len >= self.len {
            self.len = len.saturating_mul(2);
        }
    }
}

/// How long a chunk should take: long beside what it costs to claim one, short beside what others can wait.
pub(super) const TURN: Duration = Duration::from_micros(50);

/// The last chunks are this many times shorter, at most.
const SHORTEST: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_grow_until_they_take_a_turn() {
        let mut pace = Pace::new();
        let mut lens = Vec::new();
        let mut left = 1_000_000;
        while left > 0 {
            let len = pace.chunk_len(left, 2);
            // 100 ns an item.
            pace.note(len, Duration::from_nanos(100) * u32::try_from(len).unwrap());
            lens.push(len);
            left -= len;
        }
        assert_eq!(lens[..9], [1, 2, 4, 8, 16, 32, 64, 128, 256]);
        assert_eq!(lens.iter().max(), Some(&256));
        assert!(lens.iter().rev().skip(1).all(|len| *len > 0), "{lens:?}");
        assert!(lens.len() < 4_000, "{} chunks", lens.len());
    }

    #[test]
    fn chunks_shrink_when_they_take_too_long() {
        let mut pace = Pace { len: 1024 };
        for _ in 0..20 {
            let len = pace.chunk_len(usize::MAX, 2);
            pace.note(len, Duration::from_secs(1));
        }
        assert_eq!(pace.chunk_len(usize::MAX, 2), 1);
    }

    #[test]
    fn nothing_overflows() {
        let mut pace = Pace { len: usize::MAX };
        assert_eq!(pace.chunk_len(usize::MAX, 1), usize::MAX / 2);
        pace.note(usize::MAX, Duration::ZERO);
        assert_eq!(pace.chunk_len(1, usize::MAX / 2), 1);
    }
}
