//! Which answer a token speaks for.

use std::fmt;

/// One of the two answers of a verifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Answer {
    /// The attempt solves its task.
    Affirmative,
    /// It does not.
    Negative,
}

impl Answer {
    /// The answer that is right for an attempt.
    pub fn right(is_solved: bool) -> Self {
        if is_solved { Self::Affirmative } else { Self::Negative }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Affirmative => "affirmative",
            Self::Negative => "negative",
        })
    }
}

/// A text without the blanks around it, and without the marks that vocabularies write in the place of blanks: some servers
/// tell tokens as the vocabulary spells them, `ĠYES` or `▁YES`.
pub(super) fn bare(text: &str) -> &str {
    text.trim_matches(|letter: char| letter.is_whitespace() || matches!(letter, 'Ġ' | 'Ċ' | '▁'))
}

/// Whether a token is a word, blanks around it and case aside.
pub(super) fn is_word(token: &str, word: &str) -> bool {
    let (token, word) = (bare(token), bare(word));
    !word.is_empty() && token.to_lowercase() == word.to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_and_case_do_not_matter_and_letters_do() {
        for token in ["YES", " YES", "Yes", "yes\n", "ĠYES", "▁Yes", "\u{a0}yes"] {
            assert!(is_word(token, "YES"), "{token:?}");
        }
        for token in ["", " ", "Y", "YES.", "YESS", "NO", "Y ES"] {
            assert!(!is_word(token, "YES"), "{token:?}");
        }
        assert!(!is_word("unresolved", "resolved") && !is_word("resolved", "unresolved"));
        assert!(!is_word("", "") && !is_word(" ", " "), "nothing is no answer");
    }
}
