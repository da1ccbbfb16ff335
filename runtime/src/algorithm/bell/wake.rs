//! Children as wakers.

use std::task::{Wake, Waker};

use super::Node;
use crate::primitive::sync::Arc;

impl Wake for Node {
    fn wake(self: Arc<Self>) {
        self.ring();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ring();
    }
}

pub(super) fn waker(node: Arc<Node>) -> Waker {
    Waker::from(node)
}
