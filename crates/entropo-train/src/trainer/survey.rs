//! One look at all examples before anything is computed or written: whether they can be trained on, what they are, and how
//! long. Only one example is in memory at a time.

use sha2::{Digest, Sha256};

use super::error::TrainError;
use super::fingerprint::{hash_sequence, hex};
use super::loss::{Extent, check, label};
use crate::data::Source;
use crate::decoder::DecoderConfig;
use crate::objective::Objective;

/// What is known of a data set.
pub(super) struct Survey {
    /// `[example]`: tokens of all its sequences.
    pub(super) lengths: Vec<usize>,
    /// `[sequence]`
    pub(super) extents: Vec<Extent>,
    /// `[example]`, as [`label`] says.
    pub(super) labels: Vec<bool>,
    /// A hash of all sequences in order.
    pub(super) sequences: String,
}

impl Survey {
    /// Looks at every example.
    ///
    /// # Errors
    /// The first example that cannot be read, is of the wrong kind, does not fit the model, or is a pair of equal sides;
    /// or that there is none to `train` or `evaluate` on.
    pub(super) fn of(
        source: &dyn Source,
        objective: &Objective,
        shape: &DecoderConfig,
        purpose: &'static str,
    ) -> Result<Self, TrainError> {
        if source.is_empty() {
            return Err(TrainError::Empty { purpose });
        }
        let (mut extents, mut labels, mut hash) = (Vec::new(), Vec::new(), Sha256::new());
        for index in 0..source.len() {
            let example = source.get(index)?;
            check(objective, &example)?;
            for sequence in example.sequences() {
                sequence.check(shape.vocab_size, shape.max_position_embeddings)?;
                extents.push(Extent::of(sequence));
                hash_sequence(&mut hash, sequence);
            }
            labels.push(label(objective, &example)?);
        }
        let lengths = (0..source.len()).map(|index| source.tokens(index)).collect();
        Ok(Self { lengths, extents, labels, sequences: hex(hash.finalize()) })
    }

    /// A hash of everything that decides what is learned from the data.
    pub(super) fn fingerprint(&self) -> String {
        let labels: Vec<u8> = self.labels.iter().map(|&label| label.into()).collect();
        hex(Sha256::new().chain_update(&self.sequences).chain_update(labels).finalize())
    }
}

/// A hash of all sequences of a data set in order.
pub(super) fn sequences_key(source: &dyn Source) -> Result<String, TrainError> {
    let mut hash = Sha256::new();
    for index in 0..source.len() {
        source.get(index)?.sequences().for_each(|sequence| hash_sequence(&mut hash, sequence));
    }
    Ok(hex(hash.finalize()))
}
