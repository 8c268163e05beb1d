//! Why there is no judgement.

/// Why an instance cannot be judged as SWE-bench does.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RulesError {
    /// A field of the row is missing or does not fit.
    #[error(
        "{id}: {reason}; rows of the data sets as SWE-bench's harness 5 takes them have it (SWE-bench/SWE-bench_Verified)"
    )]
    Field {
        /// The instance.
        id: String,
        /// Which field, and what is wrong with it.
        reason: String,
    },
    /// A parser that this crate does not have, or nobody has.
    #[error(
        "{name:?} is no log parser that is known here; those of SWE-bench's sets are, but for doctest, lighthouse, next, p5js, prismjs and quarto_cli: judge these with the harness itself"
    )]
    Parser {
        /// Its name.
        name: String,
    },
    /// A repository without a parser.
    #[error(
        "no log parser is known for the repository {repository:?}; name one in the row's `log_parser`, such as parse_log_pytest"
    )]
    Repository {
        /// `owner/name`.
        repository: String,
    },
}

/// Why a log cannot be judged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// More text than is read.
    #[error("the log has more than {limit} bytes; run fewer tests at once, or let them print less")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// A line at which the harness's parser breaks, so that it judges nothing.
    #[error(
        "SWE-bench's parser breaks at line {line} of the log, {text:?}, and its harness counts the instance as an error"
    )]
    Breaks {
        /// The line, counted from 1 where the tests' output begins.
        line: usize,
        /// What it says, shortened.
        text: String,
    },
    /// A pattern of this crate is wrong.
    #[error("a pattern for logs is wrong: {0}")]
    Pattern(#[from] ::regex::Error),
}
