//! How a row's hidden tests should end, and how a log says that they did.
//!
//! Both are maps from names of tests to pytest's words. R2E-Gym asks for the very map: a test that is missing, one that ends
//! otherwise, and one that nobody expects are all the same to it.

use std::collections::BTreeMap;

use entropo_core::format::swe_bench::R2eGymInstance;
use serde_json::{Map, Value};

use crate::failure::Failure;

/// The repositories for which R2E-Gym has a parser. It is the same for all.
const REPOSITORIES: [&str; 11] = [
    "aiohttp",
    "coveragepy",
    "datalad",
    "numpy",
    "orange3",
    "pandas",
    "pillow",
    "pyramid",
    "scrapy",
    "sympy",
    "tornado",
];

/// What is before and after the list of tests in what pytest prints.
const SUMMARY: &str = "short test summary info";

/// Names of tests, and the word for how each ended. A name can be empty: what cannot be loaded has none.
type Endings = BTreeMap<String, String>;

/// How a row's hidden tests should end.
#[derive(Debug)]
pub(super) struct Expected(Endings);

impl Expected {
    /// Of a row. One that names no test is refused: a log of nothing at all would be what it asks for.
    pub(super) fn of(row: &R2eGymInstance) -> Result<Self, Failure> {
        let wrong = |reason: String| Failure::task(&row.docker_image, reason);
        if !REPOSITORIES.contains(&&*row.repo_name) {
            let known = REPOSITORIES.join(", ");
            return Err(wrong(format!("R2E-Gym has no log parser for {:?}; it has for {known}", row.repo_name)));
        }
        let missing = || wrong("the row has no `expected_output_json`, how its hidden tests should end".to_owned());
        let text = row.expected_output_json.as_deref().ok_or_else(missing)?;
        let field = |reason: &str| wrong(format!("`expected_output_json` {reason}"));
        let tests: Map<String, Value> =
            serde_json::from_str(text).map_err(|error| field(&format!("is no object: {error}")))?;
        let mut endings = Endings::new();
        for (name, word) in tests {
            let word = word.as_str().ok_or_else(|| field(&format!("has no word for {name:?}")))?;
            endings.insert(plain(&name), word.to_owned());
        }
        let endings = cut(endings);
        if endings.keys().all(String::is_empty) {
            return Err(field("names no test, and nothing can be judged by it"));
        }
        Ok(Self(endings))
    }

    /// In what a log differs, in words; in nothing if the instance is solved.
    pub(super) fn differences(&self, log: &str) -> Vec<String> {
        let found = read(log);
        let named = |endings: &Endings| -> Vec<(String, String)> {
            endings.clone().into_iter().filter(|(name, _)| !name.is_empty()).collect()
        };
        let mut differences = Vec::new();
        for (name, word) in named(&self.0) {
            match found.get(&name) {
                Some(found) if *found == word => {}
                Some(found) => differences.push(format!("{name}: {found}, not {word}")),
                None => differences.push(format!("{name}: missing, not {word}")),
            }
        }
        let more = named(&found).into_iter().filter(|(name, _)| !self.0.contains_key(name));
        differences.extend(more.map(|(name, word)| format!("{name}: {word}, and not expected")));
        // They count as an entry, and nobody looks how they ended.
        match (self.0.contains_key(""), found.contains_key("")) {
            (false, true) => {
                differences.push("a line that names no test, such as of a file that cannot be loaded".into())
            }
            (true, false) => differences.push("no line that names no test, and one is expected".into()),
            _ => {}
        }
        differences
    }
}

/// How tests ended, as pytest's summary tells it at the end of a log.
fn read(log: &str) -> Endings {
    let log = plain(log);
    let summary = log.split(SUMMARY).nth(1).unwrap_or_default().trim();
    let mut endings = Endings::new();
    for line in summary.split('\n') {
        let name = line.split("::").skip(1).collect::<Vec<_>>().join(".");
        // In this order: a line that has two of them is of the first.
        match ["PASSED", "FAILED", "ERROR"].into_iter().find(|word| line.contains(word)) {
            Some("PASSED") => endings.insert(name, "PASSED".to_owned()),
            Some(word) => endings.insert(before_reason(&name).to_owned(), word.to_owned()),
            None => None,
        };
    }
    cut(endings)
}

/// The same with names that end where a reason begins. Of names that become one the last in their order counts.
fn cut(endings: Endings) -> Endings {
    endings.into_iter().map(|(name, word)| (before_reason(&name).to_owned(), word)).collect()
}

fn before_reason(name: &str) -> &str {
    name.split(" - ").next().unwrap_or_default()
}

/// Without colours and carriage returns.
fn plain(text: &str) -> String {
    const ESCAPE: &str = "\u{1b}[";
    let text = text.replace('\r', "");
    let mut pieces = text.split(ESCAPE);
    let mut plain = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let after = piece.trim_start_matches(|letter: char| letter.is_ascii_digit() || letter == ';');
        match after.strip_prefix('m') {
            Some(rest) => plain += rest,
            None => plain.extend([ESCAPE, piece]),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn row(expected: &str) -> R2eGymInstance {
        let row = json!({"docker_image": "i", "repo_name": "sympy", "commit_hash": "0", "problem_statement": "",
            "expected_output_json": expected});
        serde_json::from_value(row).unwrap()
    }

    fn differences(expected: &str, lines: &str) -> Vec<String> {
        let log = format!("FAILED a.py::before\n=== {SUMMARY} ===\n{lines}\n==== 1 passed in 0.1s ====\n");
        Expected::of(&row(expected)).unwrap().differences(&log)
    }

    const NONE: [&str; 0] = [];

    #[test]
    fn the_very_map_is_asked_for() {
        let two = r#"{"test_a": "PASSED", "Case.test_b": "FAILED"}"#;
        let lines = "PASSED r2e_tests/test_1.py::test_a\nFAILED r2e_tests/test_1.py::Case::test_b - assert 1 == 2";
        assert_eq!(differences(two, lines), NONE);
        assert_eq!(
            differences(two, "PASSED x.py::test_a\nPASSED x.py::Case::test_b"),
            ["Case.test_b: PASSED, not FAILED"]
        );
        assert_eq!(differences(two, "FAILED x.py::Case::test_b"), ["test_a: missing, not PASSED"]);
        assert_eq!(differences(two, &format!("{lines}\nPASSED x.py::c")), ["c: PASSED, and not expected"]);
        // As many entries, and another name.
        let other = differences(two, "PASSED x.py::test_z\nFAILED x.py::Case::test_b");
        assert_eq!(other, ["test_a: missing, not PASSED", "test_z: PASSED, and not expected"]);
    }

    #[test]
    fn names_end_where_a_reason_begins_on_both_sides() {
        let lines = "PASSED x.py::a - so\nERROR x.py::b - why - so\nSKIPPED [1] x.py:3: c - no\nXFAIL x.py::d - no";
        assert_eq!(differences(r#"{"a - then": "PASSED", "b": "ERROR"}"#, lines), NONE);
        // Names that become one: the later in order counts.
        assert_eq!(differences(r#"{"a": "PASSED"}"#, "FAILED x.py::a\nPASSED x.py::a - so"), NONE);
        assert_eq!(differences(r#"{"a": "PASSED"}"#, "PASSED x.py::a - so\nFAILED x.py::a"), NONE);
    }

    #[test]
    fn colours_are_taken_out_on_both_sides() {
        let expected = r#"{"\u001b[1ma\u001b[0m": "PASSED", "b\u001b[x": "PASSED"}"#;
        let lines = "\u{1b}[32mPASSED\u{1b}[0m x.py::\u{1b}[1;31ma\u{1b}[m\r\nPASSED x.py::b\u{1b}[x";
        assert_eq!(differences(expected, lines), NONE);
    }

    #[test]
    fn a_line_goes_by_the_first_word_that_it_has() {
        let lines = "FAILED x.py::a[PASSED]\nERROR x.py::FAILED_b\nFAILED x.py::c - ERROR";
        assert_eq!(differences(r#"{"a[PASSED]": "PASSED", "FAILED_b": "FAILED", "c": "FAILED"}"#, lines), NONE);
    }

    #[test]
    fn what_names_no_test_counts_as_an_entry() {
        let one = r#"{"a": "PASSED"}"#;
        assert_eq!(differences(one, "PASSED x.py::a\nERROR x.py - SyntaxError").len(), 1);
        assert_eq!(differences(r#"{"a": "PASSED", "": "ERROR"}"#, "PASSED x.py::a\nFAILED x.py"), NONE);
        assert_eq!(differences(r#"{"a": "PASSED", "": "ERROR"}"#, "PASSED x.py::a").len(), 1);
        // By number alone it would do for the test that is missing.
        let missing = differences(r#"{"a": "PASSED", "b": "PASSED"}"#, "PASSED x.py::a\nERROR x.py");
        assert!(missing.contains(&"b: missing, not PASSED".to_owned()), "{missing:?}");
    }

    #[test]
    fn a_log_of_nothing_solves_nothing() {
        let expected = Expected::of(&row(r#"{"a": "PASSED"}"#)).unwrap();
        for log in ["", "PASSED x.py::a\n", SUMMARY, "no tests ran\n"] {
            assert_eq!(expected.differences(log), ["a: missing, not PASSED"], "{log:?}");
        }
        // Only what is up to a second summary counts.
        let twice = format!("{SUMMARY}\nFAILED x.py::a\n{SUMMARY}\nPASSED x.py::a\n");
        assert_eq!(expected.differences(&twice), ["a: FAILED, not PASSED"]);
    }

    #[test]
    fn rows_that_ask_for_nothing_are_refused() {
        for (expected, word) in [
            ("{}", "names no test"),
            (r#"{"": "ERROR"}"#, "names no test"),
            (r#"{" - ": "ERROR"}"#, "names no test"),
            ("[]", "is no object"),
            (r#"{"a": 1}"#, "no word for \"a\""),
        ] {
            let error = Expected::of(&row(expected)).unwrap_err().to_string();
            assert!(error.contains(word), "{expected}: {error}");
        }
        let without = R2eGymInstance { expected_output_json: None, ..row("{}") };
        assert!(Expected::of(&without).unwrap_err().to_string().contains("has no `expected_output_json`"));
        let other = R2eGymInstance { repo_name: "greeter".to_owned(), ..row(r#"{"a": "PASSED"}"#) };
        assert!(Expected::of(&other).unwrap_err().to_string().contains("no log parser for \"greeter\""));
    }
}
