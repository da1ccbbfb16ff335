//! The scheduler, tasks, reactor and timers of tress.

mod context;
mod coop;
mod frame;
pub mod leaf;
mod primitive;
pub mod reactor;
pub mod time;

pub mod task {
    //! Tasks.
    pub mod coop {
        //! The cooperative budget.
        pub use crate::coop::*;
    }
}
