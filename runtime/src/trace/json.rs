//! JSON, as much as is needed here.

use std::fmt::{Display, Write};
use std::panic::Location;
use std::time::Duration;

/// A text that becomes JSON; commas are put where they belong.
#[derive(Debug, Default)]
pub(super) struct Json {
    text: String,
    /// Whether the next value or key is the first in its array or object, or follows a key.
    is_first: bool,
}

impl Json {
    pub(super) fn new() -> Self {
        Self { text: String::new(), is_first: true }
    }

    pub(super) fn into_string(self) -> String {
        self.text
    }

    fn begin_value(&mut self) {
        if !std::mem::take(&mut self.is_first) {
            self.text.push(',');
        }
    }

    pub(super) fn object(&mut self, fields: impl FnOnce(&mut Self)) {
        self.enclosed('{', '}', fields);
    }

    pub(super) fn array<T>(&mut self, items: &[T], each: impl Fn(&mut Self, &T)) {
        self.enclosed('[', ']', |json| items.iter().for_each(|item| each(json, item)));
    }

    fn enclosed(&mut self, open: char, close: char, content: impl FnOnce(&mut Self)) {
        self.begin_value();
        self.text.push(open);
        self.is_first = true;
        content(self);
        self.text.push(close);
        self.is_first = false;
    }

    pub(super) fn key(&mut self, key: &str) -> &mut Self {
        self.string(key);
        self.text.push(':');
        self.is_first = true;
        self
    }

    pub(super) fn string(&mut self, value: &str) {
        self.begin_value();
        self.text.push('"');
        for character in value.chars() {
            match character {
                '"' => self.text.push_str("\\\""),
                '\\' => self.text.push_str("\\\\"),
                // Also the two that are line ends in JavaScript.
                '\0'..='\x1f' | '\x7f' | '\u{2028}' | '\u{2029}' => {
                    self.write(format_args!("\\u{:04x}", u32::from(character)));
                }
                character => self.text.push(character),
            }
        }
        self.text.push('"');
    }

    pub(super) fn string_or_null(&mut self, value: Option<&str>) {
        match value {
            Some(value) => self.string(value),
            None => self.raw("null"),
        }
    }

    /// A number, by what it is displayed as.
    pub(super) fn number_or_null(&mut self, value: Option<impl Display>) {
        match value {
            Some(value) => self.raw(value),
            None => self.raw("null"),
        }
    }

    pub(super) fn seconds_or_null(&mut self, value: Option<Duration>) {
        self.number_or_null(value.map(|value| value.as_secs_f64()));
    }

    pub(super) fn location(&mut self, location: Option<&Location<'_>>) {
        match location {
            Some(location) => self.object(|json| {
                json.key("file").string(location.file());
                json.key("line").raw(location.line());
                json.key("column").raw(location.column());
            }),
            None => self.raw("null"),
        }
    }

    fn raw(&mut self, value: impl Display) {
        self.begin_value();
        self.write(format_args!("{value}"));
    }

    fn write(&mut self, text: std::fmt::Arguments<'_>) {
        self.text.write_fmt(text).expect("writing to a string does not fail");
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Json;

    #[test]
    fn commas_and_escapes_stand_where_they_belong() {
        let mut json = Json::new();
        json.object(|json| {
            json.key("a").string("\"\\\n\u{1}\u{2028}é");
            json.key("b").array(&[1, 2], |json, item| json.number_or_null(Some(item)));
            json.key("c").array(&[(); 2], |json, ()| json.object(|_| ()));
            json.key("d").seconds_or_null(Some(Duration::from_millis(1500)));
            json.key("e").string_or_null(None);
        });
        assert_eq!(
            json.into_string(),
            r#"{"a":"\"\\\u000a\u0001\u2028é","b":[1,2],"c":[{},{}],"d":1.5,"e":null}"#
        );
    }
}
