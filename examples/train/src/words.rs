//! What programs say.

use std::error::Error;

/// An error with what it comes of, unless it says so itself.
pub fn with_sources(error: &dyn Error) -> String {
    let mut words = error.to_string();
    for source in std::iter::successors(error.source(), |error| (*error).source()) {
        let source = source.to_string();
        if !words.contains(&source) {
            words += &format!(": {source}");
        }
    }
    words
}
