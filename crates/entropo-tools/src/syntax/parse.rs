//! Parsing within limits.
//!
//! The parser asks from time to time whether to go on, but where things are nested deeply and not closed, it can take
//! seconds and gigabytes between two questions (`a<a<a<` in Java does). So what is nested deeper than anybody writes is
//! not handed to it.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use tree_sitter::{ParseOptions, ParseState, Parser, Point, Tree};

use super::Language;

/// How much a text may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the text.
    pub bytes: usize,
    /// Brackets that are open at once.
    pub depth: usize,
    /// Time to parse it.
    pub time: Duration,
}

impl Default for Limits {
    /// A mebibyte, 256 brackets and a second, which programs that people write do not come near.
    fn default() -> Self {
        Self { bytes: 1 << 20, depth: 256, time: Duration::from_secs(1) }
    }
}

/// Why a text was not parsed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// It is too large.
    #[error("{bytes} bytes are too many to parse; at most {limit} are")]
    TooLarge {
        /// Bytes of the text.
        bytes: usize,
        /// Bytes at most.
        limit: usize,
    },
    /// It is nested too deeply.
    #[error("more than {0} brackets are open at once, which is too deep to parse")]
    TooDeep(usize),
    /// It took too long.
    #[error("parsing took longer than {0:?}")]
    TooSlow(Duration),
    /// The grammar is not one for this version of the parser.
    #[error("the grammar cannot be used: {0}")]
    Grammar(String),
}

/// The tree of `text`, which has errors in it where the text has.
pub(super) fn parse(language: Language, text: &str, limits: Limits) -> Result<Tree, ParseError> {
    if text.len() > limits.bytes {
        return Err(ParseError::TooLarge { bytes: text.len(), limit: limits.bytes });
    }
    if is_deep(text, limits.depth) {
        return Err(ParseError::TooDeep(limits.depth));
    }
    let mut parser = Parser::new();
    parser.set_language(&language.grammar()).map_err(|error| ParseError::Grammar(error.to_string()))?;
    let start = Instant::now();
    let mut in_time = |_: &ParseState| {
        if start.elapsed() < limits.time { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    };
    let options = ParseOptions::new().progress_callback(&mut in_time);
    let bytes = text.as_bytes();
    let mut from = |offset: usize, _: Point| bytes.get(offset..).unwrap_or_default();
    parser.parse_with_options(&mut from, None, Some(options)).ok_or(ParseError::TooSlow(limits.time))
}

/// Whether more than so many brackets are open somewhere, strings and comments taken for code. `<` is a bracket only
/// within a statement, since it also compares.
fn is_deep(text: &str, limit: usize) -> bool {
    let (mut open, mut angles) = (0_usize, 0_usize);
    for byte in text.bytes() {
        match byte {
            b'(' | b'[' | b'{' => open += 1,
            b')' | b']' | b'}' => open = open.saturating_sub(1),
            b'<' => angles += 1,
            b'>' => angles = angles.saturating_sub(1),
            _ => {}
        }
        if let b'{' | b'}' | b';' = byte {
            angles = 0;
        }
        if open > limit || angles > limit {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_grammar_fits_the_parser() {
        for language in Language::ALL {
            let tree = parse(language, "", Limits::default()).unwrap();
            assert!(!tree.root_node().has_error(), "{language:?}");
        }
    }

    #[test]
    fn limits_hold() {
        let few = Limits { bytes: 3, ..Limits::default() };
        let said = parse(Language::C, "int x;", few).unwrap_err().to_string();
        assert_eq!(said, "6 bytes are too many to parse; at most 3 are");
        let shallow = Limits { depth: 3, ..Limits::default() };
        assert!(parse(Language::C, "f(f(f(1))); f(f(f(1))); a < b; a < b; a < b; a < b;", shallow).is_ok());
        for text in ["f(f(f(f(1))));", "([{(", "a<a<a<a<a"] {
            let said = parse(Language::C, text, shallow).unwrap_err().to_string();
            assert_eq!(said, "more than 3 brackets are open at once, which is too deep to parse");
        }
        let brief = Limits { time: Duration::ZERO, ..Limits::default() };
        let text = "fn f() { g(1 + 2); }\n".repeat(10_000);
        assert_eq!(parse(Language::Rust, &text, brief).unwrap_err(), ParseError::TooSlow(Duration::ZERO));
        assert!(parse(Language::Rust, &text, Limits::default()).is_ok());
    }
}
