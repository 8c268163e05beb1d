//! What Gradle prints with a listener that tells of each test. A result can be torn from its test.

use super::python::{pattern, stripped};
use super::{LogError, Statuses, Word};

/// Reads a log.
pub(super) fn parse(log: &str) -> Result<Statuses, LogError> {
    let whole = pattern(r"^([^>].+)\s+(PASSED|FAILED)$")?;
    let name = pattern(r"^[^>]\S*\s+>\s+\S+$")?;
    let (mut found, mut begun) = (Statuses::default(), None);
    for line in log.split('\n').map(stripped) {
        if let Some(groups) = whole.captures(line) {
            let [test, word] = [1, 2].map(|group| groups.get(group).map_or("", |piece| piece.as_str()));
            found.set(test, Word::of(word));
            begun = None;
        } else if name.is_match(line) {
            begun = Some(line);
        } else if matches!(line, "PASSED" | "FAILED")
            && let Some(test) = begun.take()
        {
            found.set(test, Word::of(line));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_may_come_later() {
        let found = parse("a.B > c PASSED\na.B > d\nnoise\nFAILED\nPASSED\n> x PASSED\n").unwrap();
        assert_eq!(found.iter().collect::<Vec<_>>(), [("a.B > c", Word::Passed), ("a.B > d", Word::Failed)]);
    }
}
