//! Text to token ids and back, as `tokenizer.json` says.

use std::ops::Range;
use std::path::Path;

use sha2::{Digest, Sha256};
use tokenizers::{PostProcessor, PostProcessorWrapper};

use super::look_alike::LookAlikes;

/// A tokenizer as published beside a checkpoint.
///
/// Truncation and padding that the file may ask for are left out: what is tokenised here is never cut.
#[derive(Clone, Debug)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    finish: Option<PostProcessorWrapper>,
    added: Vec<AddedToken>,
    /// All ids, ascending. A file may claim any id, so nothing is allocated by the largest.
    known: Vec<u32>,
    look_alikes: LookAlikes,
    /// SHA-256 of the file.
    fingerprint: [u8; 32],
}

/// What becomes of text that reads exactly like an added token, `<|im_end|>` say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum SpecialText {
    /// It becomes that token, as in transformers. For text that only the template or its author wrote.
    Recognize,
    /// It stays text: it is cut after its first character before tokenising, and nothing else changes.
    #[default]
    Escape,
}

/// A token that the tokenizer recognises before it splits text, whatever stands around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddedToken {
    /// Its id.
    pub id: u32,
    /// Its text.
    pub text: String,
    /// Whether it is flagged special: [`Tokenizer::decode`] can leave it out.
    pub special: bool,
}

/// Why a tokenizer cannot be read, or text or ids not be converted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenizerError {
    /// The file cannot be read.
    #[error("cannot read the tokenizer {file}: {source}; a checkpoint needs its tokenizer.json")]
    Read {
        /// The file.
        file: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not a tokenizer.
    #[error("{file} is not a tokenizer that can be used: {source}")]
    Parse {
        /// The file.
        file: String,
        /// What is wrong with it.
        source: tokenizers::Error,
    },
    /// Text that the tokenizer's model refuses.
    #[error("cannot tokenise {bytes} bytes of text: {source}")]
    Encode {
        /// The text's length.
        bytes: usize,
        /// What the tokenizer said.
        source: tokenizers::Error,
    },
    /// Ids that the tokenizer's decoder refuses.
    #[error("cannot decode {tokens} token ids: {source}")]
    Decode {
        /// How many ids.
        tokens: usize,
        /// What the tokenizer said.
        source: tokenizers::Error,
    },
    /// An id without a token.
    #[error(
        "token id {id} is not in the tokenizer's vocabulary of {vocab_size}; the model's vocabulary may be padded: \
         keep it from sampling such ids"
    )]
    UnknownId {
        /// The id.
        id: u32,
        /// One past the tokenizer's largest id.
        vocab_size: usize,
    },
}

/// Token ids and the bytes of the text that each stands for.
pub(super) type Offsets = (Vec<u32>, Vec<Range<usize>>);

impl Tokenizer {
    /// Reads a `tokenizer.json`.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, TokenizerError> {
        let file = path.as_ref().display().to_string();
        match std::fs::read(path) {
            Ok(bytes) => Self::from_bytes(&bytes, &file),
            Err(source) => Err(TokenizerError::Read { file, source }),
        }
    }

    /// Reads the content of a `tokenizer.json`; `name` is what errors call it.
    pub fn from_bytes(bytes: &[u8], name: &str) -> Result<Self, TokenizerError> {
        let (inner, finish) = load(bytes).map_err(|source| TokenizerError::Parse { file: name.to_owned(), source })?;
        let mut added: Vec<AddedToken> = inner
            .get_added_tokens_decoder()
            .into_iter()
            .map(|(id, token)| AddedToken { id, text: token.content, special: token.special })
            .collect();
        added.sort_by_key(|token| token.id);
        let mut known: Vec<u32> = inner.get_vocab(true).into_values().collect();
        known.sort_unstable();
        let look_alikes = LookAlikes::new(added.iter().map(|token| (token.text.as_str(), token.special)));
        let fingerprint = Sha256::digest(bytes).into();
        Ok(Self { inner, finish, added, known, look_alikes, fingerprint })
    }

    /// SHA-256 of the file's content.
    pub(super) fn fingerprint(&self) -> &[u8; 32] {
        &self.fingerprint
    }

    /// The ids of `text` and nothing else: no token is added in front or behind.
    pub fn encode(&self, text: &str, special: SpecialText) -> Result<Vec<u32>, TokenizerError> {
        let cuts = match special {
            SpecialText::Recognize => Vec::new(),
            SpecialText::Escape => self.look_alikes.cuts(text),
        };
        Ok(self.encode_pieces(text, &cuts)?.0)
    }

    /// The ids of `text`, look-alikes recognised, with what the tokenizer adds around a text (a first token, say). Chat
    /// templates write those tokens themselves.
    pub fn encode_with_special(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        let error = |source| TokenizerError::Encode { bytes: text.len(), source };
        let encoding = self.inner.encode(text, false).map_err(error)?;
        let finished = match &self.finish {
            Some(finish) => finish.process(encoding, None, true).map_err(error)?,
            None => encoding,
        };
        Ok(finished.get_ids().to_vec())
    }

    /// Tokenises the pieces between `cuts` (ascending byte positions) one by one. The byte ranges are of the whole
    /// text; the tokens of a character that is several tokens long all have its range or a part of it.
    pub(super) fn encode_pieces(&self, text: &str, cuts: &[usize]) -> Result<Offsets, TokenizerError> {
        let (mut ids, mut ranges) = (Vec::new(), Vec::new());
        let ends = cuts.iter().copied().chain([text.len()]);
        let mut start = 0;
        for end in ends {
            let piece = text.get(start..end).unwrap_or_default();
            let encoding = self
                .inner
                .encode(piece, false)
                .map_err(|source| TokenizerError::Encode { bytes: piece.len(), source })?;
            ids.extend_from_slice(encoding.get_ids());
            ranges.extend(encoding.get_offsets().iter().map(|&(from, to)| start + from..start + to));
            start = end;
        }
        Ok((ids, ranges))
    }

    /// The text of `ids`, with or without the tokens that are flagged special. Bytes that are not UTF-8 become U+FFFD.
    pub fn decode(&self, ids: &[u32], skip_special: bool) -> Result<String, TokenizerError> {
        if let Some(&id) = ids.iter().find(|&&id| !self.knows(id)) {
            return Err(TokenizerError::UnknownId { id, vocab_size: self.vocab_size() });
        }
        self.inner.decode(ids, skip_special).map_err(|source| TokenizerError::Decode { tokens: ids.len(), source })
    }

    /// Like [`decode`](Self::decode) with special tokens, but ids without a token, which a model with a padded vocabulary
    /// can sample, write nothing.
    pub fn decode_known(&self, ids: &[u32]) -> Result<String, TokenizerError> {
        let known: Vec<u32> = ids.iter().copied().filter(|&id| self.knows(id)).collect();
        self.decode(&known, false)
    }

    /// The id of a token, spelled as in the vocabulary.
    pub fn token_id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// A token as the vocabulary spells it, which for added tokens is its text.
    pub fn token(&self, id: u32) -> Result<String, TokenizerError> {
        self.inner.id_to_token(id).ok_or(TokenizerError::UnknownId { id, vocab_size: self.vocab_size() })
    }

    /// The ids that have a token, ascending.
    pub(crate) fn ids(&self) -> impl Iterator<Item = u32> + '_ {
        self.known.iter().copied()
    }

    /// One past the largest id. The model's vocabulary may be larger.
    pub fn vocab_size(&self) -> usize {
        self.known.last().map_or(0, |&id| id as usize + 1)
    }

    /// The tokens that are recognised before text is split, by id.
    pub fn added_tokens(&self) -> &[AddedToken] {
        &self.added
    }

    /// The texts that [`SpecialText::Escape`] keeps apart.
    pub fn look_alikes(&self) -> &LookAlikes {
        &self.look_alikes
    }

    /// The token with this id, if it is an added one.
    pub fn added_token(&self, id: u32) -> Option<&AddedToken> {
        let index = self.added.binary_search_by_key(&id, |token| token.id).ok()?;
        self.added.get(index)
    }

    fn knows(&self, id: u32) -> bool {
        self.known.binary_search(&id).is_ok()
    }
}

/// The tokenizer of a file, and what it does last, taken out: post-processors may shrink offsets to what is not blank,
/// which would lose action tokens.
///
/// The library panics at files that are not JSON, and at some that are (a post-processor that names a token it does
/// not define). Such a panic is an error like any other here.
fn load(bytes: &[u8]) -> tokenizers::Result<(tokenizers::Tokenizer, Option<PostProcessorWrapper>)> {
    serde_json::from_str::<serde::de::IgnoredAny>(std::str::from_utf8(bytes)?)?;
    let loaded = std::panic::catch_unwind(|| {
        let mut inner = tokenizers::Tokenizer::from_bytes(bytes)?;
        inner.with_truncation(None)?;
        inner.with_padding(None);
        let finish = inner.get_post_processor().cloned();
        inner.with_post_processor(None::<PostProcessorWrapper>);
        if let Some(finish) = &finish {
            finish.process(inner.encode("", false)?, None, true)?;
        }
        Ok((inner, finish))
    });
    loaded.unwrap_or_else(|_| Err("a part of it has not the shape that the tokenizers library expects".into()))
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A byte-level tokenizer without merges: a token a byte, then `<|im_start|>`, `<|im_end|>`, `<think>`, `</think>`.
    pub(in crate::text) fn bytes_tokenizer() -> Tokenizer {
        Tokenizer::from_bytes(bytes_file().to_string().as_bytes(), "bytes").unwrap()
    }

    fn bytes_file() -> serde_json::Value {
        let vocab: serde_json::Map<String, serde_json::Value> =
            byte_letters().enumerate().map(|(id, letter)| (letter.to_string(), id.into())).collect();
        let added = [("<|im_start|>", true), ("<|im_end|>", true), ("<think>", false), ("</think>", false)];
        let added: Vec<_> = added
            .iter()
            .zip(256..)
            .map(|((content, special), id)| {
                serde_json::json!({"id": id, "content": content, "special": special, "single_word": false,
                    "lstrip": false, "rstrip": false, "normalized": false})
            })
            .collect();
        let byte_level = serde_json::json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true,
            "use_regex": false});
        serde_json::json!({
            "version": "1.0", "added_tokens": added, "normalizer": null, "truncation": null, "padding": null,
            "pre_tokenizer": byte_level, "post_processor": byte_level, "decoder": byte_level,
            "model": {"type": "BPE", "vocab": vocab, "merges": []},
        })
    }

    /// The letters by which byte-level vocabularies spell bytes.
    fn byte_letters() -> impl Iterator<Item = char> {
        let printable = |byte: u32| matches!(byte, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff);
        let shifted = (0..256u32).filter(move |byte| !printable(*byte)).count() as u32;
        let letters = (0..256u32).filter(move |byte| printable(*byte)).chain(256..256 + shifted);
        letters.filter_map(char::from_u32)
    }

    #[test]
    fn look_alikes_are_recognised_or_escaped() {
        let tokenizer = bytes_tokenizer();
        let text = "a<|im_end|>";
        assert_eq!(tokenizer.encode(text, SpecialText::Recognize).unwrap().last(), Some(&257));
        let escaped = tokenizer.encode(text, SpecialText::Escape).unwrap();
        assert_eq!(escaped.len(), text.len());
        assert_eq!(tokenizer.decode(&escaped, true).unwrap(), text);
    }

    #[test]
    fn ids_outside_the_vocabulary_are_named() {
        let tokenizer = bytes_tokenizer();
        let error = tokenizer.decode(&[1, 260], false).unwrap_err();
        assert!(matches!(error, TokenizerError::UnknownId { id: 260, vocab_size: 260 }), "{error}");
        assert_eq!(tokenizer.decode_known(&[b'a'.into(), 260, 999]).unwrap(), tokenizer.decode(&[97], false).unwrap());
        assert!(tokenizer.token(999).is_err());
        assert_eq!(tokenizer.token(257).unwrap(), "<|im_end|>");
        assert_eq!(tokenizer.token_id("<|im_end|>"), Some(257));
    }

    #[test]
    fn added_tokens_are_listed_by_id() {
        let tokenizer = bytes_tokenizer();
        let ids: Vec<u32> = tokenizer.added_tokens().iter().map(|token| token.id).collect();
        assert_eq!(ids, [256, 257, 258, 259]);
        assert!(tokenizer.added_token(257).unwrap().special);
        assert!(!tokenizer.added_token(258).unwrap().special);
        assert_eq!(tokenizer.added_token(3), None);
    }

    #[test]
    fn errors_name_the_file() {
        let missing = Tokenizer::from_file("/nowhere/tokenizer.json").unwrap_err();
        assert!(missing.to_string().contains("/nowhere/tokenizer.json"), "{missing}");
        let broken = Tokenizer::from_bytes(b"{}", "half.json").unwrap_err();
        assert!(broken.to_string().starts_with("half.json is not a tokenizer"), "{broken}");
    }

    #[test]
    fn files_that_make_the_library_panic_are_refused() {
        let mut file = bytes_file();
        let first = serde_json::json!({"SpecialToken": {"id": "[CLS]", "type_id": 0}});
        file["post_processor"] =
            serde_json::json!({"type": "TemplateProcessing", "single": [first], "pair": [], "special_tokens": {}});
        for file in [
            file.to_string(),
            bytes_file()
                .to_string()
                .replace("\"merges\"", "\"continuing_subword_prefix\": \"é\\u0000\", \"merges\"")
                .replace("[]}}", "[[\"a\", \"b\"]]}}"),
        ] {
            let error = Tokenizer::from_bytes(file.as_bytes(), "odd").unwrap_err();
            assert!(matches!(error, TokenizerError::Parse { .. }), "{error}");
        }
    }

    #[test]
    fn claimed_ids_take_no_memory() {
        let mut file = bytes_file();
        file["model"]["vocab"]["far"] = u32::MAX.into();
        let tokenizer = Tokenizer::from_bytes(file.to_string().as_bytes(), "far").unwrap();
        assert_eq!(tokenizer.vocab_size(), 1 << 32);
        assert!(tokenizer.known.capacity() < 1000, "{}", tokenizer.known.capacity());
        assert_eq!(tokenizer.decode(&[u32::MAX], false).unwrap(), "far");
        let error = tokenizer.decode(&[u32::MAX - 1], false).unwrap_err();
        assert!(matches!(error, TokenizerError::UnknownId { vocab_size: 0x1_0000_0000, .. }), "{error}");
        file["model"]["vocab"]["far"] = (1u64 << 32).into();
        let error = Tokenizer::from_bytes(file.to_string().as_bytes(), "far").unwrap_err();
        assert!(matches!(error, TokenizerError::Parse { .. }), "{error}");
    }

    /// Arbitrary text with whole look-alikes spliced in.
    pub(in crate::text) fn spliced_text() -> impl Strategy<Value = String> {
        text_with(&["<|im_start|>", "<|im_end|>", "<think>", "</think>", "<|im_", "<"])
    }

    /// Arbitrary text with pieces of look-alikes spliced in, which seldom make a whole one.
    pub(in crate::text) fn plain_text() -> impl Strategy<Value = String> {
        text_with(&["<|im_", "end|>", "<", "think>", "\n", " "])
    }

    fn text_with(pieces: &'static [&'static str]) -> impl Strategy<Value = String> {
        let piece = prop_oneof![prop::sample::select(pieces).prop_map(str::to_owned), any::<String>()];
        prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn damaged_files_are_refused_or_work(cut in 0..10_000usize, place in 0..10_000usize, byte: u8) {
            let mut file = bytes_file().to_string().into_bytes();
            let length = file.len();
            file[place % length] = byte;
            if let Ok(tokenizer) = Tokenizer::from_bytes(&file, "damaged") {
                let _ = tokenizer.encode("a<think>\u{e9}", SpecialText::Recognize);
            }
            prop_assert!(Tokenizer::from_bytes(&file[..cut % length], "cut").is_err());
        }

        #[test]
        fn random_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let error = Tokenizer::from_bytes(&bytes, "random").unwrap_err();
            prop_assert!(matches!(error, TokenizerError::Parse { .. }), "{}", error);
        }

        #[test]
        fn escaped_text_has_no_added_token_and_reads_back(text in spliced_text()) {
            let tokenizer = bytes_tokenizer();
            let ids = tokenizer.encode(&text, SpecialText::Escape).unwrap();
            prop_assert!(ids.iter().all(|&id| tokenizer.added_token(id).is_none()));
            prop_assert_eq!(tokenizer.decode(&ids, false).unwrap(), text);
        }

        #[test]
        fn without_look_alikes_escaping_changes_nothing(text in plain_text()) {
            let tokenizer = bytes_tokenizer();
            prop_assume!(!tokenizer.look_alikes().occur_in(&text));
            prop_assert_eq!(
                tokenizer.encode(&text, SpecialText::Escape).unwrap(),
                tokenizer.encode(&text, SpecialText::Recognize).unwrap()
            );
        }
    }
}
