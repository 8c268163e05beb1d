//! How many names and constants are in use.
//!
//! What a small policy finds hard is copying names that it has rarely seen, so this is the dial that matters.

use serde::{Deserialize, Serialize};

use super::LabError;

/// How much of each pool of [`names`](super::names) a task may draw from.
///
/// Counts above a pool's size mean the whole pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Difficulty {
    /// Least and most files under `lib/`, both included; from 1 to 6.
    pub files: (usize, usize),
    /// Names for files; at least the most files.
    pub file_names: usize,
    /// Names for the functions of each family, of 6; at least 2: one for the target, one for its sibling.
    pub function_names: usize,
    /// Names for argument variables, of 12; at least 4: two for the target, two for its sibling.
    pub variable_names: usize,
    /// Names for result variables, of 4; at least 2.
    pub result_names: usize,
    /// Values of the constant of each family that has one (7 to 9 of them); at least 1.
    pub constants: usize,
    /// Words for text arguments, of 12; at least 2.
    pub words: usize,
}

impl Difficulty {
    /// Few names: 8 files, 2 functions a family, 4 variables, 2 results, 3 constants, 4 words.
    pub fn narrow() -> Self {
        Self {
            files: (3, 5),
            file_names: 8,
            function_names: 2,
            variable_names: 4,
            result_names: 2,
            constants: 3,
            words: 4,
        }
    }

    /// Names in between: 16 files, 4 functions a family, 8 variables, 3 results, 5 constants, 8 words.
    pub fn standard() -> Self {
        Self {
            files: (3, 5),
            file_names: 16,
            function_names: 4,
            variable_names: 8,
            result_names: 3,
            constants: 5,
            words: 8,
        }
    }

    /// All names and constants: 32 files, 6 functions a family, 12 variables, 4 results, 9 constants, 12 words.
    pub fn wide() -> Self {
        Self {
            files: (3, 5),
            file_names: 32,
            function_names: 6,
            variable_names: 12,
            result_names: 4,
            constants: 9,
            words: 12,
        }
    }

    /// Whether tasks can be drawn at all.
    ///
    /// # Errors
    ///
    /// [`LabError::Difficulty`] names the first field that is out of its range.
    pub fn check(&self) -> Result<(), LabError> {
        let (least, most) = self.files;
        let rules = [
            ("files", 1 <= least && least <= most && most <= 6, "a range within 1 to 6"),
            ("file_names", self.file_names >= most, "at least the most files"),
            ("function_names", self.function_names >= 2, "at least 2"),
            ("variable_names", self.variable_names >= 4, "at least 4"),
            ("result_names", self.result_names >= 2, "at least 2"),
            ("constants", self.constants >= 1, "at least 1"),
            ("words", self.words >= 2, "at least 2"),
        ];
        match rules.into_iter().find(|(_, holds, _)| !holds) {
            Some((field, _, wanted)) => Err(LabError::Difficulty { field, wanted }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_are_possible_and_shortages_are_named() {
        for preset in [Difficulty::narrow(), Difficulty::standard(), Difficulty::wide()] {
            preset.check().unwrap();
        }
        let short = Difficulty { variable_names: 3, ..Difficulty::narrow() };
        assert!(short.check().unwrap_err().to_string().contains("variable_names"));
        let inverted = Difficulty { files: (5, 3), ..Difficulty::narrow() };
        assert!(matches!(inverted.check(), Err(LabError::Difficulty { field: "files", .. })));
    }
}
