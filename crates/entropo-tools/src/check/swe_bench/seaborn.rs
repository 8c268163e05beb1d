//! What pytest prints for seaborn. Errors and skipped tests are not noted, so that they are missing.

use super::python::words;
use super::{Statuses, Word};

/// Reads a log.
pub(super) fn parse(log: &str) -> Statuses {
    let mut found = Statuses::default();
    for line in log.split('\n') {
        let mut words = words(line);
        let (Some(first), Some(second)) = (words.next(), words.next()) else { continue };
        if line.starts_with("FAILED") {
            found.set(second, Word::Failed);
        } else if line.contains(" PASSED ") {
            if second == "PASSED" {
                found.set(first, Word::Passed);
            }
        } else if line.starts_with("PASSED") {
            found.set(second, Word::Passed);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_is_before_or_behind() {
        let found = parse("FAILED a - x\nb PASSED [ 1%]\nPASSED c\nERROR d\ne PASSED\n");
        assert_eq!(found.iter().collect::<Vec<_>>(), [("a", Word::Failed), ("b", Word::Passed), ("c", Word::Passed)]);
    }
}
