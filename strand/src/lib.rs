//! Serial executors over any executor of tress.
//!
//! There is nothing here yet: the crate keeps the place of strands in the workspace, on top of the runtime's seam
//! between tasks and their executors, so that they can come without any other part having to move.
