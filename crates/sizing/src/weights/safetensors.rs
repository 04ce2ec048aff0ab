//! The header of a safetensors file: eight bytes of length, then JSON.
//!
//! ```
//! let header = br#"{"w":{"dtype":"BF16","shape":[2,3],"data_offsets":[0,12]}}"#;
//! let mut file = (header.len() as u64).to_le_bytes().to_vec();
//! file.extend_from_slice(header);
//! let read = sizing::weights::safetensors::header(&file)?;
//! assert_eq!((read.bytes().get(), read.elements), (12, 6));
//! # Ok::<(), sizing::weights::HeaderError>(())
//! ```

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{HeaderError, Headers};
use crate::Bytes;

/// Longest header that the format allows.
const LONGEST: u64 = 100_000_000;

#[derive(Deserialize)]
struct Tensor {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: [u64; 2],
}

/// How many bytes of a file its header takes, from the first eight.
///
/// # Errors
/// [`HeaderError`] when there are fewer than eight, or the length is impossible.
pub fn header_length(start: &[u8]) -> Result<u64, HeaderError> {
    let short = HeaderError::Short { needed: 8, given: start.len() as u64 };
    let length = start.first_chunk::<8>().map(|bytes| u64::from_le_bytes(*bytes)).ok_or(short)?;
    match length {
        0..=LONGEST => Ok(length + 8),
        _ => Err(other(format!("its header would be {length} B long"))),
    }
}

/// Reads a header from the first bytes of a file.
///
/// # Errors
/// [`HeaderError`] when they are none, or too few.
pub fn header(start: &[u8]) -> Result<Headers, HeaderError> {
    let needed = header_length(start)?;
    let given = start.len() as u64;
    let end = usize::try_from(needed).ok();
    let json = end.and_then(|end| start.get(8..end)).ok_or(HeaderError::Short { needed, given })?;
    let all: Map<String, Value> = serde_json::from_slice(json).map_err(|error| other(error.to_string()))?;
    let mut headers = Headers::default();
    for (name, value) in all.into_iter().filter(|(name, _)| name != "__metadata__") {
        let tensor: Tensor = serde_json::from_value(value).map_err(|error| other(format!("{name}: {error}")))?;
        let [from, to] = tensor.data_offsets;
        let bytes = to.checked_sub(from).ok_or_else(|| other(format!("{name} ends before it begins")))?;
        let elements = tensor.shape.iter().copied().fold(1, u64::saturating_mul);
        headers.count(&tensor.dtype, elements, Bytes::new(bytes));
    }
    Ok(headers)
}

const fn other(reason: String) -> HeaderError {
    HeaderError::Other { kind: "safetensors", reason }
}
