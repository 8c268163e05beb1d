//! Texts that are never shown.

use std::fmt;

/// What stands in the place of a secret.
const REDACTED: &str = "[redacted]";
/// Shorter values are not looked for in texts: they would be found everywhere.
const MIN_BYTES: usize = 6;

/// A text that is never shown: it has no public accessor, and `Debug` and `Display` show a placeholder.
///
/// ```
/// use entropo_agent::model::http::Secret;
///
/// assert_eq!(format!("{0} {0:?}", Secret::new("sk-123456")), "[redacted] [redacted]");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// A secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text; only what sends it may see it.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// `text` without this secret in it.
    pub(crate) fn redact(&self, text: String) -> String {
        let secret = self.0.trim();
        if secret.len() >= MIN_BYTES && text.contains(secret) { text.replace(secret, REDACTED) } else { text }
    }
}

impl<T: Into<String>> From<T> for Secret {
    fn from(text: T) -> Self {
        Self::new(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_loses_the_secret() {
        let text = "no sk-123456, no sk-123456!".to_owned();
        assert_eq!(Secret::new("sk-123456\n").redact(text), "no [redacted], no [redacted]!");
        assert_eq!(Secret::new("a").redact("a b".to_owned()), "a b");
    }
}
