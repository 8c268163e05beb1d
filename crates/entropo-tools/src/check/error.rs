//! Why a log could not be read.

/// Why a log could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// More text or names than are read.
    #[error("the log's {what} exceed {limit} bytes; run fewer tests at once, or let them print less")]
    TooLarge {
        /// What was too large.
        what: &'static str,
        /// The limit in bytes.
        limit: usize,
    },
    /// Tests within tests within tests.
    #[error("line {line} of the log is nested deeper than {limit} levels; no test runner does that by itself")]
    TooDeep {
        /// The line, counted from 1.
        line: usize,
        /// The limit.
        limit: usize,
    },
    /// XML that is none.
    #[error("the log is no well-formed XML at byte {position}: {source}; give the report alone, without other output")]
    Xml {
        /// Where, counted from where the XML begins.
        position: u64,
        /// What is wrong there.
        source: quick_xml::Error,
    },
    /// JSON that is none.
    #[error("the log holds no whole JSON report: {0}; give the report alone, without other output")]
    Json(#[source] serde_json::Error),
    /// A status that the pattern found and nobody explained.
    #[error(
        "the pattern found the status `{word}` of test `{test}`, which has no meaning; add it to the format's words"
    )]
    Word {
        /// What was found.
        word: String,
        /// For which test.
        test: String,
    },
}
