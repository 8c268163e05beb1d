//! What Maven prints, where each test is run by a call of its own: the call, as the shell echoes it, and how it ended.

use std::collections::VecDeque;

use super::python::{pattern, stripped};
use super::{LogError, Statuses, Word};

/// Reads a log. Calls and ends are matched in order, as both may be late.
pub(super) fn parse(log: &str) -> Result<Statuses, LogError> {
    let (call, end) = (pattern(r"^.*-Dtest=(\S+).*$")?, pattern(r"^.*BUILD (SUCCESS|FAILURE)$")?);
    let (mut found, mut begun, mut early) = (Statuses::default(), VecDeque::new(), VecDeque::new());
    for line in log.split('\n').map(stripped) {
        if let Some(test) = call.captures(line).and_then(|call| call.get(1)) {
            begun.push_back(test.as_str());
        }
        if let Some(end) = end.captures(line).and_then(|end| end.get(1)) {
            let word = if end.as_str() == "SUCCESS" { Word::Passed } else { Word::Failed };
            match begun.pop_front() {
                Some(test) => found.set(test, word),
                None => early.push_back(word),
            }
        }
    }
    for (test, word) in begun.into_iter().zip(early) {
        found.set(test, word);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_and_ends_are_matched_in_order() {
        let log = "[INFO] BUILD FAILURE\n+ mvn test -Dtest=A#a\n+ mvn test -Dtest=A#b -q\n[INFO] BUILD SUCCESS\n";
        let found = parse(log).unwrap();
        assert_eq!(found.iter().collect::<Vec<_>>(), [("A#a", Word::Passed), ("A#b", Word::Failed)]);
    }
}
