//! `examples/chat` takes what is said to those in the same room, in order, and waits for nobody.
#![cfg(unix)]

mod example_process;
mod watchdog;

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use example_process::{HttpServer as Server, path_of};
use watchdog::watchdog;

fn start() -> Server {
    let mut command = Command::new(path_of("chat"));
    command.arg("127.0.0.1:0");
    Server::start_other(command)
}

/// A client that reads when it is told to.
struct Client {
    lines: BufReader<TcpStream>,
}

impl Client {
    fn connect(server: &Server) -> Self {
        let stream = TcpStream::connect(server.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let mut client = Self { lines: BufReader::new(stream) };
        assert!(client.line().starts_with("* hello"));
        client
    }

    /// With a name, in a room.
    fn join(server: &Server, name: &str, room: &str) -> Self {
        let mut client = Self::connect(server);
        client.say(&format!("/nick {name}"));
        client.expect(&format!("* you are called {name}"));
        client.say(&format!("/join {room}"));
        let reply = client.line();
        assert!(reply.starts_with(&format!("* you are in {room} with ")), "{reply}");
        client
    }

    fn say(&mut self, line: &str) {
        self.lines.get_mut().write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        assert!(line.ends_with('\n'), "the connection ends with {line:?}");
        line.trim_end().to_owned()
    }

    #[track_caller]
    fn expect(&mut self, line: &str) {
        assert_eq!(self.line(), line);
    }

    /// The next line that somebody has said, and that does not come from the server.
    fn said(&mut self) -> String {
        loop {
            let line = self.line();
            if !line.starts_with('*') {
                return line;
            }
        }
    }

    fn rest(mut self) -> String {
        let mut rest = String::new();
        self.lines.read_to_string(&mut rest).unwrap();
        rest
    }
}

#[test]
fn rooms_hear_their_own_only() {
    let _watchdog = watchdog(Duration::from_secs(60));
    let server = start();
    let mut ann = Client::join(&server, "ann", "tea");
    let mut bob = Client::join(&server, "bob", "tea");
    let mut eve = Client::join(&server, "eve", "coffee");
    ann.expect("* bob has come");
    for number in 0..100 {
        ann.say(&format!("line {number}"));
    }
    for number in 0..100 {
        bob.expect(&format!("ann: line {number}"));
    }
    bob.say("/nick robert");
    bob.expect("* you are called robert");
    ann.expect("* bob is robert now");
    eve.say("/join tea");
    eve.expect("* you are in tea with 2 others");
    for client in [&mut ann, &mut bob] {
        client.expect("* eve has come");
    }
    eve.say("hello");
    for client in [&mut ann, &mut bob] {
        client.expect("eve: hello");
    }
    bob.say("/quit");
    bob.expect("* good bye");
    assert_eq!(bob.rest(), "");
    for client in [&mut ann, &mut eve] {
        client.expect("* robert has left");
    }
    // Who only hangs up has left, too.
    drop(ann);
    eve.expect("* ann has left");
}

#[test]
fn what_cannot_be_done_is_said() {
    let _watchdog = watchdog(Duration::from_secs(60));
    let server = start();
    let mut ann = Client::join(&server, "ann", "tea");
    let mut bob = Client::connect(&server);
    for (line, reply) in [
        ("hello", "! you are in no room yet: /join ROOM"),
        ("/dance", "! there is no /dance"),
        ("/join", "! a name has 1 to 32 bytes, and no spaces"),
        ("/join two words", "! a name has 1 to 32 bytes, and no spaces"),
        ("/nick 123456789012345678901234567890123", "! a name has 1 to 32 bytes, and no spaces"),
        ("/nick ann", "* you are called ann"),
        ("/join tea", "! somebody in tea is called ann"),
        ("/nick bob", "* you are called bob"),
        ("/join tea", "* you are in tea with 1 other"),
        ("/nick ann", "! somebody here is called ann"),
        ("/join tea", "! somebody in tea is called bob"),
    ] {
        bob.say(line);
        bob.expect(reply);
    }
    ann.expect("* bob has come");
    // Nothing that a terminal would obey, and nothing that is no text.
    bob.lines.get_mut().write_all(b"a\x1b[2Jb\x07\xff\r\n\n").unwrap();
    ann.expect("bob: a[2Jb\u{fffd}");
}

#[test]
fn long_lines_are_refused() {
    let _watchdog = watchdog(Duration::from_secs(60));
    let server = start();
    let mut ann = Client::join(&server, "ann", "tea");
    let mut bob = Client::join(&server, "bob", "tea");
    ann.expect("* bob has come");
    for len in [1023, 1024, 1025, 2047, 2048, 10_000_000] {
        bob.say(&"x".repeat(len));
        bob.say("next");
        if len < 1024 {
            ann.expect(&format!("bob: {}", "x".repeat(len)));
        } else {
            bob.expect("! a line has at most 1024 bytes");
        }
        ann.expect("bob: next");
    }
}

/// What its rooms share is on their strands.
#[test]
fn it_has_no_lock() {
    let sources = [
        include_str!("../examples/chat/main.rs"),
        include_str!("../examples/chat/room.rs"),
        include_str!("../examples/chat/client.rs"),
    ];
    for lock in ["Mutex", "RwLock", "Semaphore", "Atomic"] {
        assert!(sources.iter().all(|source| !source.contains(lock)), "{lock}");
    }
}

#[test]
fn thousands_of_clients_talk() {
    let _watchdog = watchdog(Duration::from_secs(240));
    if !may_open(2 * CLIENTS, "thousands_of_clients_talk") {
        return;
    }
    let mut server = start();
    let mut clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let room = format!("room{}", number % ROOMS);
            (number % ROOMS, number, Client::join(&server, &format!("c{number}"), &room))
        })
        .collect();
    for (room, number, client) in &mut clients {
        if *number < 3 * ROOMS {
            client.say(&format!("from {number} to {room}"));
        }
    }
    for (room, number, client) in &mut clients {
        let speakers = (0..3).map(|turn| turn * ROOMS + *room).filter(|speaker| speaker != number);
        let mut expected: Vec<_> =
            speakers.map(|speaker| format!("c{speaker}: from {speaker} to {room}")).collect();
        let mut said: Vec<_> = expected.iter().map(|_| client.said()).collect();
        expected.sort();
        said.sort();
        assert_eq!(said, expected, "client {number}");
    }
    server.signal("INT");
    for (_, number, client) in clients {
        let rest = client.rest();
        let last = rest.lines().last().unwrap_or_default();
        assert_eq!(last, "* the server stops: good bye", "client {number}");
    }
    assert_eq!(server.wait(), (Some(0), "stopped\n".to_owned()));
}

/// Whether this process may have so many descriptors. If it may not, the test is run by another one that may.
fn may_open(descriptors: usize, test: &str) -> bool {
    let output = Command::new("sh").args(["-c", "ulimit -n"]).output().unwrap();
    let limit = String::from_utf8(output.stdout).unwrap();
    // Where there is no limit, that is no number.
    if limit.trim().parse::<usize>().is_ok_and(|limit| limit < descriptors) {
        let script = format!("ulimit -n {descriptors} || exit 77; exec \"$0\" --exact {test}");
        let status = Command::new("sh").args(["-c", &script]).arg(std::env::current_exe().unwrap()).status();
        match status.unwrap().code() {
            Some(77) if std::env::var_os("CI").is_none_or(|ci| ci != "true") => {
                println!("skipped: the test wants {descriptors} descriptors, and `ulimit -n` refuses them");
            }
            code => assert_eq!(code, Some(0), "the test, in a process of its own"),
        }
        return false;
    }
    true
}

#[test]
fn who_does_not_read_is_disconnected_and_nobody_waits_for_him() {
    let _watchdog = watchdog(Duration::from_secs(240));
    let mut server = start();
    let slow = Client::join(&server, "slow", "tea");
    let mut reader = Client::join(&server, "reader", "tea");
    let mut speaker = Client::join(&server, "speaker", "tea");
    reader.expect("* speaker has come");
    let text = "x".repeat(1000);
    let mut has_left = false;
    // What the sockets take comes on top of the queue.
    for round in 0..1000 {
        for number in 0..100 {
            speaker.say(&format!("{round} {number} {text}"));
        }
        for number in 0..100 {
            let mut line = reader.line();
            if line == "* slow has left" {
                has_left = true;
                line = reader.line();
            }
            assert!(line == format!("speaker: {round} {number} {text}"), "{round} {number}: {line}");
        }
        if has_left {
            break;
        }
    }
    assert!(has_left, "the server has kept 100 MB for a client that does not read");
    // It is cut off, with what was on its way.
    let mut left = Vec::new();
    match slow.lines.into_inner().read_to_end(&mut left) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
    server.signal("INT");
    assert_eq!(server.wait(), (Some(0), "stopped\n".to_owned()));
}

#[test]
fn it_stops_though_a_client_does_not_read() {
    let _watchdog = watchdog(Duration::from_secs(120));
    let mut server = start();
    let mut silent = Client::join(&server, "silent", "tea");
    silent.lines.get_mut().set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    // Each line has a reply, which nobody reads: in the end the server does not listen any more.
    let commands = "/nothing\n".repeat(1000);
    while silent.lines.get_mut().write_all(commands.as_bytes()).is_ok() {}
    let begun = Instant::now();
    server.signal("TERM");
    assert_eq!(server.wait(), (Some(0), "stopped\n".to_owned()));
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

/// What it has said is taken to the others, and it is answered, though it says no more.
#[test]
fn who_closes_his_sending_side_is_heard() {
    let _watchdog = watchdog(Duration::from_secs(60));
    let server = start();
    let mut ann = Client::join(&server, "ann", "tea");
    let mut bob = Client::connect(&server);
    bob.lines.get_mut().write_all(b"/join tea\nhello\nand good bye").unwrap();
    bob.lines.get_mut().shutdown(Shutdown::Write).unwrap();
    assert_eq!(bob.rest(), "* you are in tea with 1 other\n* good bye\n");
    for line in ["* guest-2 has come", "guest-2: hello", "guest-2: and good bye", "* guest-2 has left"] {
        ann.expect(line);
    }
}

const CLIENTS: usize = 2400;
const ROOMS: usize = 24;
