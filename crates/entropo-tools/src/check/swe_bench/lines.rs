//! Runners that print a line for each test.

use super::python::{pattern, stripped};
use super::{LogError, Statuses, Word};

/// A line, without white space around it, of which the groups `test` and `word` are the test and what became of it.
pub(super) struct Lines {
    line: &'static str,
    words: &'static [(&'static str, Word)],
    /// What is cut off the names of tests that failed.
    after_failed: Option<&'static str>,
    /// Whether white space around names is none of theirs.
    strip: bool,
}

const fn lines(line: &'static str, words: &'static [(&'static str, Word)]) -> Lines {
    Lines { line, words, after_failed: None, strip: false }
}

pub(super) const REDIS: Lines = Lines {
    after_failed: Some(r"\s+in\s+\S+$"),
    ..lines(
        r"^\[(?<word>ok|err|skip|ignore)\]:\s(?<test>.+?)(?:\s\(\d+\s*m?s\))?$",
        &[("ok", Word::Passed), ("err", Word::Failed), ("skip", Word::Skipped), ("ignore", Word::Skipped)],
    )
};
pub(super) const JQ: Lines =
    lines(r"^\s*(?<word>PASS|FAIL):\s(?<test>.+)$", &[("PASS", Word::Passed), ("FAIL", Word::Failed)]);
pub(super) const MICROPYTHON: Lines = lines(
    r"^(?<word>pass|FAIL|skip)\s+(?<test>.+)$",
    &[("pass", Word::Passed), ("FAIL", Word::Failed), ("skip", Word::Skipped)],
);
pub(super) const GOOGLE_TEST: Lines =
    lines(r"^.*\[\s*(?<word>OK|FAILED)\s*\]\s(?<test>.*)\s\(.*\)$", &[("OK", Word::Passed), ("FAILED", Word::Failed)]);
pub(super) const GO: Lines = lines(
    r"^--- (?<word>PASS|FAIL|SKIP): (?<test>.+) \(.+\)$",
    &[("PASS", Word::Passed), ("FAIL", Word::Failed), ("SKIP", Word::Skipped)],
);
pub(super) const ANT: Lines = lines(
    r"^\s*\[junit\]\s+\[(?<word>PASS|FAIL|ERR)\]\s+(?<test>.*)$",
    &[("PASS", Word::Passed), ("FAIL", Word::Failed), ("ERR", Word::Failed)],
);
pub(super) const JEST: Lines = Lines {
    strip: true,
    ..lines(
        r"^\s*(?<word>✓|✕|○)\s(?<test>.+?)(?:\s\(\d+\s*m?s\))?$",
        &[("✓", Word::Passed), ("✕", Word::Failed), ("○", Word::Skipped)],
    )
};
pub(super) const JEST_JSON: Lines =
    lines(r"^\[(?<word>PASSED|FAILED)\]\s(?<test>.+)$", &[("PASSED", Word::Passed), ("FAILED", Word::Failed)]);
pub(super) const VITEST: Lines = lines(
    r"^\s*(?<word>✓|×|↓)\s(?<test>.+?)(?:\s(?:\d+\s*m?s?|\[skipped\]))?$",
    &[("✓", Word::Passed), ("×", Word::Failed), ("↓", Word::Skipped)],
);
pub(super) const TAP: Lines =
    lines(r"^(?<word>ok|not ok) \d+ (?<test>.+)$", &[("ok", Word::Passed), ("not ok", Word::Failed)]);
pub(super) const MINITEST: Lines =
    lines(r"^(?<test>.+)\. .*=.*(?<word>\.|F|E).*$", &[(".", Word::Passed), ("F", Word::Failed), ("E", Word::Failed)]);
pub(super) const CUCUMBER: Lines = lines(r"^(?<test>.*) \.+(?<word>\.|F)", &[(".", Word::Passed), ("F", Word::Failed)]);
pub(super) const RUBY_UNIT: Lines = lines(
    r"^\s*(?:test: )?(?<test>.+):\s+(?<word>\.|E\b|F\b|O\b)",
    &[(".", Word::Passed), ("E", Word::Failed), ("F", Word::Failed), ("O", Word::Skipped)],
);
pub(super) const RSPEC: Lines =
    lines(r"^(?<test>.+) - (?<word>passed|failed)", &[("passed", Word::Passed), ("failed", Word::Failed)]);
pub(super) const CARGO: Lines =
    lines(r"^test\s+(?<test>\S+)\s+\.\.\.\s+(?<word>\w+)$", &[("ok", Word::Passed), ("FAILED", Word::Failed)]);

/// Reads a log. Words that mean nothing are passed over.
pub(super) fn parse(log: &str, lines: &Lines) -> Result<Statuses, LogError> {
    let (line, cut) = (pattern(lines.line)?, lines.after_failed.map(pattern).transpose()?);
    let mut found = Statuses::default();
    for captures in log.split('\n').filter_map(|text| line.captures(stripped(text))) {
        let (Some(test), Some(word)) = (captures.name("test"), captures.name("word")) else { continue };
        let Some((_, word)) = lines.words.iter().find(|(known, _)| *known == word.as_str()) else { continue };
        match &cut {
            Some(cut) if *word == Word::Failed => found.set(cut.replace_all(test.as_str(), ""), *word),
            _ if lines.strip => found.set(stripped(test.as_str()), *word),
            _ => found.set(test.as_str(), *word),
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_runner_has_its_line() {
        for (lines, log, test, word) in [
            (&REDIS, "[err]: SAVE works in tests/unit/a.tcl", "SAVE works", Word::Failed),
            (&REDIS, "[ok]: SAVE in time (12 ms)", "SAVE in time", Word::Passed),
            (&JQ, "  PASS: tests/jq", "tests/jq", Word::Passed),
            (&MICROPYTHON, "skip  basics/a.py", "basics/a.py", Word::Skipped),
            (&GOOGLE_TEST, "1: [       OK ] format_test.a (0 ms)", "format_test.a", Word::Passed),
            (&GO, "    --- SKIP: TestA/b (0.00s)", "TestA/b", Word::Skipped),
            (&ANT, "[junit] [ERR] A.b", "A.b", Word::Failed),
            (&JEST, "    ✓ adds (5 ms)", "adds", Word::Passed),
            (&JEST_JSON, "[FAILED] suite > adds", "suite > adds", Word::Failed),
            (&VITEST, " ↓ adds [skipped]", "adds", Word::Skipped),
            (&TAP, "not ok 2 adds", "adds", Word::Failed),
            (&MINITEST, "TestA#test_b. = 0.01 s = E", "TestA#test_b", Word::Failed),
            (&CUCUMBER, "features/a.feature ....F", "features/a.feature", Word::Failed),
            (&RUBY_UNIT, "  test: adds:\tO: (0.1)", "adds", Word::Skipped),
            (&RSPEC, "adds - failed", "adds", Word::Failed),
            (&CARGO, "test a::b ... ok", "a::b", Word::Passed),
        ] {
            let found = parse(log, lines).unwrap();
            assert_eq!(found.iter().collect::<Vec<_>>(), [(test, word)], "{log}");
        }
        assert!(parse("test a ... ignored\nnot a test", &CARGO).unwrap().is_empty());
    }
}
