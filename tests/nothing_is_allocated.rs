//! What is said to allocate nothing, counted: looks at an environment, stop callbacks.

mod allocations;
mod support;

use std::pin::pin;

use allocations::allocations;
use support::{runtime, watchdog};
use tress::env;
use tress::stop::{StopCallback, StopSource};

#[test]
fn the_count_counts() {
    assert_eq!(allocations(|| Box::new(1)), 1);
}

#[test]
fn by_looks_at_an_environment() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    assert_eq!(allocations(|| env::with(|env| env.value::<u32>().is_none())), 0);
    assert_eq!(allocations(env::current), 0);
    let inside = runtime.block_on(env::scope().value(7_u32).run(async {
        allocations(|| {
            assert_eq!(env::with(|env| env.value::<u32>().copied()), Some(7));
            env::current()
        })
    }));
    assert_eq!(inside, 0);
    let task = runtime.spawn(async { allocations(|| (env::with(env::Env::stop_token), env::current())) });
    assert_eq!(runtime.block_on(task).unwrap(), 0);
}

#[test]
fn by_stop_callbacks() {
    let source = StopSource::new();
    let token = source.token();
    let registered_and_dropped = allocations(|| {
        for _ in 0..100 {
            pin!(StopCallback::new(|| ())).register(&token);
        }
    });
    assert_eq!(registered_and_dropped, 0);
    let mut callbacks = [const { None }; 10].map(|_: Option<()>| Box::pin(StopCallback::new(|| ())));
    let called = allocations(|| {
        for callback in &mut callbacks {
            callback.as_mut().register(&token);
        }
        source.request_stop();
    });
    assert_eq!(called, 0);
}
