//! A lone task that yields enters the kernel now and then (to look at sockets), not with each yield.
#![cfg(target_os = "linux")]

mod support;

use std::process::Command;

use support::watchdog;
use tress::Builder;
use tress::task::yield_now;

const YIELDS: u64 = 100_000;

/// How often this thread has given up its processor by itself.
fn voluntary_switches() -> u64 {
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    line.unwrap().trim().parse().unwrap()
}

/// Yields on a worker and returns how often that worker slept meanwhile.
fn yield_often() -> u64 {
    let runtime = Builder::new().worker_threads(2).build().unwrap();
    let task = runtime.spawn(async {
        let before = voluntary_switches();
        for _ in 0..YIELDS {
            yield_now().await;
        }
        voluntary_switches() - before
    });
    support::block_on_foreign(task).unwrap()
}

#[test]
fn by_context_switches() {
    let _watchdog = watchdog();
    let switches = yield_often();
    assert!(switches < YIELDS / 100, "{switches} context switches in {YIELDS} yields");
}

/// Counts the system calls of this test alone, run by itself under strace.
#[test]
fn by_system_calls() {
    let _watchdog = watchdog();
    if std::env::var_os("TRESS_COUNT_CALLS").is_some() {
        yield_often();
        return;
    }
    let calls = std::env::temp_dir().join(format!("tress-yields-{}", std::process::id()));
    let traced = Command::new("strace")
        .args(["-f", "-c", "-U", "calls,name", "-o"])
        .arg(&calls)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "by_system_calls"])
        .env("TRESS_COUNT_CALLS", "1")
        .output();
    match traced {
        Err(error) => return println!("skipped: strace cannot be run: {error}"),
        Ok(output) if !output.status.success() => {
            return println!("skipped: strace failed: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(_) => {}
    }
    let table = std::fs::read_to_string(&calls).unwrap();
    std::fs::remove_file(&calls).unwrap();
    let total = table.lines().find(|line| line.ends_with("total")).expect("the table has a sum");
    let total: u64 = total.split_whitespace().next().unwrap().parse().unwrap();
    // Looks at the reactor, some of them by the clock, which strace slows down; and what starting and ending takes.
    assert!(total < YIELDS / 10, "{total} system calls in {YIELDS} yields:\n{table}");
}
