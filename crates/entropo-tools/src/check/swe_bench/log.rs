//! Which part of a log is the tests', and whether any of it can be believed.

use super::python::pattern;
use super::{LogError, LogParser, Statuses, Word};

/// How large a log may be.
pub(super) const LIMIT: usize = 64 << 20;

pub(super) const START: &str = ">>>>> Start Test Output";
pub(super) const END: &str = ">>>>> End Test Output";
pub(super) const EXIT_CODE: &str = ">>>>> Test Exit Code";

/// Any of these anywhere says that the tests did not run as they should.
const BROKEN: [&str; 4] =
    [">>>>> Patch Apply Failed", ">>>>> Reset Failed", ">>>>> Tests Errored", ">>>>> Tests Timed Out"];

/// Tells that a runner ran, where a parser that notes failures only found nothing.
const RAN: &str = r"(?m)Executed [1-9]\d* of \d+|TOTAL: [1-9]\d* (?:SUCCESS|FAILED)|[1-9]\d* passing|Tests:\s+[1-9]\d*|Test Suites:\s+(?:\d+ \w+, )*[1-9]\d* total|^# tests [1-9]\d*|[1-9]\d* specs?, \d+ failures?|': ok$";

/// What the tests reported; nothing if the log is none of a run that can be judged.
pub(super) fn read(parser: LogParser, log: &str) -> Result<Option<Statuses>, LogError> {
    if BROKEN.iter().any(|marker| log.contains(marker)) || !log.contains(END) {
        return Ok(None);
    }
    let Some((_, after)) = log.split_once(START) else { return Ok(None) };
    let until = |text: &'_ str, marker| text.find(marker).unwrap_or(text.len());
    let within = after.get(..until(after, START)).unwrap_or_default();
    let within = within.get(..until(within, END)).unwrap_or_default();
    let mut found = parser.parse(within)?;
    if found.is_empty() {
        // Some runners print around the markers.
        found = parser.parse(log)?;
    }
    if found.is_empty() && !pattern(RAN)?.is_match(log) {
        return Ok(None);
    }
    // A run that failed and reports no failure is not the run that the log tells of.
    let failed = exit_code_is_set(log)? && !found.is_empty();
    if failed && !found.iter().any(|(_, word)| Word::fails(word)) {
        return Ok(None);
    }
    Ok(Some(found))
}

/// Whether the first exit code that is told is another than 0.
fn exit_code_is_set(log: &str) -> Result<bool, LogError> {
    let told = pattern(&format!(r"{}:\s*-?(\d+)", ::regex::escape(EXIT_CODE)))?;
    let code = told.captures(log).and_then(|found| found.get(1));
    Ok(code.is_some_and(|code| code.as_str().chars().any(|digit| digit != '0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(log: &str) -> Option<usize> {
        read(LogParser::Pytest, log).unwrap().map(|found| found.iter().count())
    }

    #[test]
    fn only_what_is_between_the_markers_counts_unless_that_is_nothing() {
        let log = |around: &str, within: &str, end: &str| format!("{around}{START}\n{within}{END}\n{end}");
        assert_eq!(found(&log("PASSED a\n", "PASSED b\nPASSED c\n", "")), Some(2));
        assert_eq!(found(&log("PASSED a\n", "nothing\n", "")), Some(1));
        assert_eq!(found(&log("", "nothing\n", "")), None);
        assert_eq!(found(&log("", "3 passing\n", "")), Some(0));
        assert_eq!(found("PASSED a\n"), None);
        assert_eq!(found(&log("", "PASSED b\n", ">>>>> Tests Timed Out\n")), None);
    }

    #[test]
    fn a_run_that_failed_must_tell_of_a_failure() {
        let log = |within: &str, code: &str| format!("{START}\n{within}{END}\n{EXIT_CODE}: {code}\n");
        assert_eq!(found(&log("PASSED a\n", "0")), Some(1));
        assert_eq!(found(&log("PASSED a\n", "1")), None);
        assert_eq!(found(&log("PASSED a\n", "-9")), None);
        assert_eq!(found(&log("PASSED a\nERROR b\n", "1")), Some(2));
    }
}
