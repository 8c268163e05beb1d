//! What `phpunit --testdox` prints: classes, and below each its tests.

use super::python::pattern;
use super::{LogError, Statuses, Word};

/// Reads a log.
pub(super) fn parse(log: &str) -> Result<Statuses, LogError> {
    let (class, test) = (pattern(r"^(\w.+) \(.+\)$")?, pattern(r"^\s*([✔✘↩])\s*(.*)$")?);
    // What the harness calls a class that it did not see.
    let (mut found, mut suite) = (Statuses::default(), "None");
    for line in log.split('\n') {
        if let Some(class) = class.captures(line).and_then(|class| class.get(1)) {
            suite = class.as_str();
        } else if let Some(groups) = test.captures(line) {
            let [mark, name] = [1, 2].map(|group| groups.get(group).map_or("", |piece| piece.as_str()));
            let word = match mark {
                "✔" => Word::Passed,
                "✘" => Word::Failed,
                _ => Word::Skipped,
            };
            found.set(format!("{suite} > {name}"), word);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_named_with_their_class() {
        let found = parse(" ✔ Early\nShop (Tests\\Shop)\n ✘ Adds\n ↩ Takes away\n").unwrap();
        let expected =
            [("None > Early", Word::Passed), ("Shop > Adds", Word::Failed), ("Shop > Takes away", Word::Skipped)];
        assert_eq!(found.iter().collect::<Vec<_>>(), expected);
    }
}
