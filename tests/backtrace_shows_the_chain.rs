//! `trace::backtrace` gives the frames from the one that runs up to its task, with the lines that await them.

mod support;

use support::{runtime, watchdog};
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
    // Frames like boxed futures are not part of it.
    let island = runtime.block_on(async { lazy_borrowed(async { trace::backtrace() }).await });
    assert!(island.frames.is_empty());
}
