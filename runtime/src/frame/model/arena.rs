//! An arena's blocks against who uses them next.

use super::*;
use crate::frame::arena_state::{Allocated, ArenaState};

/// Two units that many threads take and give back.
struct Arena {
    state: ArenaState,
    units: [UnsafeCell<u32>; 2],
}

// SAFETY: loom checks who uses what.
unsafe impl Sync for Arena {}
// SAFETY: as above.
unsafe impl Send for Arena {}

impl Arena {
    fn use_one(&self) -> bool {
        let Allocated::At(start) = self.state.transition_to_allocated(1, 1, 2) else { return false };
        // SAFETY: loom checks that nobody else is at it.
        self.units[start as usize].with_mut(|unit| unsafe { *unit += 1 });
        self.state.transition_to_freed(start, start + 1);
        true
    }
}

#[test]
fn a_block_has_one_user() {
    loom::model(|| {
        let arena =
            Arc::new(Arena { state: ArenaState::new(), units: [UnsafeCell::new(0), UnsafeCell::new(0)] });
        let other = {
            let arena = arena.clone();
            thread::spawn(move || assert!(arena.use_one()))
        };
        assert!(arena.use_one());
        // It may be refused: what the first use gave back is below the other's block.
        arena.use_one();
        other.join().expect("there is room for two");
        assert_eq!(arena.state.watermark(), 0);
    });
}
