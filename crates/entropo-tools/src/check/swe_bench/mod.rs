//! Grading as SWE-bench's own harness does it, to the letter: the `swebench` package, version 5.0.2.
//!
//! [`Grading`](super::Grading) is how this crate would judge; a number that is to be compared with others' must be judged as
//! theirs were. The two differ. The harness reads a log by the parser that a data set's row names ([`LogParser`]); of a test
//! that is reported twice the last word counts, not the worst; a test that must not break may be skipped; a name that was cut
//! off within its parameters stands for every test that begins so; and what a parser makes of odd lines is what it makes of
//! them. All of that is kept here, on purpose, and held against the package by `scripts/check_grading.py`.
//!
//! ```
//! use entropo_tools::check::swe_bench::{EvalType, LogParser, Rules};
//!
//! let rules = Rules {
//!     parser: LogParser::for_repository("pallets/flask", "pallets__flask-1")?,
//!     eval_type: EvalType::PassAndFail,
//!     fail_to_pass: vec!["tests/test_a.py::test_new".into()],
//!     pass_to_pass: vec!["tests/test_a.py::test_old".into(), "tests/test_a.py::test_posix".into()],
//! };
//! let log = "\
//! >>>>> Start Test Output
//! PASSED tests/test_a.py::test_new
//! SKIPPED tests/test_a.py::test_posix
//! FAILED tests/test_a.py::test_old - assert 1 == 2
//! >>>>> End Test Output
//! >>>>> Test Exit Code: 1
//! ";
//! let report = rules.grade(Some("diff --git a/x b/x\n"), log)?;
//! assert!(report.patch_successfully_applied && !report.resolved);
//! let tests = report.tests_status.unwrap_or_default();
//! assert_eq!(tests.pass_to_pass.failure, ["tests/test_a.py::test_old"]);
//! assert_eq!(tests.pass_to_pass.success, ["tests/test_a.py::test_posix"]); // skipped, and not broken
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`Trial`] carries the harness's steps out in a sandbox: the patch in the four ways in which the harness tries to apply it,
//! then the row's own script, whose output is the log.

mod browsers;
mod django;
mod error;
mod failure;
mod gradle;
mod karma;
mod lines;
mod log;
mod maven;
mod parser;
mod phpunit;
mod pytest;
mod python;
mod rules;
mod runners;
mod script;
mod seaborn;
mod statuses;
mod suites;
mod sympy;
mod trial;

pub use error::{LogError, RulesError};
pub use failure::{Failure, Tier, classify};
pub use parser::LogParser;
pub use rules::{EvalType, Rules};
pub use script::eval_script;
pub use statuses::{Statuses, Word};
pub use trial::{Ended, Trial};

/// The container image of an instance that names none, as SWE-bench publishes them.
pub fn image_of(instance_id: &str) -> String {
    format!("swebench/sweb.eval.x86_64.{}:latest", instance_id.to_lowercase().replace("__", "_1776_"))
}
