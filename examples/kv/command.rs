//! Which commands there are, and what their arguments mean.

use std::time::{Duration, Instant};

use crate::resp::{Arguments, Reply, integer};

/// What is left to do about a request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Command {
    /// It has its reply.
    Answered,
    /// It has, and the client wants to go.
    Quit,
    /// Something with the key that is its first argument.
    Key(Operation),
    /// The same for each key of several, all arguments; the reply is for how many it was so.
    Keys(Count),
    /// The reply is how many keys there are.
    Size,
    /// No key is left.
    Clear,
}

/// What is done with a key.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Operation {
    Get,
    Set {
        only: Only,
        deadline: Option<Instant>,
    },
    Add(i64),
    /// At a time, or now.
    Expire(Option<Instant>),
    Ttl,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Count {
    Deleted,
    Existing,
}

/// Which keys are set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Only {
    All,
    Absent,
    Present,
}

/// Reads a request, and answers it if it takes no key, or is wrong.
pub(crate) fn read(arguments: Arguments<'_>, now: Instant, reply: &mut Vec<u8>) -> Command {
    understand(arguments, now, reply).unwrap_or_else(|error| {
        reply.error(&error);
        Command::Answered
    })
}

/// The error is a reply.
fn understand(arguments: Arguments<'_>, now: Instant, reply: &mut Vec<u8>) -> Result<Command, String> {
    let given = arguments.get(0).unwrap_or_default();
    let is_named = |name: &str| given.eq_ignore_ascii_case(name.as_bytes());
    let Some(&(name, (least, most))) = COMMANDS.iter().find(|(name, _)| is_named(name)) else {
        return Err(unknown(given, arguments));
    };
    if !(least..=most).contains(&(arguments.len() - 1)) {
        return Err(wrong_number(name));
    }
    let first = arguments.get(1).unwrap_or_default();
    Ok(match name {
        "get" => Command::Key(Operation::Get),
        "set" => Command::Key(set(arguments, now)?),
        "incr" => Command::Key(Operation::Add(1)),
        "decr" => Command::Key(Operation::Add(-1)),
        "ttl" => Command::Key(Operation::Ttl),
        "expire" => Command::Key(expire(arguments, now)?),
        "del" => Command::Keys(Count::Deleted),
        "exists" => Command::Keys(Count::Existing),
        "dbsize" => Command::Size,
        "flushall" | "flushdb" => Command::Clear,
        _ => {
            match name {
                "ping" if arguments.len() == 1 => reply.simple("PONG"),
                "ping" | "echo" => reply.bulk(first),
                "select" => select(first, reply)?,
                "client" | "config" | "command" => subcommand(name, arguments, reply)?,
                "info" => reply.bulk(INFO.as_bytes()),
                _ => reply.simple("OK"),
            }
            if name == "quit" { Command::Quit } else { Command::Answered }
        }
    })
}

fn set(arguments: Arguments<'_>, now: Instant) -> Result<Operation, String> {
    let (mut only, mut deadline) = (Only::All, None);
    let mut options = arguments.from(3);
    while let Some(option) = options.next() {
        let unit = match option.to_ascii_uppercase().as_slice() {
            b"NX" if only != Only::Present => {
                only = Only::Absent;
                continue;
            }
            b"XX" if only != Only::Absent => {
                only = Only::Present;
                continue;
            }
            b"EX" if deadline.is_none() => 1000,
            b"PX" if deadline.is_none() => 1,
            _ => return Err(SYNTAX.to_owned()),
        };
        let time = integer(options.next().ok_or(SYNTAX)?).ok_or(NO_INTEGER)?;
        let time = later(now, time, unit).filter(|_| time > 0);
        deadline = Some(time.ok_or("ERR invalid expire time in 'set' command")?);
    }
    Ok(Operation::Set { only, deadline })
}

fn expire(arguments: Arguments<'_>, now: Instant) -> Result<Operation, String> {
    let seconds = integer(arguments.get(2).unwrap_or_default()).ok_or(NO_INTEGER)?;
    if let Some(option) = arguments.get(3) {
        return Err(format!("ERR Unsupported option {}", shown(option)));
    }
    if seconds <= 0 {
        return Ok(Operation::Expire(None));
    }
    let deadline = later(now, seconds, 1000).ok_or("ERR invalid expire time in 'expire' command")?;
    Ok(Operation::Expire(Some(deadline)))
}

/// That many units of so many milliseconds from now.
fn later(now: Instant, time: i64, unit: i64) -> Option<Instant> {
    let milliseconds = time.checked_mul(unit)?.try_into().ok()?;
    now.checked_add(Duration::from_millis(milliseconds))
}

fn select(database: &[u8], reply: &mut Vec<u8>) -> Result<(), String> {
    match integer(database).ok_or(NO_INTEGER)? {
        0 => reply.simple("OK"),
        _ => return Err("ERR DB index is out of range".to_owned()),
    }
    Ok(())
}

/// What clients ask and tell when they connect.
fn subcommand(name: &str, arguments: Arguments<'_>, reply: &mut Vec<u8>) -> Result<(), String> {
    let given = arguments.get(1).unwrap_or_default();
    let lower = String::from_utf8_lossy(given).to_ascii_lowercase();
    match (name, lower.as_str(), arguments.len()) {
        ("client", "setname", 3) | ("client", "setinfo", 4) => reply.simple("OK"),
        ("config", "get", 3..) => {
            // redis-benchmark shows how the server it measures keeps data: this one keeps none.
            let known = ["save", "appendonly"].map(|known| (known, if known == "save" { "" } else { "no" }));
            let is_asked = |(name, _): &(&str, &str)| {
                arguments.from(2).any(|asked| asked.eq_ignore_ascii_case(name.as_bytes()))
            };
            let found: Vec<_> = known.into_iter().filter(is_asked).collect();
            reply.array(found.len() * 2);
            for (name, value) in found {
                reply.bulk(name.as_bytes());
                reply.bulk(value.as_bytes());
            }
        }
        ("command", "", 1) | ("command", "docs", _) => reply.array(0),
        ("command", "count", 2) => reply.integer(COMMANDS.len() as i64),
        ("client", "setname" | "setinfo", _) | ("config", "get", _) | ("command", "count", _) => {
            return Err(wrong_number(&format!("{name}|{lower}")));
        }
        _ => {
            let help = name.to_ascii_uppercase();
            return Err(format!("ERR unknown subcommand '{}'. Try {help} HELP.", shown(given)));
        }
    }
    Ok(())
}

fn unknown(name: &[u8], arguments: Arguments<'_>) -> String {
    let mut error = format!("ERR unknown command '{}', with args beginning with: ", shown(name));
    for argument in arguments.from(1).take(MOST_SHOWN) {
        if error.len() > 2 * MOST_SHOWN {
            break;
        }
        error.push_str(&format!("'{}' ", shown(argument)));
    }
    error
}

fn wrong_number(name: &str) -> String {
    format!("ERR wrong number of arguments for '{name}' command")
}

/// The beginning of what a client has sent, for an error.
fn shown(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(&bytes[..bytes.len().min(MOST_SHOWN)])
}

/// Names, with how many arguments they take. Those that are much in use come first.
const COMMANDS: [(&str, (usize, usize)); 19] = [
    ("get", (1, 1)),
    ("set", (2, ANY)),
    ("incr", (1, 1)),
    ("decr", (1, 1)),
    ("del", (1, ANY)),
    ("exists", (1, ANY)),
    ("expire", (2, ANY)),
    ("ttl", (1, 1)),
    ("ping", (0, 1)),
    ("echo", (1, 1)),
    ("dbsize", (0, 0)),
    ("flushall", (0, 0)),
    ("flushdb", (0, 0)),
    ("select", (1, 1)),
    ("client", (1, ANY)),
    ("config", (1, ANY)),
    ("command", (0, ANY)),
    ("info", (0, ANY)),
    ("quit", (0, ANY)),
];

const ANY: usize = usize::MAX;
const MOST_SHOWN: usize = 128;
const SYNTAX: &str = "ERR syntax error";
pub(crate) const NO_INTEGER: &str = "ERR value is not an integer or out of range";
const INFO: &str =
    concat!("# Server\r\ntress_version:", env!("CARGO_PKG_VERSION"), "\r\nredis_mode:standalone\r\n");
