//! Size classes: which slot size serves a layout.
//!
//! Steps of [`FINE_STEP`] bytes from [`MIN_BYTES`] up to [`FINE_MAX`], then [`STEPS_PER_DOUBLING`] steps a doubling up to [`MAX_BYTES`]. Every slot
//! size that is reached by rounding a size up to a multiple of its alignment is itself a multiple of that alignment, so a page
//! whose first slot is aligned to [`SizeClass::alignment`] honours every layout of the class.

use std::alloc::Layout;

/// The index of a slot size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SizeClass(u8);

impl SizeClass {
    /// How many classes there are.
    pub(super) const COUNT: usize = FINE_COUNT + STEPS_PER_DOUBLING * (MAX_BYTES / FINE_MAX).ilog2() as usize;

    /// The class that serves `layout`, or `None` if it is too large or too aligned for a page.
    ///
    /// Under `--cfg tress_sanitize` none is, so that a sanitizer sees each frame as an allocation of its own.
    #[inline(always)]
    pub(super) const fn of(layout: Layout) -> Option<Self> {
        // Bytes are numbered from 0: in the last one's number, the alignment's low bits are all set.
        let last_byte = layout.size().saturating_sub(1) | (layout.align() - 1);
        if cfg!(tress_sanitize) || last_byte >= MAX_BYTES {
            return None;
        }
        Some(Self(BY_LAST_BYTE[last_byte / FINE_STEP]))
    }

    /// The class whose slots have a byte of this number, and no class of smaller ones has.
    const fn holding(last_byte: usize) -> Self {
        let index = if last_byte < MIN_BYTES {
            0
        } else if last_byte < FINE_MAX {
            (last_byte + FINE_STEP - MIN_BYTES) / FINE_STEP
        } else {
            let doubling = last_byte.ilog2() as usize;
            let step = (last_byte >> (doubling - LOG_STEPS)) % STEPS_PER_DOUBLING;
            FINE_COUNT + (doubling - FINE_MAX.ilog2() as usize) * STEPS_PER_DOUBLING + step
        };
        Self(index as u8)
    }

    /// The class with this index.
    pub(super) const fn from_index(index: usize) -> Self {
        assert!(index < Self::COUNT);
        Self(index as u8)
    }

    /// The index, below [`COUNT`](Self::COUNT).
    #[inline(always)]
    pub(super) const fn index(self) -> usize {
        self.0 as usize
    }

    /// The bytes of a slot.
    pub(super) const fn slot_bytes(self) -> usize {
        let index = self.index();
        if index < FINE_COUNT {
            return MIN_BYTES + index * FINE_STEP;
        }
        let coarse = index - FINE_COUNT;
        let doubling = FINE_MAX.ilog2() as usize + coarse / STEPS_PER_DOUBLING;
        (STEPS_PER_DOUBLING + 1 + coarse % STEPS_PER_DOUBLING) << (doubling - LOG_STEPS)
    }

    /// The largest power of two that divides the slot size: what the first slot of a page is aligned to.
    pub(super) const fn alignment(self) -> usize {
        1 << self.slot_bytes().trailing_zeros()
    }
}

/// The class of each last byte, in steps: a load where a branch would often be mispredicted.
const BY_LAST_BYTE: [u8; MAX_BYTES / FINE_STEP] = {
    let mut classes = [0; MAX_BYTES / FINE_STEP];
    let mut step = 0;
    while step < classes.len() {
        classes[step] = SizeClass::holding(step * FINE_STEP + FINE_STEP - 1).0;
        step += 1;
    }
    classes
};

/// The largest slot, in bytes.
pub(super) const MAX_BYTES: usize = 4096;
/// The smallest slot, in bytes: a free one holds a [`Slot`](super::slot::Slot).
const MIN_BYTES: usize = 32;
const FINE_STEP: usize = 16;
const FINE_MAX: usize = 512;
const FINE_COUNT: usize = (FINE_MAX - MIN_BYTES) / FINE_STEP + 1;
const STEPS_PER_DOUBLING: usize = 4;
const LOG_STEPS: usize = STEPS_PER_DOUBLING.ilog2() as usize;

#[cfg(not(tress_loom))]
const _: () = assert!(MIN_BYTES >= size_of::<super::slot::Slot>());
const _: () = assert!(SizeClass::COUNT <= u8::MAX as usize);
