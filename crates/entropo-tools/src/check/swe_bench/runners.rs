//! Runners of JavaScript that tell of files, or of failures only.

use super::python::{pattern, stripped};
use super::{LogError, Statuses, Word};

const WORDS: [(&str, Word); 2] = [("PASS", Word::Passed), ("FAIL", Word::Failed)];

/// Jest's line for each file. What follows the last duration in brackets is none of the name.
pub(super) fn files(log: &str) -> Result<Statuses, LogError> {
    let durations = [r"\s\([\d\.]+ms\)", r"\s\([\d\.]+\ss\)", r"\s\([\d\.]+s\)", ""];
    let line = |word: &str| durations.map(|duration| pattern(&format!(r"^{word}\s(.*){duration}")));
    let mut found = Statuses::default();
    let mut shapes = Vec::new();
    for (word, status) in WORDS {
        for shape in line(word) {
            shapes.push((shape?, status));
        }
    }
    for line in log.split('\n') {
        let file = shapes.iter().find_map(|(shape, word)| Some((shape.captures(line)?.get(1)?, *word)));
        if let Some((file, word)) = file {
            found.set(file.as_str(), word);
        }
    }
    Ok(found)
}

/// The same without durations; a file that passes once has passed.
pub(super) fn grommet(log: &str) -> Result<Statuses, LogError> {
    let duration = pattern(r"\s\([\d\.]+\s?(?:ms|s)\)$")?;
    let mut found = Statuses::default();
    for (word, status) in WORDS.into_iter().rev() {
        for file in pattern(&format!(r"(?m)^{word}\s(.*)"))?.captures_iter(log).filter_map(|line| line.get(1)) {
            found.set(duration.replace_all(stripped(file.as_str()), ""), status);
        }
    }
    Ok(found)
}

/// marked's failures.
pub(super) fn marked(log: &str) -> Result<Statuses, LogError> {
    let failure = pattern(r"^\d+\)\s(.*)")?;
    let mut found = Statuses::default();
    for test in log.split('\n').filter_map(|line| failure.captures(line)?.get(1)) {
        found.set(stripped(test.as_str()), Word::Failed);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_failures_are_read() {
        let found = files("PASS src/a.js (5.1 s)\nFAIL src/b.js (12ms) x\nPASS src/c.js\n").unwrap();
        let expected = [("src/a.js", Word::Passed), ("src/b.js", Word::Failed), ("src/c.js", Word::Passed)];
        assert_eq!(found.iter().collect::<Vec<_>>(), expected);
        let found = grommet("PASS a.js (1.2 s)\nFAIL a.js\nFAIL b.js\n").unwrap();
        assert_eq!(found.iter().collect::<Vec<_>>(), [("a.js", Word::Passed), ("b.js", Word::Failed)]);
        assert_eq!(marked("1) adds \n 2) no\n").unwrap().iter().collect::<Vec<_>>(), [("adds", Word::Failed)]);
    }
}
