//! A head on disk, beside the adapter that it was fitted with, and with what it was fitted to.

use std::path::Path;

use burn::tensor::{DType, TensorData};
use serde::{Deserialize, Serialize};

use super::head::Head;
use super::head_basis::HeadBasis;
use crate::checkpoint::{CheckpointError, DeviceTensors, Problems, TensorSource, Weights, convert, write_tensors};

/// The file's name.
pub const HEAD: &str = "verifier_head.safetensors";
/// The version of the file that is written, and the only one that is read.
pub const HEAD_FORMAT: &str = "entropo-verifier-head/2";
/// The key under which the file's header says what it is.
const KEY: &str = "entropo";
/// The tensors' names.
const WEIGHT: &str = "weight";
const BIAS: &str = "bias";

/// What the header says.
#[derive(Serialize, Deserialize)]
struct Header {
    format: String,
    /// What it was fitted to; older formats do not say all of that.
    basis: HeadBasis,
}

/// The same of any format.
#[derive(Deserialize)]
struct AnyHeader {
    format: String,
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
    /// A head that was fitted to another model, or with another adapter.
    #[error(
        "{origin}: the head was fitted to {fitted}, and would judge at random with {found}; use that model and adapter, or fit \
         it again"
    )]
    Model {
        /// The file.
        origin: String,
        /// What it was fitted to.
        fitted: Box<HeadBasis>,
        /// What it should judge.
        found: Box<HeadBasis>,
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
    /// Writes the head into a directory, the adapter's say, with what it was fitted to.
    pub fn save(&self, directory: &Path, basis: &HeadBasis) -> Result<(), HeadFileError> {
        let header = Header { format: HEAD_FORMAT.to_owned(), basis: basis.clone() };
        let header = serde_json::to_string(&header).unwrap_or_default();
        let mut tensors = DeviceTensors::default();
        tensors.insert_data(WEIGHT.to_owned(), TensorData::new(self.weight().to_vec(), [1, self.weight().len()]));
        tensors.insert_data(BIAS.to_owned(), TensorData::new(vec![self.bias()], [1]));
        Ok(write_tensors(&directory.join(HEAD), &tensors, [KEY, &header])?)
    }

    /// Reads a directory's head for hidden states of `hidden` numbers of a model.
    ///
    /// # Errors
    /// A file that is none, a head that was fitted to other prompts, another model or another adapter, and one of a format
    /// that does not say what it was fitted to.
    pub fn load(directory: &Path, hidden: usize, basis: &HeadBasis) -> Result<Self, HeadFileError> {
        let mut file = Weights::open_file(&directory.join(HEAD))?;
        let origin = file.origin().to_owned();
        let words = file.word(KEY).unwrap_or_default();
        let found = serde_json::from_str::<AnyHeader>(words).map(|header| header.format).unwrap_or_default();
        let header = serde_json::from_str::<Header>(words).ok().filter(|header| header.format == HEAD_FORMAT);
        let Some(Header { basis: fitted, .. }) = header else {
            return Err(HeadFileError::Format { origin, found });
        };
        if !fitted.has_states_of(basis) {
            return Err(HeadFileError::Model { origin, fitted: Box::new(fitted), found: Box::new(basis.clone()) });
        }
        if fitted.prompt != basis.prompt {
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
    use super::super::head_basis::Fitted;
    use super::*;

    fn basis(prompt: &str, model: &str, adapter: Option<&str>) -> HeadBasis {
        let fitted =
            |name: &str| Fitted { name: format!("named {name}"), fingerprint: format!("{name}0123456789abcdef") };
        HeadBasis { prompt: prompt.to_owned(), model: fitted(model), adapter: adapter.map(fitted) }
    }

    #[test]
    fn a_head_is_read_as_it_was_written_and_by_nobody_else() {
        let directory = tempfile::tempdir().unwrap();
        let head = Head::new(vec![0.25, -1.5, 3e-7], 0.125);
        let own = basis("prompts", "m", Some("a"));
        head.save(directory.path(), &own).unwrap();
        std::fs::write(directory.path().join("adapter_config.json"), "{}").unwrap();
        let load = |hidden, basis: &HeadBasis| Head::load(directory.path(), hidden, basis);
        assert_eq!(load(3, &own).unwrap(), head);
        let mut moved = own.clone();
        moved.model.name = "elsewhere".to_owned();
        assert_eq!(load(3, &moved).unwrap(), head, "names are for people");
        assert!(matches!(load(3, &basis("others", "m", Some("a"))), Err(HeadFileError::Prompt { .. })));
        let error = load(4, &own).unwrap_err();
        assert!(matches!(error, HeadFileError::Tensors { .. }) && error.to_string().contains("weight"), "{error}");
    }

    #[test]
    fn states_of_another_model_or_adapter_are_refused_with_the_names_of_both() {
        let directory = tempfile::tempdir().unwrap();
        let refused = |fitted: &HeadBasis, found: &HeadBasis| {
            Head::new(vec![1.0], 0.0).save(directory.path(), fitted).unwrap();
            Head::load(directory.path(), 1, found).unwrap_err().to_string()
        };
        let (with, without) = (basis("p", "m", Some("a")), basis("p", "m", None));
        let error = refused(&with, &without);
        assert!(error.contains("fitted to named m (m0123456789a) with the adapter named a (a0123456789a)"), "{error}");
        assert!(error.contains("at random with named m (m0123456789a) without an adapter"), "{error}");
        for (fitted, found) in
            [(&without, &with), (&with, &basis("p", "m", Some("b"))), (&without, &basis("p", "n", None))]
        {
            assert!(refused(fitted, found).contains("fit it again"));
        }
    }

    #[test]
    fn other_versions_and_broken_numbers_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(HEAD);
        let mut tensors = DeviceTensors::default();
        tensors.insert_data(WEIGHT.to_owned(), TensorData::new(vec![1f32], [1, 1]));
        tensors.insert_data(BIAS.to_owned(), TensorData::new(vec![1f32], [1]));
        let own = basis("p", "m", None);
        // What the first version wrote: nobody knows any more which model and adapter that was.
        let header = r#"{"format": "entropo-verifier-head/1", "prompt": "p"}"#;
        write_tensors(&path, &tensors, [KEY, header]).unwrap();
        let error = Head::load(directory.path(), 1, &own).unwrap_err().to_string();
        assert!(error.contains("entropo-verifier-head/1") && error.contains("fit the head again"), "{error}");
        write_tensors(&path, &tensors, ["format", "pt"]).unwrap();
        assert!(matches!(Head::load(directory.path(), 1, &own), Err(HeadFileError::Format { .. })));
        assert!(Head::new(vec![f32::NAN], 0.0).save(directory.path(), &own).is_err());
        std::fs::write(&path, "no tensors").unwrap();
        assert!(matches!(Head::load(directory.path(), 1, &own), Err(HeadFileError::Checkpoint(_))));
    }
}
