//! Conversations to token ids, with the actions marked.
//!
//! Three ways: [`ChatFormat::prompt_ids`] tokenises what a model is to answer, [`ChatFormat::observation_ids`] only what
//! follows a sampled turn, so that what the model sampled is never tokenised again, and [`ChatFormat::encode`] a whole
//! recorded conversation with the assistant's actions marked.

use std::ops::Range;
use std::path::Path;

use entropo_core::{ActionSpan, Segment};
use sha2::{Digest, Sha256};

use super::conversation::Conversation;
use super::rendered::Rendered;
use super::template::ChatTemplate;
use super::template_error::TemplateError;
use super::tokenizer::{SpecialText, Tokenizer, TokenizerError};
use super::turns::{self, TurnError};

/// A checkpoint's tokenizer and chat template: everything between messages and ids.
#[derive(Debug)]
pub struct ChatFormat {
    tokenizer: Tokenizer,
    template: ChatTemplate,
}

/// A tokenised conversation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Encoded {
    /// `[tokens]`: the ids.
    pub ids: Vec<u32>,
    /// `[tokens]`: whether a token overlaps what the assistant wrote.
    pub mask: Vec<bool>,
    /// The tokens of each assistant span that has any, ascending and disjoint; turns are counted from 0 in the order of
    /// the spans. A token that holds the end of one span and the start of the next belongs to the first.
    pub actions: Vec<ActionSpan>,
}

/// Why a conversation cannot be tokenised.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The template failed.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// The tokenizer failed.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// What the assistant wrote cannot be told apart.
    #[error(transparent)]
    Turn(#[from] TurnError),
    /// A token that belongs to the template and to the assistant.
    #[error(
        "the token {token:?} at byte {at} covers the border between what the template wrote and what the assistant \
         wrote, so sampling cannot have produced it; encode with SpecialText::Escape, which cuts the text there as \
         sampling does, or use a template with generation tags, which count such a token as the assistant's"
    )]
    Straddles {
        /// The first token that is another one when the text is cut at the border.
        token: String,
        /// Where it starts in the rendered text.
        at: usize,
    },
    /// No assistant message to go on after.
    #[error("there is no assistant message among the {messages} messages to continue after")]
    NoAssistant {
        /// How many messages there are.
        messages: usize,
    },
    /// A template that leaves out or repeats the last thing that the assistant wrote.
    #[error(
        "the chat template writes the last assistant message {times} times instead of once, so the sampled tokens \
         cannot be continued; encode the whole conversation and start a new segment"
    )]
    Rewritten {
        /// How often it is written.
        times: usize,
    },
}

impl ChatFormat {
    /// Puts a tokenizer and a template together.
    pub fn new(tokenizer: Tokenizer, template: ChatTemplate) -> Self {
        Self { tokenizer, template }
    }

    /// Loads `tokenizer.json` and the chat template of a checkpoint.
    pub fn from_dir(directory: impl AsRef<Path>) -> Result<Self, EncodeError> {
        let directory = directory.as_ref();
        let tokenizer = Tokenizer::from_file(directory.join("tokenizer.json"))?;
        Ok(Self::new(tokenizer, ChatTemplate::from_dir(directory)?))
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// The chat template.
    pub fn template(&self) -> &ChatTemplate {
        &self.template
    }

    /// A hash of tokenizer and template: what is tokenised by another one is something else.
    pub fn fingerprint(&self) -> String {
        let hash = Sha256::new().chain_update(self.tokenizer.fingerprint()).chain_update(self.template.identity());
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Renders and tokenises a conversation and marks what the assistant wrote in it, as [`ChatFormat::render`] finds
    /// it. [`SpecialText::Recognize`] gives the ids that transformers gives; [`SpecialText::Escape`] the same, except
    /// that content never becomes special tokens.
    ///
    /// Where the template does not mark the assistant's text itself, the ids must also be those that sampling gives: a
    /// prompt, and what was sampled after it. [`SpecialText::Escape`] cuts the text accordingly; with
    /// [`SpecialText::Recognize`] it is an error if a token covers both.
    pub fn encode(&self, conversation: &Conversation, special: SpecialText) -> Result<Encoded, EncodeError> {
        let rendered = self.render(conversation, special)?;
        let encoded = encode(&self.tokenizer, &rendered)?;
        if special == SpecialText::Recognize && !self.template.marks_generation() {
            self.check_borders(&rendered, &encoded)?;
        }
        Ok(encoded)
    }

    /// The ids of a conversation that a model is to answer. Look-alikes in content are escaped.
    pub fn prompt_ids(&self, conversation: &Conversation) -> Result<Vec<u32>, EncodeError> {
        let rendered = self.render_text(conversation, SpecialText::Escape)?;
        Ok(self.tokenizer.encode_pieces(&rendered.text, &rendered.cuts)?.0)
    }

    /// Renders a conversation for [`encode`] and finds what the assistant wrote in it: what the template has in
    /// `{% generation %}` blocks or, if it has no such tags, what follows the prompts that a model would have answered.
    ///
    /// Without tags, the conversation is rendered up to each assistant message, ready for the answer, and again with
    /// that message. Each of these texts must begin with the one before it, and the whole conversation with all of
    /// them: only then did the model read, when it wrote each answer, what training now shows it. A template that
    /// rewrites history (drops earlier reasoning, puts the tools into the last user message) is refused.
    ///
    /// An answer ends with what the template writes after any answer, `<|im_end|>` say, but not with the blanks after
    /// that: a model stops at its end-of-turn token, and a line break that follows is the template's. What is written
    /// after any answer is found by rendering an answer of a single character that occurs nowhere else, at the end of
    /// the conversation and before a further turn; what both have in common is the end of an answer. Where that is
    /// nothing (GLM's next turn begins at once) an answer ends with its content. The work grows with the square of the
    /// number of messages.
    pub fn render(&self, conversation: &Conversation, special: SpecialText) -> Result<Rendered, EncodeError> {
        let mut rendered = self.render_text(conversation, special)?;
        if !self.template.marks_generation() {
            let look_alikes = self.tokenizer.look_alikes();
            rendered.assistant_spans =
                turns::assistant_spans(&self.template, look_alikes, conversation, &rendered.text)?;
            if special == SpecialText::Escape {
                rendered.cut_at_spans();
            }
        }
        Ok(rendered)
    }

    fn render_text(&self, conversation: &Conversation, special: SpecialText) -> Result<Rendered, TemplateError> {
        match special {
            SpecialText::Recognize => self.template.render(conversation),
            SpecialText::Escape => self.template.render_escaped(conversation, self.tokenizer.look_alikes()),
        }
    }

    /// Whether the ids stay the same if the text is cut where the assistant starts and stops.
    fn check_borders(&self, rendered: &Rendered, encoded: &Encoded) -> Result<(), EncodeError> {
        let mut cut = rendered.clone();
        cut.cut_at_spans();
        let (cut_ids, ranges) = self.tokenizer.encode_pieces(&cut.text, &cut.cuts)?;
        let differs = encoded.ids.iter().zip(&cut_ids).position(|(id, cut_id)| id != cut_id);
        match differs.and_then(|index| Some((encoded.ids.get(index)?, ranges.get(index)?))) {
            Some((&id, range)) => Err(EncodeError::Straddles { token: self.tokenizer.token(id)?, at: range.start }),
            None => Ok(()),
        }
    }

    /// The ids that follow a sampled turn: its closing text, the messages after it and, if the conversation asks for
    /// it, the header of the next turn. Appended to the prompt's and the `sampled` ids, they are the next prompt.
    ///
    /// The last assistant message of `conversation` is the one that was sampled as `sampled`; its content does not
    /// matter. If the last sampled id is a special token with which the template goes on anyway (`<|im_end|>` in
    /// ChatML), it is not repeated; if the model stopped otherwise, at its length limit say, the template's closing
    /// text follows.
    ///
    /// Look-alikes in content are escaped.
    pub fn observation_ids(&self, conversation: &Conversation, sampled: &[u32]) -> Result<Vec<u32>, EncodeError> {
        let mut conversation = conversation.clone();
        let unused = self.template.unused_characters(&conversation);
        let placeholder = *unused.first().ok_or(TemplateError::NoFreeCharacter)?;
        let is_assistant = |message: &serde_json::Value| message.get("role").is_some_and(|role| role == "assistant");
        let messages = conversation.messages.len();
        let last = conversation.messages.iter_mut().rfind(|message| is_assistant(message));
        let last = last.ok_or(EncodeError::NoAssistant { messages })?;
        *last = serde_json::json!({"role": "assistant", "content": placeholder.to_string()});

        let rendered = self.render_text(&conversation, SpecialText::Escape)?;
        let mut places = rendered.text.match_indices(placeholder).map(|(start, found)| start + found.len());
        let (Some(mut start), None) = (places.next(), places.next()) else {
            return Err(EncodeError::Rewritten { times: rendered.text.matches(placeholder).count() });
        };
        let end_of_turn = sampled.last().and_then(|&id| self.tokenizer.added_token(id)).filter(|token| token.special);
        if let Some(token) = end_of_turn
            && rendered.text.get(start..).is_some_and(|suffix| suffix.starts_with(&token.text))
        {
            start += token.text.len();
        }
        let suffix = rendered.tail(start);
        Ok(self.tokenizer.encode_pieces(&suffix.text, &suffix.cuts)?.0)
    }
}

/// Tokenises a rendered conversation, cut where it says, and marks what the assistant wrote.
pub fn encode(tokenizer: &Tokenizer, rendered: &Rendered) -> Result<Encoded, TokenizerError> {
    let (ids, ranges) = tokenizer.encode_pieces(&rendered.text, &rendered.cuts)?;
    let mut encoded = Encoded { mask: vec![false; ids.len()], ids, actions: Vec::new() };
    let mut next = 0;
    for (turn, span) in rendered.assistant_spans.iter().enumerate() {
        let overlapping = |range: &Range<usize>| range.start < span.end && range.end > span.start;
        let following = || ranges.iter().enumerate().skip(next);
        let Some((start, _)) = following().find(|(_, range)| overlapping(range)) else { continue };
        let end = following().skip(start - next).take_while(|(_, range)| overlapping(range)).count() + start;
        if let Some(slots) = encoded.mask.get_mut(start..end) {
            slots.fill(true);
        }
        encoded.actions.push(ActionSpan { turn, start, end });
        next = end;
    }
    Ok(encoded)
}

impl Encoded {
    /// The context as training reads it, covering `messages` messages, log-probabilities unknown.
    pub fn into_segment(self, messages: usize) -> Segment {
        Segment { ids: self.ids, actions: self.actions, logprobs: Vec::new(), messages }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::tokenizer::tests::{bytes_tokenizer, plain_text, spliced_text};
    use super::*;

    const CHATML: &str = "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.role == 'assistant' %}\
        {% generation %}{{ m.content | trim }}<|im_end|>{% endgeneration %}{% else %}{{ m.content }}<|im_end|>\
        {% endif %}{{ '\n' }}{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

    fn format(source: &str) -> ChatFormat {
        ChatFormat::new(bytes_tokenizer(), ChatTemplate::new(source, [("eos_token", "<|im_end|>")]).unwrap())
    }

    fn conversation(turns: &[(&str, &str)]) -> Conversation {
        let messages = turns.iter().map(|(role, content)| json!({"role": role, "content": content}));
        Conversation::from_values(messages.collect(), vec![]).with_generation_prompt(true)
    }

    fn text(format: &ChatFormat, ids: &[u32]) -> String {
        format.tokenizer().decode(ids, false).unwrap()
    }

    #[test]
    fn actions_are_what_the_assistant_wrote() {
        let format = format(CHATML);
        let turns = [("user", "Hi"), ("assistant", "Hé"), ("user", "?"), ("assistant", "")];
        let encoded = format.encode(&conversation(&turns), SpecialText::Escape).unwrap();
        let written: Vec<(usize, String)> = encoded
            .actions
            .iter()
            .map(|action| (action.turn, text(&format, &encoded.ids[action.start..action.end])))
            .collect();
        assert_eq!(written, [(0, "Hé<|im_end|>".to_owned()), (1, "<|im_end|>".to_owned())]);
        let mask = encoded.mask.clone();
        assert_eq!(encoded.into_segment(4).action_mask(), mask);
    }

    #[test]
    fn a_token_across_two_spans_is_one_action() {
        let spans = vec![0..1, 1..1, 1..9, 9..10];
        let rendered = Rendered { text: "a<|im_end|>".into(), assistant_spans: spans, cuts: vec![] };
        let encoded = encode(&bytes_tokenizer(), &rendered).unwrap();
        let expected = [(0, 0, 1), (2, 1, 2)].map(|(turn, start, end)| ActionSpan { turn, start, end });
        assert_eq!(encoded.actions, expected);
    }

    #[test]
    fn observations_continue_what_was_sampled() {
        let format = format(CHATML);
        let conversation = conversation(&[("user", "Hi"), ("assistant", "ignored"), ("tool", "a<|im_end|>b")]);
        let tool = "\n<|im_start|>tool\na<|im_end|>b<|im_end|>\n<|im_start|>assistant\n";

        let finished = format.observation_ids(&conversation, &[72, 257]).unwrap();
        assert_eq!(text(&format, &finished), tool);
        assert_eq!(finished.iter().filter(|&&id| id == 257).count(), 1, "the tool's <|im_end|> must stay text");

        let cut_off = format.observation_ids(&conversation, &[72]).unwrap();
        assert_eq!(text(&format, &cut_off), format!("<|im_end|>{tool}"));
        assert_eq!(cut_off.first(), Some(&257));

        let nothing_sampled = format.observation_ids(&conversation, &[]).unwrap();
        assert_eq!(nothing_sampled, cut_off);
    }

    #[test]
    fn prompt_completion_and_observation_are_the_next_prompt() {
        let format = format(CHATML);
        let prompt = format.encode(&conversation(&[("user", "Hi")]), SpecialText::Escape).unwrap().ids;
        let sampled = format.tokenizer().encode("Look<|im_end|>", SpecialText::Recognize).unwrap();
        let turns = conversation(&[("user", "Hi"), ("assistant", "Look"), ("tool", "x")]);
        let observed = format.observation_ids(&turns, &sampled).unwrap();
        let whole = format.encode(&turns, SpecialText::Escape).unwrap().ids;
        assert_eq!([prompt, sampled, observed].concat(), whole);
    }

    #[test]
    fn without_generation_tags_ids_and_mask_are_the_same() {
        let bare = CHATML.replace("{% generation %}", "").replace("{% endgeneration %}", "");
        let turns = [("user", "Hi"), ("assistant", "H<think>\u{e9}"), ("tool", "<|im_end|>"), ("assistant", "")];
        for special in [SpecialText::Escape, SpecialText::Recognize] {
            let encoded = format(&bare).encode(&conversation(&turns), special).unwrap();
            assert_eq!(encoded, format(CHATML).encode(&conversation(&turns), special).unwrap());
            assert_eq!(encoded.actions.len(), 2);
        }
    }

    #[test]
    fn prompts_need_no_proof() {
        let dropping = format("{% for m in messages if m.role != 'assistant' %}{{ m.content }}{% endfor %}");
        let turns = conversation(&[("user", "Hi"), ("assistant", "a"), ("user", "b")]);
        assert_eq!(text(&dropping, &dropping.prompt_ids(&turns).unwrap()), "Hib");
        let error = dropping.encode(&turns, SpecialText::Escape).unwrap_err();
        assert!(matches!(error, EncodeError::Turn(TurnError::Content { message: 1, times: 0 })), "{error}");
    }

    #[test]
    fn rewritten_history_is_refused() {
        let dropping = format("{% for m in messages if m.role != 'assistant' %}{{ m.content }}{% endfor %}");
        let turns = conversation(&[("user", "Hi"), ("assistant", "a"), ("user", "b")]);
        let error = dropping.observation_ids(&turns, &[72]).unwrap_err();
        assert!(matches!(error, EncodeError::Rewritten { times: 0 }), "{error}");
        let doubling = format("{% for m in messages %}{{ m.content }}{{ m.content }}{% endfor %}");
        let error = doubling.observation_ids(&turns, &[72]).unwrap_err();
        assert!(matches!(error, EncodeError::Rewritten { times: 2 }), "{error}");
        let error = doubling.observation_ids(&conversation(&[("user", "Hi")]), &[72]).unwrap_err();
        assert!(matches!(error, EncodeError::NoAssistant { messages: 1 }), "{error}");
    }

    fn turns(content: impl Strategy<Value = String>) -> impl Strategy<Value = Vec<(&'static str, String)>> {
        let role = prop::sample::select(vec!["system", "user", "assistant", "tool"]);
        prop::collection::vec((role, content), 1..5)
    }

    proptest! {
        #[test]
        fn content_never_becomes_special_tokens(turns in turns(spliced_text())) {
            let format = format(CHATML);
            let borrowed: Vec<(&str, &str)> = turns.iter().map(|(role, content)| (*role, content.as_str())).collect();
            let conversation = conversation(&borrowed);
            let escaped = format.encode(&conversation, SpecialText::Escape).unwrap();

            let count = |wanted: u32| escaped.ids.iter().filter(|&&id| id == wanted).count();
            prop_assert_eq!((count(256), count(257)), (turns.len() + 1, turns.len()));
            let thoughts = turns.iter().filter(|(role, _)| *role == "assistant");
            let thoughts: usize = thoughts.map(|(_, content)| content.matches("<think>").count()).sum();
            prop_assert_eq!(count(258), thoughts);

            let rendered = format.template().render(&conversation).unwrap();
            prop_assert_eq!(text(&format, &escaped.ids), rendered.text);
        }

        #[test]
        fn without_look_alikes_escaping_changes_nothing(turns in turns(plain_text())) {
            let format = format(CHATML);
            let look_alikes = format.tokenizer().look_alikes();
            prop_assume!(turns.iter().all(|(_, content)| !look_alikes.occur_in(content)));
            let borrowed: Vec<(&str, &str)> = turns.iter().map(|(role, content)| (*role, content.as_str())).collect();
            let conversation = conversation(&borrowed);
            prop_assert_eq!(
                format.encode(&conversation, SpecialText::Escape).unwrap(),
                format.encode(&conversation, SpecialText::Recognize).unwrap()
            );
        }
    }
}
