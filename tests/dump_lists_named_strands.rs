//! A dump lists the named strands and actors of its runtime, and says which tasks live on which; names go with their strands.

mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use support::{Random, burn, runtime, stress, wait_until, watchdog};
use tress::executor::{AnyExecutor, Inline, Prioritized};
use tress::strand::{Actor, Strand};
use tress::trace::{self, Dump, StrandState};
use tress::{Builder, Runtime};

fn dump(runtime: &Runtime) -> Dump {
    trace::dump(runtime.handle())
}

/// The states of the strands with this name.
fn states(runtime: &Runtime, name: &str) -> Vec<StrandState> {
    dump(runtime).strands.iter().filter(|strand| strand.name == name).map(|strand| strand.state).collect()
}

#[test]
fn named_ones_until_they_go() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    let handle = || runtime.handle().clone();
    let unnamed = Strand::new(handle());
    let strand = Strand::builder(handle()).name("one").build();
    let actor = Actor::builder(0).executor(handle()).name("two").build();
    let above = Strand::builder(AnyExecutor::new(Prioritized::new(handle()).low())).name("three").build();
    let apart = Strand::builder(Inline).name("over no runtime").build();
    assert_eq!((unnamed.name(), strand.name(), apart.name()), (None, Some("one"), Some("over no runtime")));
    assert!(format!("{strand:?}").contains("\"one\""), "{strand:?}");
    let names = || dump(&runtime).strands.into_iter().map(|strand| strand.name).collect::<Vec<_>>();
    assert_eq!(names(), ["one", "two", "three"]);
    let same: Vec<_> = runtime.handle().metrics().strands().into_iter().map(|strand| strand.name).collect();
    assert_eq!(same, names());
    drop(actor);
    assert_eq!(names(), ["one", "three"]);
    drop((strand.clone(), above));
    assert_eq!(names(), ["one"]);
    drop(strand);
    assert!(names().is_empty());
}

#[test]
fn what_they_do() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    let strand = Strand::builder(runtime.handle().clone()).name("room").measure(true).build();
    assert_eq!(states(&runtime, "room"), [StrandState::Idle]);
    let ((running, is_running), (go_on, may_go_on)) = (mpsc::channel(), mpsc::channel());
    strand.post(move || {
        running.send(()).expect("somebody waits");
        may_go_on.recv().expect("somebody says so");
    });
    is_running.recv().expect("it runs");
    assert_eq!(states(&runtime, "room"), [StrandState::Running]);
    // The only worker is busy.
    let second = Strand::builder(runtime.handle().clone()).name("queued").build();
    second.post(|| ());
    assert_eq!(states(&runtime, "queued"), [StrandState::Queued]);
    burn(Duration::from_millis(3));
    go_on.send(()).expect("somebody waits");
    wait_until(|| states(&runtime, "room") == [StrandState::Idle], "it does not become idle");
    let dump = dump(&runtime);
    let room = &dump.strands[0];
    assert_eq!((room.metrics.turns, room.metrics.items, room.metrics.max_depth), (1, 1, 1));
    assert!(room.metrics.busy >= Some(Duration::from_millis(2)), "{room}");
    let text = dump.to_string();
    let line = text.lines().find(|line| line.contains("\"room\"")).expect("it is listed");
    assert!(line.starts_with("strand \"room\": idle, 0 waiting, 1 at most, 1 item in 1 turn, "), "{line}");
    assert!(line.contains(" busy, ") && line.ends_with(" queued"), "{line}");
    let json: serde_json::Value = serde_json::from_str(&dump.to_json()).expect("it is JSON");
    let of_room = &json["strands"][0];
    assert_eq!(of_room["name"], "room");
    assert_eq!((&of_room["state"], &of_room["items"]), (&"idle".into(), &1.into()));
    assert!(of_room["busy"].as_f64() >= Some(0.002), "{json}");
    assert!(json["strands"][1]["wait"].is_null(), "{json}");
}

#[test]
fn tasks_say_where_they_live() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    let strand = Strand::builder(runtime.handle().clone()).name("room").build();
    let above = Strand::new(strand.clone());
    for place in [AnyExecutor::new(strand), AnyExecutor::new(above)] {
        let task = tress::executor::launch(place).spawn(std::future::pending::<()>());
        let dump = dump(&runtime);
        let [shown] = &dump.tasks[..] else { panic!("{dump}") };
        assert_eq!(shown.strand.as_deref(), Some("room"));
        assert!(shown.to_string().contains(" on \"room\": "), "{shown}");
        assert!(shown.spawned_at.is_some());
        task.abort();
        assert!(runtime.block_on(task).expect_err("it is aborted").is_aborted());
    }
    let task = Strand::new(runtime.handle().clone()).spawn(std::future::pending::<()>());
    assert_eq!(dump(&runtime).tasks[0].strand, None);
    let json: serde_json::Value = serde_json::from_str(&dump(&runtime).to_json()).expect("it is JSON");
    assert!(json["tasks"][0]["strand"].is_null(), "{json}");
    task.abort();
}

#[test]
fn a_task_that_a_strand_dumps_is_no_item_of_it() {
    use std::task::Poll;
    let _watchdog = watchdog();
    let runtime = runtime(1);
    let strand = Strand::new(runtime.handle().clone());
    let ((tx, rx), own) = (mpsc::channel(), strand.clone());
    let task = runtime.spawn(std::future::poll_fn(move |_| {
        tx.send(own.is_current()).expect("somebody waits");
        Poll::<()>::Pending
    }));
    assert_eq!(rx.recv(), Ok(false));
    let ((dumped, is_dumped), handle) = (mpsc::channel(), runtime.handle().clone());
    strand.post(move || dumped.send(trace::dump(&handle).tasks.len()).expect("somebody waits"));
    assert_eq!(is_dumped.recv(), Ok(1));
    assert_eq!(rx.try_recv(), Ok(false), "it was polled, and not on the strand");
    task.abort();
}

/// Strands come and go, at work and from inside themselves, while others dump.
#[test]
fn while_they_come_and_go() {
    stress(|workers, random| {
        let runtime = Builder::new().worker_threads(workers).build().expect("threads can be started");
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            let dumper = scope.spawn(|| {
                let mut most = 0;
                while !is_over.load(Ordering::Relaxed) {
                    let strands = runtime.handle().metrics().strands();
                    assert!(strands.iter().all(|strand| strand.name.starts_with("room ")));
                    most = most.max(strands.len());
                }
                most
            });
            let makers = [(); 2].map(|()| {
                let (mut random, runtime): (Random, _) = (random.fork(), &runtime);
                scope.spawn(move || {
                    for number in 0..200 {
                        let name = format!("room {number}");
                        let strand = Strand::builder(runtime.handle().clone()).name(&name).build();
                        let own = strand.clone();
                        match random.below(3) {
                            0 => strand.post(move || drop(own)),
                            1 => drop(strand.spawn(async move {
                                tress::task::yield_now().await;
                                assert!(own.is_current());
                            })),
                            _ => drop(own),
                        }
                    }
                })
            });
            for maker in makers {
                maker.join().expect("it does not panic");
            }
            is_over.store(true, Ordering::Relaxed);
            dumper.join().expect("it does not panic");
        });
        wait_until(|| runtime.handle().metrics().strands().is_empty(), "a name stays");
        drop(runtime);
    });
}

#[test]
fn a_strand_may_outlive_its_runtime() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    let strand = Strand::builder(runtime.handle().clone()).name("later").build();
    let handle = runtime.handle().clone();
    drop(runtime);
    assert_eq!(trace::dump(&handle).strands.len(), 1);
    drop(handle);
    assert!(!strand.is_current());
    strand.post(|| unreachable!("the runtime has ended"));
    assert_eq!(strand.metrics().depth, 0);
}
