//! `examples/kv` answers as Redis does, whatever is sent and however. Without redis-tools the tests of these are skipped, and say so; with
//! `CI=true` they fail.
#![cfg(unix)]

mod example_process;
mod watchdog;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use example_process::{HttpServer as Server, path_of};
use watchdog::watchdog;

fn start() -> Server {
    let mut command = Command::new(path_of("kv"));
    command.args(["--workers", "2", "--addr", "127.0.0.1:0"]);
    Server::start_other(command)
}

fn connect(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// An array of bulk strings.
fn request(words: &[&str]) -> Vec<u8> {
    let mut request = format!("*{}\r\n", words.len());
    for word in words {
        request.push_str(&format!("${}\r\n{word}\r\n", word.len()));
    }
    request.into_bytes()
}

#[track_caller]
fn expect(stream: &mut TcpStream, reply: &str) {
    let mut read = vec![0; reply.len()];
    stream.read_exact(&mut read).unwrap();
    assert_eq!(String::from_utf8_lossy(&read), reply);
}

/// All that comes until the server closes.
fn rest(stream: &mut TcpStream) -> String {
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    String::from_utf8(rest).unwrap()
}

#[track_caller]
fn ask(stream: &mut TcpStream, line: &str, reply: &str) {
    let words: Vec<&str> = line.split(' ').collect();
    stream.write_all(&request(&words)).unwrap();
    expect(stream, &format!("{reply}\r\n"));
}

#[test]
fn commands_do_what_they_say() {
    let _watchdog = watchdog(Duration::from_secs(60));
    let server = start();
    let stream = &mut connect(&server);
    for (line, reply) in [
        ("PING", "+PONG"),
        ("ping hello", "$5\r\nhello"),
        ("ECHO hello", "$5\r\nhello"),
        ("GET a", "$-1"),
        ("SET a 1", "+OK"),
        ("GET a", "$1\r\n1"),
        ("SET a 2 NX", "$-1"),
        ("SET b 2 XX", "$-1"),
        ("GET b", "$-1"),
        ("SET a 2 xx", "+OK"),
        ("SET b x nx ex 100", "+OK"),
        ("TTL b", ":100"),
        ("TTL a", ":-1"),
        ("TTL c", ":-2"),
        ("EXISTS a b c a", ":3"),
        ("INCR a", ":3"),
        ("DECR a", ":2"),
        ("INCR b", "-ERR value is not an integer or out of range"),
        ("DECR new", ":-1"),
        ("SET most 9223372036854775807", "+OK"),
        ("INCR most", "-ERR increment or decrement would overflow"),
        ("GET most", "$19\r\n9223372036854775807"),
        ("EXPIRE a 100", ":1"),
        ("INCR a", ":3"),
        ("TTL a", ":100"),
        ("SET a 3", "+OK"),
        ("TTL a", ":-1"),
        ("EXPIRE a -1", ":1"),
        ("EXISTS a", ":0"),
        ("EXPIRE a 100", ":0"),
        ("EXPIRE a 0", ":0"),
        ("DBSIZE", ":3"),
        ("DEL b c most b", ":2"),
        ("DBSIZE", ":1"),
        ("FLUSHALL", "+OK"),
        ("DBSIZE", ":0"),
        ("SELECT 0", "+OK"),
        ("COMMAND DOCS", "*0"),
        ("CONFIG GET save", "*2\r\n$4\r\nsave\r\n$0\r\n"),
        ("CLIENT SETINFO LIB-NAME x", "+OK"),
    ] {
        ask(stream, line, reply);
    }
    ask(stream, "QUIT", "+OK");
    assert_eq!(rest(stream), "");
}

#[test]
fn errors_are_those_of_redis() {
    let _watchdog = watchdog(Duration::from_secs(60));
    let server = start();
    let stream = &mut connect(&server);
    let syntax = "ERR syntax error";
    let number = "ERR value is not an integer or out of range";
    for (line, error) in [
        ("FOO bar baz", "ERR unknown command 'FOO', with args beginning with: 'bar' 'baz' "),
        ("GET", "ERR wrong number of arguments for 'get' command"),
        ("get a b", "ERR wrong number of arguments for 'get' command"),
        ("DEL", "ERR wrong number of arguments for 'del' command"),
        ("SET a", "ERR wrong number of arguments for 'set' command"),
        ("CONFIG GET", "ERR wrong number of arguments for 'config|get' command"),
        ("CONFIG FOO", "ERR unknown subcommand 'FOO'. Try CONFIG HELP."),
        ("SELECT 1", "ERR DB index is out of range"),
        ("SELECT x", number),
        ("SET a b EX", syntax),
        ("SET a b NX XX", syntax),
        ("SET a b EX 1 PX 1", syntax),
        ("SET a b foo", syntax),
        ("SET a b EX x", number),
        ("SET a b EX 0", "ERR invalid expire time in 'set' command"),
        ("SET a b PX -1", "ERR invalid expire time in 'set' command"),
        ("SET a b EX 99999999999999999", "ERR invalid expire time in 'set' command"),
        ("EXPIRE a 99999999999999999", "ERR invalid expire time in 'expire' command"),
        ("EXPIRE a x", number),
        ("EXPIRE a 1 foo", "ERR Unsupported option foo"),
    ] {
        ask(stream, line, &format!("-{error}"));
    }
    // What the client chooses cannot look like another reply.
    stream.write_all(b"\"a\\r\\n+OK\"\r\n").unwrap();
    expect(stream, "-ERR unknown command 'a  +OK', with args beginning with: \r\n");
    ask(stream, "DBSIZE", ":0");
}

#[test]
fn requests_may_come_in_any_pieces() {
    let _watchdog = watchdog(Duration::from_secs(60));
    let server = start();
    let mut stream = connect(&server);
    let bytes = [&request(&["SET", "k", "a\r\nb"]), &b"get k\r\n"[..], &request(&["DEL", "k", "l"])].concat();
    for byte in &bytes {
        stream.write_all(&[*byte]).unwrap();
        thread::sleep(Duration::from_millis(1));
    }
    expect(&mut stream, "+OK\r\n$4\r\na\r\nb\r\n:1\r\n");

    // One that is larger than any buffer, beside small ones.
    let large = "x".repeat(3_000_000);
    let bytes = [request(&["PING"]), request(&["SET", "large", &large]), request(&["GET", "large"])].concat();
    let mut writer = stream.try_clone().unwrap();
    let writing = thread::spawn(move || writer.write_all(&bytes).unwrap());
    expect(&mut stream, &format!("+PONG\r\n+OK\r\n$3000000\r\n{large}\r\n"));
    writing.join().unwrap();
}

#[test]
fn replies_come_in_the_order_of_requests() {
    let _watchdog = watchdog(Duration::from_secs(60));
    let server = start();
    let mut stream = connect(&server);
    let (mut requests, mut replies) = (Vec::new(), String::new());
    for number in 0..2000 {
        let (key, value) = (format!("key{number}"), number.to_string());
        requests.extend(request(&["SET", &key, &value]));
        requests.extend(request(&["GET", &key]));
        requests.extend(request(&["ECHO", &value]));
        requests.extend(request(&["EXISTS", &key, "key0", "none"]));
        replies += &format!("+OK\r\n${0}\r\n{value}\r\n${0}\r\n{value}\r\n:2\r\n", value.len());
    }
    let mut writer = stream.try_clone().unwrap();
    let writing = thread::spawn(move || {
        writer.write_all(&requests).unwrap();
        // A client that has said everything still gets its answers.
        writer.shutdown(Shutdown::Write).unwrap();
    });
    assert!(rest(&mut stream) == replies, "they have another order");
    writing.join().unwrap();
}

#[test]
fn what_is_no_request_is_named_and_ends_the_connection() {
    let _watchdog = watchdog(Duration::from_secs(120));
    let server = start();
    for (bytes, error) in [
        (&b"*x\r\n"[..], "invalid multibulk length"),
        (b"*2000000\r\n", "invalid multibulk length"),
        (b"*1\r\n$99999999999999\r\n", "invalid bulk length"),
        (b"*1\r\n$-1\r\n", "invalid bulk length"),
        (b"*1\r\n$20000000\r\n", "invalid bulk length"),
        (b"*1\r\n:4\r\nPING\r\n", "expected '$', got ':'"),
        (b"*1\r\n$3\r\nPING\r\n", "a bulk string is longer than it says"),
        (b"get \"a\r\n", "unbalanced quotes in request"),
        (&[b'x'; 70_000], "a line is longer than 65536 bytes"),
    ] {
        let mut stream = connect(&server);
        // What was right before is answered, and what comes later is not looked at.
        stream.write_all(b"PING\r\n").unwrap();
        stream.write_all(bytes).unwrap();
        stream.write_all(b"\r\nPING\r\n").unwrap();
        assert_eq!(rest(&mut stream), format!("+PONG\r\n-ERR Protocol error: {error}\r\n"));
    }
    for unfinished in [&b"*2\r\n$3\r\nGET\r\n"[..], b"PIN", b"*1\r\n$4\r\nPI"] {
        let mut stream = connect(&server);
        stream.write_all(unfinished).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        assert_eq!(rest(&mut stream), "");
    }
    ask(&mut connect(&server), "PING", "+PONG");
}

#[test]
fn keys_expire_when_they_are_asked_for_and_when_nobody_asks() {
    let _watchdog = watchdog(Duration::from_secs(60));
    let server = start();
    let mut stream = connect(&server);
    ask(&mut stream, "SET kept 1", "+OK");
    ask(&mut stream, "SET again 1 PX 1", "+OK");
    let requests: Vec<u8> = (0..1000)
        .flat_map(|number| request(&["SET", &format!("key{number}"), "value", "PX", "50"]))
        .collect();
    stream.write_all(&requests).unwrap();
    expect(&mut stream, &"+OK\r\n".repeat(1000));
    thread::sleep(Duration::from_millis(60));
    ask(&mut stream, "GET key0", "$-1");
    ask(&mut stream, "EXISTS key1 key2 kept", ":1");
    ask(&mut stream, "DEL key3", ":0");
    ask(&mut stream, "SET key4 new XX", "$-1");
    ask(&mut stream, "INCR key5", ":1");
    ask(&mut stream, "TTL key5", ":-1");
    ask(&mut stream, "SET again 2 NX", "+OK");
    // Those that nobody asks for go, too.
    let patience = Instant::now() + Duration::from_secs(20);
    loop {
        stream.write_all(b"DBSIZE\r\n").unwrap();
        let mut reply = [0; 64];
        let len = stream.read(&mut reply).unwrap();
        if &reply[..len] == b":3\r\n" {
            break;
        }
        assert!(Instant::now() < patience, "{}", reply[..len].escape_ascii());
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn no_increment_is_lost() {
    let _watchdog = watchdog(Duration::from_secs(60));
    let server = start();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut stream = connect(&server);
                for _ in 0..50 {
                    stream.write_all(&request(&["INCR", "number"]).repeat(16)).unwrap();
                    let mut lines = 0;
                    while lines < 16 {
                        let mut reply = [0; 512];
                        let len = stream.read(&mut reply).unwrap();
                        assert!(len > 0, "closed");
                        lines += reply[..len].iter().filter(|byte| **byte == b'\n').count();
                    }
                }
            });
        }
    });
    ask(&mut connect(&server), "GET number", "$4\r\n6400");
}

/// Its requests wait, and take no memory for replies; others are answered, and the server can be stopped.
#[test]
fn clients_that_do_not_read_hold_up_nobody() {
    let _watchdog = watchdog(Duration::from_secs(120));
    let mut server = start();
    let mut stream = connect(&server);
    let large = "x".repeat(1_000_000);
    let mut writer = stream.try_clone().unwrap();
    let set = request(&["SET", "large", &large]);
    let writing = thread::spawn(move || writer.write_all(&set).unwrap());
    expect(&mut stream, "+OK\r\n");
    writing.join().unwrap();
    stream.write_all(&b"GET large\r\n".repeat(2000)).unwrap();
    thread::sleep(Duration::from_millis(500));
    let begun = Instant::now();
    ask(&mut connect(&server), "EXISTS large", ":1");
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    if cfg!(target_os = "linux") {
        let status = std::fs::read_to_string(format!("/proc/{}/status", server.child.id())).unwrap();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        let kilobytes: u64 = resident.trim().trim_end_matches(" kB").parse().unwrap();
        assert!(kilobytes < 100_000, "{kilobytes} kB for a client that does not read");
    }
    let begun = Instant::now();
    server.signal("INT");
    let (code, said) = server.wait();
    assert_eq!((code, said.contains("some clients have not read")), (Some(0), true), "{said}");
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

#[test]
fn ctrl_c_ends_idle_connections() {
    let _watchdog = watchdog(Duration::from_secs(60));
    let mut server = start();
    let mut stream = connect(&server);
    ask(&mut stream, "PING", "+PONG");
    server.signal("INT");
    assert_eq!(rest(&mut stream), "");
    assert_eq!(server.wait(), (Some(0), "stopped\n".to_owned()));
}

/// What the tool prints, or `None` if it is not installed.
fn output(tool: &str, server: &Server, arguments: &[&str]) -> Option<String> {
    let port = server.address.port().to_string();
    let mut command = Command::new(tool);
    command.args(["-h", "127.0.0.1", "-p", &port]).args(arguments).stdin(Stdio::null());
    match command.output() {
        Ok(output) => {
            assert!(output.status.success(), "{tool} {arguments:?}: {output:?}");
            assert!(output.stderr.is_empty(), "{tool} {arguments:?}: {output:?}");
            Some(String::from_utf8_lossy(&output.stdout).into_owned())
        }
        Err(error) => {
            assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{tool} does not start: {error}");
            println!("skipped: {tool} does not start: {error}");
            None
        }
    }
}

#[test]
fn the_tools_of_redis_work() {
    let _watchdog = watchdog(Duration::from_secs(120));
    let server = start();
    let Some(said) = output("redis-cli", &server, &["set", "key", "a value", "ex", "100"]) else { return };
    assert_eq!(said, "OK\n");
    for (command, reply) in [
        ("ping", "PONG"),
        ("get key", "a value"),
        ("incr number", "1"),
        ("incr number", "2"),
        ("expire number 100", "1"),
        ("ttl number", "100"),
        ("del key number other", "2"),
        ("get key", ""),
    ] {
        let words: Vec<&str> = command.split(' ').collect();
        assert_eq!(output("redis-cli", &server, &words), Some(format!("{reply}\n")), "{command}");
    }
    for pipeline in ["1", "16"] {
        let arguments = ["-t", "ping,get,set,incr", "-n", "2000", "-P", pipeline, "-r", "100", "--csv"];
        let Some(said) = output("redis-benchmark", &server, &arguments) else { return };
        for test in ["PING_INLINE", "PING_MBULK", "SET", "GET", "INCR"] {
            assert!(said.contains(&format!("\"{test}\",")), "{said}");
        }
    }
    ask(&mut connect(&server), "EXISTS counter:000000000001", ":1");
}
