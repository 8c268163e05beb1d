//! Finds text that a tokenizer would take for one of its added tokens.

use std::collections::HashMap;
use std::ops::Range;

/// The texts of a tokenizer's added tokens, ready to be searched for.
///
/// Every occurrence counts, overlapping ones too: wherever a text is then cut, each occurrence has its own cut, and no
/// piece can hold a whole token.
#[derive(Clone, Debug)]
pub struct LookAlikes {
    special: HashMap<String, bool>,
    lengths: Vec<Vec<usize>>,
}

/// Which added tokens are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// All of them.
    Added,
    /// Those that the tokenizer flags as special.
    Special,
}

impl LookAlikes {
    /// Looks for the given texts, each with whether it is flagged special. Texts of one character or of blanks only
    /// are left out: they are ordinary text that happens to have its own id.
    pub fn new<S: Into<String>>(tokens: impl IntoIterator<Item = (S, bool)>) -> Self {
        let special: HashMap<String, bool> = tokens
            .into_iter()
            .map(|(text, special)| (text.into(), special))
            .filter(|(text, _)| text.chars().count() > 1 && !text.chars().all(is_blank))
            .collect();
        let mut lengths = vec![Vec::new(); usize::from(u8::MAX) + 1];
        for text in special.keys() {
            let starting = text.bytes().next().and_then(|first| lengths.get_mut(usize::from(first)));
            if let Some(starting) = starting
                && !starting.contains(&text.len())
            {
                starting.push(text.len());
            }
        }
        Self { special, lengths }
    }

    /// Whether any occurs in `text`.
    pub fn occur_in(&self, text: &str) -> bool {
        self.find(text, Scope::Added).next().is_some()
    }

    /// Where they occur, by their first byte.
    pub(super) fn find<'a>(&'a self, text: &'a str, scope: Scope) -> impl Iterator<Item = Range<usize>> + 'a {
        text.bytes().enumerate().flat_map(move |(start, first)| {
            let lengths = self.lengths.get(usize::from(first)).into_iter().flatten();
            lengths.map(move |length| start..start + length).filter(move |range| {
                let special = text.get(range.clone()).and_then(|found| self.special.get(found));
                special.is_some_and(|&special| special || scope == Scope::Added)
            })
        })
    }

    /// Where to cut `text` so that no piece holds an added token: after the first character of each occurrence,
    /// ascending, in bytes.
    pub(super) fn cuts(&self, text: &str) -> Vec<usize> {
        let mut cuts: Vec<usize> =
            self.find(text, Scope::Added).map(|range| after_character(text, range.start)).collect();
        cuts.dedup();
        cuts
    }
}

/// Where the character that starts at `start` ends.
pub(super) fn after_character(text: &str, start: usize) -> usize {
    start + text.get(start..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8)
}

/// Whitespace, or the visible space of SentencePiece vocabularies.
fn is_blank(character: char) -> bool {
    character.is_whitespace() || character == '▁'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlapping_occurrences_are_all_found() {
        let look_alikes = LookAlikes::new([("<a>", true), ("a>b", false)]);
        let found: Vec<_> = look_alikes.find("x<a>b", Scope::Added).collect();
        assert_eq!(found, [1..4, 2..5]);
        assert!(look_alikes.find("x<a>b", Scope::Special).eq(std::iter::once(1..4)));
        assert_eq!(look_alikes.cuts("x<a>b"), [2, 3]);
    }

    #[test]
    fn cuts_fall_between_characters() {
        let look_alikes = LookAlikes::new([("｜end｜", true)]);
        assert_eq!(look_alikes.cuts("é｜end｜"), ["é｜".len()]);
    }

    #[test]
    fn blanks_and_single_characters_are_ordinary_text() {
        let look_alikes = LookAlikes::new([("\n\n", false), ("▁▁", false), ("x", true), ("<b>", false)]);
        assert!(!look_alikes.occur_in("\n\nx▁▁"));
        assert!(look_alikes.occur_in("\n\nx<b>"));
    }
}
