//! The protocol of `examples/kv`, without its server: requests in one piece, in any two, and byte by byte.

#[path = "../examples/kv/resp.rs"]
mod resp;

use resp::{
    Arguments, MOST_ARGUMENTS, MOST_BULK_BYTES, MOST_LINE_BYTES, MOST_REQUEST_BYTES, Parser, ProtocolError,
    Reply, integer,
};

type Words = Vec<Vec<u8>>;

fn words(arguments: Arguments<'_>) -> Words {
    let words: Words = arguments.from(0).map(<[u8]>::to_vec).collect();
    assert_eq!(words.len(), arguments.len());
    assert_eq!(arguments.get(0), words.first().map(Vec::as_slice));
    assert_eq!(arguments.get(words.len()), None);
    words
}

/// The requests in what comes in pieces, and the error that ends them.
fn parse<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Words>, Option<ProtocolError>) {
    let (mut parser, mut received, mut requests) = (Parser::default(), Vec::new(), Vec::new());
    for piece in pieces {
        received.extend_from_slice(piece);
        loop {
            match parser.parse(&received) {
                Ok(Some(len)) => {
                    requests.push(words(parser.arguments(&received)));
                    received.drain(..len);
                    parser.reset();
                }
                Ok(None) => break,
                Err(error) => return (requests, Some(error)),
            }
        }
    }
    (requests, None)
}

/// The same, whatever the pieces are.
fn parse_all_ways(input: &[u8]) -> (Vec<Words>, Option<ProtocolError>) {
    let whole = parse([input]);
    assert_eq!(parse(input.chunks(1)), whole, "{}", input.escape_ascii());
    for place in 0..input.len() {
        let (first, second) = input.split_at(place);
        assert_eq!(parse([first, second]), whole, "{} at {place}", input.escape_ascii());
    }
    whole
}

fn one(input: &[u8]) -> Words {
    let (mut requests, error) = parse_all_ways(input);
    assert_eq!((requests.len(), error), (1, None), "{}", input.escape_ascii());
    requests.remove(0)
}

fn error(input: &[u8]) -> ProtocolError {
    let (requests, error) = parse_all_ways(input);
    assert!(requests.is_empty(), "{}", input.escape_ascii());
    error.unwrap_or_else(|| panic!("{} is taken", input.escape_ascii()))
}

#[test]
fn arrays_of_bulk_strings() {
    assert_eq!(one(b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"), [b"GET".as_slice(), b"k"]);
    assert_eq!(one(b"*2\r\n$4\r\nECHO\r\n$6\r\n\r\n*\0$\xff\r\n"), [b"ECHO".as_slice(), b"\r\n*\0$\xff"]);
    assert_eq!(one(b"*1\r\n$0\r\n\r\n"), [b""]);
    assert!(one(b"*0\r\n").is_empty() && one(b"*-1\r\n").is_empty());
}

#[test]
fn inline_requests() {
    assert_eq!(one(b"  set key\tvalue \r\n"), [b"set".as_slice(), b"key", b"value"]);
    assert_eq!(one(b"ping\n"), [b"ping"]);
    assert!(one(b"\r\n").is_empty() && one(b" \n").is_empty());
    let quoted = br#"a "b c" '' "\x41\n\"\q\xg" 'it\'s' "#.to_line();
    assert_eq!(one(&quoted), [b"a".as_slice(), b"b c", b"", b"A\n\"qxg", b"it's"]);
    for unbalanced in ["\"a", "'a", "\"a\"b", "'a'b", "\"a\\", "a\"", "'\\'"] {
        assert_eq!(error(&unbalanced.as_bytes().to_line()), ProtocolError::Quotes, "{unbalanced}");
    }
}

trait ToLine {
    fn to_line(&self) -> Vec<u8>;
}

impl ToLine for [u8] {
    fn to_line(&self) -> Vec<u8> {
        [self, b"\r\n"].concat()
    }
}

#[test]
fn one_after_the_other() {
    let (requests, error) =
        parse_all_ways(b"*1\r\n$4\r\nPING\r\nget a\r\n\r\n*2\r\n$1\r\nx\r\n$0\r\n\r\n*1\r\n:");
    let expected: [&[&[u8]]; 4] = [&[b"PING"], &[b"get", b"a"], &[], &[b"x", b""]];
    assert_eq!(requests, expected.map(|words| words.iter().map(|word| word.to_vec()).collect::<Words>()));
    assert_eq!(error, Some(ProtocolError::ExpectedBulk(b':')));
}

#[test]
fn what_is_no_request() {
    for length in ["x", "", "+1", " 1", "01", "1 ", "99999999999999999999"] {
        assert_eq!(error(format!("*{length}\r\n").as_bytes()), ProtocolError::ArrayLength, "{length}");
        let bulk = format!("*1\r\n${length}\r\n");
        assert_eq!(error(bulk.as_bytes()), ProtocolError::BulkLength, "{length}");
    }
    assert_eq!(error(b"*1\r\n$-1\r\n"), ProtocolError::BulkLength);
    assert_eq!(error(b"*1\r\nPING\r\n"), ProtocolError::ExpectedBulk(b'P'));
    assert_eq!(error(b"*1\r\n$4\r\nPINGS\r\n"), ProtocolError::BulkEnd);
    assert_eq!(ProtocolError::ExpectedBulk(0).to_string(), r"Protocol error: expected '$', got '\x00'");
}

/// Nothing is put aside for what is only announced, and what is too much is refused when it is.
#[test]
fn limits_hold() {
    assert_eq!(error(format!("*{}\r\n", MOST_ARGUMENTS + 1).as_bytes()), ProtocolError::ArrayLength);
    assert_eq!(parse([format!("*{MOST_ARGUMENTS}\r\n").as_bytes()]), (vec![], None));
    assert_eq!(error(format!("*1\r\n${}\r\n", MOST_BULK_BYTES + 1).as_bytes()), ProtocolError::BulkLength);
    assert_eq!(parse([format!("*1\r\n${MOST_BULK_BYTES}\r\n").as_bytes()]), (vec![], None));

    let bulk = [format!("${MOST_BULK_BYTES}\r\n").as_bytes(), &vec![0; MOST_BULK_BYTES], b"\r\n"].concat();
    let count = MOST_REQUEST_BYTES / MOST_BULK_BYTES;
    let mut pieces = vec![b"*100\r\n".as_slice()];
    pieces.extend(std::iter::repeat_n(bulk.as_slice(), count));
    assert_eq!(parse(pieces), (vec![], Some(ProtocolError::LongRequest)));

    for start in [&b""[..], b"*", b"*1\r\n$"] {
        let digits = vec![b'1'; MOST_LINE_BYTES + 1];
        let long = [start, &digits].concat();
        assert_eq!(parse([long.as_slice()]), (vec![], Some(ProtocolError::LongLine)));
        assert_eq!(parse(long.chunks(1000)), (vec![], Some(ProtocolError::LongLine)));
    }
    let longest = vec![b'x'; MOST_LINE_BYTES].to_line();
    assert_eq!(parse([longest.as_slice()]).1, Some(ProtocolError::LongLine), "the CR is part of it");
    assert_eq!(parse([&longest[1..]]).0.len(), 1);
}

#[test]
fn numbers_are_those_of_redis() {
    for number in [0, 1, -1, 10, i64::MAX, i64::MIN] {
        assert_eq!(integer(number.to_string().as_bytes()), Some(number));
    }
    let wrong = ["", "-", "-0", "+1", "01", "-01", "1 ", " 1", "1.0", "0x1", "9223372036854775808"];
    for text in wrong {
        assert_eq!(integer(text.as_bytes()), None, "{text}");
    }
}

#[test]
fn replies() {
    let mut reply = Vec::new();
    reply.simple("OK");
    reply.error("ERR two\r\nlines");
    reply.integer(0);
    reply.integer(i64::MIN);
    reply.bulk(b"a\r\nb");
    reply.bulk(b"");
    reply.null();
    reply.array(10);
    let expected =
        b"+OK\r\n-ERR two  lines\r\n:0\r\n:-9223372036854775808\r\n$4\r\na\r\nb\r\n$0\r\n\r\n$-1\r\n*10\r\n";
    assert_eq!(reply, expected);
}
