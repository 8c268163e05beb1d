//! What pytest prints of each test, in its summary (`-rA`) or as it goes along.

use super::python::{pattern, words};
use super::{LogError, Statuses, Word};

/// What becomes of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Names {
    /// Nothing.
    Whole,
    /// A parameter that is an absolute path loses its directories, which differ from machine to machine.
    WithoutDirectories,
    /// What matplotlib's parameters were once called.
    WithNumberedButtons,
}

/// Reads lines that begin with a status, up to the first space in the name.
pub(super) fn summary(log: &str, names: Names) -> Statuses {
    let mut found = Statuses::default();
    for line in log.split('\n') {
        let buttons = names == Names::WithNumberedButtons && line.contains("MouseButton.");
        let numbered = buttons.then(|| line.replace("MouseButton.LEFT", "1").replace("MouseButton.RIGHT", "3"));
        let line = numbered.as_deref().unwrap_or(line);
        if !Word::begins(line) {
            continue;
        }
        // A reason that follows at once is not part of the name.
        let apart = line.starts_with("FAILED").then(|| line.replace(" - ", " "));
        let mut words = words(apart.as_deref().unwrap_or(line));
        let (Some(word), Some(name)) = (words.next(), words.next()) else { continue };
        if is_count(word, name) {
            continue;
        }
        match names {
            Names::WithoutDirectories => found.set(without_directories(name), Word::of(word)),
            Names::Whole | Names::WithNumberedButtons => found.set(name, Word::of(word)),
        }
    }
    found
}

/// Reads lines that begin with a status, to their end, and others that end with one. Colours are taken out.
pub(super) fn lines(log: &str) -> Result<Statuses, LogError> {
    let colour = pattern(r"\[\d+m")?;
    let mut found = Statuses::default();
    for line in log.split('\n') {
        let line = colour.replace_all(line, "");
        let line: String = line.chars().filter(|letter| !('\u{1}'..='\u{1f}').contains(letter)).collect();
        if Word::begins(&line) {
            let line = if line.starts_with("FAILED") { line.split(" - ").next().unwrap_or_default() } else { &line };
            let all: Vec<&str> = words(line).collect();
            if let [word, name @ ..] = all.as_slice()
                && let Some(first) = name.first()
                && !is_count(word, first)
            {
                found.set(name.join(" "), Word::of(word));
            }
        } else if Word::ends(&line) {
            let all: Vec<&str> = words(&line).collect();
            if let [name @ .., word] = all.as_slice()
                && !name.is_empty()
            {
                found.set(name.join(" "), Word::of(word));
            }
        }
    }
    Ok(found)
}

/// `SKIPPED [2] tests/a.py:3: why` tells how many, and not which.
fn is_count(word: &str, name: &str) -> bool {
    let digits = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    word == "SKIPPED" && digits.is_some_and(|digits| !digits.is_empty() && digits.chars().all(char::is_numeric))
}

/// `test_a[/home/me/x.py]` as `test_a[/x.py]`: what is between the first bracket and the last closing one is the parameter.
fn without_directories(name: &str) -> String {
    let parameter = name.split_once('[').and_then(|(test, rest)| Some((test, rest.rsplit_once(']')?.0)));
    match parameter {
        Some((test, parameter))
            if parameter.starts_with('/') && !parameter.starts_with("//") && !parameter.contains('*') =>
        {
            format!("{test}[/{}]", parameter.rsplit('/').next().unwrap_or_default())
        }
        // What follows the parameter is lost there, too.
        Some((test, parameter)) => format!("{test}[{parameter}]"),
        None => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(found: &Statuses) -> Vec<(&str, Word)> {
        found.iter().collect()
    }

    #[test]
    fn names_end_at_the_first_space() {
        let found =
            summary("PASSED t[a b]\nFAILED u - why - so\nSKIPPED [2] a.py:3: no\nXPASS v\nERROR\n", Names::Whole);
        assert_eq!(read(&found), [("t[a", Word::Passed), ("u", Word::Failed)]);
    }

    #[test]
    fn the_later_parser_reads_whole_names_and_both_ends() {
        let log = "\u{1b}[32mPASSED\u{1b}[0m t[a b]\nt.py::c PASSED\nFAILED t.py::d x - why\nSKIPPED [1] t.py: no\n";
        let found = lines(log).unwrap();
        assert_eq!(read(&found), [("t[a b]", Word::Passed), ("t.py::c", Word::Passed), ("t.py::d x", Word::Failed)]);
    }

    #[test]
    fn paths_lose_their_directories_and_buttons_their_names() {
        for (name, read) in [
            ("t[/a/b.py]", "t[/b.py]"),
            ("t[//a/b.py]", "t[//a/b.py]"),
            ("t[/a/*.py]", "t[/a/*.py]"),
            ("t[a]b]c", "t[a]b]"),
            ("t", "t"),
        ] {
            assert_eq!(without_directories(name), read);
        }
        let found = summary("PASSED t[MouseButton.LEFT-MouseButton.RIGHT]", Names::WithNumberedButtons);
        assert_eq!(read(&found), [("t[1-3]", Word::Passed)]);
    }
}
