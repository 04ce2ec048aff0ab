//! The chunked transfer coding of HTTP/1.1 (RFC 9112, section 7.1), taken off bytes as they are read.
//!
//! A push parser: it copies nothing and remembers a state of two words, so the data of an event that came in one read is
//! a slice of that read. Extensions and trailers are skipped.

/// What is wrong with the coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadChunk {
    #[error("the size of a chunk is no hexadecimal number")]
    Size,
    #[error("a chunk does not end where its size says")]
    End,
    #[error("the trailer is too long")]
    Trailer,
}

/// Bytes of extensions and trailers that are skipped before they are an attack on patience.
const SKIPPED_MAX_BYTES: u32 = 64 * 1024;
/// Largest size of one chunk; more digits than these come from no server.
const SIZE_DIGITS_MAX: u8 = 15;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Within the digits of a size.
    Size {
        so_far: u64,
        digits: u8,
    },
    /// After the digits, up to the end of their line.
    Extension {
        size: u64,
    },
    Data {
        left: u64,
    },
    /// The line end after the data: CR, then LF.
    DataCr,
    DataLf,
    /// At the beginning of a line of the trailer, a CR of it seen or not.
    TrailerStart,
    TrailerCr,
    /// Within a line of the trailer.
    Trailer,
    Ended,
}

/// Where in the coding the bytes are.
#[derive(Clone, Debug)]
pub(crate) struct Chunked {
    state: State,
    skipped: u32,
}

impl Chunked {
    pub(crate) fn new() -> Self {
        let state = State::Size { so_far: 0, digits: 0 };
        Self { state, skipped: 0 }
    }

    /// Whether the last chunk and the trailer have been read.
    pub(crate) fn has_ended(&self) -> bool {
        self.state == State::Ended
    }

    /// Takes the next bytes, calls `on_data` with the data among them, and says how many bytes belong to the body: all,
    /// unless it ended among them.
    pub(crate) fn decode(&mut self, bytes: &[u8], mut on_data: impl FnMut(&[u8])) -> Result<usize, BadChunk> {
        let mut at = 0;
        while at < bytes.len() && self.state != State::Ended {
            if let State::Data { left } = &mut self.state {
                let rest = &bytes[at..];
                let most = usize::try_from(*left).unwrap_or(usize::MAX);
                let data = &rest[..rest.len().min(most)];
                *left -= data.len() as u64;
                if *left == 0 {
                    self.state = State::DataCr;
                }
                on_data(data);
                at += data.len();
                continue;
            }
            self.state = self.after(bytes[at])?;
            at += 1;
        }
        Ok(at)
    }

    /// The state after one byte that is not data.
    fn after(&mut self, byte: u8) -> Result<State, BadChunk> {
        Ok(match (self.state, byte) {
            (State::Size { so_far, digits }, _) if byte.is_ascii_hexdigit() => {
                if digits == SIZE_DIGITS_MAX {
                    return Err(BadChunk::Size);
                }
                let digit = char::from(byte).to_digit(16).unwrap_or(0);
                State::Size { so_far: so_far << 4 | u64::from(digit), digits: digits + 1 }
            }
            (State::Size { digits: 0, .. }, _) => return Err(BadChunk::Size),
            (State::Size { so_far, .. }, b'\r' | b';' | b' ' | b'\t') => State::Extension { size: so_far },
            (State::Size { so_far: size, .. } | State::Extension { size }, b'\n') => match size {
                0 => State::TrailerStart,
                left => State::Data { left },
            },
            (State::Size { .. }, _) => return Err(BadChunk::Size),
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataCr | State::DataLf, b'\n') => State::Size { so_far: 0, digits: 0 },
            (State::DataCr | State::DataLf, _) => return Err(BadChunk::End),
            (State::TrailerStart, b'\r') => State::TrailerCr,
            (State::TrailerStart | State::TrailerCr, b'\n') => State::Ended,
            (State::Trailer, b'\n') => State::TrailerStart,
            (state @ State::Extension { .. }, _) => {
                self.skip()?;
                state
            }
            _ => {
                self.skip()?;
                State::Trailer
            }
        })
    }

    fn skip(&mut self) -> Result<(), BadChunk> {
        self.skipped += 1;
        (self.skipped <= SKIPPED_MAX_BYTES).then_some(()).ok_or(BadChunk::Trailer)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// RFC 9112, 7.1: chunks, an extension, upper-case digits, a last chunk and a trailer field.
    const BODY: &[u8] =
        b"4\r\nWiki\r\n6;name=value\r\npedia \r\nE\r\nin \r\n\r\nchunks.\r\n0\r\nExpires: never\r\n\r\nHTTP/1.1";
    const DATA: &[u8] = b"Wikipedia in \r\n\r\nchunks.";
    const AFTER: usize = b"HTTP/1.1".len();

    fn decode<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Result<(Vec<u8>, usize, bool), BadChunk> {
        let mut chunked = Chunked::new();
        let (mut data, mut consumed) = (Vec::new(), 0);
        for piece in pieces {
            consumed += chunked.decode(piece, |part| data.extend_from_slice(part))?;
        }
        Ok((data, consumed, chunked.has_ended()))
    }

    proptest! {
        #[test]
        fn data_is_the_same_wherever_the_reads_cut(cuts in prop::collection::vec(0..=BODY.len(), 0..20)) {
            let mut edges = cuts;
            edges.extend([0, BODY.len()]);
            edges.sort_unstable();
            let pieces = edges.windows(2).map(|pair| &BODY[pair[0]..pair[1]]);
            let decoded = decode(pieces);
            prop_assert_eq!(decoded, Ok((DATA.to_vec(), BODY.len() - AFTER, true)));
        }
    }

    #[test]
    fn a_body_without_its_last_chunk_has_not_ended() {
        let whole = b"3\r\nabc\r\n0\r\n\r\n";
        for end in 0..whole.len() {
            let decoded = decode([&whole[..end]].into_iter());
            assert!(matches!(decoded, Ok((_, n, false)) if n == end), "{end}");
        }
        assert_eq!(decode([&whole[..]].into_iter()), Ok((b"abc".to_vec(), whole.len(), true)));
    }

    #[test]
    fn what_is_no_chunk_is_refused() {
        for (body, fault) in [
            (&b"\r\n"[..], BadChunk::Size),
            (b"x\r\n", BadChunk::Size),
            (b"3x\r\n", BadChunk::Size),
            (b"-1\r\n", BadChunk::Size),
            (b"fffffffffffffffff\r\n", BadChunk::Size),
            (b"3\r\nabcd\r\n", BadChunk::End),
            (b"3\r\nabc0\r\n", BadChunk::End),
        ] {
            let text = String::from_utf8_lossy(body);
            assert_eq!(decode([body].into_iter()), Err(fault), "{text}");
        }
        let endless = [&b"1;"[..], &vec![b'x'; 70_000]].concat();
        assert_eq!(decode([&endless[..]].into_iter()), Err(BadChunk::Trailer));
    }
}
