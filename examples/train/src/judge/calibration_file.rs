//! A temperature in a file, with the verifier that it was fitted to.

use std::fs;
use std::path::Path;

use entropo_core::stats::Temperature;
use serde::{Deserialize, Serialize};

use super::error::{JudgeError, write_json};
use super::identity::{Identity, differences};
use super::measured::Part;

const FORMAT: &str = "entropo-calibration/1";

/// What is in the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CalibrationFile {
    format: String,
    temperature: Temperature,
    /// What it was fitted on.
    fitted_on: Part,
    /// The verifier, if the scores said which.
    verifier: Option<Identity>,
}

impl CalibrationFile {
    pub(super) fn new(temperature: Temperature, fitted_on: Part, verifier: Option<Identity>) -> Self {
        Self { format: FORMAT.to_owned(), temperature, fitted_on, verifier }
    }

    pub(super) fn write(&self, path: &Path) -> Result<(), JudgeError> {
        write_json(path, self)
    }

    /// The temperature in a file, for a verifier.
    pub(super) fn read(path: &Path, verifier: &Identity) -> Result<Temperature, JudgeError> {
        let text = fs::read_to_string(path).map_err(JudgeError::file(path))?;
        let refused = |reason| JudgeError::Unreadable { path: path.to_owned(), what: "calibration", reason };
        let file: Self = serde_json::from_str(&text).map_err(|error| refused(error.to_string()))?;
        if file.format != FORMAT {
            return Err(refused(format!("its format is {:?}, and {FORMAT:?} is read", file.format)));
        }
        match &file.verifier {
            Some(found) if found != verifier => {
                let differences = differences(found, verifier);
                Err(JudgeError::OtherCalibration { path: path.to_owned(), differences })
            }
            _ => Ok(file.temperature),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::identity::tests::identity;
    use super::*;

    #[test]
    fn a_temperature_is_for_the_verifier_that_it_was_fitted_to() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("calibration.json");
        let (temperature, part) = (Temperature::new(1.5).unwrap(), Part { tasks: 2, attempts: 8 });
        CalibrationFile::new(temperature, part, Some(identity("m"))).write(&path).unwrap();
        assert_eq!(CalibrationFile::read(&path, &identity("m")).unwrap(), temperature);
        let error = CalibrationFile::read(&path, &identity("n")).unwrap_err().to_string();
        assert!(error.contains("model is \"m\" there") && error.contains("--fit"), "{error}");
        CalibrationFile::new(temperature, part, None).write(&path).unwrap();
        assert_eq!(CalibrationFile::read(&path, &identity("n")).unwrap(), temperature);
        let text = fs::read_to_string(&path).unwrap();
        for (from, to, word) in [("calibration/1", "calibration/2", "calibration/2"), ("1.5", "-1.5", "above 0")] {
            fs::write(&path, text.replace(from, to)).unwrap();
            let error = CalibrationFile::read(&path, &identity("m")).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }
}
