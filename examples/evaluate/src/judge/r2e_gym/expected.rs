//! How a row's hidden tests should end, and how a log says that they did.
//!
//! Both are maps from names of tests to pytest's words. R2E-Gym asks for the very map: a test that is missing, one that ends
//! otherwise, and one that nobody expects are all the same to it.

use std::collections::{BTreeMap, BTreeSet};

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

const PASSED: &str = "PASSED";

/// Names of tests, and the word for how each ended. A name can be empty: what cannot be loaded has none.
type Endings = BTreeMap<String, String>;

/// How tests end, by their names as they are compared.
#[derive(Debug)]
struct Named {
    endings: Endings,
    /// Those of which several words are told.
    mixed: BTreeSet<String>,
}

impl Named {
    /// Of names as they are told, each with its word. Of a name that is told twice the last word counts, and then names end
    /// where a reason begins: of those that become one, the last in their order counts.
    fn of(told: Vec<(String, String)>) -> Self {
        let mut words: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (name, word) in &told {
            words.entry(before_reason(name).to_owned()).or_default().insert(word.clone());
        }
        let mixed = words.into_iter().filter(|(_, words)| words.len() > 1).map(|(name, _)| name).collect();
        let endings: Endings = told.into_iter().collect();
        let endings = endings.into_iter().map(|(name, word)| (before_reason(&name).to_owned(), word)).collect();
        Self { endings, mixed }
    }
}

/// How a row's hidden tests should end.
#[derive(Debug)]
pub(super) struct Expected(Named);

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
        let mut told = Vec::new();
        for (name, word) in tests {
            let word = word.as_str().ok_or_else(|| field(&format!("has no word for {name:?}")))?;
            told.push((plain(&name), word.to_owned()));
        }
        let named = Named::of(told);
        if named.endings.keys().all(String::is_empty) {
            return Err(field("names no test, and nothing can be judged by it"));
        }
        Ok(Self(named))
    }

    /// In what a log differs, in words; in nothing if the instance is solved.
    pub(super) fn differences(&self, Found(found): &Found) -> Vec<String> {
        let named = |endings: &Endings| -> Vec<(String, String)> {
            endings.clone().into_iter().filter(|(name, _)| !name.is_empty()).collect()
        };
        let mut differences = Vec::new();
        for (name, word) in named(&self.0.endings) {
            match found.endings.get(&name) {
                // What failed is not passed because a later line says so. pytest tells of what passed first.
                Some(_) if word == PASSED && found.mixed.contains(&name) && !self.0.mixed.contains(&name) => {
                    differences.push(format!("{name}: {PASSED} and another word, not {word} alone"));
                }
                Some(found) if *found == word => {}
                Some(found) => differences.push(format!("{name}: {found}, not {word}")),
                None => differences.push(format!("{name}: missing, not {word}")),
            }
        }
        let more = named(&found.endings).into_iter().filter(|(name, _)| !self.0.endings.contains_key(name));
        differences.extend(more.map(|(name, word)| format!("{name}: {word}, and not expected")));
        // They count as an entry, and nobody looks how they ended.
        match (self.0.endings.contains_key(""), found.endings.contains_key("")) {
            (false, true) => {
                differences.push("a line that names no test, such as of a file that cannot be loaded".into())
            }
            (true, false) => differences.push("no line that names no test, and one is expected".into()),
            _ => {}
        }
        differences
    }
}

/// How tests ended.
#[derive(Debug)]
pub(super) struct Found(Named);

impl Found {
    /// As pytest's summary tells it at the end of a log. A log with two summaries has one that the tests printed, and is not
    /// read.
    pub(super) fn of(log: &str) -> Result<Self, String> {
        let log = plain(log);
        let mut parts = log.split(SUMMARY).skip(1);
        let summary = parts.next().unwrap_or_default().trim();
        if parts.next().is_some() {
            return Err(format!("the log has more than one {SUMMARY:?}"));
        }
        let mut told = Vec::new();
        for line in summary.split('\n') {
            let name = line.split("::").skip(1).collect::<Vec<_>>().join(".");
            // In this order: a line that has two of them is of the first.
            match [PASSED, "FAILED", "ERROR"].into_iter().find(|word| line.contains(word)) {
                Some(PASSED) => told.push((name, PASSED.to_owned())),
                Some(word) => told.push((before_reason(&name).to_owned(), word.to_owned())),
                None => {}
            }
        }
        Ok(Self(Named::of(told)))
    }

    /// Whether any test did not pass.
    pub(super) fn any_failed(&self) -> bool {
        !self.0.mixed.is_empty() || self.0.endings.values().any(|word| word != PASSED)
    }
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
        Expected::of(&row(expected)).unwrap().differences(&Found::of(&log).unwrap())
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
        // Names that become one: the later in order counts, if they are expected to.
        let both = r#"{"a": "FAILED", "a - so": "PASSED"}"#;
        assert_eq!(differences(both, "PASSED x.py::a - so\nFAILED x.py::a"), NONE);
        assert_eq!(differences(both, "FAILED x.py::a").len(), 1);
    }

    #[test]
    fn a_test_that_failed_is_not_passed_by_another_line() {
        for lines in [
            "FAILED x.py::a\nPASSED x.py::a",
            "PASSED x.py::a\nERROR x.py::a - why",
            "FAILED x.py::a\nPASSED x.py::a - so",
        ] {
            let told = ["a: PASSED and another word, not PASSED alone"];
            assert_eq!(differences(r#"{"a": "PASSED"}"#, lines), told, "{lines}");
        }
        // One that passes and breaks in its clean-up, or fails and does, is told so.
        assert_eq!(differences(r#"{"a": "ERROR"}"#, "PASSED x.py::a\nERROR x.py::a"), NONE);
        assert_eq!(differences(r#"{"a": "FAILED"}"#, "ERROR x.py::a\nFAILED x.py::a"), NONE);
    }

    #[test]
    fn what_did_not_pass_is_known() {
        let any = |lines: &str| Found::of(&format!("{SUMMARY}\n{lines}")).unwrap().any_failed();
        for lines in ["FAILED x.py::a", "ERROR x.py - SyntaxError", "FAILED x.py::a\nPASSED x.py::a"] {
            assert!(any(lines), "{lines}");
        }
        assert!(!any("") && !any("PASSED x.py::a\n=== 1 passed ==="));
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
            assert_eq!(expected.differences(&Found::of(log).unwrap()), ["a: missing, not PASSED"], "{log:?}");
        }
        let twice = format!("{SUMMARY}\nPASSED x.py::a\n{SUMMARY}\nFAILED x.py::a\n");
        assert!(Found::of(&twice).unwrap_err().contains("more than one"));
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
