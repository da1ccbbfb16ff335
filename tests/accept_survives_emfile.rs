//! A server that runs out of descriptors does not spin, and serves again once some are free.
#![cfg(target_os = "linux")]

mod example_process;
mod raw_http;
mod watchdog;

use std::net::TcpStream;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use example_process::HttpServer;
use raw_http::{exchange, status};
use watchdog::watchdog;

const DESCRIPTORS: usize = 64;
const CLIENTS: usize = 200;

#[test]
fn it_pauses_and_recovers() {
    let _watchdog = watchdog(Duration::from_secs(60));
    let mut command = Command::new("sh");
    command.args([
        "-c",
        &format!("ulimit -n {DESCRIPTORS}; exec \"$0\" \"$@\""),
        example_process::path().to_str().unwrap(),
    ]);
    command.args(["--workers", "2"]);
    let server = HttpServer::start_command(command);
    let request = b"GET /plaintext HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    assert_eq!(status(&exchange(server.address, request)), "200");
    sleep(Duration::from_millis(100));
    let before = server.open_descriptors();

    let clients: Vec<TcpStream> =
        (0..CLIENTS).map(|_| TcpStream::connect(server.address).expect("the backlog has room")).collect();
    sleep(Duration::from_millis(300));
    assert!(server.open_descriptors() >= DESCRIPTORS, "the limit was not reached: this tests nothing");

    let ticks = server.cpu_ticks();
    sleep(Duration::from_secs(2));
    let used = server.cpu_ticks() - ticks;
    assert!(used <= 10, "it used {used} ticks of CPU in two seconds without descriptors");

    drop(clients);
    let begun = Instant::now();
    assert_eq!(status(&exchange(server.address, request)), "200");
    assert!(begun.elapsed() < Duration::from_secs(5), "it took {:?} to serve again", begun.elapsed());

    let begun = Instant::now();
    while server.open_descriptors() > before {
        assert!(
            begun.elapsed() < Duration::from_secs(15),
            "{} descriptors leaked",
            server.open_descriptors() - before
        );
        sleep(Duration::from_millis(20));
    }
}
