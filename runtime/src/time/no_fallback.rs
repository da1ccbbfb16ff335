//! Stands in for `fallback` in models, which may not share anything between two executions.

use super::driver::TimeDriver;
use crate::primitive::sync::Arc;

/// No driver: models bring their own.
pub(super) fn driver() -> Option<Arc<TimeDriver>> {
    None
}
