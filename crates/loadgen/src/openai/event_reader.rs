//! Events that differ from the one before in the text of their token and in nothing else, which is what a stream
//! consists of. They are recognised by their bytes: JSON is parsed once for all of them.
//!
//! Why that is exact: in valid JSON, an unescaped quote after the letters of a name ends a key, and the quote after the
//! colon begins its value. Put another string there, of which JSON says that it is one, and the document parses to the
//! same values except that one. No field named `content` or `text` is read for more than whether it is empty
//! ([`parse_event`]), and neither string is.

use super::chunk::{Bearing, Chunk, Event, parse_event};

/// Ends of keys whose value is a token's text, with the quote that begins it: also `reasoning_content`.
const TEXT_KEYS: [&[u8]; 2] = [b"content\":\"", b"text\":\""];

/// Longest event that is kept to compare with; that of a token has 150 to 300 bytes.
const KEPT_EVENT_MAX_BYTES: usize = 2048;

/// Reads the events of one stream: [`parse_event`], faster.
#[derive(Debug, Default)]
pub struct EventReader {
    /// The last event that was a token and nothing more.
    kept: Vec<u8>,
    /// Where in it the text begins and ends.
    begin: usize,
    end: usize,
    bearing: Bearing,
}

impl EventReader {
    /// Reads the data of the next event.
    ///
    /// # Errors
    /// As [`parse_event`].
    pub fn read(&mut self, data: &[u8]) -> Result<Event, serde_json::Error> {
        if self.is_alike(data) {
            return Ok(Event::Chunk(Chunk { bearing: self.bearing, ..Chunk::default() }));
        }
        let event = parse_event(data)?;
        self.keep(data, &event);
        Ok(event)
    }

    fn is_alike(&self, data: &[u8]) -> bool {
        let (before, after) = (&self.kept[..self.begin], &self.kept[self.end..]);
        // The rest before the text, because what differs at all differs there: an id, a finish reason.
        !before.is_empty()
            && data.len() > before.len() + after.len()
            && data.ends_with(after)
            && data.starts_with(before)
            && is_plain_text(&data[before.len()..data.len() - after.len()])
    }

    fn keep(&mut self, data: &[u8], event: &Event) {
        let Event::Chunk(chunk) = event else { return };
        let token_only = Chunk { bearing: chunk.bearing, ..Chunk::default() };
        if !chunk.bearing.token || *chunk != token_only || data.len() > KEPT_EVENT_MAX_BYTES {
            return;
        }
        let Some(begin) = TEXT_KEYS.iter().find_map(|key| memchr::memmem::find(data, key).map(|at| at + key.len()))
        else {
            return;
        };
        let Some(length) = memchr::memchr(b'"', &data[begin..]) else {
            return;
        };
        if !is_plain_text(&data[begin..begin + length]) {
            return;
        }
        self.kept.clear();
        self.kept.extend_from_slice(data);
        (self.begin, self.end) = (begin, begin + length);
        self.bearing = chunk.bearing;
    }
}

/// Whether it is not empty and, between quotes, a JSON string (RFC 8259, section 7) without escapes.
fn is_plain_text(text: &[u8]) -> bool {
    !text.is_empty()
        && text.iter().all(|byte| *byte >= 0x20 && *byte != b'"' && *byte != b'\\')
        && std::str::from_utf8(text).is_ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TOKEN: &str = r#"{"id":"a","choices":[{"index":0,"delta":{"content":"one"},"finish_reason":null}]}"#;

    /// Whether `data` is recognised after `first` was read.
    fn alike(first: &str, data: &[u8]) -> bool {
        let mut reader = EventReader::default();
        reader.read(first.as_bytes()).unwrap();
        reader.is_alike(data)
    }

    #[test]
    fn the_next_token_is_recognised_and_nothing_else_is() {
        let with = |text: &str| TOKEN.replace("one", text);
        for text in ["two", " ", "a longer one", "안녕", "}]}"] {
            assert!(alike(TOKEN, with(text).as_bytes()), "{text}");
        }
        for text in ["", r"\n", r#"","x":""#, "\u{1}", r"\"] {
            assert!(!alike(TOKEN, with(text).as_bytes()), "{text}");
        }
        let broken = [with("@").as_bytes()].concat();
        let broken: Vec<u8> = broken.into_iter().map(|b| if b == b'@' { 0xFF } else { b }).collect();
        assert!(!alike(TOKEN, &broken), "not UTF-8");
        for other in [
            TOKEN.replace("null", r#""stop""#),
            TOKEN.replace(r#""id":"a""#, r#""id":"b""#),
            TOKEN.replace("}]}", r#"}],"usage":{"completion_tokens":1}}"#),
            TOKEN.replace("content", "reasoning_content"),
        ] {
            assert!(!alike(TOKEN, other.as_bytes()), "{other}");
        }
    }

    #[test]
    fn what_is_more_than_a_token_is_never_kept() {
        for event in [
            TOKEN.replace("null", r#""stop""#),
            TOKEN.replace("}]}", r#"}],"usage":{"completion_tokens":1}}"#),
            TOKEN.replace("one", ""),
            TOKEN.replace("one", r"\n"),
            r#"{"error":{"message":"x","content":"y"}}"#.to_owned(),
            r#"{"choices":[{"delta":{"role":"assistant","content":""}}]}"#.to_owned(),
        ] {
            let mut reader = EventReader::default();
            reader.read(event.as_bytes()).unwrap();
            assert!(reader.kept.is_empty(), "{event}");
        }
    }

    /// Pieces of events, whole and broken, with keys and quotes where they could mislead.
    fn event() -> impl Strategy<Value = String> {
        let text = prop_oneof![
            "[a-z }{\":,\\\\]{0,6}",
            Just("content\\\":\\\"x".to_owned()),
            Just("x\",\"content\":\"y".to_owned()),
            Just("\\u00e9".to_owned()),
        ];
        let key =
            prop_oneof![Just("content"), Just("reasoning_content"), Just("text"), Just("role"), Just("a\\\"content"),];
        let tail = prop_oneof![
            4 => Just(r"}}]}"),
            1 => Just(r#"},"finish_reason":"stop"}]}"#),
            1 => Just(r#"}}],"usage":{"completion_tokens":3}}"#),
            1 => Just(r#"}}],"error":{"content":"x"}}"#),
            1 => Just(r"}}"),
        ];
        (key, text.clone(), text, tail).prop_map(|(key, text, other, tail)| {
            format!(r#"{{"choices":[{{"text":"{other}","delta":{{"{key}":"{text}"{tail}"#)
        })
    }

    proptest! {
        #[test]
        fn whatever_came_before_an_event_says_what_it_says(events in prop::collection::vec(event(), 1..12)) {
            let mut reader = EventReader::default();
            for event in events {
                let (fast, slow) = (reader.read(event.as_bytes()), parse_event(event.as_bytes()));
                prop_assert_eq!(fast.ok(), slow.ok(), "{}", event);
            }
        }
    }
}
