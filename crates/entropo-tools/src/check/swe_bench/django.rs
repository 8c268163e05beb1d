//! What Django's runner prints. A test's output can come between its name and its result, in many ways.

use super::python::{pattern, stripped, words};
use super::{LogError, Statuses, Word};

/// A test that prints what looks like a result, over several lines.
const VERSION: &str = "--version is equivalent to version";

/// What a test that migrates prints before its name.
const MIGRATION: &str = "Applying sites.0002_alter_domain_unique...test_no_migrations";

/// Results that are torn from their tests by what is printed between them.
const TORN: [&str; 3] = [
    r"(?m)^(.*?)\s\.\.\.\sTesting against Django installed in (?:(?s:.*?)) silenced\)\.\nok$",
    r"(?m)^(.*?)\s\.\.\.\sInternal Server Error: /(?:.*)/\nok$",
    r"(?m)^(.*?)\s\.\.\.\sSystem check identified no issues \(0 silenced\)\nok$",
];

/// Reads a log.
pub(super) fn parse(log: &str) -> Result<Statuses, LogError> {
    let mut found = Statuses::default();
    let mut begun = None;
    for (number, line) in log.split('\n').map(stripped).enumerate() {
        if line.contains(VERSION) {
            found.set(VERSION, Word::Passed);
        }
        if let Some((test, _)) = line.split_once(" ... ") {
            begun = Some(test);
        }
        if let Some(end) = [" ... ok", " ... OK", " ...  OK"].into_iter().find(|end| line.ends_with(end)) {
            let whole = if line.starts_with(MIGRATION) {
                line.split_once("...").map_or(line, |(_, rest)| stripped(rest))
            } else {
                line
            };
            found.set(whole.rsplit_once(end).map_or(whole, |(test, _)| test), Word::Passed);
        }
        if let Some((test, _)) = line.split_once(" ... skipped") {
            found.set(test, Word::Skipped);
        }
        for (end, heading, word) in [(" ... FAIL", "FAIL:", Word::Failed), (" ... ERROR", "ERROR:", Word::Error)] {
            if line.ends_with(end)
                && let Some((test, _)) = line.split_once(end)
            {
                found.set(test, word);
            }
            if line.starts_with(heading) {
                let shortened = || line.chars().take(80).collect();
                let breaks = || LogError::Breaks { line: number + 1, text: shortened() };
                found.set(words(line).nth(1).ok_or_else(breaks)?, word);
            }
        }
        if line.starts_with("ok")
            && let Some(test) = begun
        {
            found.set(test, Word::Passed);
        }
    }
    for torn in TORN {
        for test in pattern(torn)?.captures_iter(log).filter_map(|torn| torn.get(1)) {
            found.set(test.as_str(), Word::Passed);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_found_wherever_they_stand() {
        let log = "\
test_a (x.A) ... ok
test_b (x.A) ... skipped 'no'
test_c (x.A) ... FAIL
test_d (x.A) ... printed
ok
FAIL: test_e (x.A)
test_f (x.A) ... System check identified no issues (0 silenced)
ok
";
        let found = parse(log).unwrap();
        let expected = [
            ("test_a (x.A)", Word::Passed),
            ("test_b (x.A)", Word::Skipped),
            ("test_c (x.A)", Word::Failed),
            ("test_d (x.A)", Word::Passed),
            ("test_e", Word::Failed),
            ("test_f (x.A)", Word::Passed),
        ];
        assert_eq!(found.iter().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_heading_without_a_name_breaks_it() {
        assert!(matches!(parse("a\nERROR:\n"), Err(LogError::Breaks { line: 2, .. })));
    }
}
