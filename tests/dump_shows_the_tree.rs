//! A dump shows each task's frames as they are nested, with the lines that await them, and what each leaf waits for, with the
//! line that awaits it.

mod support;

use std::future::pending;
use std::panic::Location;
use std::pin::pin;
use std::time::Duration;

use futures_util::FutureExt;
use support::{runtime, wait_until, watchdog};
use tress::Runtime;
use tress::net::{TcpListener, TcpStream};
use tress::task::{Lazy, lazy, lazy_borrowed};
use tress::time::{interval, sleep, timeout};
use tress::trace::{self, State, TaskDump};

const LONG: Duration = Duration::from_secs(600);

/// The line of this file that ends in a comment with this mark.
fn line_of(mark: &str) -> u32 {
    let is_marked = |line: &str| line.ends_with(&format!("// {mark}"));
    let index = include_str!("dump_shows_the_tree.rs").lines().position(is_marked);
    u32::try_from(index.expect("there is such a mark")).unwrap() + 1
}

/// The dump of the first task, once it waits for so many operations.
fn first_task(runtime: &Runtime, waits: usize) -> TaskDump {
    let mut found = None;
    let is_waiting = || {
        let task = trace::dump(runtime.handle()).tasks.into_iter().next().expect("there is a task");
        let seen = task.frames.iter().map(|frame| frame.waits.len()).sum::<usize>();
        // On the way to what it is to wait for, it may have to wait for a connection.
        let is_there =
            task.frames.iter().flat_map(|frame| &frame.waits).all(|wait| wait.what != "tcp connect");
        found = (task.state == State::Idle && seen == waits && is_there).then_some(task);
        found.is_some()
    };
    wait_until(is_waiting, "the task does not come to wait for that");
    found.expect("it was found")
}

/// The line, if it is one of this file; 0 if it is another's.
fn own(location: &Location<'_>) -> u32 {
    if location.file() == file!() { location.line() } else { 0 }
}

/// What is left of a frame without names of types and times.
type Outline = (usize, Option<u32>, Vec<(&'static str, u32)>);

fn outline(task: &TaskDump) -> Vec<Outline> {
    let frames = task.frames.iter().map(|frame| {
        let waits = frame.waits.iter().map(|wait| (wait.what, own(wait.location))).collect();
        (frame.depth, frame.awaited_at.map(own), waits)
    });
    frames.collect()
}

/// What `future` looks like in a task, when it waits for so many operations.
fn outline_of(waits: usize, future: impl Future<Output = ()> + Send + 'static) -> Vec<Outline> {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    runtime.spawn(future);
    let task = first_task(&runtime, waits);
    println!("{task}");
    // Looking again shows the same.
    assert_eq!(outline(&first_task(&runtime, waits)), outline(&task));
    outline(&task)
}

/// A wait for this, in a line with this mark.
fn wait(what: &'static str, mark: &str) -> Vec<(&'static str, u32)> {
    vec![(what, line_of(mark))]
}

/// A frame below `depth` others that is awaited in a line with this mark.
fn frame(depth: usize, mark: &str, waits: Vec<(&'static str, u32)>) -> Outline {
    (depth, Some(line_of(mark)), waits)
}

/// The task's own future.
fn root(waits: Vec<(&'static str, u32)>) -> Outline {
    (0, None, waits)
}

#[test]
fn of_frames_in_frames() {
    let seen = outline_of(1, async {
        let middle = lazy(async {
            let innermost = lazy(async {
                sleep(LONG).await; // the sleep
            });
            innermost.await; // the innermost
        });
        middle.await; // the middle
    });
    let expected =
        [root(vec![]), frame(1, "the middle", vec![]), frame(2, "the innermost", wait("sleep", "the sleep"))];
    assert_eq!(seen, expected);
}

#[test]
fn of_names_and_parents() {
    async fn outer() {
        lazy(inner()).await;
    }
    async fn inner() {
        sleep(LONG).await;
    }
    let _watchdog = watchdog();
    let runtime = runtime(1);
    runtime.spawn(outer());
    let task = first_task(&runtime, 1);
    let [own, lazy] = &task.frames[..] else { panic!("{task}") };
    assert!(own.future.contains("outer"), "{task}");
    assert!(lazy.future.contains("inner"), "{task}");
    assert_eq!((own.parent, lazy.parent), (None, Some(0)));
    assert_eq!(own.future, task.future);
    assert!(lazy.waits[0].waited.is_some_and(|waited| waited < Duration::from_secs(60)), "{task}");
}

#[test]
fn of_a_join() {
    let seen = outline_of(3, async {
        let sleeping = || {
            lazy(async {
                sleep(LONG).await; // each branch
            })
        };
        tress::join!(sleeping(), sleep(LONG), sleeping()); // the join
    });
    // The frames are awaited by the macro's crate.
    let branch = || (1, Some(0), wait("sleep", "each branch"));
    assert_eq!(seen, [root(wait("sleep", "the join")), branch(), branch()]);
}

#[test]
fn of_a_select() {
    let seen = outline_of(2, async {
        let mut lazy = pin!(
            lazy(async {
                sleep(LONG).await; // in the frame
            })
            .fuse()
        );
        let mut timer = pin!(sleep(LONG).fuse()); // beside it
        tress::select! {
            () = lazy => {}
            () = timer => {}
        }
    });
    assert_eq!(seen, [root(wait("sleep", "beside it")), (1, Some(0), wait("sleep", "in the frame"))]);
}

#[test]
fn of_islands() {
    let seen = outline_of(1, async {
        let text = String::from("borrowed");
        let island = lazy_borrowed(async {
            let innermost = lazy_borrowed(async {
                sleep(LONG).await; // in the island
                assert!(text.is_empty());
            });
            innermost.await; // the inner island
        });
        island.await; // the outer island
    });
    let inner = frame(2, "the inner island", wait("sleep", "in the island"));
    assert_eq!(seen, [root(vec![]), frame(1, "the outer island", vec![]), inner]);
}

#[test]
fn of_a_lazy_that_is_spawned_as_it_is() {
    // Nobody awaits it but the runtime, whose lines are nobody's business.
    let spawned = |lazy: Lazy<'static, ()>| {
        let seen = outline_of(1, lazy);
        assert_eq!(seen, [root(vec![]), (1, None, wait("sleep", "in the spawned"))]);
    };
    let sleeping = || {
        lazy(async {
            sleep(LONG).await; // in the spawned
        })
    };
    spawned(sleeping());
    spawned(sleeping().opaque());
}

#[test]
fn of_a_shared_lazy() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let shared = lazy(async {
        sleep(LONG).await;
    })
    .shared();
    for _ in 0..2 {
        let shared = shared.clone();
        runtime.spawn(async move {
            shared.await; // the shared one
        });
    }
    let is_shown = || {
        let dump = trace::dump(runtime.handle());
        dump.tasks.iter().all(|task| {
            let waits: Vec<_> = task.frames.iter().flat_map(|frame| &frame.waits).collect();
            waits.iter().any(|wait| {
                (wait.what, own(wait.location)) == ("shared lazy", line_of("the shared one"))
                    && wait.waited.is_some()
            })
        })
    };
    wait_until(is_shown, "both the one that drives it and the other show what they wait for");
}

#[test]
fn of_timers() {
    let seen = outline_of(2, async {
        let _ = timeout(LONG, sleep(LONG)).await; // the timeout
    });
    assert_eq!(seen, [root(vec![("sleep", line_of("the timeout")), ("timeout", line_of("the timeout"))])]);

    let seen = outline_of(1, async {
        let mut interval = interval(LONG);
        interval.tick().await;
        interval.tick().await; // the second tick
    });
    assert_eq!(seen, [root(wait("interval tick", "the second tick"))]);
}

#[test]
fn of_a_join_handle() {
    let seen = outline_of(1, async {
        let other = tress::spawn(pending::<()>());
        other.await.unwrap(); // the join handle
    });
    assert_eq!(seen, [root(wait("task", "the join handle"))]);
}

#[test]
fn of_sockets() {
    let listening = || async { TcpListener::bind("127.0.0.1:0").await.unwrap() };
    let seen = outline_of(1, async move {
        let listener = listening().await;
        let _ = listener.accept().await; // the accept
    });
    assert_eq!(seen, [root(wait("tcp accept", "the accept"))]);

    let connected = move || async move {
        let listener = listening().await;
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (listener.accept().await.unwrap().0, stream)
    };
    let seen = outline_of(1, async move {
        let (_peer, stream) = connected().await;
        let _ = stream.read(&mut [0; 8]).await; // the read
    });
    assert_eq!(seen, [root(wait("tcp read", "the read"))]);

    let seen = outline_of(1, async move {
        let (_peer, stream) = connected().await;
        let (read_half, _write_half) = stream.into_split();
        let _ = read_half.read_exact(&mut [0; 8]).await; // the exact read
    });
    assert_eq!(seen, [root(wait("tcp read", "the exact read"))]);

    let seen = outline_of(1, async move {
        let (_peer, stream) = connected().await;
        let _ = stream.write_all(&vec![0; 1 << 26]).await; // the write
    });
    assert_eq!(seen, [root(wait("tcp write", "the write"))]);

    let seen = outline_of(1, async move {
        let (_peer, stream) = connected().await;
        let _ = stream.readable().await; // until readable
    });
    assert_eq!(seen, [root(wait("tcp readable", "until readable"))]);
}

#[test]
fn of_what_waits_for_others() {
    // Nothing is known of such a future but that it is there.
    let seen = outline_of(0, async {
        lazy(pending::<()>()).await; // the frame
    });
    assert_eq!(seen, [root(vec![]), frame(1, "the frame", vec![])]);
}

#[test]
fn of_a_deep_recursion() {
    const DEPTH: usize = 100_000;
    fn recurse(left: usize) -> Lazy<'static, ()> {
        lazy(async move {
            match left {
                0 => sleep(LONG).await,       // the bottom
                _ => recurse(left - 1).await, // each level
            }
        })
    }
    let _watchdog = watchdog();
    let runtime = runtime(2);
    runtime.spawn(recurse(DEPTH - 1));
    let task = first_task(&runtime, 1);
    // The task's own future is a handle, whose frame lies below it.
    assert_eq!(task.frames.len(), DEPTH + 1);
    let deepest = task.frames.last().unwrap();
    assert_eq!((deepest.depth, deepest.awaited_at.map(own)), (DEPTH, Some(line_of("each level"))));
    assert_eq!(own(deepest.waits[0].location), line_of("the bottom"));
    let text = task.to_string();
    assert!(text.len() < DEPTH * 300, "the text is much wider than it is long: {}", text.len());
}

/// JSON has a number for how deep a frame is, at any depth, and is itself as flat as ever. Text is indented by that, up to some depth; from
/// there on it has the number, too.
#[test]
fn of_depth_in_json_and_text() {
    const DEPTH: usize = 5000;
    fn nested(left: usize) -> Lazy<'static, ()> {
        lazy(async move {
            match left {
                1 => sleep(LONG).await,
                _ => nested(left - 1).await,
            }
        })
    }
    let _watchdog = watchdog();
    let runtime = runtime(2);
    runtime.spawn(async { nested(DEPTH).await });
    first_task(&runtime, 1);
    let dump = trace::dump(runtime.handle());
    let json: serde_json::Value = serde_json::from_str(&dump.to_json()).unwrap();
    let frames = json["tasks"][0]["frames"].as_array().unwrap();
    assert_eq!(frames.len(), DEPTH + 1);
    for (depth, frame) in frames.iter().enumerate() {
        assert_eq!(frame["depth"], depth);
        assert_eq!(frame["parent"].as_u64(), depth.checked_sub(1).map(|parent| parent as u64));
        assert_eq!(frame["waits"].as_array().unwrap().len(), usize::from(depth == DEPTH), "{depth}");
    }

    let text = dump.tasks[0].to_string();
    // A line of the task's own, and behind the last frame one of what it waits for.
    let lines: Vec<_> = text.lines().skip(1).collect();
    assert_eq!(lines.len(), DEPTH + 2);
    let indents: Vec<_> = lines.iter().map(|line| line.len() - line.trim_start().len()).collect();
    let last = indents.windows(2).position(|pair| pair[0] == pair[1]).expect("the indentation ends");
    assert!((10..100).contains(&last), "it ends at a depth of {last}");
    for (depth, line) in lines[..=DEPTH].iter().enumerate() {
        assert_eq!(indents[depth], indents[depth.min(last)]);
        assert!(depth == 0 || depth > last || indents[depth] > indents[depth - 1], "{line}");
        assert_eq!(line.trim_start().starts_with(&format!("[{depth}] ")), depth > last, "{line}");
    }
    assert!(lines[DEPTH + 1].trim_start().starts_with(&format!("[{DEPTH}] - sleep at ")), "{text}");
}
