//! What a project's own tests say of a patch.
//!
//! A patch is judged by running tests: those that failed and must pass now, and those that passed and still must. This
//! module takes the way from a command to a judgement in four steps, each of use without the others:
//!
//! - a [`LogFormat`] reads what a test runner printed into a [`TestReport`], one [`Status`] for each test;
//! - a [`Grading`] holds a report against the tests that must pass and gives a [`Verdict`];
//! - [`regression`], [`reproduction`] and [`flaky`] hold reports against each other;
//! - a [`Checker`] does the running: every command in a workspace and a sandbox of its own for every candidate;
//!   [`RegressionScorer`] makes a score of it that selectors read.
//!
//! [`swe_bench`] judges as SWE-bench's own harness does, which differs from this in what it lets pass.
//!
//! ```
//! use entropo_tools::check::{Found, Grading, LogFormat, Status};
//!
//! let log = "\
//! =========================== short test summary info ============================
//! PASSED tests/test_shop.py::test_name[a - b]
//! FAILED tests/test_shop.py::test_total - assert 1 == 2
//! ========================= 1 failed, 1 passed in 0.03s ==========================
//! ";
//! let report = LogFormat::Pytest.parse(log)?;
//! assert!(report.complete);
//! assert_eq!(report.get("tests/test_shop.py::test_name[a - b]"), Some(Status::Passed));
//!
//! let total = "tests/test_shop.py::test_total";
//! let other = "tests/test_shop.py::test_tot"; // not there: no test stands in for another that begins alike
//! let verdict = Grading::new([total, other], ["tests/test_shop.py::test_name[a - b]"]).grade(&report);
//! assert!(!verdict.is_resolved());
//! assert_eq!(verdict.fail_to_pass.wrong[total], Found::Reported(Status::Failed));
//! assert_eq!(verdict.fail_to_pass.wrong[other], Found::Missing);
//! assert!(verdict.pass_to_pass.wrong.is_empty());
//! # Ok::<(), entropo_tools::check::ParseError>(())
//! ```
//!
//! # Names
//!
//! A test is known by its whole name as its runner gives it, and compared as a whole. Where a runner repeats names in
//! several packages or files, the package or file is part of the name; [`TestReport::renamed`] turns names into those of
//! a list that was made otherwise. A name that occurs twice has the worse of its two results.
//!
//! # Trust
//!
//! Logs come from code that nobody has read. Reading one takes time linear in its length and memory within fixed limits,
//! and never fails by panic. What a test prints is told from what the runner prints as far as the format allows; still, a
//! program that is bent on it can forge a log, as it can forge any file that it could write. [`TestReport::complete`] says
//! whether the runner came to its end; cargo and go tell that only of each program and package, so look at the exit too.

mod attempt;
mod cargo;
mod error;
mod go;
mod grade;
mod javascript;
mod jest;
mod junit;
mod mocha;
mod pytest;
mod recorder;
mod regex;
mod report;
mod run;
mod score;
mod scorer;
pub mod swe_bench;
mod tap;
mod text;
mod unittest;
mod vitest;

pub use attempt::{Attempt, AttemptError, Patch, Sandboxes};
pub use error::ParseError;
pub use grade::{Grading, Verdict};
pub use regex::{PatternError, RegexFormat};
pub use report::{Status, TestReport};
pub use run::{Candidate, Check, Checker, RunError, Runs};
pub use score::{Found, Score, flaky, regression, reproduction, settled};
pub use scorer::{RegressionError, RegressionScorer};

/// How a log is to be read. `docs/checking.md` has the command that writes each.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum LogFormat {
    /// `pytest -v`, `pytest -rA` or both. Names are pytest's node ids.
    Pytest,
    /// `python -m unittest -v`. Names are `method (module.Class)` as printed.
    Unittest,
    /// `cargo test --no-fail-fast`. Names are `crate::path::test`.
    Cargo,
    /// `go test -v` or `go test -json`. Names are `package.Test/subtest`.
    Go,
    /// `jest --verbose` or `jest --json`. Names are `file > suite > test`.
    Jest,
    /// `vitest run --reporter verbose` or `--reporter json`. Names are `file > suite > test`.
    Vitest,
    /// `mocha`, or `mocha --reporter json`. Names are mocha's full titles.
    Mocha,
    /// JUnit's XML, which most runners can write. Names are `classname::name`.
    JUnit,
    /// The Test Anything Protocol, 12 to 14, with subtests. Names are `test > subtest`.
    Tap,
    /// Lines that match a pattern.
    Regex(RegexFormat),
}

impl LogFormat {
    /// Reads a log. Colours are taken out first. A log that breaks off gives a report that is not complete, and one of
    /// something else an empty report.
    ///
    /// # Errors
    ///
    /// Where the log is too large, or breaks the rules of its format in a way that leaves no results to trust.
    pub fn parse(&self, log: &str) -> Result<TestReport, ParseError> {
        let text = text::plain(log)?;
        match self {
            Self::Pytest => pytest::parse(&text),
            Self::Unittest => unittest::parse(&text),
            Self::Cargo => cargo::parse(&text),
            Self::Go => go::parse(&text),
            Self::Jest => jest::parse(&text),
            Self::Vitest => vitest::parse(&text),
            Self::Mocha => mocha::parse(&text),
            Self::JUnit => junit::parse(&text),
            Self::Tap => tap::parse(&text),
            Self::Regex(format) => format.parse(&text),
        }
    }
}
