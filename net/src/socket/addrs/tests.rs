use super::sealed::{Resolution, Resolve};

fn invalid(text: &str) -> String {
    match text.resolve() {
        Resolution::Invalid(error) => error.to_string(),
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn numbers_are_known_at_once() {
    for text in ["127.0.0.1:80", "[::1]:80", "0.0.0.0:0"] {
        assert!(matches!(text.resolve(), Resolution::One(address) if address == text.parse().unwrap()));
    }
    assert!(matches!(("::1", 7).resolve(), Resolution::One(address) if address.port() == 7));
}

#[test]
fn names_are_left_to_the_resolver() {
    assert!(matches!("localhost:80".resolve(), Resolution::Name(host, 80) if host == "localhost"));
    assert!(matches!(("localhost", 80).resolve(), Resolution::Name(host, 80) if host == "localhost"));
}

#[test]
fn bad_text_is_named() {
    for text in ["", "localhost", ":80", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:http"] {
        assert!(invalid(text).contains(&format!("`{text}`")), "{}", invalid(text));
    }
}
