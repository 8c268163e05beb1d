//! What is wrong with a file that is no safetensors file.
//!
//! The safetensors crate decides whether a header can be trusted; this module only finds out, for a header that it
//! refused, which tensor and which two numbers contradict each other.

use safetensors::SafeTensorError;
use safetensors::tensor::TensorInfo;

/// Bytes of the number that a safetensors file starts with: the header's length.
pub(super) const LENGTH_BYTES: usize = size_of::<u64>();

/// Why bytes are no safetensors file.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Damage {
    /// Not even the header's length is there.
    #[error("{found} bytes long, and a safetensors file has at least 8")]
    NoHeader {
        /// The file's length in bytes.
        found: u64,
    },
    /// The header is said to be longer than what follows.
    #[error("its header claims {claimed} bytes and {found} follow: cut short, or not a safetensors file")]
    Header {
        /// The header's length by the file's first eight bytes.
        claimed: u64,
        /// Bytes after those eight.
        found: u64,
    },
    /// A tensor does not begin where the one before it ends, or ends before it begins.
    #[error("tensor {tensor} lies at bytes {begin} to {end}, and must begin at {expected}: overlap or gap")]
    Offsets {
        /// The tensor.
        tensor: String,
        /// Its first byte after the header.
        begin: u64,
        /// The byte after its last.
        end: u64,
        /// Where the tensor before it ends.
        expected: u64,
    },
    /// A tensor's shape does not fit the bytes that it is given.
    #[error("tensor {tensor} has {found} bytes, and its type and shape take {claimed}")]
    Size {
        /// The tensor.
        tensor: String,
        /// Bytes by type and shape; `u128::MAX` stands for all that is more.
        claimed: u128,
        /// Bytes by its offsets.
        found: u64,
    },
    /// A tensor ends after the file.
    #[error("tensor {tensor} ends at byte {end} after the header, and the file at {found}: cut short")]
    Short {
        /// The tensor.
        tensor: String,
        /// The byte after its last.
        end: u64,
        /// Bytes after the header.
        found: u64,
    },
    /// Bytes that belong to no tensor.
    #[error("its tensors take {claimed} bytes after the header, and the file has {found}")]
    Rest {
        /// Bytes of all tensors.
        claimed: u64,
        /// Bytes after the header.
        found: u64,
    },
    /// Anything else, in the reader's words.
    #[error("{0}")]
    Other(String),
}

impl Damage {
    /// What made the reader refuse these bytes.
    pub(crate) fn of(bytes: &[u8], error: &SafeTensorError) -> Self {
        find(bytes).unwrap_or_else(|| Self::Other(error.to_string()))
    }
}

impl From<SafeTensorError> for Damage {
    fn from(error: SafeTensorError) -> Self {
        Self::Other(error.to_string())
    }
}

fn find(bytes: &[u8]) -> Option<Damage> {
    let Some((first, rest)) = bytes.split_first_chunk::<LENGTH_BYTES>() else {
        return Some(Damage::NoHeader { found: bytes.len() as u64 });
    };
    let (claimed, found) = (u64::from_le_bytes(*first), rest.len() as u64);
    let Some((header, data)) = usize::try_from(claimed).ok().and_then(|claimed| rest.split_at_checked(claimed)) else {
        return Some(Damage::Header { claimed, found });
    };
    let mut header: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(header).ok()?;
    header.remove("__metadata__");
    let tensors = header.into_iter().map(|(name, value)| Some((name, serde_json::from_value(value).ok()?)));
    find_tensor(tensors.collect::<Option<_>>()?, data.len())
}

fn find_tensor(mut tensors: Vec<(String, TensorInfo)>, found: usize) -> Option<Damage> {
    tensors.sort_by_key(|(_, info)| info.data_offsets);
    let mut expected = 0;
    for (tensor, info) in tensors {
        let (begin, end) = info.data_offsets;
        if begin != expected || end < begin {
            return Some(Damage::Offsets { tensor, begin: begin as u64, end: end as u64, expected: expected as u64 });
        }
        let bits = info.shape.iter().fold(info.dtype.bitsize() as u128, |all, &one| all.saturating_mul(one as u128));
        let claimed = if bits == u128::MAX { bits } else { bits.div_ceil(8) };
        if claimed != (end - begin) as u128 {
            return Some(Damage::Size { tensor, claimed, found: (end - begin) as u64 });
        }
        if end > found {
            return Some(Damage::Short { tensor, end: end as u64, found: found as u64 });
        }
        expected = end;
    }
    (expected != found).then_some(Damage::Rest { claimed: expected as u64, found: found as u64 })
}
