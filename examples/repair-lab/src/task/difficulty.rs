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
    /// What stands in a function's body.
    pub naming: Naming,
    /// Words for text arguments, of 12; at least 2.
    pub words: usize,
}

/// Where the variables and the constant of a function come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Naming {
    /// Every function name has its own: a code base with conventions, which a policy can come to know.
    Conventional,
    /// Drawn for every task, so that they must be read and copied.
    Drawn {
        /// Names for argument variables, of 12; at least 4: two for the target, two for its sibling.
        variables: usize,
        /// Names for result variables, of 4; at least 2.
        results: usize,
        /// Values of the constant of each family that has one (7 to 9 of them); at least 1.
        constants: usize,
    },
}

impl Difficulty {
    /// Few names: 8 files, 2 functions a family, conventional bodies, 4 words.
    pub fn narrow() -> Self {
        Self { files: (3, 5), file_names: 8, function_names: 2, naming: Naming::Conventional, words: 4 }
    }

    /// All names, but conventional bodies: 32 files, 6 functions a family, 12 words.
    pub fn standard() -> Self {
        Self { files: (3, 5), file_names: 32, function_names: 6, naming: Naming::Conventional, words: 12 }
    }

    /// All names, and bodies drawn from 12 variables, 4 results and 9 constants.
    pub fn wide() -> Self {
        Self { naming: Naming::Drawn { variables: 12, results: 4, constants: 9 }, ..Self::standard() }
    }

    /// The preset of a name: `narrow`, `standard` or `wide`.
    ///
    /// # Errors
    ///
    /// [`LabError::Difficulty`] for any other name.
    pub fn named(name: &str) -> Result<Self, LabError> {
        match name {
            "narrow" => Ok(Self::narrow()),
            "standard" => Ok(Self::standard()),
            "wide" => Ok(Self::wide()),
            _ => Err(LabError::Difficulty { field: "name", wanted: "narrow, standard or wide" }),
        }
    }

    /// Whether tasks can be drawn at all.
    ///
    /// # Errors
    ///
    /// [`LabError::Difficulty`] names the first field that is out of its range.
    pub fn check(&self) -> Result<(), LabError> {
        let (least, most) = self.files;
        let (variables, results, constants) = match self.naming {
            Naming::Conventional => (usize::MAX, usize::MAX, usize::MAX),
            Naming::Drawn { variables, results, constants } => (variables, results, constants),
        };
        let rules = [
            ("files", 1 <= least && least <= most && most <= 6, "a range within 1 to 6"),
            ("file_names", self.file_names >= most, "at least the most files"),
            ("function_names", self.function_names >= 2, "at least 2"),
            ("naming.variables", variables >= 4, "at least 4"),
            ("naming.results", results >= 2, "at least 2"),
            ("naming.constants", constants >= 1, "at least 1"),
            ("words", self.words >= 2, "at least 2"),
        ];
        match rules.into_iter().find(|(_, holds, _)| !holds) {
            Some((field, _, wanted)) => Err(LabError::Difficulty { field, wanted }),
            None => Ok(()),
        }
    }
}

impl std::str::FromStr for Difficulty {
    type Err = LabError;

    fn from_str(name: &str) -> Result<Self, LabError> {
        Self::named(name)
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
        let naming = Naming::Drawn { variables: 3, results: 2, constants: 1 };
        let short = Difficulty { naming, ..Difficulty::narrow() };
        assert!(short.check().unwrap_err().to_string().contains("naming.variables"));
        let inverted = Difficulty { files: (5, 3), ..Difficulty::narrow() };
        assert!(matches!(inverted.check(), Err(LabError::Difficulty { field: "files", .. })));
    }
}
