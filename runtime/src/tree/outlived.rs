//! Tasks that a root does not end before.
#![expect(unsafe_code, reason = "a cell that only whoever runs the tree touches, which loom watches")]

use std::fmt;

use crate::primitive::cell::UnsafeCell;
use crate::primitive::sync::Arc;
use crate::task::{Group, Member};

/// Whom a root has left behind; touched by whoever runs the tree only, as an [`Owned`](super::owned::Owned).
pub(super) struct Outlived(UnsafeCell<LeftBehind>);

/// Whom a root has left behind: it waits for them before it is complete.
#[derive(Debug, Default)]
pub(crate) struct LeftBehind {
    pub(crate) groups: Vec<Arc<Group>>,
    /// What the root itself is a member of, for as long as it is not complete. To be dropped when it is.
    pub(crate) members: Vec<Member>,
}

impl LeftBehind {
    /// Leaves out what has ended, and what would have others wait in a circle: for the sake of those whom it has left behind, the root stays a
    /// member of groups only that are older than all of these.
    ///
    /// A scope that is begun in a task of another one is younger than that; one that has been moved there need not be.
    pub(crate) fn settle(mut self) -> Self {
        self.groups.retain(|group| group.len() != 0);
        let oldest = self.groups.iter().map(|group| group.age()).min();
        self.members.retain(|member| oldest.is_some_and(|oldest| member.age_of_group() < oldest));
        // Of those that the root is a member of no more, some may have ended by that.
        self.groups.retain(|group| group.len() != 0);
        self
    }
}

impl Outlived {
    pub(super) fn new() -> Self {
        Self(UnsafeCell::new(LeftBehind::default()))
    }

    /// Adds a group, in place of those that have ended.
    pub(super) fn add(&self, group: Arc<Group>) {
        // Dropped when the cell is not borrowed any more.
        let ended: Vec<_> = self.0.with_mut(|left| {
            // SAFETY: nobody else touches the cell, and nothing that is called here is foreign code.
            let left = unsafe { &mut *left };
            let ended = left.groups.extract_if(.., |group| group.len() == 0).collect();
            left.groups.push(group);
            ended
        });
        drop(ended);
    }

    /// Keeps what the root is a member of, unless it leaves nobody behind.
    pub(super) fn keep(&self, member: Member) -> Option<Member> {
        self.0.with_mut(|left| {
            // SAFETY: as above.
            let left = unsafe { &mut *left };
            if left.groups.iter().all(|group| group.len() == 0) {
                return Some(member);
            }
            left.members.push(member);
            None
        })
    }

    /// Those who have not gone yet, if there are any. The root's future is gone.
    pub(super) fn take(&self) -> Option<LeftBehind> {
        // SAFETY: as above.
        let left = self.0.with_mut(|left| std::mem::take(unsafe { &mut *left }));
        Some(left.settle()).filter(|left| !left.groups.is_empty())
    }
}

impl fmt::Debug for Outlived {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("..")
    }
}
