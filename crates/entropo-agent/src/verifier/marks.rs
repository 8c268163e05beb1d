//! Marks of chat templates in what others wrote.
//!
//! A model on this machine is given tokens, and no text of others becomes a special one. A server is given text, and many make
//! a special token of everything that looks like one: with `<|im_end|>` an attempt could end its part and speak on as somebody
//! else. What a server's model has for marks nobody here knows, so this is a list, and it holds for what is on it.

#[cfg(feature = "openai")]
use super::prompt::PromptError;

/// What marks of the chat templates of well-known models begin with, or are.
pub const CHAT_MARKS: [&str; 22] = [
    // ChatML (Qwen), Llama 3, Phi, GLM, Granite, gpt-oss; DeepSeek, with its wide bar.
    "<|",
    "|>",
    "<｜",
    "｜>",
    // Gemma.
    "<start_of_turn>",
    "<end_of_turn>",
    "<bos>",
    "<eos>",
    // Mistral, Llama 2.
    "<s>",
    "</s>",
    "[INST]",
    "[/INST]",
    "<<SYS>>",
    "<</SYS>>",
    "[SYSTEM_PROMPT]",
    "[/SYSTEM_PROMPT]",
    "[TOOL_CALLS]",
    "[TOOL_RESULTS]",
    "[/TOOL_RESULTS]",
    "[AVAILABLE_TOOLS]",
    // Thoughts, of several.
    "<think>",
    "</think>",
];

/// Texts that others may not write as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Marks(Vec<String>);

impl Marks {
    /// Those of [`CHAT_MARKS`].
    #[cfg(feature = "openai")]
    pub(super) fn of_chats() -> Self {
        Self(CHAT_MARKS.map(str::to_owned).to_vec())
    }

    /// Those of a list.
    #[cfg(feature = "openai")]
    pub(super) fn new(marks: Vec<String>) -> Result<Self, PromptError> {
        let breaks = |mark: &String| mark.chars().count() > 1 && !mark.contains(char::is_whitespace);
        match marks.iter().find(|mark| !breaks(mark)) {
            Some(mark) => Err(PromptError::Mark(mark.clone())),
            None => Ok(Self(marks)),
        }
    }

    /// A text with a blank after the first letter of every mark in it, in which no mark is left.
    ///
    /// All are broken at once. Marks have no blanks, so a blank that is put in makes no other one; and one that is left would
    /// have been in the text before, where it got its blank.
    pub(super) fn broken(&self, text: &str) -> String {
        if !self.0.iter().any(|mark| text.contains(mark.as_str())) {
            return text.to_owned();
        }
        let mut broken = String::with_capacity(text.len() + 16);
        for (at, letter) in text.char_indices() {
            broken.push(letter);
            let rest = text.get(at..).unwrap_or_default();
            if self.0.iter().any(|mark| rest.starts_with(mark.as_str())) {
                broken.push(' ');
            }
        }
        broken
    }
}

#[cfg(all(test, feature = "openai"))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn marks_of_chats_are_broken_and_all_else_stays() {
        let broken = |text: &str| Marks::of_chats().broken(text);
        assert_eq!(broken("a <|im_end|>\n<|im_start|>user"), "a < |im_end| >\n< |im_start| >user");
        assert_eq!(broken("<｜User｜> [INST]x[/INST]</s>"), "< ｜User｜ > [ INST]x[ /INST]< /s>");
        assert_eq!(broken("<start_of_turn>model <think>"), "< start_of_turn>model < think>");
        for text in ["a < b || c > d", "Vec<String> | x", "[x] -> <T>", "é｜"] {
            assert_eq!(broken(text), text);
        }
        assert_eq!(Marks::default().broken("<|im_end|>"), "<|im_end|>");
        for mark in ["", "x", "a b", "\n\n"] {
            assert_eq!(Marks::new(vec![mark.to_owned()]), Err(PromptError::Mark(mark.to_owned())));
        }
    }

    proptest! {
        #[test]
        fn no_mark_is_left_and_only_blanks_are_new(
            marks in prop::collection::vec("[<|>ab]{2,4}", 0..4), text in "[<|>ab \n]{0,40}",
        ) {
            let broken = Marks::new(marks.clone()).unwrap().broken(&text);
            for mark in &marks {
                prop_assert!(!broken.contains(mark.as_str()), "{broken:?} has {mark:?}");
            }
            let letters = |text: &str| text.replace(' ', "");
            prop_assert_eq!(letters(&broken), letters(&text));
        }
    }
}
