//! JSON Lines: one record a line, so that a killed writer leaves a readable file.

use std::io::{self, BufRead, Write};

use serde::{Serialize, de::DeserializeOwned};

/// Appends records to a writer, one JSON document a line.
#[derive(Debug)]
pub struct JsonlWriter<W> {
    inner: W,
    line: Vec<u8>,
}

impl<W: Write> JsonlWriter<W> {
    /// A writer that appends to `inner`.
    pub fn new(inner: W) -> Self {
        Self { inner, line: Vec::new() }
    }

    /// Appends one record. The line reaches `inner` in one call, so that a killed process tears the last line at most.
    ///
    /// # Errors
    /// What `inner` reports, a full disk for instance; or a record that JSON cannot hold.
    pub fn append<T: Serialize>(&mut self, record: &T) -> io::Result<()> {
        self.line.clear();
        serde_json::to_writer(&mut self.line, record)?;
        self.line.push(b'\n');
        self.inner.write_all(&self.line)
    }

    /// Hands everything to the operating system.
    ///
    /// # Errors
    /// What `inner` reports.
    pub fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// What reading a JSON Lines file gave.
#[derive(Clone, Debug, PartialEq)]
pub struct Lines<T> {
    /// The records, in file order.
    pub records: Vec<T>,
    /// Numbers (from 1) of the lines that were not a record, with the reason.
    pub skipped: Vec<(usize, String)>,
}

/// Reads all records. Lines that are no record (the torn last line of a killed run) are counted, never hidden.
///
/// # Errors
/// What the reader reports. A line that is not UTF-8 or not a record is no error but a skipped line.
pub fn read_lines<T: DeserializeOwned>(mut reader: impl BufRead) -> io::Result<Lines<T>> {
    let mut lines = Lines { records: Vec::new(), skipped: Vec::new() };
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        if reader.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        match serde_json::from_slice(&line) {
            Ok(record) => lines.records.push(record),
            Err(error) => lines.skipped.push((number, error.to_string())),
        }
    }
    Ok(lines)
}
