//! Strands and actors count what was queued on them, and measure their times only where that is asked for.

mod support;

use std::sync::mpsc;
use std::time::Duration;

use support::{burn, runtime, wait_until, watchdog};
use tress::Builder;
use tress::executor::Manual;
use tress::strand::{Actor, Strand};
use tress::trace::StrandState;

#[test]
fn turns_items_and_depth() {
    let _watchdog = watchdog();
    let manual = Manual::new();
    let strand = Strand::builder(manual.executor()).items(4).build();
    for _ in 0..10 {
        strand.post(|| ());
    }
    // The first one's poster has looked; nobody has since.
    assert_eq!((strand.metrics().turns, strand.metrics().depth), (0, 1));
    assert!(manual.run_one());
    let metrics = strand.metrics();
    assert_eq!((metrics.turns, metrics.items, metrics.depth, metrics.max_depth), (1, 4, 6, 9));
    assert_eq!(manual.run_until_idle(10), 2);
    let metrics = strand.metrics();
    assert_eq!((metrics.turns, metrics.items, metrics.depth, metrics.max_depth), (3, 10, 0, 9));
    assert_eq!((metrics.wait, metrics.busy), (None, None));
}

#[test]
fn what_is_posted_from_inside_counts_too() {
    let _watchdog = watchdog();
    let manual = Manual::new();
    let strand = Strand::builder(manual.executor()).time(Duration::from_secs(60)).build();
    let own = strand.clone();
    strand.post(move || {
        for _ in 0..3 {
            own.post(|| ());
        }
        assert_eq!(own.metrics().depth, 3);
        own.dispatch(|| ());
    });
    manual.run_until_idle(10);
    let metrics = strand.metrics();
    assert_eq!((metrics.turns, metrics.items, metrics.depth, metrics.max_depth), (1, 4, 0, 3));
}

#[test]
fn what_is_dropped_instead_of_run_is_no_item_and_waits_no_more() {
    let _watchdog = watchdog();
    let manual = Manual::new();
    let strand = Strand::new(manual.executor());
    for _ in 0..3 {
        strand.post(|| ());
    }
    drop(manual);
    let metrics = strand.metrics();
    assert_eq!((metrics.turns, metrics.items, metrics.depth), (0, 0, 0));
}

#[test]
fn times_where_they_are_asked_for() {
    let _watchdog = watchdog();
    let manual = Manual::new();
    let strand = Strand::builder(manual.executor()).measure(true).build();
    strand.post(|| burn(Duration::from_millis(10)));
    burn(Duration::from_millis(20));
    manual.run_until_idle(10);
    let metrics = strand.metrics();
    let (wait, busy) = (metrics.wait.expect("it is measured"), metrics.busy.expect("it is measured"));
    assert!(Duration::from_millis(19) <= wait && wait < Duration::from_secs(10), "{wait:?}");
    assert!(Duration::from_millis(9) <= busy && busy < Duration::from_secs(10), "{busy:?}");
    // Nothing passes while it is idle.
    burn(Duration::from_millis(5));
    assert_eq!(strand.metrics(), metrics);
}

#[test]
fn times_of_a_runtime_that_measures() {
    let _watchdog = watchdog();
    let measuring =
        Builder::new().worker_threads(1).measure_tasks(true).build().expect("threads can be started");
    let strand = Strand::new(measuring.handle().clone());
    assert_eq!(strand.metrics().busy, Some(Duration::ZERO));
    strand.post(|| burn(Duration::from_millis(5)));
    let is_measured = || strand.metrics().busy > Some(Duration::from_millis(4));
    wait_until(is_measured, "the turn was not measured");
    let not_measuring = runtime(1);
    assert_eq!(Strand::new(not_measuring.handle().clone()).metrics().busy, None);
}

#[test]
fn the_runtime_and_its_dumps_have_the_same_figures() {
    let _watchdog = watchdog();
    let runtime =
        Builder::new().worker_threads(1).measure_tasks(true).build().expect("threads can be started");
    let strand =
        Strand::builder(runtime.handle().clone()).name("room").items(2).time(Duration::from_secs(60)).build();
    let ((held, is_held), (go_on, may_go_on)) = (mpsc::channel(), mpsc::channel());
    strand.post(move || {
        held.send(()).expect("somebody waits");
        may_go_on.recv().expect("somebody says so");
        burn(Duration::from_millis(3));
    });
    is_held.recv().expect("it runs");
    for _ in 0..6 {
        strand.post(|| ());
    }
    go_on.send(()).expect("somebody waits");
    wait_until(|| strand.metrics().items == 7, "it does not go on");
    wait_until(|| runtime.handle().metrics().strands()[0].state == StrandState::Idle, "it is not idle");
    let metrics = strand.metrics();
    assert_eq!((metrics.items, metrics.depth, metrics.max_depth), (7, 0, 6));
    assert_eq!(metrics.turns, 4, "two at a time");
    assert!(metrics.busy >= Some(Duration::from_millis(3)), "{metrics:?}");
    assert!(metrics.wait > Some(Duration::ZERO), "{metrics:?}");
    let dump = tress::trace::dump(runtime.handle());
    for listed in [&runtime.handle().metrics().strands(), &dump.strands] {
        let [listed] = &listed[..] else { panic!("{listed:?}") };
        assert_eq!(
            (listed.name.as_str(), listed.state, listed.metrics),
            ("room", StrandState::Idle, metrics)
        );
    }
    let json: serde_json::Value = serde_json::from_str(&dump.to_json()).expect("it is JSON");
    let json = &json["strands"][0];
    assert_eq!((&json["depth"], &json["max_depth"]), (&0.into(), &6.into()), "{json}");
    assert_eq!((&json["items"], &json["turns"]), (&7.into(), &metrics.turns.into()), "{json}");
    for (key, time) in [("wait", metrics.wait), ("busy", metrics.busy)] {
        assert_eq!(json[key].as_f64(), time.map(|time| time.as_secs_f64()), "{json}");
    }
}

#[test]
fn of_an_actor_what_was_queued() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let actor = Actor::builder(0).executor(runtime.handle().clone()).name("sum").measure(true).build();
    assert_eq!(actor.name(), Some("sum"));
    runtime.block_on(async {
        for _ in 0..10 {
            actor.call(|sum| *sum += 1).await.expect("it is idle");
        }
    });
    assert_eq!((actor.metrics().turns, actor.metrics().items), (0, 0), "they ran at once");
    let ((held, is_held), (go_on, may_go_on)) = (mpsc::channel(), mpsc::channel());
    actor
        .post(move |_| {
            held.send(()).expect("somebody waits");
            may_go_on.recv().expect("somebody says so");
        })
        .expect("there is no limit");
    is_held.recv().expect("it runs");
    for _ in 0..5 {
        actor.post(|sum| *sum += 1).expect("there is no limit");
    }
    burn(Duration::from_millis(5));
    go_on.send(()).expect("somebody waits");
    wait_until(|| actor.metrics().items == 6, "what was posted was not counted");
    assert_eq!(runtime.block_on(actor.call(|sum| *sum)), Ok(15));
    assert_eq!(actor.metrics().max_depth, 5);
    assert!(actor.metrics().busy >= Some(Duration::from_millis(4)), "{:?}", actor.metrics());
}
