//! A request that comes in one piece costs its server one receive, one send and one wait.
#![cfg(target_os = "linux")]

mod support;

use std::io::{Read, Write};
use std::process::Command;

use support::{runtime, watchdog};
use tress::net::TcpListener;

const REQUESTS: u64 = 2000;

/// Serves a client in another thread, one request after the other.
fn serve() {
    let runtime = runtime(2);
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    let server = runtime.spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        let mut buf = [0; 1024];
        while let read @ 1.. = stream.read(&mut buf).await.unwrap() {
            stream.write_all(&buf[..read]).await.unwrap();
        }
    });
    let mut client = std::net::TcpStream::connect(address).unwrap();
    client.set_nodelay(true).unwrap();
    for _ in 0..REQUESTS {
        client.write_all(&[7; 64]).unwrap();
        client.read_exact(&mut [0; 64]).unwrap();
    }
    drop(client);
    support::block_on_foreign(server).unwrap();
}

/// Counts the system calls of this test alone, run by itself under strace.
#[test]
fn by_system_calls() {
    let _watchdog = watchdog();
    if std::env::var_os("TRESS_COUNT_CALLS").is_some() {
        return serve();
    }
    let table = std::env::temp_dir().join(format!("tress-requests-{}", std::process::id()));
    let traced = Command::new("strace")
        .args(["-f", "-c", "-U", "calls,name", "-o"])
        .arg(&table)
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
    let calls = std::fs::read_to_string(&table).unwrap();
    std::fs::remove_file(&table).unwrap();
    println!("{calls}");
    let count = |names: &[&str]| -> u64 {
        let rows = calls.lines().filter_map(|line| line.trim().split_once(char::is_whitespace));
        rows.filter(|(_, name)| names.contains(&name.trim()))
            .map(|(count, _)| count.parse::<u64>().unwrap())
            .sum()
    };
    // Half of them are the client's, which receives and sends once for each request.
    let limit = REQUESTS * 21 / 10;
    let (receives, sends) =
        (count(&["recvfrom", "recvmsg", "read", "readv"]), count(&["sendto", "sendmsg", "write", "writev"]));
    assert!(receives >= REQUESTS * 2, "the client and the server receive each request");
    assert!(receives < limit, "{receives} receives for {REQUESTS} requests:\n{calls}");
    assert!(sends < limit, "{sends} sends for {REQUESTS} requests:\n{calls}");
    let waits = count(&["epoll_wait", "epoll_pwait", "epoll_pwait2"]);
    assert!(waits < REQUESTS * 3 / 2, "{waits} waits for {REQUESTS} requests:\n{calls}");
}
