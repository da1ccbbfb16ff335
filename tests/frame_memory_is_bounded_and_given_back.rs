//! A producer and a consumer run in bounded memory, and a burst's memory goes back to the system.

#![cfg(target_os = "linux")]

use std::sync::mpsc;
use std::sync::{Mutex, MutexGuard};
use std::thread;

use tress::{Builder, frame};

/// The process's resident memory is measured by one test at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

fn resident_mebibytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux has it");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("the kernel says it");
    let kibibytes = line.split_ascii_whitespace().nth(1).expect("the line has a number");
    kibibytes.parse::<usize>().expect("it is a number") / 1024
}

#[test]
fn a_producer_and_a_consumer_run_in_bounded_memory() {
    let _alone = alone();
    const CHUNKS: usize = if cfg!(debug_assertions) { 2_000 } else { 20_000 };
    let (send, receive) = mpsc::sync_channel::<Vec<frame::Box<[u64; 25]>>>(4);
    let consumer = thread::spawn(move || receive.iter().map(|boxes| boxes.len()).sum::<usize>());
    let before = resident_mebibytes();
    for n in 0..CHUNKS as u64 {
        send.send((0..1000).map(|_| frame::Box::new([n; 25])).collect()).expect("the consumer runs");
    }
    drop(send);
    assert_eq!(consumer.join().expect("boxes are dropped anywhere"), CHUNKS * 1000);
    let after = resident_mebibytes();
    // Without reuse: 400 MiB at least.
    assert!(after < before + 64, "from {before} to {after} MiB");
}

#[test]
fn a_burst_of_boxes_is_given_back() {
    let _alone = alone();
    let before = resident_mebibytes();
    let burst: Vec<_> = (0..400_000u64).map(|n| frame::Box::new([n; 64])).collect();
    let peak = resident_mebibytes();
    assert!(peak > before + 150, "from {before} to {peak} MiB");
    // Every second one first, so that no page is freed as a whole until the end.
    let (even, odd): (Vec<_>, Vec<_>) = burst.into_iter().partition(|boxed| boxed[0] % 2 == 0);
    drop(even);
    drop(odd);
    // Another burst finds the memory of the first one; unless nobody needs it for a second, or the thread says so.
    let kept = resident_mebibytes();
    frame::trim();
    let after = resident_mebibytes();
    assert!(after < before + 40, "from {before} over {peak} and {kept} to {after} MiB");
    assert_eq!(frame::stats().spare_pages, 0);
}

#[test]
fn a_burst_of_tasks_is_given_back() {
    let _alone = alone();
    let runtime = Builder::new().worker_threads(2).build().expect("a runtime starts");
    let burst = || {
        runtime.block_on(async {
            let tasks: Vec<_> = (0..200_000u64)
                .map(|n| {
                    tress::spawn(async move {
                        let values = [n; 60];
                        tress::task::yield_now().await;
                        values[59]
                    })
                })
                .collect();
            let peak = resident_mebibytes();
            for (n, task) in (0..).zip(tasks) {
                assert_eq!(task.await.expect("it does not panic"), n);
            }
            peak
        })
    };
    let before = resident_mebibytes();
    let peak = burst();
    assert!(peak > before + 75, "from {before} to {peak} MiB");
    // A worker gives back when it rests; each rest looks at a bounded number of frames, and lets memory go that was free for a second.
    for _ in 0..200 {
        runtime.block_on(async {
            for _ in 0..20 {
                tress::time::sleep(std::time::Duration::from_millis(1)).await;
            }
        });
        if resident_mebibytes() < before + 60 {
            return;
        }
    }
    panic!("from {before} over {peak} to {} MiB: {:?}", resident_mebibytes(), frame::stats());
}

/// Whoever sleeps wakes up once more for the sake of the memory, and not again.
#[test]
fn an_idle_runtime_gives_back_a_burst() {
    let _alone = alone();
    let runtime = Builder::new().worker_threads(2).build().expect("a runtime starts");
    let before = resident_mebibytes();
    let peak = runtime.block_on(async {
        tress::spawn(async {
            let burst: Vec<_> = (0..300_000u64).map(|n| frame::Box::new([n; 64])).collect();
            let peak = resident_mebibytes();
            drop(burst);
            peak
        })
        .await
        .expect("it does not panic")
    });
    assert!(peak > before + 100, "from {before} to {peak} MiB");
    for _ in 0..100 {
        thread::sleep(std::time::Duration::from_millis(50));
        if resident_mebibytes() < before + 40 {
            return;
        }
    }
    panic!("from {before} over {peak} to {} MiB: {:?}", resident_mebibytes(), frame::stats());
}
