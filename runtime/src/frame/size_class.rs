//! Size classes: which slot size serves a layout.
//!
//! Steps grow with the size, see [`RANGES`]. Every slot size that is reached by rounding a size up to a multiple of its alignment is itself a
//! multiple of that alignment, up to [`MAX_ALIGN`], so a page whose first slot is aligned to [`SizeClass::alignment`] honours every
//! layout of the class.

use std::alloc::Layout;

/// The index of a slot size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SizeClass(u8);

impl SizeClass {
    /// How many classes there are.
    pub(super) const COUNT: usize = {
        let mut count = 0;
        let mut begin = 0;
        let mut range = 0;
        while range < RANGES.len() {
            let (end, step) = RANGES[range];
            count += (end - begin) / step;
            begin = end;
            range += 1;
        }
        // The sizes below the smallest slot have its class.
        count - (MIN_BYTES / FINE_STEP - 1)
    };

    /// The class that serves `layout`, or `None` if it is too large or too aligned for a page.
    ///
    /// Under `--cfg tress_sanitize` none is, so that a sanitizer sees each frame as an allocation of its own.
    #[inline(always)]
    pub(super) const fn of(layout: Layout) -> Option<Self> {
        // Bytes are numbered from 0: in the last one's number, the alignment's low bits are all set.
        let last_byte = layout.size().saturating_sub(1) | (layout.align() - 1);
        if cfg!(tress_sanitize) || last_byte >= MAX_BYTES || layout.align() > MAX_ALIGN {
            return None;
        }
        Some(Self(BY_LAST_BYTE[last_byte / FINE_STEP]))
    }

    /// The class whose slots have a byte of this number, and no class of smaller ones has.
    const fn holding(last_byte: usize) -> Self {
        let mut index = 0;
        while Self(index).slot_bytes() <= last_byte {
            index += 1;
        }
        Self(index)
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
        let mut steps = self.index() + MIN_BYTES / FINE_STEP;
        let mut begin = 0;
        let mut range = 0;
        loop {
            let (end, step) = RANGES[range];
            let count = (end - begin) / step;
            if steps <= count {
                return begin + steps * step;
            }
            steps -= count;
            begin = end;
            range += 1;
        }
    }

    /// What the first slot of a page is aligned to: the largest power of two that divides the slot size, up to [`MAX_ALIGN`].
    pub(super) const fn alignment(self) -> usize {
        let natural = 1 << self.slot_bytes().trailing_zeros();
        if natural < MAX_ALIGN { natural } else { MAX_ALIGN }
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
/// What slots are aligned to at most: two cache lines. Beyond that, first slots could not begin at a different line in each page, and
/// the first lines of a page's large slots would share a few sets of the cache.
pub(super) const MAX_ALIGN: usize = 128;
const FINE_STEP: usize = 8;
/// Up to which size slots come in which steps. Steps of a cache line spread the first lines of slots over the sets of a cache, where
/// powers of two would make them meet in a few.
const RANGES: [(usize, usize); 4] = [(256, FINE_STEP), (512, 16), (2048, 64), (MAX_BYTES, 256)];

#[cfg(not(tress_loom))]
const _: () = assert!(MIN_BYTES >= size_of::<super::slot::Slot>());
const _: () = assert!(SizeClass::COUNT <= u8::MAX as usize);
