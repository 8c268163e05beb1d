//! The frozen reference's log-probabilities, computed once.
//!
//! A cache is worth something only if it was made from the same weights and the same data: its key is a hash of both, and
//! a file with another key is refused. Examples are read a few at a time, and what is computed goes to the file at once,
//! so that a computation that was killed goes on where it was.

mod file;

use std::path::PathBuf;

use sha2::{Digest, Sha256};

use super::config::Precision;
use super::error::TrainError;
use super::fingerprint::{hex, model_key};
use super::parts::MICRO_TOKENS;
use super::sums::{Asked, sums};
use super::survey::sequences_key;
use crate::data::{Example, Sequence, Source};
use crate::decoder::Decoder;
use burn::module::Module;
use file::File;

/// Examples that are computed before they go to the file: micro-batches of so many sequences.
const PORTION: usize = 8;

/// Summed log-probabilities of every sequence of every example, `[example][sequence]`. Each sum has 64 bits; examples
/// themselves are not kept.
#[derive(Clone, Debug, PartialEq)]
pub struct ReferenceCache {
    key: String,
    sums: Vec<Vec<f64>>,
}

/// How reference log-probabilities are computed.
pub struct ReferenceOptions<'a> {
    /// Sequences that are processed together, as in [`Learner::new`](super::Learner::new). Default 16.
    pub micro_batch: usize,
    /// What logits are multiplied with first, see [`Objective::reference_scale`]. Default 1.
    ///
    /// [`Objective::reference_scale`]: crate::objective::Objective::reference_scale
    pub scale: f64,
    /// In which precision blocks compute; that of what it is compared with. Default f32.
    pub precision: Precision,
    /// Where sums are kept, and looked for first. Default: nowhere.
    pub file: Option<PathBuf>,
    /// Is told after every portion how many examples are done, and how many there are.
    pub progress: Option<&'a mut dyn FnMut(usize, usize)>,
}

impl Default for ReferenceOptions<'_> {
    fn default() -> Self {
        Self { micro_batch: 16, scale: 1.0, precision: Precision::F32, file: None, progress: None }
    }
}

impl ReferenceCache {
    /// Computes the cache of a slice, `micro_batch` sequences at a time, or reads it from `file` as far as it is there.
    ///
    /// # Errors
    /// Those of [`over`](Self::over).
    pub fn of(
        reference: &Decoder,
        examples: &[Example],
        micro_batch: usize,
        file: Option<&std::path::Path>,
    ) -> Result<Self, TrainError> {
        let file = file.map(std::path::Path::to_owned);
        let options = ReferenceOptions { micro_batch, file, ..ReferenceOptions::default() };
        Self::over(reference, super::examples::Examples::from(examples).source(), options)
    }

    /// The same of whatever holds examples.
    ///
    /// # Errors
    /// [`TrainError::OtherRun`] if the file was made from other weights, sequences, masks, precision or scale, or is no
    /// cache; [`TrainError::Reference`] if a sum is not finite; and whatever reading or writing says.
    pub fn over(reference: &Decoder, source: &dyn Source, options: ReferenceOptions<'_>) -> Result<Self, TrainError> {
        let reference = reference.valid();
        let key = cache_key(&model_key(&reference), &sequences_key(source)?, options.scale, options.precision);
        Self::with_key(&reference, source, key, options)
    }

    /// The same with the [`cache_key`] at hand.
    pub(super) fn with_key(
        reference: &Decoder,
        source: &dyn Source,
        key: String,
        options: ReferenceOptions<'_>,
    ) -> Result<Self, TrainError> {
        let ReferenceOptions { micro_batch, scale, precision, file, mut progress } = options;
        let asked = Asked { micro_batch, scale, compute: Some(precision.dtype()) };
        let mut sums = vec![Vec::new(); source.len()];
        let mut file = file.map(|path| File::open(&path, &key, &mut sums)).transpose()?;
        let mut done = sums.iter().filter(|sums| !sums.is_empty()).count();
        for portion in portions(source, micro_batch) {
            let missing: Vec<usize> =
                portion.into_iter().filter(|&index| sums.get(index).is_some_and(Vec::is_empty)).collect();
            if missing.is_empty() {
                continue;
            }
            let found = compute(reference, source, &missing, asked)?;
            if let Some(file) = &mut file {
                file.append(&missing, &found)?;
            }
            done += missing.len();
            for (index, found) in missing.into_iter().zip(found) {
                if let Some(sums) = sums.get_mut(index) {
                    *sums = found;
                }
            }
            if let Some(progress) = &mut progress {
                progress(done, source.len());
            }
        }
        Ok(Self { key, sums })
    }

    /// Whether it was made for this key.
    pub(super) fn is_of(&self, key: &str) -> bool {
        self.key == key
    }

    /// The sums of one example's sequences; empty for an index out of range.
    pub fn get(&self, example: usize) -> &[f64] {
        self.sums.get(example).map_or(&[], Vec::as_slice)
    }

    /// The sums of all sequences in order.
    pub(super) fn sums(&self) -> impl Iterator<Item = f64> {
        self.sums.iter().flatten().copied()
    }
}

/// What a cache was made from.
pub(super) fn cache_key(model: &str, sequences: &str, scale: f64, precision: Precision) -> String {
    let what = format!("reference 3\n{model}\n{sequences}\n{:016x}\n{precision:?}", scale.to_bits());
    hex(Sha256::digest(what))
}

/// All examples, those of similar length together, a few micro-batches at a time. The cuts depend on lengths and
/// `micro_batch` only, so that a computation that goes on makes the same ones.
fn portions(source: &dyn Source, micro_batch: usize) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..source.len()).collect();
    order.sort_by_key(|&index| source.tokens(index)); // stable
    let most = PORTION * micro_batch.max(1);
    let (mut portions, mut portion, mut tokens) = (Vec::new(), Vec::new(), 0);
    for index in order {
        tokens += source.tokens(index);
        if !portion.is_empty() && (portion.len() >= most || tokens > most * MICRO_TOKENS) {
            portions.push(std::mem::take(&mut portion));
            tokens = source.tokens(index);
        }
        portion.push(index);
    }
    portions.extend((!portion.is_empty()).then_some(portion));
    portions
}

/// The sums of some examples, `[example][sequence]`.
fn compute(
    reference: &Decoder,
    source: &dyn Source,
    indices: &[usize],
    asked: Asked,
) -> Result<Vec<Vec<f64>>, TrainError> {
    let examples = indices.iter().map(|&index| source.get(index)).collect::<Result<Vec<_>, _>>()?;
    let sequences: Vec<&Sequence> = examples.iter().flat_map(|example| example.sequences()).collect();
    let sums = sums(reference, &sequences, asked);
    if let Some((sequence, value)) = sequences.iter().zip(&sums).find(|(_, sum)| !sum.is_finite()) {
        return Err(TrainError::Reference { id: sequence.id().to_owned(), value: *value });
    }
    let mut sums = sums.into_iter();
    Ok(examples.iter().map(|example| sums.by_ref().take(example.sequences().count()).collect()).collect())
}
