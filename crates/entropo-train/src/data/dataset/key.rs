//! What a data set was made of, as one hash.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::super::error::DataError;
use super::config::{DataConfig, Kind};
use crate::text::ChatFormat;

/// A hash of the files' contents, the settings, the tokenizer and the template: of everything that decides which tokens
/// come out.
pub(super) fn key(
    files: &[PathBuf],
    kind: Kind,
    config: &DataConfig,
    max_tokens: usize,
    chat: Option<&ChatFormat>,
) -> Result<String, DataError> {
    let mut hash = Sha256::new();
    let mut add = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    add(b"dataset 1");
    add(kind.name().as_bytes());
    add(max_tokens.to_string().as_bytes());
    add(format!("{config:?}").as_bytes());
    add(chat.map(ChatFormat::fingerprint).unwrap_or_default().as_bytes());
    for path in files {
        add(path.file_name().unwrap_or_default().as_encoded_bytes());
        add(&content(path)?);
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

fn content(path: &Path) -> Result<[u8; 32], DataError> {
    let read = || {
        let mut reader = BufReader::with_capacity(1 << 20, File::open(path)?);
        let (mut hash, mut buffer) = (Sha256::new(), vec![0; 1 << 20]);
        loop {
            match reader.read(&mut buffer)? {
                0 => return Ok(hash.finalize().into()),
                count => hash.update(buffer.get(..count).unwrap_or_default()),
            }
        }
    };
    read().map_err(|source| DataError::Read { path: path.to_owned(), source })
}
