//! How things end: values, errors, stops and panics, which come at once or later; and what has come of them.
#![allow(dead_code, reason = "each test uses the part that it needs")]

use std::future::Future;
use std::sync::mpsc;

use tress::Runtime;
use tress::stop;
use tress::task::JoinError;

use self::End::{Error, Panic, Stop, Value};
use crate::support::{Pend, payload_text};

/// How something ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum End {
    Value(i32),
    Error(&'static str),
    Stop,
    Panic,
}

/// What those say that panic.
pub(crate) const PANIC: &str = "expected: an end";

/// A number that comes at once or later, if it comes.
pub(crate) async fn number(end: End) -> i32 {
    Pend(end.pends()).await;
    match end {
        Value(number) => number,
        Error(error) => unreachable!("{error} is for those that may fail"),
        Stop => match stop::stopped().await {},
        Panic => panic!("{PANIC}"),
    }
}

/// The same of what may fail.
pub(crate) async fn result(end: End) -> Result<i32, &'static str> {
    match end {
        Error(error) => {
            Pend(end.pends()).await;
            Err(error)
        }
        end => Ok(number(end).await),
    }
}

impl End {
    /// Some are ready at once.
    const fn pends(self) -> usize {
        match self {
            Value(number) => number as usize % 2,
            Error(error) => error.len() % 2,
            Stop | Panic => 1,
        }
    }

    pub(crate) fn plus_one(self) -> Self {
        if let Value(number) = self { Value(number + 1) } else { self }
    }
}

/// What a task has ended with.
pub(crate) fn end_of(joined: Result<i32, JoinError>) -> End {
    match joined {
        Ok(number) => Value(number),
        Err(error) if error.is_stopped() => Stop,
        Err(error) => {
            assert_eq!(payload_text(error.into_panic()), PANIC);
            Panic
        }
    }
}

/// Checks how a line ends in a task of its own.
#[track_caller]
pub(crate) fn assert_ends(
    runtime: &Runtime,
    line: impl Future<Output = i32> + Send + 'static,
    expected: End,
) {
    assert_eq!(end_of(runtime.block_on(runtime.spawn(line))), expected);
}

/// The same of a line that may fail.
#[track_caller]
pub(crate) fn assert_may_fail(
    runtime: &Runtime,
    line: impl Future<Output = Result<i32, &'static str>> + Send + 'static,
    expected: End,
) {
    let (said, error) = mpsc::channel();
    let line = async move {
        match line.await {
            Ok(number) => number,
            Err(error) => {
                said.send(error).unwrap();
                0
            }
        }
    };
    let end = end_of(runtime.block_on(runtime.spawn(line)));
    assert_eq!(error.recv().map_or(end, Error), expected);
}

/// The ends of what cannot fail, with what `f` makes of a value.
pub(crate) fn ends(f: impl Fn(i32) -> i32) -> [(End, End); 4] {
    [(Value(6), Value(f(6))), (Value(7), Value(f(7))), (Stop, Stop), (Panic, Panic)]
}
