//! What tells whether something is the same as it was.

use std::fmt::Write;
use std::path::Path;

use entropo_core::format::swe_bench::Instance;
use sha2::{Digest, Sha256};

use crate::failure::Failure;

/// The SHA-256 of parts, in hexadecimal digits. Where one part ends and the next begins counts.
pub(crate) fn digest(parts: &[&str]) -> String {
    let mut whole = Sha256::new();
    for part in parts {
        whole.update((part.len() as u64).to_le_bytes());
        whole.update(part);
    }
    hexadecimal(&whole.finalize())
}

/// The SHA-256 of a row, whatever the order of its keys.
pub(crate) fn row(instance: &Instance) -> Result<String, Failure> {
    let mut row = serde_json::to_value(instance).map_err(Failure::json(Path::new(instance.id())))?;
    row.sort_all_objects();
    Ok(hexadecimal(&Sha256::digest(row.to_string())))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        _ = write!(text, "{byte:02x}");
        text
    })
}
