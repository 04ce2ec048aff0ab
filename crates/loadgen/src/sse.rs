//! Server-Sent Events: from bytes as they are read to the data of whole events.
//!
//! A push parser after the WHATWG HTML standard, section 9.2.6 "Interpreting an event stream": lines end in LF, CR or
//! CRLF, comments and unknown fields are skipped, several `data` lines are joined by LF, one space after the colon is
//! dropped, a byte-order mark at the beginning is too. Event types and ids are of no use to a load client and are
//! skipped as well. Bytes stay bytes: whether the data is UTF-8 is decided by whoever reads it as JSON, so that a
//! character cut by a read is no case of its own here, and a byte that is wrong for ever cannot stall the parser.
//!
//! Why not a crate: the published ones are adapters from a stream of bytes to a stream of owned events. They were
//! measured on the corpus in this module's tests and per event; see `docs/decisions.md`.

use memchr::memchr2;

/// Longest event that is still collected. A longer one comes from no engine and would only fill the memory.
pub const EVENT_MAX_BYTES: usize = 16 * 1024 * 1024;

/// An event is longer than [`EVENT_MAX_BYTES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event is longer than {EVENT_MAX_BYTES} bytes\nhint: is the URL that of an OpenAI-compatible server?")]
pub struct EventTooLong;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Takes bytes in pieces of any size and gives the data of each event as soon as its last byte is there.
///
/// Nothing is copied and nothing allocated while whole events arrive in one piece, which is how engines send them.
#[derive(Debug, Default)]
pub struct Decoder {
    /// The beginning of a line whose end has not arrived.
    line: Vec<u8>,
    /// Data of the event so far, as far as it came in earlier pieces or consists of several lines.
    data: Vec<u8>,
    has_data: bool,
    /// The last line ended in CR at the end of a piece: an LF that comes next belongs to it.
    after_cr: bool,
    past_first_line: bool,
}

impl Decoder {
    /// A decoder at the beginning of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes and calls `on_event` with the data of each event that they complete.
    ///
    /// # Errors
    /// [`EventTooLong`]; the decoder is of no further use then.
    pub fn push(&mut self, bytes: &[u8], mut on_event: impl FnMut(&[u8])) -> Result<(), EventTooLong> {
        let mut rest = bytes;
        if self.after_cr && !rest.is_empty() {
            self.after_cr = false;
            rest = rest.strip_prefix(b"\n").unwrap_or(rest);
        }
        // The one data line of an event that lies wholly within `bytes`.
        let mut fresh: Option<&[u8]> = None;
        while let Some(end) = memchr2(b'\n', b'\r', rest) {
            let (head, tail) = (&rest[..end], &rest[end + 1..]);
            rest = if rest[end] == b'\r' {
                self.after_cr = tail.is_empty();
                tail.strip_prefix(b"\n").unwrap_or(tail)
            } else {
                tail
            };
            if !self.line.is_empty() {
                self.line.extend_from_slice(head);
                let line = std::mem::take(&mut self.line);
                self.whole_line(&line, &mut on_event);
                self.line = line;
                self.line.clear();
                continue;
            }
            let head = self.without_mark(head);
            match data_of(head) {
                Some(data) if !self.has_data && fresh.is_none() => fresh = Some(data),
                Some(data) => {
                    self.keep(&mut fresh);
                    self.append(data);
                }
                None if head.is_empty() => match fresh.take() {
                    Some(data) => on_event(data),
                    None => self.dispatch(&mut on_event),
                },
                None => {}
            }
        }
        self.keep(&mut fresh);
        self.line.extend_from_slice(rest);
        if self.line.len().max(self.data.len()) > EVENT_MAX_BYTES {
            return Err(EventTooLong);
        }
        Ok(())
    }

    /// The end of a response that ended properly: gives the event that lacks its closing blank line, if there is one.
    /// The standard would drop it; servers that forget the blank line after `[DONE]` exist.
    pub fn finish(mut self, mut on_event: impl FnMut(&[u8])) {
        let line = std::mem::take(&mut self.line);
        self.whole_line(&line, &mut on_event);
        self.dispatch(&mut on_event);
    }

    fn whole_line(&mut self, line: &[u8], on_event: &mut impl FnMut(&[u8])) {
        let line = self.without_mark(line);
        match data_of(line) {
            Some(data) => self.append(data),
            None if line.is_empty() => self.dispatch(on_event),
            None => {}
        }
    }

    fn without_mark<'a>(&mut self, line: &'a [u8]) -> &'a [u8] {
        if std::mem::replace(&mut self.past_first_line, true) {
            return line;
        }
        line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line)
    }

    fn keep(&mut self, fresh: &mut Option<&[u8]>) {
        if let Some(data) = fresh.take() {
            self.append(data);
        }
    }

    fn append(&mut self, data: &[u8]) {
        if std::mem::replace(&mut self.has_data, true) {
            self.data.push(b'\n');
        }
        self.data.extend_from_slice(data);
    }

    fn dispatch(&mut self, on_event: &mut impl FnMut(&[u8])) {
        if std::mem::take(&mut self.has_data) {
            on_event(&self.data);
            self.data.clear();
        }
    }
}

/// The value of a `data` line; `None` for every other line.
fn data_of(line: &[u8]) -> Option<&[u8]> {
    match line.strip_prefix(b"data")? {
        [b':', b' ', value @ ..] | [b':', value @ ..] => Some(value),
        [] => Some(&[]),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Name, stream, and the data of its events.
    type Case = (&'static str, Vec<u8>, Vec<Vec<u8>>);

    /// Streams and their events by the WHATWG standard (9.2.6).
    fn corpus() -> Vec<Case> {
        let long = vec![b'x'; 1 << 20];
        let case = |name, stream: &[u8], events: &[&[u8]]| {
            let events = events.iter().map(|e| e.to_vec()).collect();
            (name, stream.to_vec(), events)
        };
        vec![
            case("lf", b"data: a\n\ndata: b\n\n", &[b"a", b"b"]),
            case("crlf", b"data: a\r\n\r\ndata: b\r\n\r\n", &[b"a", b"b"]),
            case("cr", b"data: a\r\rdata: b\r\r", &[b"a", b"b"]),
            case("mixed ends", b"data: a\r\n\ndata: b\r\r\n", &[b"a", b"b"]),
            case("no space", b"data:a\n\n", &[b"a"]),
            case("two spaces", b"data:  a\n\n", &[b" a"]),
            case("comment", b": ping\n\n:\n\ndata: a\n: in\n\n", &[b"a"]),
            case("byte-order mark", b"\xEF\xBB\xBFdata: a\n\n", &[b"a"]),
            case("mark later", b"data: a\n\n\xEF\xBB\xBFdata: b\n\n", &[b"a"]),
            case("several lines", b"data: a\ndata: b\ndata:\n\n", &[b"a\nb\n"]),
            case("other fields", b"event: e\nid: 1\nretry: 5\ndata: a\n\n", &[b"a"]),
            case("unknown fields", b"database: x\ndat: y\ndata: a\n\n", &[b"a"]),
            case("event without data", b"event: e\n\ndata: a\n\n", &[b"a"]),
            case("empty data", b"data\n\ndata:\n\n", &[b"", b""]),
            case("blank lines", b"\n\n\ndata: a\n\n\n\n", &[b"a"]),
            case("korean", "data: 안녕하세요\n\n".as_bytes(), &["안녕하세요".as_bytes()]),
            case("not utf-8", b"data: \xFF\xFE\n\ndata: b\n\n", &[b"\xFF\xFE", b"b"]),
            case("long line", &[b"data: ", &long[..], b"\n\n"].concat(), &[&long]),
            case("no blank line at the end", b"data: a\n\ndata: b", &[b"a"]),
        ]
    }

    fn decode(pieces: impl Iterator<Item = impl AsRef<[u8]>>) -> Vec<Vec<u8>> {
        let mut decoder = Decoder::new();
        let mut events = Vec::new();
        for piece in pieces {
            decoder.push(piece.as_ref(), |data| events.push(data.to_vec())).unwrap();
        }
        events
    }

    #[test]
    fn follows_the_standard_whatever_the_pieces() {
        for (name, stream, events) in corpus() {
            for size in [1, 2, 3, 7, 64, stream.len()] {
                assert!(decode(stream.chunks(size)) == events, "{name} in pieces of {size}");
            }
        }
    }

    #[test]
    fn an_event_is_given_by_the_piece_that_completes_it() {
        let mut decoder = Decoder::new();
        let mut completed = Vec::new();
        for (number, piece) in [&b"data: a\r"[..], b"\n", b"\r", b"\ndata: b\n", b"\n"].iter().enumerate() {
            decoder.push(piece, |_| completed.push(number)).unwrap();
        }
        assert_eq!(completed, [2, 4]);
    }

    #[test]
    fn a_forgotten_blank_line_loses_nothing() {
        for stream in [&b"data: [DONE]\n"[..], b"data: [DONE]", b"data: [DONE]\r"] {
            let mut decoder = Decoder::new();
            decoder.push(stream, |_| unreachable!("the event is open")).unwrap();
            let mut events = Vec::new();
            decoder.finish(|data| events.push(data.to_vec()));
            assert_eq!(events, [b"[DONE]"]);
        }
    }

    #[test]
    fn an_endless_line_is_refused() {
        let mut decoder = Decoder::new();
        let piece = vec![b'x'; 1 << 20];
        let refused = (0..=16).find(|_| decoder.push(&piece, |_| ()).is_err());
        assert_eq!(refused, Some(16));
    }
}
