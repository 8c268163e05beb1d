//! Little shell repositories with a seeded bug.
//!
//! A task must be cheap, real and *underdetermined*. Cheap: a few files of a few lines, judged by `sh` in milliseconds.
//! Real: the files lie on disk and the tests are run. Underdetermined: the issue reports one failing example that four
//! different fixes repair, and hidden tests accept one of them only, drawn from a prior that depends on the bug's
//! family. A function beside the buggy one is written in the style of one fix, and is right about the truth with
//! probability .55 plus a quarter of the rest; so an agent that reads the code does better than one that knows the
//! prior, but none can be sure, and several different attempts are worth more than the same one again.
//!
//! [`generate`] makes the task of a seed, [`Difficulty`] says how many names are in use, [`fragment`] gives the short
//! edit from one line to another.

mod difficulty;
mod families;
mod family;
mod fragment;
mod generate;
pub mod names;
mod script;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;

use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use difficulty::{Difficulty, Naming};
pub use families::FAMILIES;
pub use family::Family;
pub use fragment::fragment;
pub use generate::generate;

/// A repository with a bug, what may be known about it, and what must not.
///
/// An agent sees `issue` and `files`; all else is for the teacher and the judge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabTask {
    /// The family and the seed, as in `discount-00000000000000ff`; unique among tasks of one difficulty.
    pub id: String,
    /// One failing example: `` `discount 200 30` prints 260, expected 140. ``
    pub issue: String,
    /// The visible repository: relative path to text.
    pub files: BTreeMap<String, String>,
    /// A script for `sh`, to be run with the repository as its working directory and kept outside of it; its exit
    /// status is 0 for the true fix only.
    pub hidden: String,
    /// Name of the [`Family`].
    pub family: String,
    /// Path of the file with the bug.
    pub target: String,
    /// Name of the function with the bug.
    pub function: String,
    /// The line of the bug in its file, counted from 1.
    pub line: usize,
    /// The whole line of the bug, indented, without its end.
    pub bug: String,
    /// Four lines that repair the example and pass the visible tests.
    pub fixes: Vec<String>,
    /// Two lines that fail the visible tests.
    pub wrong: Vec<String>,
    /// Which of `fixes` passes the hidden tests.
    pub truth: usize,
    /// Which of `fixes` the sibling function is written like.
    pub cue: usize,
}

impl LabTask {
    /// The repository with `line`, a whole line, in the place of the bug.
    pub fn with_line(&self, line: &str) -> BTreeMap<String, String> {
        let mut files = self.files.clone();
        if let Some(text) = files.get_mut(&self.target) {
            *text = fragment::with_line(text, self.line, line);
        }
        files
    }
}

/// Why there is no task.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LabError {
    /// The difficulty cannot be met.
    #[error("difficulty: `{field}` must be {wanted}")]
    Difficulty {
        /// The field at fault.
        field: &'static str,
        /// What it must be.
        wanted: &'static str,
    },
    /// The shell did not run.
    #[error("cannot run `sh`: {source}; a POSIX shell must be on the PATH")]
    Shell {
        /// What the system said.
        source: io::Error,
    },
    /// Every draw broke a promise of its family.
    #[error("seed {seed}: none of {tries} draws is a fair task ({reason}); take another seed and report this one")]
    Unfair {
        /// The seed.
        seed: u64,
        /// How many draws were tried.
        tries: u64,
        /// What was wrong with the last one.
        reason: &'static str,
    },
}
