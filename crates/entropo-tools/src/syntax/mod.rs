//! What can be said about a program's text without running it: its definitions, and where it does not parse.
//!
//! tree-sitter reads ten languages here. It reads on after an error, so that a file that was broken before an edit can
//! still be compared with what it is after: [`introduced`] says which errors are new.
//!
//! A text that is too large or takes too long to parse is one of which nothing is known; no error is invented.

mod check;
mod definition;
mod error;
mod language;
mod parse;
mod rules;

pub use check::SyntaxCheck;
pub use definition::Definition;
pub use error::{SyntaxError, errors, introduced};
pub use language::Language;
use parse::parse;
pub use parse::{Limits, ParseError};

/// The definitions of `text`, in its order.
///
/// # Errors
///
/// Where it asks for more than the limits allow.
pub fn definitions(language: Language, text: &str, limits: Limits) -> Result<Vec<Definition>, ParseError> {
    Ok(definition::collect(language, &parse(language, text, limits)?, text))
}
