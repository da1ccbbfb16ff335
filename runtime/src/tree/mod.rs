#![doc = include_str!("README.md")]
#![expect(unsafe_code, reason = "pushes frames whose list reference it has")]

#[cfg(doctest)]
mod bounds;
mod cell;
#[cfg(all(test, not(tress_loom)))]
mod counted;
mod current;
mod handle;
mod island;
mod lazy;
#[cfg(all(test, tress_loom))]
mod model;
mod outlived;
mod owned;
mod polled;
mod raw;
mod ready;
mod root;
mod run;
mod shared;
mod state;
mod status;
mod teardown;
#[cfg(all(test, not(tress_loom)))]
mod tests;
mod visit;
mod waker;

pub use self::lazy::{Lazy, LocalLazy, lazy, lazy_borrowed, lazy_local, lazy_local_borrowed, try_lazy};
pub use self::shared::SharedLazy;

pub(crate) use self::current::{
    Current, Entered, Place, backtrace, current_executor, current_id, is_on_stack, is_polling,
    is_root_movable, is_traced, outlive, outside, place, raise, root_polls, stay, with_asks,
};
pub(crate) use self::outlived::LeftBehind;
pub(crate) use self::root::{RootRef, RootVtable};
pub(crate) use self::run::{end, has_woken_frames, run, run_frames};
pub(crate) use self::teardown::keep_first;
pub(crate) use self::visit::{leave_to_next_run, visit};
pub(crate) use self::waker::wake_without_scheduling;

use self::outlived::Outlived;
use self::owned::Owned;
use self::raw::RawFrame;
use self::ready::{Pushed, ReadyList};
use crate::task::moving::Asks;

/// The frames below one root.
#[derive(Debug)]
pub(crate) struct Tree {
    root: RootRef,
    /// The frames that were woken. Any thread pushes.
    ready: ReadyList,
    /// The frames whose handles lie in the root's own future. For whoever runs the tree.
    children: Owned<Option<RawFrame>>,
    /// Whom the root does not end before. For whoever runs the tree.
    outlived: Outlived,
    /// Where the root is to be run. For whoever runs the tree.
    asks: Asks,
}

impl Tree {
    /// A tree without frames.
    ///
    /// The root keeps the tree for as long as anybody holds a reference to the root.
    pub(crate) fn new(root: RootRef) -> Self {
        Self {
            root,
            ready: ReadyList::new(),
            children: Owned::new(None),
            outlived: Outlived::new(),
            asks: Asks::new(),
        }
    }

    /// Where the root is to be run. For whoever runs the tree.
    pub(crate) fn asks(&self) -> &Asks {
        &self.asks
    }

    /// Whom the root, which is ending, has to wait for, if there is anybody. By whoever runs the tree.
    pub(crate) fn take_outlived(&self) -> Option<LeftBehind> {
        self.outlived.take()
    }

    /// Whether frames have been woken.
    pub(crate) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Puts a frame that was taken back, with its link and list reference.
    fn push_back(&self, frame: RawFrame) {
        // SAFETY: whoever took the frame has its link and the list's reference, and gives them up.
        match unsafe { self.ready.push(frame) } {
            Pushed::First | Pushed::Later => {}
            Pushed::Closed => unreachable!("whoever runs the tree is the one who closes it"),
        }
    }
}
