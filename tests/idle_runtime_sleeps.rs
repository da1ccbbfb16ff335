//! A runtime with nothing to do does nothing: its threads do not wake up, be it new, used, or waiting for a late timer.
#![cfg(target_os = "linux")]

mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use support::watchdog;
use tress::{Builder, Runtime};

/// The time after which an idle runtime keeps no watch any more.
const SETTLE: Duration = Duration::from_millis(200);

const IDLE: Duration = Duration::from_secs(3);

/// How often each thread with this name has been given a processor.
fn switches(name: &str) -> BTreeMap<String, u64> {
    let mut switches = BTreeMap::new();
    for task in std::fs::read_dir("/proc/self/task").unwrap() {
        let path = task.unwrap().path();
        let Ok(status) = std::fs::read_to_string(path.join("status")) else { continue };
        let field = |key: &str| {
            status.lines().find_map(|line| line.strip_prefix(key)).map(|value| value.trim().to_owned())
        };
        let comm = field("Name:").unwrap();
        if comm.starts_with(name) {
            let count = |key: &str| field(key).unwrap().parse::<u64>().unwrap();
            let sum = count("voluntary_ctxt_switches:") + count("nonvoluntary_ctxt_switches:");
            assert!(switches.insert(comm, sum).is_none(), "names are unique");
        }
    }
    switches
}

fn build(name: &str) -> Runtime {
    Builder::new().worker_threads(4).thread_name(name).build().unwrap()
}

#[test]
fn its_threads_are_not_scheduled() {
    let _watchdog = watchdog();
    let (new, used, waiting) = (build("idle-new"), build("idle-used"), build("idle-wait"));
    used.block_on(async {
        let tasks: Vec<_> = (0..1000)
            .map(|number| {
                tress::spawn(async move { tress::time::sleep(Duration::from_millis(number % 20)).await })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
    waiting.spawn(async { tress::time::sleep(Duration::from_secs(3600)).await });
    waiting.spawn(async {
        let listener = tress::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _ = listener.accept().await;
    });
    waiting.spawn(std::future::pending::<()>());

    std::thread::sleep(SETTLE);
    let before = switches("idle-");
    assert_eq!(before.len(), 12, "{before:?}");
    std::thread::sleep(IDLE);
    assert_eq!(switches("idle-"), before);

    // They are not dead either.
    for runtime in [new, used, waiting] {
        assert_eq!(runtime.block_on(runtime.spawn(async { 1 })).unwrap(), 1);
    }
}
