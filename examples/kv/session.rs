//! A connection's conversation, without its I/O: bytes come in, commands are run where their keys are, replies go out.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};

use crate::command::{self, Command, Count, NO_INTEGER, Only, Operation};
use crate::keyspace::{Entry, Keyspace};
use crate::resp::{Arguments, Parser, Reply};

/// What has been received, what is being done about it, and what is to be sent.
///
/// It is owned by whoever does the next step: it travels to where a key is, and back.
#[derive(Debug)]
pub(crate) struct Session {
    /// What has been received and not been answered is from `start` to `end`.
    input: Vec<u8>,
    start: usize,
    end: usize,
    parser: Parser,
    current: Option<Current>,
    output: Vec<u8>,
    /// When the last bytes came.
    now: Instant,
    is_closing: bool,
}

/// A command that needs keys.
#[derive(Debug)]
struct Current {
    command: Command,
    /// Length of the request.
    len: usize,
    /// Which argument is the next key.
    place: usize,
    /// For how many keys it was so.
    count: usize,
    has_asked: bool,
}

/// What a session needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// To be [run](Session::run) where the key of this hash is.
    Key(u64),
    /// To be run everywhere.
    Everywhere,
    /// That its output be sent.
    Write,
    /// More input.
    Read,
    /// Nothing any more.
    Close,
}

impl Session {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            input: Vec::new(),
            start: 0,
            end: 0,
            parser: Parser::default(),
            current: None,
            output: Vec::new(),
            now,
            is_closing: false,
        }
    }

    /// Where the next bytes may be put.
    pub(crate) fn space(&mut self) -> &mut [u8] {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
            if self.input.len() > MOST_KEPT_BYTES {
                self.input = Vec::new();
            }
        }
        if self.input.len() - self.end < LEAST_READ_BYTES {
            // Moved only if there is as much room as there are bytes to move, so that each is moved a few times at most.
            if self.start >= self.end - self.start + LEAST_READ_BYTES {
                self.input.copy_within(self.start..self.end, 0);
                (self.start, self.end) = (0, self.end - self.start);
            } else {
                self.input.resize((self.input.len() * 2).max(READ_BYTES), 0);
            }
        }
        let most = self.input.len().min(self.end + MOST_READ_BYTES);
        &mut self.input[self.end..most]
    }

    /// So many bytes have been put there, at this time.
    pub(crate) fn received(&mut self, len: usize, now: Instant) {
        self.end += len;
        self.now = now;
    }

    pub(crate) fn output(&self) -> &[u8] {
        &self.output
    }

    /// The output has been sent.
    pub(crate) fn sent(&mut self) {
        self.output.clear();
        self.output.shrink_to(MOST_KEPT_BYTES);
    }

    /// Does what can be done here, and says what has to come now.
    pub(crate) fn next(&mut self) -> Next {
        loop {
            if let Some(next) = self.current() {
                return next;
            }
            if self.output.len() >= MOST_OUTPUT_BYTES {
                return Next::Write;
            }
            if !self.is_closing && self.begin() {
                continue;
            }
            return match (self.output.is_empty(), self.is_closing) {
                (false, _) => Next::Write,
                (true, true) => Next::Close,
                (true, false) => Next::Read,
            };
        }
    }

    /// What the current command needs. If that is nothing any more, it ends.
    fn current(&mut self) -> Option<Next> {
        let current = self.current.as_mut()?;
        let request = &self.input[self.start..self.start + current.len];
        let key = self.parser.arguments(request).get(current.place);
        match (current.command, key) {
            (Command::Key(_), Some(key)) if current.place == 1 => return Some(Next::Key(hash(key))),
            (Command::Keys(_), Some(key)) => return Some(Next::Key(hash(key))),
            (Command::Size | Command::Clear, _) if !current.has_asked => {
                current.has_asked = true;
                return Some(Next::Everywhere);
            }
            (Command::Keys(_) | Command::Size, _) => {
                self.output.integer(i64::try_from(current.count).expect("memory has fewer keys"));
            }
            (Command::Clear, _) => self.output.simple("OK"),
            _ => {}
        }
        let len = current.len;
        self.current = None;
        self.end_request(len);
        None
    }

    /// Begins with the next request; false if there is none.
    fn begin(&mut self) -> bool {
        let request = &self.input[self.start..self.end];
        if request.is_empty() {
            return false;
        }
        let len = match self.parser.parse(request) {
            Ok(Some(len)) => len,
            Ok(None) => return false,
            Err(error) => {
                self.output.error(&format!("ERR {error}"));
                self.is_closing = true;
                return true;
            }
        };
        let arguments = self.parser.arguments(request);
        let command = match arguments.len() {
            // As Redis does with an empty line, or array.
            0 => Command::Answered,
            _ => command::read(arguments, self.now, &mut self.output),
        };
        match command {
            Command::Answered => self.end_request(len),
            Command::Quit => self.is_closing = true,
            _ => self.current = Some(Current { command, len, place: 1, count: 0, has_asked: false }),
        }
        true
    }

    fn end_request(&mut self, len: usize) {
        self.start += len;
        self.parser.reset();
    }

    /// Does what [`next`](Self::next) has asked for.
    pub(crate) fn run(&mut self, keys: &mut impl Keyspace) {
        let Some(current) = &mut self.current else { return };
        let request = &self.input[self.start..self.start + current.len];
        let arguments = self.parser.arguments(request);
        match current.command {
            Command::Key(operation) => operate(operation, arguments, keys, self.now, &mut self.output),
            Command::Keys(count) => {
                let key = arguments.get(current.place).unwrap_or_default();
                let is_so = match count {
                    Count::Deleted => keys.remove(key, self.now),
                    Count::Existing => keys.read(key, self.now, |entry| entry.is_some()),
                };
                current.count += usize::from(is_so);
            }
            Command::Size => current.count += keys.len(),
            Command::Clear => keys.clear(),
            Command::Answered | Command::Quit => {}
        }
        current.place += 1;
    }
}

fn operate(
    operation: Operation,
    arguments: Arguments<'_>,
    keys: &mut impl Keyspace,
    now: Instant,
    reply: &mut Vec<u8>,
) {
    let key = arguments.get(1).unwrap_or_default();
    match operation {
        Operation::Get => keys.read(key, now, |entry| match entry {
            Some(entry) => reply.bulk(&entry.value),
            None => reply.null(),
        }),
        Operation::Set { only, deadline } => keys.update(key, now, |entry| {
            if only == if entry.is_some() { Only::Absent } else { Only::Present } {
                return reply.null();
            }
            let entry = entry.get_or_insert_default();
            entry.set(arguments.get(2).unwrap_or_default());
            entry.deadline = deadline;
            reply.simple("OK");
        }),
        Operation::Add(number) => match keys.update(key, now, |entry| add(entry, number)) {
            Ok(sum) => reply.integer(sum),
            Err(error) => reply.error(error),
        },
        Operation::Expire(None) => reply.integer(keys.remove(key, now).into()),
        Operation::Expire(deadline) => keys.update(key, now, |entry| {
            reply.integer(entry.is_some().into());
            if let Some(entry) = entry {
                entry.deadline = deadline;
            }
        }),
        Operation::Ttl => reply.integer(keys.read(key, now, |entry| match entry {
            None => -2,
            Some(entry) => entry.deadline.map_or(-1, |deadline| seconds(deadline - now)),
        })),
    }
}

/// Adds to the number that an entry is, which is 0 if there is none.
fn add(entry: &mut Option<Entry>, number: i64) -> Result<i64, &'static str> {
    let before = entry.as_ref().map_or(Some(0), |entry| crate::resp::integer(&entry.value));
    let sum = before.ok_or(NO_INTEGER)?.checked_add(number);
    let sum = sum.ok_or("ERR increment or decrement would overflow")?;
    entry.get_or_insert_default().set(sum.to_string().as_bytes());
    Ok(sum)
}

/// Rounded as Redis does.
fn seconds(left: Duration) -> i64 {
    i64::try_from((left.as_millis() + 500) / 1000).unwrap_or(i64::MAX)
}

fn hash(key: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish()
}

/// Reads begin with a buffer of this size.
const READ_BYTES: usize = 16 * 1024;
const LEAST_READ_BYTES: usize = 4 * 1024;
/// So much is read at a time, and answered before more is.
const MOST_READ_BYTES: usize = 64 * 1024;
/// Replies are sent when they are so long, even if there is more to answer: a client that does not read takes no more memory, except for the
/// last one's value.
const MOST_OUTPUT_BYTES: usize = 64 * 1024;
/// Memory that is kept for the next requests.
const MOST_KEPT_BYTES: usize = 128 * 1024;
