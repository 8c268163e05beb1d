//! Parsing within limits.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use tree_sitter::{ParseOptions, ParseState, Parser, Point, Tree};

use super::Language;

/// How much a text may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the text.
    pub bytes: usize,
    /// Time to parse it.
    pub time: Duration,
}

impl Default for Limits {
    /// A mebibyte, and two seconds, which no text of that size that people write comes near.
    fn default() -> Self {
        Self { bytes: 1 << 20, time: Duration::from_secs(2) }
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
        let brief = Limits { time: Duration::ZERO, ..Limits::default() };
        let text = "fn f() { g(1 + 2); }\n".repeat(10_000);
        assert_eq!(parse(Language::Rust, &text, brief).unwrap_err(), ParseError::TooSlow(Duration::ZERO));
        assert!(parse(Language::Rust, &text, Limits::default()).is_ok());
    }
}
