//! What sympy's own runner prints: a line for each test, and a heading for each that failed.

use super::python::{pattern, stripped, words};
use super::{LogError, Statuses, Word};

/// Reads a log. Names of headings have a file, those of lines have none.
pub(super) fn parse(log: &str) -> Result<Statuses, LogError> {
    let mut found = Statuses::default();
    for heading in pattern(r"(?:_*) (.*)\.py:(.*) (?:_*)")?.captures_iter(log) {
        let [file, test] = [1, 2].map(|group| heading.get(group).map_or("", |piece| piece.as_str()));
        found.set(format!("{file}.py:{test}"), Word::Failed);
    }
    for line in log.split('\n').map(stripped).filter(|line| line.starts_with("test_")) {
        let Some(test) = words(line).next() else { continue };
        for (end, word) in [(" E", Word::Error), (" F", Word::Failed), (" ok", Word::Passed)] {
            if line.ends_with(end) {
                found.set(test, word);
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_and_lines_are_read() {
        let log = "test_a ok\ntest_b F\ntest_c f\ntest_d E\n____ sympy/core/tests/test_x.py:test_b ____\n";
        let found = parse(log).unwrap();
        let expected = [
            ("sympy/core/tests/test_x.py:test_b", Word::Failed),
            ("test_a", Word::Passed),
            ("test_b", Word::Failed),
            ("test_d", Word::Error),
        ];
        assert_eq!(found.iter().collect::<Vec<_>>(), expected);
    }
}
