//! What the harness judges.

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Read};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Trajectory;
use crate::format::value::typed;
use crate::format::{DocumentError, ItemError, Items, RowError, document};

/// One patch for one instance, exactly as SWE-bench's harness takes it. Other fields that agents write beside these are
/// passed over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prediction {
    /// Which instance.
    pub instance_id: String,
    /// Who made it; the harness names its folders after it, and writes a slash as `__`.
    pub model_name_or_path: String,
    /// The patch; empty or none is counted as an empty patch and not run.
    pub model_patch: Option<String>,
}

impl Prediction {
    /// The prediction that a rollout is: its task, its model and its patch.
    pub fn of(trajectory: &Trajectory) -> Self {
        Self {
            instance_id: trajectory.id.task.clone(),
            model_name_or_path: trajectory.model.clone(),
            model_patch: Some(trajectory.outcome.patch.clone()),
        }
    }

    /// Reads one.
    ///
    /// # Errors
    /// [`RowError`] with the field that is missing or does not fit.
    pub fn read(row: &Value) -> Result<Self, RowError> {
        typed(row)
    }

    /// The prediction as JSON.
    pub fn to_value(&self) -> Value {
        serde_json::json!({
            "instance_id": self.instance_id,
            "model_name_or_path": self.model_name_or_path,
            "model_patch": self.model_patch,
        })
    }
}

/// Why a file of predictions cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PredictionsError {
    /// The file is not JSON in any of the forms.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// A row is no prediction.
    #[error(transparent)]
    Item(#[from] ItemError),
    /// An entry of an object of predictions is none.
    #[error("the entry {id:?}: {problem}")]
    Entry {
        /// Its key.
        id: String,
        /// What is wrong.
        problem: RowError,
    },
    /// An entry has another name than its prediction.
    #[error("the entry {key:?} is a prediction for {id:?}; the harness would go by the latter")]
    Key {
        /// The entry's key.
        key: String,
        /// The prediction's instance.
        id: String,
    },
    /// Two predictions for one instance, of which the harness would judge the last.
    #[error("there are two predictions for {id:?}; keep the one that is to be judged")]
    Duplicate {
        /// The instance.
        id: String,
    },
}

/// Reads all predictions of a file that the harness takes, of at most `limit` bytes: JSON Lines, one list, or one object by
/// instance, as SWE-agent and mini-swe-agent write it.
///
/// # Errors
/// [`PredictionsError`]; also where the harness would judge one of two predictions for an instance without a word.
pub fn read_predictions(reader: impl BufRead, limit: usize) -> Result<Vec<Prediction>, PredictionsError> {
    let mut text = Vec::new();
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    reader.take(most).read_to_end(&mut text).map_err(DocumentError::from)?;
    if text.len() > limit {
        return Err(DocumentError::TooLong { limit }.into());
    }
    let predictions = match document(BufReader::new(&*text), limit) {
        Ok(Value::Object(entries)) if !entries.get("instance_id").is_some_and(Value::is_string) => {
            entries.iter().map(|(key, value)| entry(key, value)).collect::<Result<Vec<_>, _>>()?
        }
        _ => Items::new(&*text, Prediction::read).collect::<Result<_, _>>()?,
    };
    let mut seen = HashSet::new();
    for prediction in &predictions {
        if !seen.insert(prediction.instance_id.as_str()) {
            return Err(PredictionsError::Duplicate { id: prediction.instance_id.clone() });
        }
    }
    Ok(predictions)
}

fn entry(key: &str, value: &Value) -> Result<Prediction, PredictionsError> {
    let read = Prediction::read(value).map_err(|problem| PredictionsError::Entry { id: key.to_owned(), problem })?;
    if read.instance_id == key {
        Ok(read)
    } else {
        Err(PredictionsError::Key { key: key.to_owned(), id: read.instance_id })
    }
}
