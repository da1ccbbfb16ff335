//! What keeps an actor busy, for tests of those who wait for it.
#![allow(dead_code, reason = "each test uses the part that it needs")]

use std::sync::mpsc;
use std::thread::{self, ThreadId};

use tress::strand::Actor;

/// A call on another thread that keeps the state until it is told to end.
pub(crate) struct Holder {
    pub(crate) go_on: mpsc::Sender<()>,
    pub(crate) thread: thread::JoinHandle<()>,
}

impl Holder {
    pub(crate) fn of<T: Send + 'static>(actor: &Actor<T>) -> Self {
        let ((go_on, may_go_on), (begun, has_begun)) = (mpsc::channel(), mpsc::channel());
        let actor = actor.clone();
        let thread = thread::spawn(move || {
            let kept = actor.try_call(|_| {
                begun.send(()).expect("somebody waits");
                let _ = may_go_on.recv();
            });
            assert_eq!(kept, Ok(()));
        });
        has_begun.recv().expect("it begins");
        Self { go_on, thread }
    }

    pub(crate) fn id(&self) -> ThreadId {
        self.thread.thread().id()
    }

    /// What is queued has been run when this returns, unless somebody else has been given the state.
    pub(crate) fn release(self) {
        drop(self.go_on);
        self.thread.join().expect("it ends");
    }
}
