//! RESP, the protocol of Redis: requests out of bytes, and replies into bytes. There is no I/O in here.

use std::ops::Range;

/// Finds requests in bytes that come in pieces. No byte is looked at twice, however small the pieces are.
#[derive(Debug, Default)]
pub(crate) struct Parser {
    /// How many bytes of the request have been understood.
    at: usize,
    /// Up to where there is no end of the line that begins at `at`.
    searched: usize,
    state: State,
    /// Where the arguments are: in the request, or, if it is an inline one, in `unquoted`.
    arguments: Vec<Range<usize>>,
    unquoted: Vec<u8>,
    is_inline: bool,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Start,
    /// So many arguments have not begun.
    Length { left: usize },
    /// One of so many bytes comes, and others after it.
    Bulk { left: usize, len: usize },
}

/// The arguments of a request; the first is the command's name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arguments<'a> {
    ranges: &'a [Range<usize>],
    bytes: &'a [u8],
}

/// Why what a client has sent is no request. Nothing that comes after it can be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProtocolError {
    ArrayLength,
    ExpectedBulk(u8),
    BulkLength,
    BulkEnd,
    LongLine,
    LongRequest,
    Quotes,
}

impl Parser {
    /// Looks on in a request of which these bytes are there by now: all that were given before, and maybe more.
    ///
    /// Gives its length when it is there. Then come its [`arguments`](Self::arguments), and a [`reset`](Self::reset) before the next one.
    pub(crate) fn parse(&mut self, request: &[u8]) -> Result<Option<usize>, ProtocolError> {
        loop {
            match self.state {
                State::Start => {
                    let Some(line) = self.line(request)? else { return Ok(None) };
                    let Some(count) = line.strip_prefix(b"*") else {
                        self.is_inline = true;
                        split(line, &mut self.unquoted, &mut self.arguments)?;
                        return Ok(Some(self.at));
                    };
                    // Redis takes an array of less than nothing for an empty one, too.
                    let count = integer(count).ok_or(ProtocolError::ArrayLength)?.max(0);
                    let left = usize::try_from(count).map_err(|_| ProtocolError::ArrayLength)?;
                    if left > MOST_ARGUMENTS {
                        return Err(ProtocolError::ArrayLength);
                    }
                    self.state = State::Length { left };
                }
                State::Length { left: 0 } => return Ok(Some(self.at)),
                State::Length { left } => {
                    if let Some(&other) = request.get(self.at).filter(|first| **first != b'$') {
                        return Err(ProtocolError::ExpectedBulk(other));
                    }
                    let Some(line) = self.line(request)? else { return Ok(None) };
                    let len = integer(&line[1..]).and_then(|len| usize::try_from(len).ok());
                    let len = len.filter(|len| *len <= MOST_BULK_BYTES).ok_or(ProtocolError::BulkLength)?;
                    if self.at + len > MOST_REQUEST_BYTES {
                        return Err(ProtocolError::LongRequest);
                    }
                    self.state = State::Bulk { left: left - 1, len };
                }
                State::Bulk { left, len } => {
                    let end = self.at + len;
                    match request.get(end..end + 2) {
                        Some(b"\r\n") => {}
                        Some(_) => return Err(ProtocolError::BulkEnd),
                        None => return Ok(None),
                    }
                    self.arguments.push(self.at..end);
                    self.at = end + 2;
                    self.state = State::Length { left };
                }
            }
        }
    }

    /// The arguments of the request that has just been found in these bytes.
    pub(crate) fn arguments<'a>(&'a self, request: &'a [u8]) -> Arguments<'a> {
        let bytes = if self.is_inline { &self.unquoted } else { request };
        Arguments { ranges: &self.arguments, bytes }
    }

    /// Is ready for the next request; keeps its memory, unless it is much.
    pub(crate) fn reset(&mut self) {
        let Self { mut arguments, mut unquoted, .. } = std::mem::take(self);
        arguments.clear();
        arguments.shrink_to(USUAL_ARGUMENTS);
        unquoted.clear();
        unquoted.shrink_to(USUAL_ARGUMENTS);
        *self = Self { arguments, unquoted, ..Self::default() };
    }

    /// The next line, without its end.
    fn line<'a>(&mut self, request: &'a [u8]) -> Result<Option<&'a [u8]>, ProtocolError> {
        let from = self.at.max(self.searched);
        let found = request[from..].iter().position(|byte| *byte == b'\n').map(|place| from + place);
        if found.unwrap_or(request.len()) - self.at > MOST_LINE_BYTES {
            return Err(ProtocolError::LongLine);
        }
        self.searched = request.len();
        Ok(found.map(|end| {
            let line = &request[self.at..end];
            self.at = end + 1;
            self.searched = self.at;
            line.strip_suffix(b"\r").unwrap_or(line)
        }))
    }
}

impl<'a> Arguments<'a> {
    pub(crate) fn len(&self) -> usize {
        self.ranges.len()
    }

    pub(crate) fn get(&self, place: usize) -> Option<&'a [u8]> {
        self.ranges.get(place).map(|range| &self.bytes[range.clone()])
    }

    /// Those from a place on.
    pub(crate) fn from(&self, place: usize) -> impl Iterator<Item = &'a [u8]> {
        let Self { ranges, bytes } = *self;
        ranges.iter().skip(place).map(move |range| &bytes[range.clone()])
    }
}

impl std::fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Protocol error: ")?;
        match self {
            Self::ArrayLength => f.write_str("invalid multibulk length"),
            Self::ExpectedBulk(other) => write!(f, "expected '$', got '{}'", other.escape_ascii()),
            Self::BulkLength => f.write_str("invalid bulk length"),
            Self::BulkEnd => f.write_str("a bulk string is longer than it says"),
            Self::LongLine => write!(f, "a line is longer than {MOST_LINE_BYTES} bytes"),
            Self::LongRequest => write!(f, "a request is longer than {MOST_REQUEST_BYTES} bytes"),
            Self::Quotes => f.write_str("unbalanced quotes in request"),
        }
    }
}

/// Splits an inline request into words. They may be in quotes, with escapes in double ones, as on the command line of redis-cli.
fn split(line: &[u8], words: &mut Vec<u8>, ranges: &mut Vec<Range<usize>>) -> Result<(), ProtocolError> {
    let mut bytes = line.iter().copied().peekable();
    loop {
        while bytes.next_if(u8::is_ascii_whitespace).is_some() {}
        if bytes.peek().is_none() {
            return Ok(());
        }
        let start = words.len();
        while let Some(byte) = bytes.next_if(|byte| !byte.is_ascii_whitespace()) {
            match byte {
                quote @ (b'"' | b'\'') => {
                    loop {
                        match bytes.next().ok_or(ProtocolError::Quotes)? {
                            byte if byte == quote => break,
                            b'\\' if quote == b'"' => words.push(escaped(&mut bytes)?),
                            b'\\' if bytes.next_if_eq(&b'\'').is_some() => words.push(b'\''),
                            byte => words.push(byte),
                        }
                    }
                    // Behind a word in quotes comes another one, or nothing.
                    if bytes.peek().is_some_and(|byte| !byte.is_ascii_whitespace()) {
                        return Err(ProtocolError::Quotes);
                    }
                }
                byte => words.push(byte),
            }
        }
        ranges.push(start..words.len());
    }
}

/// What stands behind a backslash in double quotes.
fn escaped(bytes: &mut std::iter::Peekable<impl Iterator<Item = u8> + Clone>) -> Result<u8, ProtocolError> {
    Ok(match bytes.next().ok_or(ProtocolError::Quotes)? {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 8,
        b'a' => 7,
        b'x' => {
            let mut ahead = bytes.clone();
            let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
            match (digit(ahead.next()), digit(ahead.next())) {
                (Some(high), Some(low)) => {
                    *bytes = ahead;
                    u8::try_from(high * 16 + low).expect("two digits are a byte")
                }
                _ => b'x',
            }
        }
        other => other,
    })
}

/// A number as Redis takes it: without a plus, spaces, or zeros in front.
pub(crate) fn integer(text: &[u8]) -> Option<i64> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    match digits {
        [b'0'] if digits.len() == text.len() => Some(0),
        [b'1'..=b'9', ..] => std::str::from_utf8(text).ok()?.parse().ok(),
        _ => None,
    }
}

/// Writes replies.
pub(crate) trait Reply {
    /// A short text without line ends.
    fn simple(&mut self, text: &str);
    /// The same as an error; line ends become spaces.
    fn error(&mut self, text: &str);
    fn integer(&mut self, number: i64);
    fn bulk(&mut self, bytes: &[u8]);
    fn null(&mut self);
    /// So many replies follow, which are its elements.
    fn array(&mut self, len: usize);
}

impl Reply for Vec<u8> {
    fn simple(&mut self, text: &str) {
        self.push(b'+');
        self.extend_from_slice(text.as_bytes());
        self.extend_from_slice(b"\r\n");
    }

    fn error(&mut self, text: &str) {
        self.push(b'-');
        self.extend(text.bytes().map(|byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { byte }));
        self.extend_from_slice(b"\r\n");
    }

    fn integer(&mut self, number: i64) {
        header(self, b':', number.is_negative(), number.unsigned_abs());
    }

    fn bulk(&mut self, bytes: &[u8]) {
        header(self, b'$', false, bytes.len() as u64);
        self.extend_from_slice(bytes);
        self.extend_from_slice(b"\r\n");
    }

    fn null(&mut self) {
        self.extend_from_slice(b"$-1\r\n");
    }

    fn array(&mut self, len: usize) {
        header(self, b'*', false, len as u64);
    }
}

/// A line of a sign and a number, without the detour by `fmt`: every reply has one.
fn header(output: &mut Vec<u8>, kind: u8, is_negative: bool, mut number: u64) {
    let mut digits = [0; 20];
    let mut first = digits.len();
    loop {
        first -= 1;
        digits[first] = b'0' + u8::try_from(number % 10).expect("it is a digit");
        number /= 10;
        if number == 0 {
            break;
        }
    }
    output.push(kind);
    if is_negative {
        output.push(b'-');
    }
    output.extend_from_slice(&digits[first..]);
    output.extend_from_slice(b"\r\n");
}

pub(crate) const MOST_LINE_BYTES: usize = 64 * 1024;
pub(crate) const MOST_ARGUMENTS: usize = 1024 * 1024;
pub(crate) const MOST_BULK_BYTES: usize = 16 * 1024 * 1024;
pub(crate) const MOST_REQUEST_BYTES: usize = 32 * 1024 * 1024;
/// Memory for so many is kept from one request to the next.
const USUAL_ARGUMENTS: usize = 256;
