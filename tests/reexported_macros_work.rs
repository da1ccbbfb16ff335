//! `join!`, `try_join!` and `select!` work without `futures-util` among the user's dependencies, and the attribute
//! macros keep types and inference.

use std::num::ParseIntError;
use std::pin::pin;

use tress::future::FutureExt;

#[tress::test]
async fn join_runs_all() {
    let (one, two) = tress::join!(async { 1 }, tress::spawn(async { 2 }));
    assert_eq!((one, two.unwrap()), (1, 2));
}

#[tress::test(worker_threads = 1)]
async fn try_join_stops_at_the_first_error() {
    let result: Result<((), u8), &str> = tress::try_join!(async { Ok(()) }, async { Err("no") });
    assert_eq!(result, Err("no"));
}

#[tress::test]
async fn select_takes_the_first() {
    let mut slow = pin!(tress::time::sleep(std::time::Duration::from_secs(60)).fuse());
    let mut fast = pin!(async { 7 }.fuse());
    let taken = tress::select! {
        () = slow => 0,
        number = fast => number,
    };
    assert_eq!(taken, 7);
}

#[tress::test]
async fn a_test_may_return_a_result() -> Result<(), ParseIntError> {
    assert_eq!("7".parse::<u8>()?, 7);
    Ok(())
}

#[tress::test]
#[should_panic(expected = "as it should")]
async fn a_test_may_panic() {
    tress::task::yield_now().await;
    panic!("as it should");
}

/// Any function will do, with arguments and a value.
#[tress::main(worker_threads = 1 + 1, crate = tress)]
async fn sum(numbers: &[u32], zero: bool) -> Option<u32> {
    if zero {
        return None;
    }
    Some(numbers.iter().sum())
}

#[test]
fn main_keeps_arguments_and_output() {
    assert_eq!(sum(&[1, 2, 3], false), Some(6));
    assert_eq!(sum(&[], true), None);
}
