//! What Karma's spec reporter prints: suites, and in them tests, by indentation.

use super::python::pattern;
use super::{LogError, Statuses, Word};

/// Reads a log from where a browser starts to the summary.
pub(super) fn parse(log: &str) -> Result<Statuses, LogError> {
    let shape = pattern(r"^(\s*)?([✔✖])?\s(.*)$")?;
    let (mut found, mut suites, mut depth, mut started) = (Statuses::default(), Vec::new(), None, false);
    for (number, line) in log.split('\n').enumerate() {
        if line.starts_with("SUMMARY:") {
            break;
        }
        if line.contains("Starting browser") {
            started = true;
            continue;
        }
        let Some(groups) = shape.captures(line).filter(|_| started) else { continue };
        let name = groups.get(3).map_or("", |name| name.as_str());
        let indent = groups.get(1).map_or(0, |indent| indent.as_str().chars().count());
        match groups.get(2).map(|mark| mark.as_str()) {
            Some(mark) => {
                let test = suites.iter().copied().chain([name]).collect::<Vec<_>>().join(" > ");
                found.set(test, if mark == "✔" { Word::Passed } else { Word::Failed });
            }
            None if indent == 0 => {}
            None if depth.is_none_or(|depth| indent > depth) => {
                depth = Some(indent);
                suites.push(name);
            }
            None if depth.is_some_and(|depth| indent < depth) => {
                depth = Some(indent);
                let text = || line.chars().take(80).collect();
                suites.pop().ok_or_else(|| LogError::Breaks { line: number + 1, text: text() })?;
            }
            None => {}
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_named_with_their_suites() {
        let log = "  early\nStarting browser Chrome\n  suite\n    inner\n      ✔ a\n      ✖ b\nSUMMARY:\n      ✔ c\n";
        let found = parse(log).unwrap();
        let expected = [("suite > inner > a", Word::Passed), ("suite > inner > b", Word::Failed)];
        assert_eq!(found.iter().collect::<Vec<_>>(), expected);
    }
}
