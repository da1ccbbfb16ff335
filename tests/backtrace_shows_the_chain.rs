//! `trace::backtrace` gives the frames from the one that runs up to its task, with the lines that await them.

mod support;

use std::panic::AssertUnwindSafe;
use std::pin::pin;

use futures_util::FutureExt;
use support::{block_on_foreign, runtime, watchdog, without_panic_messages};
use tress::task::{self, lazy, lazy_borrowed};
use tress::trace::{self, Backtrace};

/// The line of this file that ends in a comment with this mark.
fn line_of(mark: &str) -> u32 {
    let is_marked = |line: &str| line.ends_with(&format!("// {mark}"));
    let index = include_str!("backtrace_shows_the_chain.rs").lines().position(is_marked);
    u32::try_from(index.expect("there is such a mark")).unwrap() + 1
}

fn lines(backtrace: &Backtrace) -> Vec<u32> {
    let line = |location: &std::panic::Location<'_>| {
        assert_eq!(location.file(), file!());
        location.line()
    };
    backtrace.frames.iter().map(|frame| frame.awaited_at.map_or(0, line)).collect()
}

async fn chain() -> [Backtrace; 2] {
    let outer = lazy(async {
        let inner = lazy(async {
            let first = trace::backtrace();
            // In a later poll, which does not come through the frames above.
            task::yield_now().await;
            [first, trace::backtrace()]
        });
        inner.await // the inner frame
    });
    outer.await // the outer frame
}

#[test]
fn of_a_task() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let task = runtime.spawn(async { chain().await });
    let id = task.id();
    for backtrace in runtime.block_on(task).unwrap() {
        assert_eq!(backtrace.task, Some(id));
        assert_eq!(lines(&backtrace), [line_of("the inner frame"), line_of("the outer frame")]);
        assert!(backtrace.frames.iter().all(|frame| frame.future.contains("chain")));
        assert!(backtrace.to_string().ends_with(&format!("task {id}\n")), "{backtrace}");
        let json: serde_json::Value = serde_json::from_str(&backtrace.to_json()).unwrap();
        assert_eq!(json["task"].to_string(), id.to_string());
        assert_eq!(json["frames"][0]["awaited_at"]["line"], line_of("the inner frame"));
    }
}

#[test]
fn of_block_on() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    for backtrace in runtime.block_on(chain()) {
        assert_eq!(backtrace.task, None);
        assert_eq!(backtrace.frames.len(), 2);
    }
}

#[test]
fn of_nothing() {
    assert_eq!(trace::backtrace(), Backtrace::default());
    let _watchdog = watchdog();
    let runtime = runtime(1);
    assert_eq!(runtime.block_on(async { trace::backtrace() }), Backtrace::default());
    // A boxed future is no frame.
    let boxed = runtime.block_on(async { Box::pin(async { trace::backtrace() }).await });
    assert_eq!(boxed, Backtrace::default());
}

/// A frame below an island below a frame, which waits in between.
async fn islands() -> [Backtrace; 2] {
    let above = lazy(async {
        let island = lazy_borrowed(async {
            let below = lazy(async {
                let first = trace::backtrace();
                task::yield_now().await;
                [first, trace::backtrace()]
            });
            below.await // below the island
        });
        island.await // the island
    });
    above.await // above the island
}

#[test]
fn of_what_is_polled_like_a_boxed_future() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let expected = ["below the island", "the island", "above the island"].map(line_of);
    let task = runtime.spawn(async { islands().await });
    let id = task.id();
    for backtrace in runtime.block_on(task).unwrap() {
        assert_eq!((backtrace.task, lines(&backtrace)), (Some(id), expected.to_vec()));
    }
    for backtrace in runtime.block_on(islands()) {
        assert_eq!((backtrace.task, lines(&backtrace)), (None, expected.to_vec()));
    }
    // Another executor has islands only, and no task.
    for backtrace in block_on_foreign(islands()) {
        assert_eq!((backtrace.task, lines(&backtrace)), (None, expected.to_vec()));
    }
}

#[test]
fn of_a_frame_that_is_polled_from_an_island_below_its_parent() {
    let _watchdog = watchdog();
    let (first, second) = runtime(1).block_on(async {
        let frame = lazy(async {
            let first = trace::backtrace();
            task::yield_now().await;
            (first, trace::backtrace())
        });
        let mut frame = pin!(frame);
        // The handle lies up here, so this is where the frame belongs.
        lazy_borrowed(async { frame.as_mut().await }).await
    });
    // What looks for the depth of the stack is misled by AddressSanitizer, which has locals elsewhere: then the first poll is the loop's, too.
    if !cfg!(tress_sanitize) || first.frames.len() != 1 {
        assert_eq!(first.frames.len(), 2, "the way to its first poll leads through the island: {first}");
    }
    assert_eq!(second.frames, first.frames[..1], "later ones come from the loop: {second}");
}

#[test]
fn of_the_innermost_run_only() {
    let _watchdog = watchdog();
    let (runtime, other) = (runtime(1), support::runtime(1));
    let island = lazy_borrowed(async move {
        let before = trace::backtrace();
        let nested = task::block_in_place(|| other.block_on(async { trace::backtrace() }));
        let after = trace::backtrace();
        task::block_in_place(|| drop(other));
        (before, nested, after)
    });
    let (before, nested, after) = runtime.block_on(runtime.spawn(async { island.await })).unwrap();
    assert_eq!(before.frames.len(), 1);
    assert_eq!(nested, Backtrace::default());
    assert_eq!(after, before);
}

#[test]
fn of_no_island_that_has_panicked() {
    let _watchdog = watchdog();
    let backtrace = without_panic_messages(|| {
        runtime(1).block_on(async {
            let island = lazy_borrowed(async { panic!("expected: an island panics") });
            let caught: Result<(), _> = AssertUnwindSafe(island).catch_unwind().await;
            assert!(caught.is_err());
            trace::backtrace()
        })
    });
    assert_eq!(backtrace, Backtrace::default());
}
