//! What SWE-smith's parsers make of a log.

use std::collections::BTreeMap;

use entropo_tools::check::swe_bench::{LogParser, Word};
use entropo_tools::check::{LogFormat, Status};

/// What is traced before and after the tests' output.
pub(super) const START: &str = ">>>>> Start Test Output";
pub(super) const END: &str = ">>>>> End Test Output";

/// How each test ended; of one that is reported twice the last word counts.
pub(super) type Found = BTreeMap<String, Word>;

const WORDS: [(&str, Word); 5] = [
    ("FAILED", Word::Failed),
    ("PASSED", Word::Passed),
    ("SKIPPED", Word::Skipped),
    ("ERROR", Word::Error),
    ("XFAIL", Word::Xfail),
];

/// How a log is read.
#[derive(Clone, Debug)]
pub(super) enum Reading {
    /// pytest's lines as it goes along: the name, then the word.
    Verbose,
    /// The same from several workers, which are named first.
    Workers,
    /// pytest's summary: the word, then the name.
    Summary,
    /// unittest's lines as python-slugify prints them.
    Slugify,
    /// Those of Tornado's own runner.
    Tornado,
    /// By a parser of SWE-bench.
    Harness(LogParser),
    /// As a runner's format.
    Format(LogFormat),
}

/// The tests' output, if it has an end and a beginning. One with several was printed by the tests, and is not read.
pub(super) fn within(log: &str) -> Result<Option<String>, String> {
    let log = log.replace("\r\n", "\n").replace('\r', "\n");
    let (start, end) = (format!("+ : '{START}'"), format!("+ : '{END}'"));
    for line in [&start, &end] {
        if log.matches(line).count() > 1 {
            return Err(format!("the log has the line {line:?} more than once"));
        }
    }
    let after = log.split_once(&start).map(|(_, after)| after);
    Ok(after.and_then(|after| after.split_once(&end)).map(|(within, _)| within.to_owned()))
}

impl Reading {
    /// How tests ended, or why that cannot be read.
    pub(super) fn read(&self, log: &str) -> Result<Found, String> {
        let read: fn(&str) -> Option<(String, Word)> = match self {
            Self::Verbose => verbose,
            Self::Workers => workers,
            Self::Summary => summary,
            Self::Slugify => slugify,
            Self::Tornado => tornado,
            Self::Harness(parser) => {
                let found = parser.parse(log).map_err(|error| error.to_string())?;
                return Ok(found.iter().map(|(test, word)| (test.to_owned(), word)).collect());
            }
            Self::Format(format) => {
                let found = format.parse(log).map_err(|error| error.to_string())?;
                return Ok(found.tests.into_iter().map(|(test, status)| (test, word(status))).collect());
            }
        };
        Ok(log.split('\n').filter_map(read).collect())
    }

    /// Whether a log tells of any test that failed, one with a name that is not read included.
    pub(super) fn any_failed(&self, log: &str) -> bool {
        let read =
            self.read(log).is_ok_and(|found| found.values().any(|word| matches!(word, Word::Failed | Word::Error)));
        let is_failure = |line: &str| {
            let has = |word: &str| line.contains("::") && line.contains(word);
            line.starts_with("FAIL") || line.starts_with("ERROR") || has(" FAILED") || has(" ERROR")
        };
        read || log.split('\n').any(is_failure)
    }
}

fn word(status: Status) -> Word {
    match status {
        Status::Passed => Word::Passed,
        Status::ExpectedFailure => Word::Xfail,
        Status::Skipped => Word::Skipped,
        Status::Errored => Word::Error,
        Status::Failed => Word::Failed,
        _ => Word::Other,
    }
}

/// `tests/test_a.py::test_b PASSED [ 10%]`. A name with a space is none.
fn verbose(line: &str) -> Option<(String, Word)> {
    let (name, rest) = line.split_at(line.find(is_space)?);
    let (_, word) = begins(rest.trim_start_matches(is_space))?;
    (!name.is_empty()).then(|| (name.to_owned(), word))
}

/// `[gw0] PASSED tests/test_a.py::test_b`.
fn workers(line: &str) -> Option<(String, Word)> {
    let rest = line.strip_prefix("[gw")?.strip_prefix(|letter: char| letter.is_numeric())?;
    summary(rest.strip_prefix(']')?.strip_prefix(is_space)?)
}

/// `PASSED tests/test_a.py::test_b`, with one space between.
fn summary(line: &str) -> Option<(String, Word)> {
    let (rest, word) = begins(line)?;
    let name = rest.strip_prefix(is_space)?.split(is_space).next().filter(|name| !name.is_empty())?;
    Some((name.to_owned(), word))
}

/// `test_a (__main__.Case) ... ok`.
fn slugify(line: &str) -> Option<(String, Word)> {
    let ends = [("ok", Word::Passed), ("FAIL", Word::Failed), ("ERROR", Word::Error)];
    let (rest, word) = ends.into_iter().find_map(|(end, word)| Some((line.strip_suffix(end)?, word)))?;
    let name = rest.strip_suffix(is_space)?.strip_suffix("...")?.strip_suffix(is_space)?;
    let fits = |letter: char| letter.is_ascii_alphanumeric() || is_space(letter) || "_-,.()'".contains(letter);
    (!name.is_empty() && name.chars().all(fits)).then(|| (name.to_owned(), word))
}

/// `test_a (tornado.test.a.Case) ... ok`, or `FAIL: test_a (tornado.test.a.Case)`.
fn tornado(line: &str) -> Option<(String, Word)> {
    let name = line.split(" ... ").next().unwrap_or_default().to_owned();
    if line.ends_with("... ok") {
        Some((name, Word::Passed))
    } else if line.contains(" ... skipped ") {
        Some((name, Word::Skipped))
    } else if line.starts_with("ERROR:") || line.starts_with("FAIL:") {
        let words: Vec<&str> = line.split(is_space).filter(|word| !word.is_empty()).skip(1).take(2).collect();
        Some((words.join(" "), Word::Failed))
    } else {
        None
    }
}

/// What follows the word that a text begins with, and the word.
fn begins(text: &str) -> Option<(&str, Word)> {
    WORDS.into_iter().find_map(|(name, word)| Some((text.strip_prefix(name)?, word)))
}

/// Python counts the four separators of ASCII as white space.
fn is_space(letter: char) -> bool {
    letter.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(reading: &Reading, log: &str) -> Vec<(String, Word)> {
        reading.read(log).unwrap().into_iter().collect()
    }

    fn named(tests: &[(&str, Word)]) -> Vec<(String, Word)> {
        tests.iter().map(|(test, word)| ((*test).to_owned(), *word)).collect()
    }

    #[test]
    fn only_what_is_between_the_traced_lines_is_the_tests() {
        let log = format!("a PASSED\n+ : '{START}'\r\nb PASSED\n+ : '{END}'\nc PASSED\n");
        assert_eq!(within(&log).unwrap().as_deref(), Some("\nb PASSED\n"));
        for line in [START, END] {
            assert!(within(&format!("{log}+ : '{line}'\n")).unwrap_err().contains("more than once"), "{line}");
        }
        for log in ["", "+ : '>>>>> Start Test Output'\na PASSED\n", "+ : '>>>>> End Test Output'\n"] {
            assert_eq!(within(log), Ok(None));
        }
        let turned = format!("+ : '{END}'\n+ : '{START}'\n");
        assert_eq!(within(&turned), Ok(None));
    }

    #[test]
    fn a_failure_is_one_whatever_the_test_is_called() {
        for log in [
            "t.py::a FAILED [ 10%]\n",
            "t.py::a[x y] FAILED [ 10%]\n",
            "t.py::a[x y] ERROR [ 10%]\n",
            "t.py::a PASSED\nERROR t.py - SyntaxError\n",
            "FAIL: test_a (x.A) (i=1)\n",
        ] {
            assert!(Reading::Verbose.any_failed(log), "{log}");
        }
        for log in ["", "t.py::a PASSED\nt.py::b SKIPPED\nt.py::c XFAIL (why)\n+ code=3\n"] {
            assert!(!Reading::Verbose.any_failed(log), "{log}");
        }
        assert!(Reading::Format(LogFormat::Tap).any_failed("1..1\nnot ok 1 - a\n"));
        assert!(!Reading::Format(LogFormat::Tap).any_failed("1..1\nok 1 - a\n"));
    }

    #[test]
    fn verbose_lines_begin_with_a_name_and_the_last_counts() {
        let log = "t.py::a PASSED   [ 10%]\nt.py::b[x y] PASSED\n t.py::c PASSED\nt.py::d\tXFAIL (no)\nt.py::e XPASS\nFAILED t.py::a\nt.py::a ERROR\nt.py::f SKIPPED (why)\nPASSED\n";
        let found = named(&[("t.py::a", Word::Error), ("t.py::d", Word::Xfail), ("t.py::f", Word::Skipped)]);
        assert_eq!(read(&Reading::Verbose, log), found);
        // As the harness: with colours there is nothing to be read.
        assert_eq!(read(&Reading::Verbose, "t.py::a \u{1b}[32mPASSED\u{1b}[0m"), []);
    }

    #[test]
    fn summaries_begin_with_the_word() {
        let log = "PASSED t.py::a\nFAILED t.py::b - why\nPASSED  t.py::c\nERROR\n[gw1] PASSED t.py::d\n";
        assert_eq!(read(&Reading::Summary, log), named(&[("t.py::a", Word::Passed), ("t.py::b", Word::Failed)]));
        let log = "[gw1] PASSED t.py::d\n[gw12] PASSED t.py::e\nPASSED t.py::a\n[gw0] FAILED t.py::f x\n";
        assert_eq!(read(&Reading::Workers, log), named(&[("t.py::d", Word::Passed), ("t.py::f", Word::Failed)]));
    }

    #[test]
    fn lines_of_unittest_end_with_the_word() {
        let log = "test_a (__main__.Case) ... ok\ntest_b (__main__.Case) ... FAIL\ntest: c ... ok\n ... ok\ntest_d ... ERROR\ntest_e ... ok \n";
        let found = [
            ("test_a (__main__.Case)", Word::Passed),
            ("test_b (__main__.Case)", Word::Failed),
            ("test_d", Word::Error),
        ];
        assert_eq!(read(&Reading::Slugify, log), named(&found));
        let log = "test_a (tornado.A) ... ok\ntest_b (tornado.A) ... skipped 'why'\ntest_c (tornado.A) ... ok\nFAIL: test_c (tornado.A) [x]\nERROR: test_d (tornado.A)\ntest_e ... FAIL\n";
        let found = [
            ("test_a (tornado.A)", Word::Passed),
            ("test_b (tornado.A)", Word::Skipped),
            ("test_c (tornado.A)", Word::Failed),
            ("test_d (tornado.A)", Word::Failed),
        ];
        assert_eq!(read(&Reading::Tornado, log), named(&found));
    }

    #[test]
    fn others_are_read_as_their_runners_print() {
        let go = LogParser::named("parse_log_gotest", "").unwrap();
        let found = read(&Reading::Harness(go), "--- PASS: TestA (0.00s)\n--- FAIL: TestB (0.00s)\n");
        assert_eq!(found, named(&[("TestA", Word::Passed), ("TestB", Word::Failed)]));
        let found = read(&Reading::Format(LogFormat::Tap), "ok 1 - a\nnot ok 2 - b\n1..2\n");
        assert_eq!(found, named(&[("a", Word::Passed), ("b", Word::Failed)]));
    }
}
