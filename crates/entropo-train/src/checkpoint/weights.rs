//! The tensors of a checkpoint, read one at a time.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use burn::tensor::{DType, TensorData};
use safetensors::{Dtype, SafeTensors};
use sha2::{Digest, Sha256};

use super::damage::{Damage, LENGTH_BYTES};
use super::error::{CheckpointError, Problem};
use super::index::{Index, IndexError};
use super::map::Map;
use super::{INDEX, WEIGHTS};

/// Bytes that are copied and checked before their pages are given back; a multiple of every type's width.
const PORTION: usize = 4 << 20;
/// Bytes of a tensor that its fingerprint looks at.
const SAMPLE: usize = 1 << 10;

/// Where a decoder's weights come from, by their names in a checkpoint.
pub(crate) trait TensorSource {
    /// The tensor of that name, which must have that shape, in the type in which it is stored.
    fn take(&mut self, name: &str, shape: &[usize]) -> Result<TensorData, Problem>;
}

/// The weights of a checkpoint: `model.safetensors`, or the shards that `model.safetensors.index.json` names.
///
/// Files are mapped into memory, and a tensor's pages are given back as soon as it is read, so that resident memory grows
/// by no more than the tensor itself. The files must not be changed while this value lives.
#[derive(Debug)]
pub struct Weights<'a> {
    origin: String,
    files: Vec<Bytes<'a>>,
    tensors: BTreeMap<String, Stored>,
    /// What the headers say beside the tensors.
    words: BTreeMap<String, String>,
}

/// The bytes of a safetensors file.
#[derive(Debug)]
enum Bytes<'a> {
    Mapped(Map),
    Borrowed(&'a [u8]),
}

/// Where a tensor is.
#[derive(Debug)]
struct Stored {
    file: usize,
    /// In the file.
    bytes: Range<usize>,
    dtype: Dtype,
    shape: Vec<usize>,
    taken: bool,
}

impl Weights<'static> {
    /// Opens the weights in a directory. Headers are read and checked, tensors are not read yet.
    pub fn open(directory: &Path) -> Result<Self, CheckpointError> {
        let single = directory.join(WEIGHTS);
        if single.exists() {
            return Self::open_file(&single);
        }
        let index = directory.join(INDEX);
        if index.exists() { Self::open_shards(directory, &index) } else { Err(nothing_in(directory)) }
    }

    /// Opens one safetensors file.
    pub(crate) fn open_file(path: &Path) -> Result<Self, CheckpointError> {
        let mut weights = Self::empty(path.display().to_string());
        weights.add(Bytes::Mapped(map(path)?), &path.display().to_string())?;
        Ok(weights)
    }

    fn open_shards(directory: &Path, path: &Path) -> Result<Self, CheckpointError> {
        let invalid = |reason| CheckpointError::Index { path: path.to_owned(), reason };
        let text = std::fs::read(path).map_err(|source| CheckpointError::File { path: path.to_owned(), source })?;
        let index = Index::parse(&text).map_err(invalid)?;
        let mut weights = Self::empty(directory.display().to_string());
        let mut found = Vec::new();
        for (shard, tensors) in index.shards() {
            let file = directory.join(shard);
            if !file.exists() {
                return Err(invalid(IndexError::MissingShard { shard: shard.to_owned(), tensors }));
            }
            let names = weights.add(Bytes::Mapped(map(&file)?), &file.display().to_string())?;
            found.extend(names.into_iter().map(|name| (name, shard)));
        }
        index.check(found.iter().map(|(name, shard)| (name.as_str(), *shard))).map_err(invalid)?;
        Ok(weights)
    }
}

impl<'a> Weights<'a> {
    /// The weights of one safetensors file in memory; `origin` names it in errors.
    pub(crate) fn from_bytes(bytes: &'a [u8], origin: &str) -> Result<Self, CheckpointError> {
        let mut weights = Self::empty(origin.to_owned());
        weights.add(Bytes::Borrowed(bytes), origin)?;
        Ok(weights)
    }

    fn empty(origin: String) -> Self {
        Self { origin, files: vec![], tensors: BTreeMap::new(), words: BTreeMap::new() }
    }

    /// Checks a file's header and takes its tensors in; returns their names.
    fn add(&mut self, file: Bytes<'a>, origin: &str) -> Result<Vec<String>, CheckpointError> {
        let bytes = file.bytes();
        let (header, metadata) = SafeTensors::read_metadata(bytes).map_err(|error| CheckpointError::Safetensors {
            origin: origin.to_owned(),
            damage: Damage::of(bytes, &error),
        })?;
        let data = LENGTH_BYTES + header;
        let mut names = Vec::new();
        for (name, info) in metadata.tensors() {
            let (begin, end) = info.data_offsets;
            let bytes = data + begin..data + end;
            let (dtype, shape) = (info.dtype, info.shape.clone());
            names.push(name.clone());
            self.tensors.insert(name, Stored { file: self.files.len(), bytes, dtype, shape, taken: false });
        }
        self.words.extend(metadata.metadata().clone().unwrap_or_default());
        self.files.push(file);
        Ok(names)
    }

    /// What a header says under a key beside the tensors.
    pub(crate) fn word(&self, key: &str) -> Option<&str> {
        self.words.get(key).map(String::as_str)
    }

    /// Whether there is a tensor of that name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// What the tensors came from, for errors.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Name, shape and type of every tensor, by name.
    pub fn tensors(&self) -> impl Iterator<Item = (&str, &[usize], Dtype)> {
        self.tensors.iter().map(|(name, stored)| (name.as_str(), stored.shape.as_slice(), stored.dtype))
    }

    /// A hash of every tensor's name, shape and type and of its first 1,024 bytes: the same for the same weights wherever and in
    /// however many files they are, and another one once training has moved any of these. All bytes would take as long as
    /// loading.
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        for (name, stored) in &self.tensors {
            let file = self.files.get(stored.file).map(Bytes::bytes).unwrap_or_default();
            let tensor = file.get(stored.bytes.clone()).unwrap_or_default();
            hash.update(format!("{name} {:?} {} ", stored.shape, stored.dtype));
            hash.update(tensor.get(..SAMPLE).unwrap_or(tensor));
        }
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Bytes of the tensors that a condition on the name holds for, and how many they are.
    pub(super) fn size(&self, asked: impl Fn(&str) -> bool) -> (usize, u64) {
        let asked = self.tensors.iter().filter(|(name, _)| asked(name));
        asked.fold((0, 0), |(count, bytes), (_, stored)| (count + 1, bytes + stored.bytes.len() as u64))
    }

    /// Whether a tensor of that name and shape is there.
    pub(super) fn check(&self, name: &str, shape: &[usize]) -> Result<(), Problem> {
        match self.tensors.get(name) {
            None => Err(Problem::Missing(name.to_owned())),
            Some(stored) if stored.shape != shape => {
                Err(Problem::Shape { name: name.to_owned(), found: stored.shape.clone(), expected: shape.to_vec() })
            }
            Some(_) => Ok(()),
        }
    }

    /// Every tensor that was not taken, but for those that are `allowed` to be left.
    pub(crate) fn unexpected(&self, allowed: impl Fn(&str) -> bool) -> Vec<Problem> {
        let left = self.tensors.iter().filter(|(name, stored)| !stored.taken && !allowed(name));
        left.map(|(name, _)| Problem::Unexpected(name.clone())).collect()
    }
}

impl TensorSource for Weights<'_> {
    fn take(&mut self, name: &str, shape: &[usize]) -> Result<TensorData, Problem> {
        let known = self.check(name, shape);
        let missing = || Problem::Missing(name.to_owned());
        let stored = self.tensors.get_mut(name).ok_or_else(missing)?;
        stored.taken = true;
        known?;
        let other_type = || Problem::Type { name: name.to_owned(), found: stored.dtype.to_string() };
        let dtype = match stored.dtype {
            Dtype::F32 => DType::F32,
            Dtype::BF16 => DType::BF16,
            Dtype::F16 => DType::F16,
            _ => return Err(other_type()),
        };
        let file = self.files.get(stored.file).ok_or_else(missing)?;
        let finite = |bytes: &[u8]| finite(bytes, dtype);
        let bytes = file.copy(stored.bytes.clone(), finite).ok_or_else(|| Problem::NotFinite(name.to_owned()))?;
        TensorData::try_from_bytes_vec(bytes, shape, dtype).map_err(|_| other_type())
    }
}

impl Bytes<'_> {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Mapped(map) => map.bytes(),
            Self::Borrowed(bytes) => bytes,
        }
    }

    /// Copies a range, as long as all of it is fine.
    fn copy(&self, range: Range<usize>, fine: impl Fn(&[u8]) -> bool) -> Option<Vec<u8>> {
        let mut copy = Vec::with_capacity(range.len());
        for begin in range.clone().step_by(PORTION) {
            let portion = begin..(begin + PORTION).min(range.end);
            let bytes = self.bytes().get(portion.clone())?;
            if !fine(bytes) {
                return None;
            }
            copy.extend_from_slice(bytes);
            if let Self::Mapped(map) = self {
                map.release(portion);
            }
        }
        Some(copy)
    }
}

/// Whether no value is NaN or infinity: those have all bits of the exponent set. No value of another type than f32, bf16
/// and f16 is looked at. Every value is, so that the compiler can look at many at once.
pub(super) fn finite(bytes: &[u8], dtype: DType) -> bool {
    let finite_16 = |exponent: u16| {
        let values = bytes.as_chunks::<2>().0.iter().map(|bytes| u16::from_le_bytes(*bytes));
        values.fold(true, |finite, value| finite & (value & exponent != exponent))
    };
    match dtype {
        DType::F32 => {
            let exponent = 0x7F80_0000;
            let values = bytes.as_chunks::<4>().0.iter().map(|bytes| u32::from_le_bytes(*bytes));
            values.fold(true, |finite, value| finite & (value & exponent != exponent))
        }
        DType::BF16 => finite_16(0x7F80),
        DType::F16 => finite_16(0x7C00),
        _ => true,
    }
}

fn map(path: &Path) -> Result<Map, CheckpointError> {
    Map::open(path).map_err(|source| CheckpointError::File { path: path.to_owned(), source })
}

/// What to say of a directory without weights that can be read.
fn nothing_in(directory: &Path) -> CheckpointError {
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(source) => return CheckpointError::File { path: directory.to_owned(), source },
    };
    let pickled = |name: &str| name.starts_with("pytorch_model") && name.ends_with(".bin");
    let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    match names.filter(|name| pickled(name)).min() {
        Some(file) => CheckpointError::Pickled { path: directory.join(file) },
        None => CheckpointError::NoWeights { directory: directory.to_owned() },
    }
}

#[cfg(test)]
mod tests {
    use super::super::tensors::DeviceTensors;
    use super::super::tensors_to_bytes;
    use super::*;

    #[test]
    fn a_fingerprint_is_of_the_weights_and_not_of_their_place() {
        let fingerprint = |origin: &str, name: &str, first: f32| {
            let mut tensors = DeviceTensors::default();
            tensors.insert_data(name.to_owned(), TensorData::new([vec![first], vec![0.5; 5]].concat(), [2, 3]));
            tensors.insert_data("z".to_owned(), TensorData::new(vec![1f32], [1]));
            let bytes = tensors_to_bytes(&tensors, None).unwrap();
            Weights::from_bytes(&bytes, origin).unwrap().fingerprint()
        };
        let own = fingerprint("here", "a", 0.25);
        assert_eq!((fingerprint("there", "a", 0.25), own.len()), (own.clone(), 64));
        for other in [fingerprint("here", "b", 0.25), fingerprint("here", "a", 0.250_001)] {
            assert_ne!(other, own);
        }
    }
}
