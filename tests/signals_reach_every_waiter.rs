//! A signal completes every waiter that was made before it; later ones wait for the next.
#![cfg(unix)]

mod watchdog;

use std::process::Command;
use std::time::Duration;

use tress::env;
use tress::signal::{ctrl_c, ctrl_c_token, terminate, terminate_token};
use tress::time::timeout;
use watchdog::{Watchdog, watchdog};

/// Signals concern the process, and so every test in it.
fn alone() -> (std::sync::MutexGuard<'static, ()>, Watchdog) {
    static ALONE: std::sync::Mutex<()> = std::sync::Mutex::new(());
    (ALONE.lock().unwrap(), watchdog(Duration::from_secs(20)))
}

fn send(signal: &str) {
    let sent = Command::new("kill").args([signal, &std::process::id().to_string()]).status().unwrap();
    assert!(sent.success());
}

#[test]
fn ctrl_c_does() {
    let _alone = alone();
    tress::Runtime::new().unwrap().block_on(async {
        let never_polled_before = ctrl_c();
        let waiters: Vec<_> = (0..3).map(|_| tress::spawn(ctrl_c())).collect();
        assert!(timeout(Duration::from_millis(50), ctrl_c()).await.is_err(), "nobody has pressed it");
        send("-INT");
        for waiter in waiters {
            waiter.await.unwrap().unwrap();
        }
        never_polled_before.await.unwrap();

        let late = ctrl_c();
        send("-INT");
        late.await.unwrap();
        assert!(timeout(Duration::from_millis(50), ctrl_c()).await.is_err(), "it is not remembered");
    });
}

#[test]
fn termination_does_and_is_not_ctrl_c() {
    let _alone = alone();
    tress::Runtime::new().unwrap().block_on(async {
        let interrupted = ctrl_c();
        let waiters: Vec<_> = (0..3).map(|_| tress::spawn(terminate())).collect();
        let never_polled_before = terminate();
        send("-TERM");
        for waiter in waiters {
            waiter.await.unwrap().unwrap();
        }
        never_polled_before.await.unwrap();
        assert!(timeout(Duration::from_millis(50), terminate()).await.is_err(), "it is not remembered");
        assert!(timeout(Duration::from_millis(50), interrupted).await.is_err(), "it was another signal");
    });
}

#[test]
fn without_a_runtime_there_is_an_error() {
    fn error(future: impl Future<Output = std::io::Result<()>>) -> String {
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        match std::pin::pin!(future).as_mut().poll(&mut cx) {
            std::task::Poll::Ready(Err(error)) => error.to_string(),
            other => panic!("{other:?}"),
        }
    }
    assert!(error(ctrl_c()).contains("runtime"));
    assert!(error(terminate()).contains("runtime"));
}

#[test]
fn tokens_are_asked_to_stop_by_them() {
    let _alone = alone();
    let runtime = tress::Runtime::new().unwrap();
    runtime.block_on(async {
        let (interrupted, terminated) = (ctrl_c_token().unwrap(), terminate_token().unwrap());
        let long = tress::time::sleep(Duration::from_secs(3600));
        let task = tress::spawn(env::scope().stop(interrupted.clone()).run(long));
        assert!(!interrupted.is_stop_requested());
        send("-INT");
        assert!(task.await.unwrap_err().is_stopped());
        assert!(interrupted.is_stop_requested() && !terminated.is_stop_requested());
        send("-TERM");
        terminated.stop_requested().await;
        // Later ones wait for the next.
        assert!(!ctrl_c_token().unwrap().is_stop_requested());
    });
    let error = ctrl_c_token().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound, "{error}");
}
