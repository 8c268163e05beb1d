//! How one file of tests is run.

use std::path::{Component, Path};

use super::ReproductionTest;
use crate::Command;
use crate::check::{Check, LogFormat};

/// What stands for a test's name in a path.
const ID: &str = "{id}";

/// How one file of tests is run in a project, and where such files lie.
#[derive(Clone, Debug)]
pub struct TestRunner {
    command: Command,
    format: LogFormat,
    path: String,
}

/// Why a path is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RunnerError {
    /// All tests would have one path.
    #[error("the path {0:?} must contain {{id}} once, which stands for each test's own name")]
    Id(String),
    /// It leads out of the workspace, or to no file.
    #[error("the path {0:?} must be relative, without `..`, and end in a file's name")]
    Path(String),
}

impl TestRunner {
    /// Runs a test's file by `command`, to which the variables `TEST_FILE`, its path, and `TEST_NAME`, its name without the
    /// extension, are given; reads what is printed as `format`. Files lie at `path`, where `{id}` stands for what tells them
    /// apart: 16 hexadecimal digits.
    ///
    /// The command should run the tests of this file only: `cargo test --no-fail-fast --test "$TEST_NAME"`,
    /// `go test -v "./$(dirname "$TEST_FILE")"`.
    ///
    /// # Errors
    /// Where the path is none in the workspace, or lacks the `{id}`.
    pub fn new(command: Command, format: LogFormat, path: impl Into<String>) -> Result<Self, RunnerError> {
        let path = path.into();
        if path.matches(ID).count() != 1 {
            return Err(RunnerError::Id(path));
        }
        let plain = Path::new(&path).components().all(|part| matches!(part, Component::Normal(_)));
        if !plain || path.ends_with('/') || path.contains(['\0', '\n']) {
            return Err(RunnerError::Path(path));
        }
        Ok(Self { command, format, path })
    }

    /// pytest, by the `python` of the sandbox's search path, on files `test_reproduction_….py` in the `tests` directory.
    pub fn pytest() -> Self {
        let command = Command::script(r#"python -m pytest -rA -p no:cacheprovider "$TEST_FILE""#);
        Self { command, format: LogFormat::Pytest, path: format!("tests/test_reproduction_{ID}.py") }
    }

    /// Where the file of a test lies, relative to the workspace.
    pub(super) fn path(&self, id: &str) -> String {
        self.path.replace(ID, id)
    }

    /// Where files of tests lie, for an agent.
    pub(super) fn place(&self) -> &str {
        &self.path
    }

    /// The check that brings a test and runs it, under the name of its path.
    pub(super) fn check(&self, test: &ReproductionTest) -> Check {
        self.named(&test.path).tests(test.patch())
    }

    /// The same without the test: what is reported then is none of its own.
    pub(super) fn without(&self, test: &ReproductionTest) -> Check {
        self.named(&test.path)
    }

    fn named(&self, path: &str) -> Check {
        let name = Path::new(path).file_stem().unwrap_or_default();
        let command = self.command.clone().env("TEST_FILE", path).env("TEST_NAME", name);
        Check::new(path, command, self.format.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_below_the_workspace_and_differ() {
        let runner = |path: &str| TestRunner::new(Command::script("true"), LogFormat::Tap, path);
        for path in ["tests/x.py", "{id}/{id}.py", ""] {
            assert!(matches!(runner(path), Err(RunnerError::Id(_))), "{path}");
        }
        for path in ["/tests/{id}.py", "../{id}", "a/../../{id}", "./{id}/", "{id}/", "a\n{id}", "\0{id}"] {
            assert!(matches!(runner(path), Err(RunnerError::Path(_))), "{path}");
        }
        assert_eq!(runner("a b/{id}_test.go").unwrap().path("0f"), "a b/0f_test.go");
    }
}
