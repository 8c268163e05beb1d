//! Logs of any runner that prints a line for each test.

use std::collections::BTreeMap;

use ::regex::Regex;

use super::recorder::Recorder;
use super::{ParseError, Status, TestReport};

/// A pattern for the line of a test, and what its words for results mean. Time is linear in the log's length.
///
/// ```
/// use entropo_tools::check::{LogFormat, RegexFormat, Status};
///
/// let words = [("good", Status::Passed), ("bad", Status::Failed)];
/// let format = RegexFormat::new(r"^(?<status>\w+): (?<test>.+)$", words)?.end("^done$")?;
/// let report = LogFormat::Regex(format).parse("good: adds\nbad: takes - away\ndone\n")?;
/// assert_eq!(report.get("takes - away"), Some(Status::Failed));
/// assert!(report.complete);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct RegexFormat {
    line: Regex,
    end: Option<Regex>,
    words: BTreeMap<String, Status>,
}

impl RegexFormat {
    /// A pattern with the groups `test` and `status`, tried on each line by itself, and the meanings of what `status` finds.
    ///
    /// # Errors
    ///
    /// Where the pattern is none, is too large, or lacks a group.
    pub fn new<W: Into<String>>(
        pattern: &str,
        words: impl IntoIterator<Item = (W, Status)>,
    ) -> Result<Self, PatternError> {
        let line = Regex::new(pattern)?;
        for group in ["test", "status"] {
            if !line.capture_names().any(|name| name == Some(group)) {
                return Err(PatternError::Group { pattern: pattern.to_owned(), group });
            }
        }
        Ok(Self { line, end: None, words: words.into_iter().map(|(word, status)| (word.into(), status)).collect() })
    }

    /// A pattern for the line that tells that the runner came to its end. Without one, a report with a test is taken to be
    /// complete.
    ///
    /// # Errors
    ///
    /// Where the pattern is none, or is too large.
    pub fn end(mut self, pattern: &str) -> Result<Self, PatternError> {
        self.end = Some(Regex::new(pattern)?);
        Ok(self)
    }

    pub(super) fn parse(&self, log: &str) -> Result<TestReport, ParseError> {
        let (mut recorder, mut ended) = (Recorder::default(), false);
        for line in log.lines() {
            ended |= self.end.as_ref().is_some_and(|end| end.is_match(line));
            let Some(found) = self.line.captures(line) else { continue };
            let (Some(test), Some(word)) = (found.name("test"), found.name("status")) else { continue };
            let (test, word) = (test.as_str(), word.as_str());
            let status = self.words.get(word);
            let unknown = || ParseError::Word { word: word.to_owned(), test: test.to_owned() };
            recorder.add(test, *status.ok_or_else(unknown)?)?;
        }
        let complete = if self.end.is_some() { ended } else { recorder.len() > 0 };
        Ok(recorder.finish(complete))
    }
}

/// Why a pattern cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PatternError {
    /// It is no pattern.
    #[error("the pattern for lines of a log is wrong: {0}")]
    Syntax(#[from] ::regex::Error),
    /// It does not say where the test or its result is.
    #[error("the pattern `{pattern}` has no group named `{group}`; mark that part with (?<{group}>...)")]
    Group {
        /// The pattern.
        pattern: String,
        /// What is missing.
        group: &'static str,
    },
}
