//! Texts as Python takes them apart, where that is not as Rust does.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use ::regex::Regex;

/// The patterns that were compiled before. They are those of the parsers and no log adds one, so they stay few; to compile them
/// for each log took longer than to read most logs.
static COMPILED: LazyLock<Mutex<HashMap<String, Regex>>> = LazyLock::new(Mutex::default);

/// Python counts the four separators of ASCII as white space.
pub(super) fn is_space(letter: char) -> bool {
    letter.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&letter)
}

/// `str.split()`.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(is_space).filter(|word| !word.is_empty())
}

/// `str.strip()`.
pub(super) fn stripped(text: &str) -> &str {
    text.trim_matches(is_space)
}

/// The lines that a file has when Python opens it as text.
pub(super) fn newlines(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}

/// A pattern in which `\s` and `\S` mean what they mean to Python.
pub(super) fn pattern(text: &str) -> Result<Regex, ::regex::Error> {
    let mut compiled = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(pattern) = compiled.get(text) {
        return Ok(pattern.clone());
    }
    let pattern = Regex::new(&text.replace(r"\s", r"[\s\x1c-\x1f]").replace(r"\S", r"[^\s\x1c-\x1f]"))?;
    compiled.insert(text.to_owned(), pattern.clone());
    Ok(pattern)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_are_white_space() {
        assert_eq!(words("a\u{1c}b \u{a0}c\u{1f}").collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(stripped("\u{1d} a \n"), "a");
        assert!(pattern(r"^a\sb\S$").unwrap().is_match("a\u{1e}bc"));
        assert!(!pattern(r"^a\S$").unwrap().is_match("a\u{1e}"));
        assert_eq!(newlines("a\r\nb\rc\n\rd"), "a\nb\nc\n\nd");
    }
}
