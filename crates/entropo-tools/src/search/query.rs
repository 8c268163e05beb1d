//! Regular expressions that a model wrote.
//!
//! They run in linear time, so what is left to refuse are those that take too much memory: long ones, and short ones
//! that stand for long ones.

use grep_regex::{ErrorKind, RegexMatcher, RegexMatcherBuilder};
use regex_syntax::ParserBuilder;

/// Bytes of an expression at most.
const MAX_BYTES: usize = 4096;
/// Bytes of a compiled expression at most.
const MAX_COMPILED: usize = 10 << 20;
/// Bytes of what is kept of the automaton while it runs, for each thread.
const MAX_CACHE: usize = 32 << 20;
/// Depth of nested groups and classes at most.
const MAX_DEPTH: u32 = 250;

/// How an expression is to be read.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Reading {
    pub(super) literal: bool,
    pub(super) ignore_case: bool,
}

/// Why an expression was refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum QueryError {
    #[error("must be one line and not empty")]
    NotOneLine,
    #[error("is longer than {MAX_BYTES} bytes")]
    TooLong,
    #[error("is too large: compiled it takes more than {MAX_COMPILED} bytes. Repeat less")]
    TooLarge,
    #[error("is nested more than {MAX_DEPTH} deep")]
    TooDeep,
    #[error("is not a regular expression: {0}")]
    Syntax(String),
    #[error("cannot match within one line: {0}")]
    Lines(String),
}

/// The matcher of `query`.
pub(super) fn compile(query: &str, reading: Reading) -> Result<RegexMatcher, QueryError> {
    if query.is_empty() || query.contains('\n') {
        return Err(QueryError::NotOneLine);
    }
    if query.len() > MAX_BYTES {
        return Err(QueryError::TooLong);
    }
    let mut builder = RegexMatcherBuilder::new();
    builder
        .line_terminator(Some(b'\n'))
        .size_limit(MAX_COMPILED)
        .dfa_size_limit(MAX_CACHE)
        .nest_limit(MAX_DEPTH)
        .fixed_strings(reading.literal)
        .case_insensitive(reading.ignore_case);
    builder.build(query).map_err(|error| match error.kind() {
        // Of an expression that can be read, only the size is left to fail.
        ErrorKind::Regex(_) => fault(query).unwrap_or(QueryError::TooLarge),
        _ => QueryError::Lines(error.to_string()),
    })
}

/// As [`compile`], but what cannot be read as an expression is looked for as it stands.
pub(super) fn compile_leniently(query: &str) -> Result<RegexMatcher, QueryError> {
    compile(query, Reading::default()).or_else(|error| match error {
        QueryError::Syntax(_) | QueryError::Lines(_) => compile(query, Reading { literal: true, ..Reading::default() }),
        error => Err(error),
    })
}

fn fault(query: &str) -> Option<QueryError> {
    use regex_syntax::{Error, ast};

    match ParserBuilder::new().utf8(false).nest_limit(MAX_DEPTH).build().parse(query).err()? {
        Error::Parse(error) if matches!(error.kind(), ast::ErrorKind::NestLimitExceeded(_)) => {
            Some(QueryError::TooDeep)
        }
        Error::Parse(error) => Some(QueryError::Syntax(error.kind().to_string())),
        Error::Translate(error) => Some(QueryError::Syntax(error.kind().to_string())),
        error => Some(QueryError::Syntax(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_takes_too_much_is_refused_and_said() {
        let nested = |depth: usize| format!("{}a{}", "(".repeat(depth), ")".repeat(depth));
        for (query, expected) in [
            (String::new(), QueryError::NotOneLine),
            ("a\nb".to_owned(), QueryError::NotOneLine),
            ("a".repeat(5000), QueryError::TooLong),
            (nested(50_000), QueryError::TooLong),
            (nested(1000), QueryError::TooDeep),
            ("((a{1000}){1000}){1000}".to_owned(), QueryError::TooLarge),
            (r"(\w{100}){100}".to_owned(), QueryError::TooLarge),
        ] {
            assert_eq!(compile(&query, Reading::default()).unwrap_err(), expected);
            assert_eq!(compile_leniently(&query).unwrap_err(), expected);
        }
        assert!(compile(&nested(200), Reading::default()).is_ok());
        assert!(compile(r"(a+)+b", Reading::default()).is_ok());
    }

    #[test]
    fn what_cannot_be_read_is_literal_only_where_that_is_asked_for() {
        for (query, said) in [
            ("f(", "is not a regular expression: unclosed group"),
            ("[a", "is not a regular expression: unclosed character class"),
            (r"\pX", "is not a regular expression: Unicode property not found"),
            (r"a\nb", r#"cannot match within one line: the literal "\n" is not allowed in a regex"#),
        ] {
            assert_eq!(compile(query, Reading::default()).unwrap_err().to_string(), said, "{query}");
            assert!(compile_leniently(query).is_ok(), "{query}");
            assert!(compile(query, Reading { literal: true, ignore_case: true }).is_ok(), "{query}");
        }
    }

    proptest! {
        #[test]
        fn no_query_panics(query in r"(\PC|[\[\](){}*+?|^$.\\\-bdwsSpPux0-9,<>:!=&~#]){0,40}") {
            let _ = compile(&query, Reading::default());
            let _ = compile(&query, Reading { literal: true, ignore_case: true });
            let _ = compile_leniently(&query);
        }
    }
}
