//! Runners of JavaScript that print suites and in them tests.

use super::python::{is_space, pattern, stripped};
use super::{LogError, Statuses, Word};

/// highlight.js, by Mocha: the last line that is indented and no test is the suite.
pub(super) fn highlight_js(log: &str) -> Result<Statuses, LogError> {
    let (summary, time, number) = (pattern(r"\n[ \t]*\d+ passing")?, pattern(r"\(\d+ms\)")?, pattern(r"^\d+\)")?);
    let log = summary.split(log).next().unwrap_or_default();
    let (mut found, mut suite) = (Statuses::default(), None);
    for line in log.split('\n') {
        let bare = stripped(line);
        let mark = ['✓', '✔'].into_iter().find(|mark| bare.starts_with(*mark));
        let (rest, word) = match mark {
            Some(mark) => (line.split_once(mark).map(|(_, rest)| rest), Word::Passed),
            None if number.is_match(bare) => (line.split_once(')').map(|(_, rest)| rest), Word::Failed),
            None => {
                if line.starts_with("  ") {
                    suite = Some(bare);
                }
                continue;
            }
        };
        let name = time.replace_all(rest.unwrap_or_default(), "");
        found.set(suite.into_iter().chain([stripped(&name)]).collect::<Vec<_>>().join("."), word);
    }
    Ok(found)
}

/// Calypso, by calls of Jest.
pub(super) fn calypso(log: &str) -> Result<Statuses, LogError> {
    let timed = pattern(r"\(\d+ms\)")?;
    let mut marks = Vec::new();
    for (mark, word) in [('✓', Word::Passed), ('✕', Word::Failed)] {
        let line = format!(r"^\s+{mark}\s(.*)");
        marks.push((mark, word, pattern(&format!(r"{line}\(\d+ms\)$"))?, pattern(&line)?));
    }
    let (mut found, mut suites) = (Statuses::default(), Vec::<(&str, usize)>::new());
    for call in log.split(" ./node_modules/.bin/jest ").skip(1) {
        for (number, line) in call.split('\n').enumerate() {
            if line.starts_with("Test Suites") || line.starts_with("  ● ") {
                break;
            }
            let bare = stripped(line);
            if let Some((_, word, with, without)) = marks.iter().find(|(mark, ..)| bare.starts_with(*mark)) {
                let shape = if timed.is_match(line) { with } else { without };
                let name = shape.captures(line).and_then(|groups| groups.get(1));
                let text = || line.chars().take(80).collect();
                let name = name.ok_or_else(|| LogError::Breaks { line: number + 1, text: text() })?.as_str();
                let above = suites.iter().map(|(suite, _)| *suite).collect::<Vec<_>>().join(" - ");
                found.set(stripped(&format!("{above} - {name}")), *word);
                continue;
            }
            let indent = line.chars().take_while(|letter| is_space(*letter)).count();
            if indent > 0 {
                while suites.last().is_some_and(|(_, above)| *above >= indent) {
                    suites.pop();
                }
                suites.push((bare, indent));
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_named_with_their_suites() {
        let found = highlight_js("  suite\n    ✓ adds (12ms)\n    1) takes\n\n  1 passing\n  1) other\n").unwrap();
        assert_eq!(found.iter().collect::<Vec<_>>(), [("suite.adds", Word::Passed), ("suite.takes", Word::Failed)]);
        let log = "+ ./node_modules/.bin/jest x\n  a\n    b\n      ✓ adds (5ms)\n    c\n      ✕ takes\nTest Suites: 1\n  ✓ no\n";
        let found = calypso(log).unwrap();
        let expected = [("a - b - adds", Word::Passed), ("a - c - takes", Word::Failed)];
        assert_eq!(found.iter().collect::<Vec<_>>(), expected);
        assert!(matches!(calypso(" ./node_modules/.bin/jest \n✓ adds"), Err(LogError::Breaks { .. })));
    }
}
