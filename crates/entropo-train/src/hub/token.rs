//! The access token, which must never be seen.
//!
//! A token opens private models and, often, write access to an account. It is a type of its own so that no derive, log
//! line or error can print it, and so that what a server echoes back can be cleaned of it.

use std::fmt;
use std::path::Path;

/// A Hugging Face access token (`hf_…`). `Debug` does not show it, and there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// The token that the environment gives, as Python's `huggingface_hub` reads it: `$HF_TOKEN`, else the file
    /// `$HF_TOKEN_PATH`, else `token` in `$HF_HOME` (`~/.cache/huggingface`). None where
    /// `$HF_HUB_DISABLE_IMPLICIT_TOKEN` is set.
    pub fn from_environment() -> Option<Self> {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        if variable("HF_HUB_DISABLE_IMPLICIT_TOKEN").is_some() {
            return None;
        }
        let read = |path: &Path| std::fs::read_to_string(path).ok();
        variable("HF_TOKEN")
            .or_else(|| variable("HF_TOKEN_PATH").and_then(|path| read(path.as_ref())))
            .or_else(|| read(&hf_hub::hf_home().join("token")))
            .map(Self::from)
            .filter(|token| !token.0.is_empty())
    }

    /// The token itself, for the one place that sends it.
    pub(super) fn expose(&self) -> &str {
        &self.0
    }

    /// `text` without the token.
    pub(super) fn remove_from(&self, text: &str) -> String {
        if self.0.is_empty() { text.to_owned() } else { text.replace(&self.0, "[token]") }
    }
}

impl<T: AsRef<str>> From<T> for Token {
    /// White space at the ends, such as a file's last newline, is not part of a token.
    fn from(token: T) -> Self {
        Self(token.as_ref().trim().to_owned())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token([hidden])")
    }
}

#[cfg(test)]
mod tests {
    use super::Token;

    #[test]
    fn is_never_printed() {
        let token = Token::from(" hf_secret\n");
        assert_eq!(token.expose(), "hf_secret");
        assert!(!format!("{token:?} {:#?}", Some(&token)).contains("secret"));
        assert_eq!(token.remove_from("Bearer hf_secret is wrong"), "Bearer [token] is wrong");
        assert_eq!(Token::from("").remove_from("text"), "text");
    }
}
