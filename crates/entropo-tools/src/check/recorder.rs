//! Collects results within limits.

use std::collections::BTreeMap;

use super::report::merge;
use super::{ParseError, Status, TestReport};

/// How long all names of a report may be together: nested tests repeat the names around them.
const NAMES: usize = 64 << 20;
/// How long a name may be.
const NAME: usize = 16 << 10;

/// Collects results within limits.
#[derive(Default)]
pub(super) struct Recorder {
    tests: BTreeMap<String, Status>,
    bytes: usize,
}

impl Recorder {
    /// Notes a result; of two for one test the worse stands.
    pub(super) fn add(&mut self, test: impl Into<String>, status: Status) -> Result<(), ParseError> {
        let test = test.into();
        self.claim(test.len())?;
        merge(&mut self.tests, test, status);
        Ok(())
    }

    /// Takes room for a name that is kept elsewhere.
    pub(super) fn claim(&mut self, bytes: usize) -> Result<(), ParseError> {
        if bytes > NAME {
            return Err(ParseError::TooLarge { what: "names of tests, one by one,", limit: NAME });
        }
        self.bytes += bytes;
        if self.bytes > NAMES {
            return Err(ParseError::TooLarge { what: "names of tests", limit: NAMES });
        }
        Ok(())
    }

    /// How many tests there are.
    pub(super) fn len(&self) -> usize {
        self.tests.len()
    }

    /// The report.
    pub(super) fn finish(self, complete: bool) -> TestReport {
        TestReport { tests: self.tests, complete }
    }
}
