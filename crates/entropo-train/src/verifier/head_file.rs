//! A head on disk, beside the adapter that it was fitted with.

use std::path::Path;

use burn::tensor::{DType, TensorData};
use serde::{Deserialize, Serialize};

use super::head::Head;
use crate::checkpoint::{CheckpointError, DeviceTensors, Problems, TensorSource, Weights, convert, write_tensors};

/// The file's name.
pub const HEAD: &str = "verifier_head.safetensors";
/// The version of the file that is written, and the only one that is read.
pub const HEAD_FORMAT: &str = "entropo-verifier-head/1";
/// The key under which the file's header says what it is.
const KEY: &str = "entropo";
/// The tensors' names.
const WEIGHT: &str = "weight";
const BIAS: &str = "bias";

/// What the header says.
#[derive(Serialize, Deserialize)]
struct Header {
    format: String,
    /// [`Judging::fingerprint`](super::Judging::fingerprint) of the prompts.
    prompt: String,
}

/// Why a head cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HeadFileError {
    /// A file that cannot be read or written, or is no safetensors file.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A file of another kind or version.
    #[error("{origin}: its format is {found:?}, and {HEAD_FORMAT:?} is read; fit the head again")]
    Format {
        /// The file.
        origin: String,
        /// What it says that it is; empty if nothing.
        found: String,
    },
    /// A head that was fitted to other prompts.
    #[error(
        "{origin}: the head was fitted with another question, template or tokenizer, and would judge at random; use that one, or fit it again"
    )]
    Prompt {
        /// The file.
        origin: String,
    },
    /// Tensors that are not those of a head for this decoder.
    #[error("{origin}: the tensors are not a head's:\n{problems}")]
    Tensors {
        /// The file.
        origin: String,
        /// Every difference.
        problems: Problems,
    },
}

impl Head {
    /// Writes the head into a directory, the adapter's say. `prompt` is the fingerprint of the prompts that it was fitted
    /// to.
    pub fn save(&self, directory: &Path, prompt: &str) -> Result<(), HeadFileError> {
        let header = Header { format: HEAD_FORMAT.to_owned(), prompt: prompt.to_owned() };
        let header = serde_json::to_string(&header).unwrap_or_default();
        let mut tensors = DeviceTensors::default();
        tensors.insert_data(WEIGHT.to_owned(), TensorData::new(self.weight().to_vec(), [1, self.weight().len()]));
        tensors.insert_data(BIAS.to_owned(), TensorData::new(vec![self.bias()], [1]));
        Ok(write_tensors(&directory.join(HEAD), &tensors, [KEY, &header])?)
    }

    /// Reads a directory's head for hidden states of `hidden` numbers and prompts of a fingerprint.
    pub fn load(directory: &Path, hidden: usize, prompt: &str) -> Result<Self, HeadFileError> {
        let mut file = Weights::open_file(&directory.join(HEAD))?;
        let origin = file.origin().to_owned();
        let header = file.word(KEY).and_then(|text| serde_json::from_str::<Header>(text).ok());
        let found = header.as_ref().map(|header| header.format.clone()).unwrap_or_default();
        let Some(header) = header.filter(|header| header.format == HEAD_FORMAT) else {
            return Err(HeadFileError::Format { origin, found });
        };
        if header.prompt != prompt {
            return Err(HeadFileError::Prompt { origin });
        }
        let mut problems = Vec::new();
        let mut take = |name: &str, shape: &[usize]| -> Vec<f32> {
            let data = file.take(name, shape).and_then(|data| convert(name, data, DType::F32));
            let data = data.map_err(|problem| problems.push(problem));
            data.map(|data| data.iter::<f32>().collect()).unwrap_or_default()
        };
        let (weight, bias) = (take(WEIGHT, &[1, hidden]), take(BIAS, &[1]));
        problems.extend(file.unexpected(|_| false));
        match bias.first() {
            Some(bias) if problems.is_empty() => Ok(Self::new(weight, *bias)),
            _ => Err(HeadFileError::Tensors { origin, problems: Problems(problems) }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_as_it_was_written_and_by_nobody_else() {
        let directory = tempfile::tempdir().unwrap();
        let head = Head::new(vec![0.25, -1.5, 3e-7], 0.125);
        head.save(directory.path(), "prompts").unwrap();
        std::fs::write(directory.path().join("adapter_config.json"), "{}").unwrap();
        let load = |hidden, prompt| Head::load(directory.path(), hidden, prompt);
        assert_eq!(load(3, "prompts").unwrap(), head);
        assert!(matches!(load(3, "others"), Err(HeadFileError::Prompt { .. })));
        let error = load(4, "prompts").unwrap_err();
        assert!(matches!(error, HeadFileError::Tensors { .. }) && error.to_string().contains("weight"), "{error}");
    }

    #[test]
    fn other_versions_and_broken_numbers_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(HEAD);
        let mut tensors = DeviceTensors::default();
        tensors.insert_data(WEIGHT.to_owned(), TensorData::new(vec![1f32], [1, 1]));
        tensors.insert_data(BIAS.to_owned(), TensorData::new(vec![1f32], [1]));
        let header = r#"{"format": "entropo-verifier-head/2", "prompt": "p"}"#;
        write_tensors(&path, &tensors, [KEY, header]).unwrap();
        let error = Head::load(directory.path(), 1, "p").unwrap_err().to_string();
        assert!(error.contains("entropo-verifier-head/2") && error.contains("fit the head again"), "{error}");
        write_tensors(&path, &tensors, ["format", "pt"]).unwrap();
        assert!(matches!(Head::load(directory.path(), 1, "p"), Err(HeadFileError::Format { .. })));
        assert!(Head::new(vec![f32::NAN], 0.0).save(directory.path(), "p").is_err());
        std::fs::write(&path, "no tensors").unwrap();
        assert!(matches!(Head::load(directory.path(), 1, "p"), Err(HeadFileError::Checkpoint(_))));
    }
}
