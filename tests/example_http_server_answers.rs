//! `examples/http_server` answers its routes, and ctrl-c ends it when what is in flight is done.
#![cfg(unix)]

mod example_process;
mod raw_http;
mod watchdog;

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use example_process::HttpServer;
use raw_http::{connect, exchange, read_response, read_to_close, status};
use watchdog::watchdog;

#[test]
fn routes_answer() {
    let _watchdog = watchdog(Duration::from_secs(30));
    let server = HttpServer::start(&["--workers", "2"]);
    let get = |path: &str| {
        let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
        exchange(server.address, request.as_bytes())
    };
    assert!(get("/plaintext").ends_with("\r\n\r\nHello, World!"));
    assert!(get("/json").ends_with(r#"{"message":"Hello, World!"}"#));
    let page = get("/");
    assert!(page.contains("text/html") && page.contains("</html>"), "{page}");
    let stats = get("/stats.json");
    assert_eq!(status(&stats), "200");
    for field in ["workers", "live_tasks", "polls", "steals", "parks", "uptime_seconds", "requests"] {
        assert!(stats.contains(&format!("\"{field}\":")), "{stats}");
    }
    for path in ["/missing", "/plaintext/", "/files/a", "//"] {
        assert_eq!(status(&get(path)), "404", "{path}");
    }
}

/// The line of the example's routes that ends in a comment with this mark.
fn line_of(mark: &str) -> usize {
    let is_marked = |line: &str| line.ends_with(&format!("// {mark}"));
    let index = include_str!("../examples/http_server/routes.rs").lines().position(is_marked);
    index.expect("there is such a mark") + 1
}

/// What every task waits for: the one that accepts, the idle connection, and the one that asks, which waits for what it asks for.
#[test]
fn tasks_are_shown_with_what_they_wait_for() {
    let _watchdog = watchdog(Duration::from_secs(60));
    let server = HttpServer::start(&["--workers", "2"]);
    let mut idle = connect(server.address);
    idle.write_all(b"GET /plaintext HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    read_response(&mut idle);
    let get = |path: &str, content_type: &str| {
        let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
        let answer = exchange(server.address, request.as_bytes());
        assert_eq!(status(&answer), "200", "{answer}");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head has an end");
        assert!(head.contains(&format!("content-type: {content_type}\r\n")), "{head}");
        body.to_owned()
    };
    // A task may just be running, and is then shown from outside.
    let eventually = |path, content_type, is_shown: &dyn Fn(&str) -> bool| {
        let patience = Instant::now() + Duration::from_secs(20);
        loop {
            let body = get(path, content_type);
            if is_shown(&body) {
                return;
            }
            assert!(Instant::now() < patience, "{path}: {body}");
        }
    };
    let asking = ("task", Some(("examples/http_server/routes.rs", line_of("the dump shows this line"))));

    eventually("/tasks", "text/plain; charset=utf-8", &|text| {
        let (what, at) = asking;
        let at = at.map(|(file, line)| format!("- {what} at {file}:{line}:")).expect("it has a line");
        let tasks = text.lines().filter(|line| line.starts_with("task ")).count();
        assert!(text.starts_with(&format!("{tasks} tasks\n")), "{text}");
        text.contains(&at) && text.contains("- http read at ") && text.contains("- tcp accept at ")
    });

    eventually("/tasks.json", "application/json", &|json| {
        let dump: serde_json::Value = serde_json::from_str(json).expect("it is JSON");
        let tasks = dump["tasks"].as_array().expect("it has tasks");
        let waits_of = |task: &serde_json::Value| -> Vec<_> {
            let frames = task["frames"].as_array().expect("a task has frames").clone();
            frames
                .iter()
                .flat_map(|frame| frame["waits"].as_array().expect("a frame waits").clone())
                .collect()
        };
        let waits_for = |what: &str, at: Option<(&str, usize)>| {
            let is_it = |wait: &serde_json::Value| {
                let location = &wait["location"];
                wait["what"] == what
                    && at.is_none_or(|(file, line)| location["file"] == file && location["line"] == line)
            };
            let waits =
                |task: &&serde_json::Value| task["state"] == "idle" && waits_of(task).iter().any(is_it);
            tasks.iter().filter(waits).count()
        };
        waits_for(asking.0, asking.1) == 1
            && waits_for("http read", None) == 1
            && waits_for("tcp accept", None) == 1
    });
}

#[test]
fn echo_streams() {
    let _watchdog = watchdog(Duration::from_secs(30));
    let server = HttpServer::start(&["--workers", "2"]);
    let mut stream = connect(server.address);
    stream
        .write_all(b"POST /echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n4\r\nping\r\n")
        .unwrap();
    let mut seen = String::new();
    // The first piece comes back before the last is sent.
    while !seen.ends_with("ping\r\n") {
        let mut buf = [0; 512];
        let read = stream.read(&mut buf).unwrap();
        assert!(read > 0, "closed after {seen}");
        seen.push_str(std::str::from_utf8(&buf[..read]).unwrap());
    }
    stream.write_all(b"4\r\npong\r\n0\r\n\r\n").unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert!(read_to_close(&mut stream).contains("pong"));
}

#[test]
fn the_page_tells_of_files_when_there_are_some() {
    let _watchdog = watchdog(Duration::from_secs(30));
    let page = |arguments: &[&str]| {
        let server = HttpServer::start(arguments);
        exchange(server.address, b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
    };
    assert!(page(&["--dir", "examples"]).contains("/files/"));
    assert!(!page(&[]).contains("/files/"));
}

#[test]
fn ctrl_c_and_termination_finish_what_is_in_flight() {
    let _watchdog = watchdog(Duration::from_secs(60));
    finishes("INT", "ctrl-c");
    finishes("TERM", "SIGTERM");
}

fn finishes(signal: &str, name: &str) {
    let mut server = HttpServer::start(&["--workers", "2"]);
    let idle = connect(server.address);
    let mut busy = connect(server.address);
    busy.write_all(b"POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 8\r\n\r\nhalf").unwrap();
    sleep(Duration::from_millis(200));
    server.signal(signal);
    sleep(Duration::from_millis(200));
    busy.write_all(b"half").unwrap();
    let answer = read_to_close(&mut busy);
    assert_eq!(answer.matches("half\r\n").count(), 2, "{answer}");
    assert!(answer.ends_with("0\r\n\r\n"), "the body has no end: {answer}");
    let (code, rest) = server.wait();
    assert_eq!(code, Some(0), "{rest}");
    assert!(rest.contains(name) && rest.contains("stopped after 1 request\n"), "{rest}");
    drop(idle);
}

/// A server that is stopped while it waits for the rest of a request.
fn stopping(name: &str) -> (HttpServer, std::net::TcpStream) {
    let mut command = Command::new(example_process::path());
    command.stderr(Stdio::piped());
    let server = HttpServer::start_command(command);
    let mut busy = connect(server.address);
    busy.write_all(b"POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 8\r\n\r\nhalf").unwrap();
    sleep(Duration::from_millis(200));
    server.signal(name);
    sleep(Duration::from_millis(200));
    (server, busy)
}

fn complaint(server: &mut HttpServer) -> String {
    let mut said = String::new();
    server.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    said
}

#[test]
fn a_second_signal_stops_at_once() {
    let _watchdog = watchdog(Duration::from_secs(60));
    for (first, second, name) in [("INT", "INT", "ctrl-c"), ("INT", "TERM", "SIGTERM")] {
        let (mut server, _busy) = stopping(first);
        let begun = Instant::now();
        server.signal(second);
        let (code, rest) = server.wait();
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
        assert_eq!(code, Some(1), "{rest}");
        assert_eq!(complaint(&mut server), format!("error: {name} again: what was in flight is cut off\n"));
    }
}

#[test]
fn requests_that_are_cut_off_are_told() {
    let _watchdog = watchdog(Duration::from_secs(60));
    let (mut server, mut busy) = stopping("TERM");
    let (code, rest) = server.wait();
    assert_eq!(code, Some(1), "{rest}");
    assert!(rest.contains("for at most 10 s"), "{rest}");
    let said = complaint(&mut server);
    assert!(said.contains("1 connection was closed while still busy") && said.lines().count() == 1, "{said}");
    read_to_close(&mut busy);
}

#[test]
fn it_goes_on_when_nobody_reads_what_it_prints() {
    let _watchdog = watchdog(Duration::from_secs(60));
    let mut command = Command::new(example_process::path());
    command.args(["--addr", "127.0.0.1:0"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.contains("listening"), "{line}");
    let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}
