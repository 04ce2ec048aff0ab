//! The header of a GGUF file, versions 2 and 3: metadata, then name, dimensions and type of every tensor.
//!
//! Follows the specification in llama.cpp's repository (ggml, `docs/gguf.md`) and the block sizes of `ggml.c`.

use super::{HeaderError, Headers};
use crate::Bytes;

/// Tensor types by number: name, elements of a block, bytes of a block.
const TYPES: [(u32, &str, u64, u64); 34] = [
    (0, "F32", 1, 4),
    (1, "F16", 1, 2),
    (2, "Q4_0", 32, 18),
    (3, "Q4_1", 32, 20),
    (6, "Q5_0", 32, 22),
    (7, "Q5_1", 32, 24),
    (8, "Q8_0", 32, 34),
    (9, "Q8_1", 32, 36),
    (10, "Q2_K", 256, 84),
    (11, "Q3_K", 256, 110),
    (12, "Q4_K", 256, 144),
    (13, "Q5_K", 256, 176),
    (14, "Q6_K", 256, 210),
    (15, "Q8_K", 256, 292),
    (16, "IQ2_XXS", 256, 66),
    (17, "IQ2_XS", 256, 74),
    (18, "IQ3_XXS", 256, 98),
    (19, "IQ1_S", 256, 50),
    (20, "IQ4_NL", 32, 18),
    (21, "IQ3_S", 256, 110),
    (22, "IQ2_S", 256, 82),
    (23, "IQ4_XS", 256, 136),
    (24, "I8", 1, 1),
    (25, "I16", 1, 2),
    (26, "I32", 1, 4),
    (27, "I64", 1, 8),
    (28, "F64", 1, 8),
    (29, "IQ1_M", 256, 56),
    (30, "BF16", 1, 2),
    (34, "TQ1_0", 256, 54),
    (35, "TQ2_0", 256, 66),
    (39, "MXFP4", 32, 17),
    (40, "NVFP4", 64, 36),
    (41, "Q1_0", 128, 18),
];

/// Bytes of a tensor of this type, by its name in GGUF; `None` for a type that is not known.
pub fn bytes_of(name: &str, elements: u64) -> Option<Bytes> {
    let found = TYPES.iter().find(|(_, own, _, _)| own.eq_ignore_ascii_case(name));
    found.map(|(_, _, block, bytes)| Bytes::new(*bytes).times(elements.div_ceil(*block)))
}

/// Reads a header from the first bytes of a file.
///
/// # Errors
/// [`HeaderError`] when they are none or too few, or a tensor has a type whose size is not known.
pub fn header(start: &[u8]) -> Result<Headers, HeaderError> {
    let mut reader = Reader { bytes: start, at: 0 };
    if reader.take(4)? != b"GGUF" {
        return Err(other("its first four bytes are not GGUF"));
    }
    let version = reader.number::<4>()?;
    if !(2..=3).contains(&version) {
        return Err(other(&format!("its version is {version}, known are 2 and 3")));
    }
    let (tensors, pairs) = (reader.number::<8>()?, reader.number::<8>()?);
    for _ in 0..pairs {
        reader.text()?;
        let kind = reader.number::<4>()?;
        reader.skip_value(kind, 0)?;
    }
    let mut headers = Headers::default();
    for _ in 0..tensors {
        reader.text()?;
        let dimensions = reader.number::<4>()?;
        let mut elements = 1_u64;
        for _ in 0..dimensions.min(8) {
            elements = elements.saturating_mul(reader.number::<8>()?);
        }
        let kind = reader.number::<4>()?;
        reader.take(8)?;
        let found = TYPES.iter().find(|(number, ..)| u64::from(*number) == kind);
        let (_, name, block, bytes) = found.ok_or_else(|| HeaderError::UnknownType { name: kind.to_string() })?;
        headers.count(name, elements, Bytes::new(*bytes).times(elements.div_ceil(*block)));
    }
    Ok(headers)
}

fn other(reason: &str) -> HeaderError {
    HeaderError::Other { kind: "GGUF", reason: reason.to_owned() }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: u64) -> Result<&'a [u8], HeaderError> {
        let end = usize::try_from(count).ok().and_then(|count| self.at.checked_add(count));
        let short =
            HeaderError::Short { needed: (self.at as u64).saturating_add(count), given: self.bytes.len() as u64 };
        let end = end.ok_or_else(|| short.clone())?;
        let taken = self.bytes.get(self.at..end).ok_or(short)?;
        self.at = end;
        Ok(taken)
    }

    fn number<const N: usize>(&mut self) -> Result<u64, HeaderError> {
        let bytes = self.take(N as u64)?;
        Ok(bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn text(&mut self) -> Result<(), HeaderError> {
        let length = self.number::<8>()?;
        self.take(length).map(|_| ())
    }

    /// Passes over a metadata value: 8 is a text, 9 an array, the rest numbers and flags of fixed size.
    fn skip_value(&mut self, kind: u64, depth: u8) -> Result<(), HeaderError> {
        match (kind, depth) {
            (8, _) => self.text(),
            (9, 0..=3) => {
                let (inner, count) = (self.number::<4>()?, self.number::<8>()?);
                match size_of(inner) {
                    Some(size) => self.take(size.saturating_mul(count)).map(|_| ()),
                    None => (0..count).try_for_each(|_| self.skip_value(inner, depth + 1)),
                }
            }
            (kind, _) => {
                let size = size_of(kind).ok_or_else(|| other(&format!("a metadata value has type {kind}")))?;
                self.take(size).map(|_| ())
            }
        }
    }
}

/// Bytes of a metadata number.
const fn size_of(kind: u64) -> Option<u64> {
    match kind {
        0 | 1 | 7 => Some(1),
        2 | 3 => Some(2),
        4..=6 => Some(4),
        10..=12 => Some(8),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(of: &str) -> Vec<u8> {
        [&(of.len() as u64).to_le_bytes()[..], of.as_bytes()].concat()
    }

    /// Two tensors written by hand after the specification: 256 × 4 in `Q4_K` (4 blocks of 144 B) and 8 in F32.
    fn file() -> Vec<u8> {
        let mut file = b"GGUF".to_vec();
        file.extend(3_u32.to_le_bytes());
        file.extend(2_u64.to_le_bytes());
        file.extend(2_u64.to_le_bytes());
        file.extend(text("general.name"));
        file.extend(8_u32.to_le_bytes());
        file.extend(text("a model"));
        file.extend(text("tokenizer.tokens"));
        file.extend(9_u32.to_le_bytes());
        file.extend(8_u32.to_le_bytes());
        file.extend(2_u64.to_le_bytes());
        file.extend(text("a"));
        file.extend(text("bc"));
        for (name, dimensions, kind) in [("w", &[256_u64, 4][..], 12_u32), ("n", &[8], 0)] {
            file.extend(text(name));
            file.extend(u32::try_from(dimensions.len()).unwrap().to_le_bytes());
            for dimension in dimensions {
                file.extend(dimension.to_le_bytes());
            }
            file.extend(kind.to_le_bytes());
            file.extend(0_u64.to_le_bytes());
        }
        file
    }

    #[test]
    fn a_header_gives_every_type_s_bytes() {
        let read = header(&file()).unwrap();
        assert_eq!(read.bytes(), Bytes::new(4 * 144 + 8 * 4));
        assert_eq!(read.by_type["Q4_K"], Bytes::new(576));
        assert_eq!((read.tensors, read.elements), (2, 1032));
    }

    #[test]
    fn a_cut_header_says_so_at_every_byte() {
        let file = file();
        for end in 0..file.len() {
            assert!(matches!(header(&file[..end]), Err(HeaderError::Short { .. })), "{end}");
        }
        assert!(matches!(header(b"not a GGUF file"), Err(HeaderError::Other { .. })));
    }
}
