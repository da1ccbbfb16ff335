//! A bounded source of frames.

#![expect(unsafe_code, reason = "cuts one allocation into frames")]

use std::alloc::Layout;
use std::fmt;
use std::ptr::NonNull;

use super::arena_state::{Allocated, ArenaState, UNIT_BYTES};
use super::{AllocError, FrameAllocator};

/// A fixed amount of memory, from the global allocator, without a fallback: when it is used up, it refuses.
///
/// Memory is taken from one end; it comes free when the block taken last is given back, or when all are. It suits frames that
/// live and end together, as those of one request do.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use tress::frame::{Arena, Box, with_allocator};
///
/// let arena = Arc::new(Arena::new(1024).unwrap());
/// with_allocator(arena.clone(), || {
///     let boxes: Vec<_> = std::iter::from_fn(|| Box::try_new([0u8; 100]).ok()).collect();
///     assert!(!boxes.is_empty() && boxes.len() <= 10);
/// });
/// assert_eq!(arena.used_bytes(), 0);
/// ```
pub struct Arena {
    memory: NonNull<u8>,
    layout: Layout,
    state: ArenaState,
}

impl Arena {
    /// Allocates an arena of at least this many bytes.
    ///
    /// # Examples
    ///
    /// ```
    /// let arena = tress::frame::Arena::new(1000).unwrap();
    /// assert!(arena.capacity_bytes() >= 1000);
    /// ```
    ///
    /// # Errors
    ///
    /// If the global allocator has no such memory, or `capacity_bytes` is 64 GiB or more.
    pub fn new(capacity_bytes: usize) -> Result<Self, AllocError> {
        let units = capacity_bytes.max(1).div_ceil(UNIT_BYTES);
        let units = u32::try_from(units).map_err(|_too_large| AllocError)?;
        let layout = Layout::from_size_align(units as usize * UNIT_BYTES, BASE_ALIGN)
            .map_err(|_too_large| AllocError)?;
        // SAFETY: the size is not 0.
        let memory = NonNull::new(unsafe { std::alloc::alloc(layout) }).ok_or(AllocError)?;
        Ok(Self { memory, layout, state: ArenaState::new() })
    }

    /// How many bytes there are in all.
    #[must_use]
    pub fn capacity_bytes(&self) -> usize {
        self.layout.size()
    }

    /// How many bytes are in use or can't be used again yet.
    #[must_use]
    pub fn used_bytes(&self) -> usize {
        self.state.watermark() as usize * UNIT_BYTES
    }

    fn capacity_units(&self) -> u32 {
        (self.layout.size() / UNIT_BYTES) as u32
    }
}

// SAFETY: a block's units are handed out to one user at a time, since they lie above the watermark or, if none is live, anywhere; they are
// aligned as the memory's base is (or with room to spare); the memory stays until the arena is dropped, and does not move with it.
unsafe impl FrameAllocator for Arena {
    fn allocate(&self, layout: Layout) -> Result<NonNull<u8>, AllocError> {
        let (units, slack_units) = units_of(layout).ok_or(AllocError)?;
        let align_units = (layout.align().min(BASE_ALIGN) / UNIT_BYTES).max(1) as u32;
        let all = units.checked_add(slack_units).ok_or(AllocError)?;
        match self.state.transition_to_allocated(all, align_units, self.capacity_units()) {
            Allocated::At(start) => {
                // SAFETY: the block lies inside the memory.
                let block = unsafe { self.memory.add(start as usize * UNIT_BYTES) };
                let skip_bytes = block.align_offset(layout.align());
                // SAFETY: there is slack for this in front of the block's own units.
                Ok(unsafe { block.add(skip_bytes) })
            }
            Allocated::Refused => Err(AllocError),
        }
    }

    unsafe fn deallocate(&self, ptr: NonNull<u8>, layout: Layout) {
        let (units, _) = units_of(layout).expect("the same layout could be placed before");
        let offset_bytes = ptr.addr().get() - self.memory.addr().get();
        // With slack, the end may be below the block's true end; then it is not taken for the block on top unless it is at
        // the watermark, where there is nothing above it.
        let start = (offset_bytes / UNIT_BYTES) as u32;
        let end = start + units;
        self.state.transition_to_freed(start, end);
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        // SAFETY: it was allocated with this layout; each block holds the arena, so there is none.
        unsafe { std::alloc::dealloc(self.memory.as_ptr(), self.layout) };
    }
}

// SAFETY: the memory is reached only through blocks that their users own.
unsafe impl Send for Arena {}

// SAFETY: as above; the state is an atomic.
unsafe impl Sync for Arena {}

impl fmt::Debug for Arena {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arena")
            .field("capacity_bytes", &self.capacity_bytes())
            .field("used_bytes", &self.used_bytes())
            .finish()
    }
}

/// How many units a block of this layout has, and how many more its alignment may cost.
fn units_of(layout: Layout) -> Option<(u32, u32)> {
    let units = u32::try_from(layout.size().max(1).div_ceil(UNIT_BYTES)).ok()?;
    let slack_units = if layout.align() > BASE_ALIGN { layout.align() / UNIT_BYTES } else { 0 };
    Some((units, u32::try_from(slack_units).ok()?))
}

/// What the memory is aligned to; blocks of a larger alignment take more than they need.
const BASE_ALIGN: usize = 4096;
