//! The headers of a model's weight files in a folder: the first bytes of each, never the weights.

use std::{
    fs::{self, File},
    io::Read as _,
    path::Path,
};

use anyhow::{Context as _, bail};
use sizing::weights::{HeaderError, Headers, gguf, safetensors};

/// First bytes of a GGUF file that are tried; metadata holds the vocabulary, so some MB are usual.
const GGUF_START: u64 = 1 << 20;
/// Longest GGUF header that is read.
const GGUF_LONGEST: u64 = 1 << 28;

/// What all safetensors files of a folder hold, else all GGUF files; `None` when it has neither.
pub(super) fn of_folder(folder: &Path) -> anyhow::Result<Option<Headers>> {
    let entries = fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))?;
    let mut files = Vec::new();
    for entry in entries {
        files.push(entry?.path());
    }
    files.sort();
    let ending = |ending: &str| {
        let has = |file: &&std::path::PathBuf| file.extension().is_some_and(|own| own == ending);
        files.iter().filter(has).cloned().collect::<Vec<_>>()
    };
    let (read, files): (fn(&Path) -> anyhow::Result<Headers>, _) = match ending("safetensors") {
        files if files.is_empty() => (of_gguf, ending("gguf")),
        files => (of_safetensors, files),
    };
    let mut all = Headers::default();
    for file in &files {
        all.add(&read(file).with_context(|| format!("read the header of {}", file.display()))?);
    }
    Ok((!files.is_empty()).then_some(all))
}

fn start_of(file: &Path, length: u64) -> anyhow::Result<Vec<u8>> {
    let mut start = Vec::new();
    File::open(file)?.take(length).read_to_end(&mut start)?;
    Ok(start)
}

fn of_safetensors(file: &Path) -> anyhow::Result<Headers> {
    let length = safetensors::header_length(&start_of(file, 8)?)?;
    Ok(safetensors::header(&start_of(file, length)?)?)
}

fn of_gguf(file: &Path) -> anyhow::Result<Headers> {
    let mut length = GGUF_START;
    while length <= GGUF_LONGEST {
        let start = start_of(file, length)?;
        let whole = (start.len() as u64) < length;
        match gguf::header(&start) {
            Err(HeaderError::Short { .. }) if !whole => length *= 4,
            other => return Ok(other?),
        }
    }
    bail!("its header is longer than {GGUF_LONGEST} B")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two shards in BF16 and fp8, written by hand after the format's description.
    #[test]
    fn shards_of_mixed_precision_are_added_up() {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, json) in [
            ("model-1.safetensors", r#"{"a":{"dtype":"BF16","shape":[4],"data_offsets":[0,8]}}"#),
            ("model-2.safetensors", r#"{"b":{"dtype":"F8_E4M3","shape":[4],"data_offsets":[0,4]}}"#),
        ] {
            let mut file = (json.len() as u64).to_le_bytes().to_vec();
            file.extend_from_slice(json.as_bytes());
            file.extend_from_slice(&[0; 8]);
            fs::write(folder.path().join(name), file).expect("written");
        }
        let headers = of_folder(folder.path()).expect("readable").expect("two files");
        assert_eq!((headers.bytes().get(), headers.tensors), (12, 2));
        assert_eq!(headers.by_type["F8_E4M3"].get(), 4);
    }
}
