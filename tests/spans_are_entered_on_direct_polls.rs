//! What is awaited runs in the spans of whoever awaits it, also in frames that a worker polls directly; and nothing else does.

mod leaves;
mod support;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Poll};
use std::thread;

use leaves::{Flag, Gate, Tally, poll_once};
use support::{Pend, Random, panic_text, runtime, wait_until, watchdog, without_panic_messages};
use tracing::dispatcher::{self, Dispatch};
use tracing::field::{Field, Visit};
use tracing::instrument::Instrumented;
use tracing::span::{Attributes, Id};
use tracing::subscriber::Subscriber;
use tracing::{Event, Instrument, Span, info, info_span};
use tracing_subscriber::layer::{Context as LayerContext, Layer, SubscriberExt};
use tracing_subscriber::registry::{LookupSpan, Registry};
use tress::executor::{Inline, Manual, launch, run_on};
use tress::stop::{self, StopSource};
use tress::task::{Lazy, lazy, yield_now};
use tress::trace;

thread_local! {
    /// The numbers of the spans that the last event was in, the outermost first.
    static LAST: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
    /// How many spans the thread has entered and not left.
    static ENTERED: Cell<usize> = const { Cell::new(0) };
}

/// How many spans of each number there are.
static ALIVE: Mutex<Option<HashMap<u64, usize>>> = Mutex::new(None);

/// Remembers which spans events are in.
struct Watch;

#[derive(Default)]
struct Number(u64);

impl Visit for Number {
    fn record_u64(&mut self, _field: &Field, value: u64) {
        self.0 = value;
    }

    fn record_debug(&mut self, _field: &Field, _value: &dyn std::fmt::Debug) {}
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Watch {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: LayerContext<'_, S>) {
        let mut number = Number::default();
        attributes.record(&mut number);
        *ALIVE.lock().unwrap().get_or_insert_default().entry(number.0).or_default() += 1;
        context.span(id).expect("it is new").extensions_mut().insert(number);
    }

    fn on_event(&self, event: &Event<'_>, context: LayerContext<'_, S>) {
        let spans = context.event_scope(event).into_iter().flat_map(|scope| scope.from_root());
        let numbers = spans.filter_map(|span| span.extensions().get::<Number>().map(|number| number.0));
        LAST.set(numbers.collect());
    }

    fn on_enter(&self, _id: &Id, _context: LayerContext<'_, S>) {
        ENTERED.set(ENTERED.get() + 1);
    }

    fn on_exit(&self, _id: &Id, _context: LayerContext<'_, S>) {
        ENTERED.set(ENTERED.get() - 1);
    }

    fn on_close(&self, id: Id, context: LayerContext<'_, S>) {
        let span = context.span(&id).expect("it is being closed");
        let number = span.extensions().get::<Number>().expect("all have one").0;
        *ALIVE.lock().unwrap().as_mut().and_then(|all| all.get_mut(&number)).expect("it was new") -= 1;
    }
}

/// Has spans and events watched, in the whole process.
fn watch() -> impl Sized {
    static WATCHED: OnceLock<()> = OnceLock::new();
    WATCHED.get_or_init(|| {
        dispatcher::set_global_default(Dispatch::new(Registry::default().with(Watch))).unwrap();
    });
    watchdog()
}

/// The numbers of the spans that an event is in here.
fn here() -> Vec<u64> {
    LAST.take();
    info!("here");
    LAST.take()
}

fn span(number: u64) -> Span {
    info_span!("span", number)
}

/// Runs a future in a span of this number.
fn within<F: Future>(number: u64, future: F) -> Instrumented<F> {
    future.instrument(span(number))
}

fn alive(number: u64) -> usize {
    ALIVE.lock().unwrap().as_ref().and_then(|all| all.get(&number).copied()).unwrap_or(0)
}

/// Says in which spans it was dropped.
struct SaysWhere(Arc<Mutex<Vec<Vec<u64>>>>);

impl Drop for SaysWhere {
    fn drop(&mut self) {
        self.0.lock().unwrap().push(here());
    }
}

#[test]
fn events_after_a_wake_are_in_the_span() {
    let _watch = watch();
    let runtime = runtime(1);
    let (gate, polls) = (Gate::default(), Tally::default());
    let leaf = lazy({
        let gate = gate.clone();
        async move {
            let before = here();
            gate.passed().await;
            (before, here())
        }
    });
    let task = runtime.spawn(polls.clone().polls(within(10, async move { (leaf.await, here()) })));
    wait_until(|| gate.polls() > 0, "the leaf is polled");
    for _ in 0..5 {
        let seen = gate.polls();
        gate.wake();
        wait_until(|| gate.polls() > seen, "the leaf is polled again");
    }
    assert_eq!(polls.count(), 1, "the leaf is polled directly");
    gate.open();
    assert_eq!(runtime.block_on(task).unwrap(), ((vec![10], vec![10]), vec![10]));
    assert_eq!(alive(10), 0);
}

/// Frames, every other one in a span of its own, and a leaf that waits at the gate.
fn tower(height: u64, gate: Gate) -> Lazy<'static, Vec<Vec<u64>>> {
    lazy(async move {
        let before = here();
        let mut below = match height {
            100 => {
                gate.passed().await;
                Vec::new()
            }
            height if height.is_multiple_of(2) => within(height - 1, tower(height - 1, gate)).await,
            height => tower(height - 1, gate).await,
        };
        assert_eq!(here(), before);
        below.push(before);
        below
    })
}

#[test]
fn frames_are_in_the_spans_around_each() {
    let _watch = watch();
    let runtime = runtime(2);
    for height in [100, 101, 102, 105, 300] {
        let gate = Gate::default();
        let task = runtime.spawn(within(1000, tower(height, gate.clone())));
        wait_until(|| gate.polls() > 0, "the leaf is polled");
        // From a thread that is in another one.
        span(1001).in_scope(|| gate.open());
        let seen = runtime.block_on(task).unwrap();
        let mut expected = vec![1000];
        for (seen, height) in seen.iter().rev().zip((100..=height).rev()) {
            assert_eq!(*seen, expected);
            if height.is_multiple_of(2) {
                expected.push(height - 1);
            }
        }
        assert_eq!(seen.len() as u64, height - 99);
    }
    assert!((101..=300).all(|number| alive(number) == 0));
}

#[test]
fn branches_that_are_woken_in_any_order_have_their_own() {
    let _watch = watch();
    let runtime = runtime(2);
    let mut random = Random(7);
    let branch = |number: u64, gates: Vec<Gate>| {
        let inner = lazy(async move {
            for gate in gates {
                let part = lazy(async move {
                    gate.passed().await;
                    here()
                });
                assert_eq!(within(number + 1, part).await, [number, number + 1]);
                assert_eq!(here(), [number]);
            }
        });
        within(number, async move {
            inner.await;
            here()
        })
    };
    for _ in 0..100 {
        let mut gates: Vec<Vec<Gate>> = (0..3).map(|_| (0..4).map(|_| Gate::default()).collect()).collect();
        let [one, two, none] = [0, 1, 2].map(|place| gates[place].clone());
        let none = lazy(async move {
            for gate in none {
                gate.passed().await;
                assert_eq!(here(), [0; 0]);
            }
        });
        let task = runtime.spawn(async move {
            let (one, two, ()) = tress::join!(branch(400, one), branch(500, two), none);
            (one, two, here())
        });
        while gates.iter().any(|gates| !gates.is_empty()) {
            let gates = &mut gates[random.below(3)];
            if !gates.is_empty() {
                gates.remove(0).open();
            }
            if random.once_in(2) {
                thread::yield_now();
            }
        }
        assert_eq!(runtime.block_on(task).unwrap(), (vec![400], vec![500], vec![]));
    }
    assert!([400, 401, 500, 501].iter().all(|number| alive(*number) == 0));
}

#[test]
fn a_worker_is_in_none_between_polls() {
    let _watch = watch();
    let runtime = runtime(1);
    let waiting = runtime.spawn(within(600, async {
        let tasks: Vec<_> = (0..100_u64)
            .map(|number| within(601 + number % 3, lazy(Pend(usize::try_from(number).unwrap()))))
            .collect();
        tress::algorithm::join_all(tasks).await;
        here()
    }));
    let neighbour = runtime.spawn(async {
        for _ in 0..200 {
            assert_eq!((here(), ENTERED.get()), (vec![], 0));
            yield_now().await;
        }
    });
    runtime.block_on(neighbour).unwrap();
    assert_eq!(runtime.block_on(waiting).unwrap(), [600]);
}

#[test]
fn spawned_tasks_are_in_none() {
    let _watch = watch();
    let runtime = runtime(2);
    let ask = async {
        yield_now().await;
        here()
    };
    let task = runtime.spawn(within(610, lazy(async move { tress::spawn(ask).await.unwrap() })));
    assert_eq!(runtime.block_on(task).unwrap(), [0; 0]);
}

#[test]
fn they_go_with_a_task_to_other_threads() {
    let _watch = watch();
    let runtime = runtime(2);
    let task = |number: u64| async move {
        let mut threads = std::collections::HashSet::new();
        for _ in 0..200 {
            let part = lazy(async move {
                yield_now().await;
                assert_eq!(here(), [number, 700]);
            });
            within(700, part).await;
            assert_eq!(here(), [number]);
            threads.insert(thread::current().id());
        }
        threads.len()
    };
    let tasks: Vec<_> =
        (0..64).map(|number| runtime.spawn(within(number + 701, task(number + 701)))).collect();
    for task in tasks {
        runtime.block_on(task).unwrap();
    }
    assert!((700..765).all(|number| alive(number) == 0));
}

#[test]
fn locals_are_dropped_in_them() {
    let _watch = watch();
    let runtime = runtime(1);
    let log = Arc::new(Mutex::new(Vec::new()));
    let holding = |gate: &Gate| {
        let (says, gate) = (SaysWhere(log.clone()), gate.clone());
        async move {
            let _says = says;
            gate.passed().await;
        }
    };
    let dropped = || {
        let mut all = std::mem::take(&mut *log.lock().unwrap());
        all.sort_unstable();
        all
    };

    // By an abort: the frames first, each in the span that was current when it was first polled.
    let gate = Gate::default();
    let (own, frame, inner) = (holding(&gate), lazy(holding(&gate)), lazy(lazy(holding(&gate))));
    let bare = lazy(holding(&gate));
    let task = runtime.spawn(async move {
        tress::join!(within(800, async { tress::join!(own, frame, within(801, inner)) }), bare);
    });
    wait_until(|| gate.polls() == 4, "all wait");
    task.abort();
    assert!(runtime.block_on(task).unwrap_err().is_aborted());
    assert_eq!(dropped(), [vec![], vec![800], vec![800], vec![800, 801]]);

    // By the end of a poll.
    let gate = Gate::default();
    let frame = lazy(holding(&gate));
    runtime.block_on(async {
        let mut pending = pin!(within(802, frame));
        assert_eq!(poll_once(pending.as_mut()).await, Poll::Pending);
    });
    assert_eq!(dropped(), [[802]]);

    // By a stop.
    let (gate, source) = (Gate::default(), StopSource::new());
    let held = holding(&gate);
    let frame = lazy(async move { tress::join!(held, stop::stopped()) });
    let task = runtime.spawn(stop::outcome(within(803, async move { frame.await })));
    assert!(runtime.block_on(task).unwrap().is_stopped());
    assert_eq!(dropped(), [[803]]);
    drop(source);
    assert!((800..=803).all(|number| alive(number) == 0));
}

#[test]
fn a_panic_leaves_the_span() {
    let _watch = watch();
    let runtime = runtime(1);
    let log = Arc::new(Mutex::new(Vec::new()));
    let says = SaysWhere(log.clone());
    let gate = Gate::default();
    let leaf = lazy({
        let gate = gate.clone();
        async move {
            let _says = says;
            gate.passed().await;
            panic!("expected: the leaf has panicked");
        }
    });
    let task = runtime.spawn(within(810, async move { lazy(within(811, leaf)).await }));
    wait_until(|| gate.polls() > 0, "the leaf is polled");
    let error = without_panic_messages(|| {
        gate.open();
        runtime.block_on(task).unwrap_err()
    });
    assert!(panic_text(error).starts_with("expected"));
    assert_eq!(*log.lock().unwrap(), [[810, 811]]);
    let after = runtime.spawn(async { (here(), ENTERED.get()) });
    assert_eq!(runtime.block_on(after).unwrap(), (vec![], 0));
    assert_eq!((alive(810), alive(811)), (0, 0));
}

/// A chain of so many frames; each sees that it goes on in the span that it has begun in.
fn chain(depth: usize, gate: Gate) -> Lazy<'static, usize> {
    lazy(async move {
        let before = Span::current().id();
        assert!(before.is_some());
        let below = match depth {
            0 => {
                gate.passed().await;
                0
            }
            depth => chain(depth - 1, gate).await,
        };
        assert_eq!(Span::current().id(), before);
        below + 1
    })
}

#[test]
fn long_chains_are_in_one_span() {
    const DEPTH: usize = 100_000;
    let _watch = watch();
    let runtime = runtime(1);
    let gate = Gate::default();
    let task = runtime.spawn(within(820, chain(DEPTH, gate.clone())));
    wait_until(|| gate.polls() > 0, "the leaf is polled");
    gate.open();
    assert_eq!(runtime.block_on(task).unwrap(), DEPTH + 1);
    assert_eq!(alive(820), 0);
    // The same, dropped.
    let gate = Gate::default();
    let task = runtime.spawn(within(821, chain(DEPTH, gate.clone())));
    wait_until(|| gate.polls() > 0, "the leaf is polled");
    task.abort();
    assert!(runtime.block_on(task).unwrap_err().is_aborted());
    assert_eq!(alive(821), 0);
}

#[test]
fn islands_are_in_the_spans_around_their_handles() {
    let _watch = watch();
    let runtime = runtime(1);
    let gate = Gate::default();
    runtime
        .block_on(runtime.spawn(async move {
            let leaf = lazy({
                let gate = gate.clone();
                async move {
                    let mut seen = Vec::new();
                    poll_fn(|cx| {
                        seen.push(here());
                        gate.poll(cx)
                    })
                    .await;
                    seen
                }
            });
            // Made here, outside the others.
            let leaf = within(831, leaf);
            let mut above = pin!(lazy(async move { (leaf.await, here()) }));
            assert!(within(830, poll_once(above.as_mut())).await.is_pending());
            assert_eq!(alive(830), 1, "a frame keeps it");
            // By a detour: with a waker of others.
            let waker = Arc::new(Flag::default()).waker();
            let mut poll = |cx: &mut Context<'_>| span(832).in_scope(|| above.as_mut().poll(cx));
            assert!(poll(&mut Context::from_waker(&waker)).is_pending());
            assert_eq!(ENTERED.get(), 0);
            assert_eq!(alive(830), 0, "it was around the first poll only");
            gate.open();
            let seen = within(833, above.as_mut()).await;
            assert_eq!(seen, (vec![vec![831]; 3], vec![833]));
            assert_eq!(here(), [0; 0]);
        }))
        .unwrap();
    assert!((830..=833).all(|number| alive(number) == 0));
}

#[test]
fn a_shared_lazy_is_in_the_span_of_who_drives_it() {
    let _watch = watch();
    let runtime = runtime(1);
    let gate = Gate::default();
    let waits = gate.clone();
    let shared = lazy(async move {
        let before = here();
        lazy(async move { waits.passed().await }).await;
        (before, here())
    });
    let shared = shared.shared();
    let (first, second) = (shared.clone(), shared);
    let task = runtime.spawn(within(840, async move {
        let mut first = pin!(first);
        assert!(poll_once(first.as_mut()).await.is_pending());
        gate.open();
        within(841, second).await
    }));
    assert_eq!(runtime.block_on(task).unwrap(), (vec![840], vec![840, 841]));
    assert_eq!((alive(840), alive(841)), (0, 0));
}

#[test]
fn a_dump_polls_others_in_their_own() {
    let _watch = watch();
    let runtime = runtime(2);
    let log = Arc::new(Mutex::new(Vec::new()));
    let gate = Gate::default();
    let leaf = |gate: Gate| {
        let log = log.clone();
        lazy(poll_fn(move |cx| {
            log.lock().unwrap().push((here(), ENTERED.get()));
            gate.poll(cx)
        }))
    };
    let (bare, instrumented) = (leaf(gate.clone()), leaf(gate.clone()));
    let task = runtime.spawn(async move { tress::join!(bare, within(850, async { instrumented.await })) });
    wait_until(|| gate.polls() == 2, "both wait");
    let outer = span(851);
    let inner = outer.in_scope(|| span(852));
    outer.in_scope(|| {
        inner.in_scope(|| {
            while gate.polls() < 10 {
                drop(trace::dump(runtime.handle()));
            }
            assert_eq!((here(), ENTERED.get()), (vec![851, 852], 2));
        });
        assert_eq!((here(), ENTERED.get()), (vec![851], 1));
    });
    assert_eq!((here(), ENTERED.get()), (vec![], 0));
    gate.open();
    runtime.block_on(task).unwrap();
    let seen = log.lock().unwrap();
    assert!(seen.iter().all(|seen| *seen == (vec![], 0) || *seen == (vec![850], 1)), "{seen:?}");
}

#[test]
fn spans_around_a_block_on_are_its_futures_only() {
    let _watch = watch();
    let runtime = runtime(1);
    let caller = thread::current().id();
    let _entered = span(860).entered();
    let asks = || async move {
        for _ in 0..3 {
            assert_eq!(here(), [0; 0]);
            lazy(yield_now()).await;
        }
        thread::current().id() == caller
    };
    runtime.block_on(async {
        let mut were_here = 0;
        while were_here < 10 {
            let task = tress::spawn(asks());
            let part = lazy(async {
                yield_now().await;
                here()
            });
            assert_eq!(within(861, part).await, [860, 861]);
            were_here += usize::from(task.await.unwrap());
            assert_eq!(here(), [860]);
        }
    });
    assert_eq!((here(), ENTERED.get()), (vec![860], 1));
}

#[test]
fn executors_do_not_run_tasks_in_the_spans_of_whoever_runs_or_wakes_them() {
    let _watch = watch();
    let manual = Manual::new();
    let asks = |gate: Gate| async move {
        let before = here();
        gate.passed().await;
        (before, here())
    };
    let gate = Gate::default();
    let entered = span(870).entered();
    let on_manual = launch(manual.executor()).spawn(asks(gate.clone()));
    let inline = launch(Inline).spawn(asks(gate.clone()));
    manual.run_until_idle(10);
    gate.open();
    manual.run_until_idle(10);
    assert_eq!((here(), ENTERED.get()), (vec![870], 1));
    drop(entered);
    let both = support::block_on_foreign(async { (on_manual.await.unwrap(), inline.await.unwrap()) });
    assert_eq!(both, ((vec![], vec![]), (vec![], vec![])));
}

#[test]
fn run_on_takes_them_along() {
    let _watch = watch();
    let (runtime, other) = (runtime(1), runtime(1));
    let there = other.handle().clone();
    let asks = move || {
        run_on(there.clone(), async {
            yield_now().await;
            (here(), lazy(async { (yield_now().await, here()).1 }).await)
        })
    };
    let outside = within(880, asks());
    assert_eq!(runtime.block_on(outside), (vec![880], vec![880]));
    let task = runtime.spawn(within(881, lazy(async move { asks().await })));
    assert_eq!(runtime.block_on(task).unwrap(), (vec![881], vec![881]));
    assert_eq!((alive(880), alive(881)), (0, 0));
}

#[test]
fn a_span_is_its_own_subscribers() {
    let _watch = watch();
    let [one, two] = [(); 2].map(|()| Dispatch::new(Registry::default().with(Watch)));
    let (manual, gate) = (Manual::new(), Gate::default());
    let log = Arc::new(Mutex::new(Vec::new()));
    let (seen, waits) = (log.clone(), gate.clone());
    let leaf = lazy(poll_fn(move |cx| {
        seen.lock().unwrap().push(here());
        waits.poll(cx)
    }));
    let task = dispatcher::with_default(&one, || {
        launch(manual.executor()).spawn(within(890, async move { leaf.await }))
    });
    for subscriber in [&one, &two, &one] {
        dispatcher::with_default(subscriber, || {
            gate.wake();
            manual.run_one();
            assert_eq!((here(), ENTERED.get()), (vec![], 0));
        });
    }
    gate.open();
    manual.run_until_idle(10);
    support::block_on_foreign(task).unwrap();
    assert_eq!(*log.lock().unwrap(), [vec![890], vec![], vec![890], vec![]]);
    assert_eq!(alive(890), 0);
}

/// Panics whatever it is told of, once it has been asked to.
#[derive(Clone, Default)]
struct Hostile {
    is_on: Arc<AtomicBool>,
    panics: Tally,
}

impl Hostile {
    fn told(&self) {
        if self.is_on.load(Ordering::Relaxed) {
            self.panics.add();
            panic!("expected: a subscriber has panicked");
        }
    }
}

impl<S: Subscriber> Layer<S> for Hostile {
    fn on_enter(&self, _id: &Id, _context: LayerContext<'_, S>) {
        self.told();
    }

    fn on_exit(&self, _id: &Id, _context: LayerContext<'_, S>) {
        self.told();
    }

    fn on_close(&self, _id: Id, _context: LayerContext<'_, S>) {
        self.told();
    }
}

#[test]
fn a_subscriber_that_panics_ends_nothing() {
    let _watch = watch();
    let hostile = Hostile::default();
    let manual = Manual::new();
    let is_on = hostile.is_on.clone();
    let future = async move {
        let mut leaf = pin!(lazy(Pend(5)));
        assert!(within(895, poll_once(leaf.as_mut())).await.is_pending());
        is_on.store(true, Ordering::Relaxed);
        leaf.await;
        7
    };
    let subscriber = Dispatch::new(Registry::default().with(hostile.clone()));
    let task = dispatcher::with_default(&subscriber, || {
        let task = launch(manual.executor()).spawn(future);
        without_panic_messages(|| manual.run_until_idle(100));
        hostile.is_on.store(false, Ordering::Relaxed);
        task
    });
    assert_eq!(support::block_on_foreign(task).unwrap(), 7);
    // At each poll, and when the frame let go of the span.
    assert!(hostile.panics.count() >= 5);
}
