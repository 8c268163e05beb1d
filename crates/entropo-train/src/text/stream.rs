//! Text of tokens that come one by one.

use super::tokenizer::{Tokenizer, TokenizerError};

/// Turns ids into text piece by piece, each piece as soon as its characters are complete.
///
/// A token's text depends on what stands before it (a character may be spread over several tokens, and some decoders
/// strip the first space), so a few tokens are always decoded again together with the new one. Ids that a padded
/// vocabulary has and the tokenizer does not write nothing.
#[derive(Clone, Debug, Default)]
pub struct TextStream {
    ids: Vec<u32>,
    /// From where ids are decoded anew.
    start: usize,
    /// Up to where their text was given out.
    given: usize,
}

impl TextStream {
    /// The text that `id` completes; empty in the middle of a character.
    pub fn push(&mut self, tokenizer: &Tokenizer, id: u32) -> Result<String, TokenizerError> {
        self.ids.push(id);
        let text = self.new_text(tokenizer)?;
        if text.is_empty() || text.ends_with(char::REPLACEMENT_CHARACTER) {
            return Ok(String::new());
        }
        self.start = self.given;
        self.given = self.ids.len();
        Ok(text)
    }

    /// What is left at the end: bytes that never became a character, as U+FFFD.
    pub fn finish(self, tokenizer: &Tokenizer) -> Result<String, TokenizerError> {
        self.new_text(tokenizer)
    }

    fn new_text(&self, tokenizer: &Tokenizer) -> Result<String, TokenizerError> {
        let decode = |end: usize| tokenizer.decode_known(self.ids.get(self.start..end).unwrap_or_default());
        let (known, all) = (decode(self.given)?, decode(self.ids.len())?);
        Ok(all.get(known.len()..).unwrap_or_default().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tokenizer::SpecialText;
    use super::super::tokenizer::tests::bytes_tokenizer;
    use super::*;

    #[test]
    fn half_a_character_is_told_at_the_end() {
        let tokenizer = bytes_tokenizer();
        let ids = tokenizer.encode("aé", SpecialText::Escape).unwrap();
        let mut stream = TextStream::default();
        assert_eq!(stream.push(&tokenizer, ids[0]).unwrap(), "a");
        assert_eq!(stream.push(&tokenizer, ids[1]).unwrap(), "");
        assert_eq!(stream.clone().finish(&tokenizer).unwrap(), "\u{FFFD}");
        assert_eq!(stream.push(&tokenizer, ids[2]).unwrap(), "é");
        assert_eq!(stream.finish(&tokenizer).unwrap(), "");
    }

    #[test]
    fn ids_without_a_token_write_nothing() {
        let (tokenizer, mut stream) = (bytes_tokenizer(), TextStream::default());
        let ids = tokenizer.encode("é", SpecialText::Escape).unwrap();
        let pieces = [ids[0], 999, ids[1]].map(|id| stream.push(&tokenizer, id).unwrap());
        assert_eq!(pieces, ["", "", "é"]);
    }

    proptest! {
        #[test]
        fn pieces_make_the_text(text in any::<String>()) {
            let tokenizer = bytes_tokenizer();
            let mut stream = TextStream::default();
            let mut pieces = String::new();
            for id in tokenizer.encode(&text, SpecialText::Escape).unwrap() {
                pieces += &stream.push(&tokenizer, id).unwrap();
            }
            pieces += &stream.finish(&tokenizer).unwrap();
            prop_assert_eq!(pieces, text);
        }
    }
}
