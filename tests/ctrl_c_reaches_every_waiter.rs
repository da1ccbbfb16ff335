//! One ctrl-c completes every waiter that was made before it; later ones wait for the next.
#![cfg(unix)]

mod watchdog;

use std::process::Command;
use std::time::Duration;

use tress::signal::ctrl_c;
use tress::time::timeout;
use watchdog::watchdog;

fn interrupt() {
    let sent = Command::new("kill").args(["-INT", &std::process::id().to_string()]).status().unwrap();
    assert!(sent.success());
}

#[tress::test]
async fn all_waiters_hear_of_it() {
    let _watchdog = watchdog(Duration::from_secs(20));
    let never_polled_before = ctrl_c();
    let waiters: Vec<_> = (0..3).map(|_| tress::spawn(ctrl_c())).collect();
    assert!(timeout(Duration::from_millis(50), ctrl_c()).await.is_err(), "nobody has pressed it");
    interrupt();
    for waiter in waiters {
        waiter.await.unwrap().unwrap();
    }
    never_polled_before.await.unwrap();

    let late = ctrl_c();
    interrupt();
    late.await.unwrap();
    assert!(timeout(Duration::from_millis(50), ctrl_c()).await.is_err(), "it is not remembered");
}

#[test]
fn without_a_runtime_there_is_an_error() {
    let mut future = std::pin::pin!(ctrl_c());
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    match std::future::Future::poll(future.as_mut(), &mut cx) {
        std::task::Poll::Ready(Err(error)) => assert!(error.to_string().contains("runtime"), "{error}"),
        other => panic!("{other:?}"),
    }
}
