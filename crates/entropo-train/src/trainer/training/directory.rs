//! What a run leaves on disk.

use std::path::{Path, PathBuf};

use super::super::error::TrainError;
use crate::checkpoint::{SaveOptions, save};
use crate::decoder::Decoder;

/// A run's directory.
pub(super) struct Directory {
    pub(super) path: PathBuf,
    /// The checkpoint directory whose tokenizer and configuration go beside kept weights.
    pub(super) companions: Option<PathBuf>,
}

impl Directory {
    /// From which the run goes on.
    pub(super) fn state(&self) -> PathBuf {
        self.path.join("state.safetensors")
    }

    /// The reference's sums, of the examples that are trained on.
    pub(super) fn reference(&self) -> PathBuf {
        self.path.join("reference.jsonl")
    }

    /// The same of those that are evaluated on.
    pub(super) fn evaluation_reference(&self) -> PathBuf {
        self.path.join("evaluation-reference.jsonl")
    }

    /// Replaces what is kept under a name: an adapter if there is one, else a checkpoint.
    pub(super) fn keep(&self, name: &str, decoder: &Decoder) -> Result<(), TrainError> {
        let directory: &Path = &self.path.join(name);
        match decoder.adapter() {
            Some(adapter) => Ok(adapter.save(directory)?),
            None => {
                let options = SaveOptions { companions: self.companions.clone(), ..SaveOptions::default() };
                Ok(save(decoder, directory, &options)?)
            }
        }
    }
}
