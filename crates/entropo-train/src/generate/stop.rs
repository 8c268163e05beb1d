//! When a reply is over, beyond token ids.

use std::collections::VecDeque;
use std::fmt;

/// Sees every sampled token of one reply and says when it is over.
pub trait StopRule: Send {
    /// Whether the reply ends with this token.
    fn reached(&mut self, token: u32) -> bool;
}

impl fmt::Debug for dyn StopRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StopRule")
    }
}

/// Ends a reply when its text contains one of some strings: `"\n\n"`, or `"</tool_call>"` to stop as soon as a call is
/// complete, without a grammar.
///
/// The last token may reach beyond the string; who shows the reply as text cuts it there. Text before the reply is not
/// looked at.
///
/// After each token the last few tokens are decoded anew: as many as the longest string has bytes, since a token that
/// writes nothing is rare, and some more for those. So bytes of a character that is spread over tokens come together, and
/// no state can go wrong.
pub struct StopStrings<D> {
    strings: Vec<String>,
    decode: D,
    recent: VecDeque<u32>,
    window: usize,
}

/// Tokens beyond the longest string's bytes: those that write nothing, and the first one, which some decoders strip.
const SLACK: usize = 8;

impl<D: Fn(&[u32]) -> Option<String>> StopStrings<D> {
    /// `decode` turns ids into text, special tokens included: `move |ids| tokenizer.decode(ids, false).ok()`. Empty
    /// strings are left out.
    pub fn new<S: Into<String>>(strings: impl IntoIterator<Item = S>, decode: D) -> Self {
        let strings: Vec<String> =
            strings.into_iter().map(Into::into).filter(|string: &String| !string.is_empty()).collect();
        let longest = strings.iter().map(String::len).max().unwrap_or_default();
        Self { strings, decode, recent: VecDeque::new(), window: longest + SLACK }
    }
}

impl<D: Fn(&[u32]) -> Option<String> + Send> StopRule for StopStrings<D> {
    fn reached(&mut self, token: u32) -> bool {
        if self.strings.is_empty() {
            return false;
        }
        self.recent.push_back(token);
        if self.recent.len() > self.window {
            self.recent.pop_front();
        }
        let text = (self.decode)(self.recent.make_contiguous()).unwrap_or_default();
        self.strings.iter().any(|string| text.contains(string))
    }
}

impl<D> fmt::Debug for StopStrings<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StopStrings").field("strings", &self.strings).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Tokens are bytes, as in the worst case of a byte-level tokenizer.
    fn bytes(ids: &[u32]) -> Option<String> {
        Some(String::from_utf8_lossy(&ids.iter().map(|&id| id as u8).collect::<Vec<_>>()).into_owned())
    }

    fn stopped_after(strings: &[&str], text: &str) -> Option<usize> {
        let mut rule = StopStrings::new(strings.iter().copied(), bytes);
        text.bytes().position(|byte| rule.reached(byte.into())).map(|last| last + 1)
    }

    #[test]
    fn a_string_is_found_across_tokens() {
        let text = "<tool_call>{\"a\": \"</tool\"}</tool_call> and more";
        let end = text.find(" and").unwrap();
        assert_eq!(stopped_after(&["</tool_call>", "</function>"], text), Some(end));
        assert_eq!(stopped_after(&["</function>"], text), None);
        assert_eq!(stopped_after(&[""], text), None);
    }

    #[test]
    fn several_tokens_may_be_one_character() {
        assert_eq!(stopped_after(&["é。"], "né é。!"), Some("né é。".len()));
    }

    #[test]
    fn ids_that_cannot_be_decoded_end_nothing() {
        let mut rule = StopStrings::new(["a"], |_: &[u32]| None);
        assert!(!rule.reached(97));
    }

    proptest! {
        #[test]
        fn the_first_occurrence_ends_a_reply(text in "[ab<]{0,60}", stop in "[ab<]{1,12}") {
            let end = text.find(&stop).map(|start| start + stop.len());
            prop_assert_eq!(stopped_after(&[&stop], &text), end);
        }
    }
}
