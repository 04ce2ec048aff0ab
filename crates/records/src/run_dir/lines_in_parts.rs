//! A long JSON Lines file read by several threads, each its own part of the bytes: the same records, in the same order, as
//! [`read_lines`] gives.
//!
//! A line belongs to the part in which it begins. Parsing is what costs; the file is never in memory as a whole.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read as _, Seek as _, SeekFrom},
    num::NonZeroUsize,
    path::Path,
    thread,
};

use serde::de::DeserializeOwned;

use crate::{Lines, jsonl::read_lines};

/// Bytes below which a part is not worth a thread.
const PART_MIN_BYTES: u64 = 4 << 20;
const BUFFER_BYTES: usize = 1 << 18;

/// Reads all records of a file, by as many threads as there are processors.
pub(crate) fn read_file<T: DeserializeOwned + Send>(path: &Path) -> io::Result<Lines<T>> {
    let processors = thread::available_parallelism().map_or(1, NonZeroUsize::get) as u64;
    let length = File::open(path)?.metadata()?.len();
    let parts = processors.min(length / PART_MIN_BYTES).max(1);
    read_parts(path, length, parts)
}

fn read_parts<T: DeserializeOwned + Send>(path: &Path, length: u64, parts: u64) -> io::Result<Lines<T>> {
    if parts <= 1 {
        return read_lines(BufReader::with_capacity(BUFFER_BYTES, File::open(path)?));
    }
    let border = |part: u64| -> io::Result<u64> {
        match part {
            0 => Ok(0),
            // What was appended since the length was asked for belongs to the last part.
            _ if part == parts => Ok(u64::MAX),
            _ => line_start(path, length / parts * part),
        }
    };
    let borders: Vec<u64> = (0..=parts).map(border).collect::<io::Result<_>>()?;
    let read = |from: u64, to: u64| -> io::Result<Part<T>> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(from))?;
        let bytes = file.take(to.saturating_sub(from));
        let mut counted = Counted { inner: BufReader::with_capacity(BUFFER_BYTES, bytes), newlines: 0 };
        let lines = read_lines(&mut counted)?;
        Ok((lines, counted.newlines))
    };
    let read = &read;
    let read: Vec<io::Result<Part<T>>> = thread::scope(|scope| {
        let threads: Vec<_> = borders.windows(2).map(|ends| scope.spawn(move || read(ends[0], ends[1]))).collect();
        threads
            .into_iter()
            .map(|thread| {
                let panicked = |_| Err(io::Error::other("a thread that read lines panicked"));
                thread.join().unwrap_or_else(panicked)
            })
            .collect()
    });
    let mut all = Lines { records: Vec::new(), skipped: Vec::new() };
    let mut before = 0;
    for part in read {
        let (lines, newlines) = part?;
        all.records.extend(lines.records);
        let skipped = lines.skipped.into_iter();
        all.skipped.extend(skipped.map(|(line, reason)| (before + line, reason)));
        before += newlines;
    }
    Ok(all)
}

/// Lines, and how many line ends they had.
type Part<T> = (Lines<T>, usize);

/// The beginning of the first line that does not begin before `offset`.
fn line_start(path: &Path, offset: u64) -> io::Result<u64> {
    let before = offset.saturating_sub(1);
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(before))?;
    let mut rest = Vec::new();
    let skipped = BufReader::new(file).read_until(b'\n', &mut rest)?;
    Ok(before + skipped as u64)
}

/// Counts line ends as they are consumed.
struct Counted<R> {
    inner: R,
    newlines: usize,
}

impl<R: BufRead> io::Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        let ends = buffer[..n].iter().map(|byte| usize::from(*byte == b'\n'));
        self.newlines += ends.sum::<usize>();
        Ok(n)
    }
}

impl<R: BufRead> BufRead for Counted<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.inner.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        // Lines are consumed up to and with their end, so that only the last byte can be one.
        let last = amount.checked_sub(1);
        let buffered = self.inner.fill_buf().ok();
        let ended = last.zip(buffered).and_then(|(last, bytes)| bytes.get(last).copied());
        self.newlines += usize::from(ended == Some(b'\n'));
        self.inner.consume(amount);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Numbers, with blank lines, torn ones and one that is longer than a part, and no end to the last line.
    #[test]
    fn parts_give_what_the_whole_gives() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("numbers.jsonl");
        let mut text = String::new();
        for i in 0..1000_u32 {
            let line = match i % 97 {
                13 => String::new(),
                31 => "{torn".to_owned(),
                60 if i > 500 => format!("{}{i}", " ".repeat(400)),
                _ => i.to_string(),
            };
            text += &line;
            text.push('\n');
        }
        text += "12";
        for end in [text.len(), text.len() - 2] {
            fs::write(&path, &text[..end]).expect("a file");
            let whole: Lines<u32> = read_lines(&text.as_bytes()[..end]).expect("readable");
            assert!(whole.records.len() > 900 && whole.skipped.len() == 10);
            for parts in [1, 2, 3, 7, 50, 300] {
                let read = read_parts::<u32>(&path, end as u64, parts).expect("readable");
                assert_eq!(read, whole, "{parts} parts");
            }
        }
        fs::write(&path, "").expect("a file");
        assert!(read_file::<u32>(&path).expect("readable").records.is_empty());
    }
}
