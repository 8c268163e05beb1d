//! What the assistant wrote, where the template does not say.
//!
//! See [`ChatFormat::render`](super::ChatFormat::render) for how it is found and what is proved.

use std::ops::Range;

use serde_json::json;

use super::conversation::Conversation;
use super::look_alike::{LookAlikes, Scope};
use super::template::ChatTemplate;
use super::template_error::TemplateError;

/// How many characters an error shows of each of two texts that differ.
const EXCERPT: usize = 40;

/// Why it cannot be told what the assistant wrote in a conversation whose template has no `{% generation %}` tags.
///
/// Messages are counted from 0.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TurnError {
    /// A part of the conversation that cannot be rendered alone.
    #[error(
        "the chat template has no generation tags, and what the assistant wrote in message {message} cannot be found \
         because the conversation up to there cannot be rendered: {source}; use a template with generation tags"
    )]
    Part {
        /// The assistant message.
        message: usize,
        /// Why not.
        source: TemplateError,
    },
    /// A template that leaves out or repeats what an assistant says.
    #[error(
        "the chat template writes the content of message {message}, of the assistant, {times} times instead of once, \
         so its end cannot be found; use a template with generation tags"
    )]
    Content {
        /// The assistant message.
        message: usize,
        /// How often its content is written.
        times: usize,
    },
    /// A template that ends an answer in two ways.
    #[error(
        "the chat template ends an answer with {last:?} at the end of a conversation but with {between:?} before a \
         further turn, so what the assistant wrote of it is not known; use a template with generation tags"
    )]
    Ending {
        /// What follows an answer at the end.
        last: String,
        /// What follows an answer elsewhere.
        between: String,
    },
    /// A template whose prompt is not how an answer's message begins.
    #[error(
        "the chat template asks for message {message}, of the assistant, with a text that it does not begin that \
         message with: asked for, the text goes on at byte {at} with {asked:?}, answered with {answered:?}; the model \
         did not read what training would show it: train on the segments that the agent recorded, or use a template \
         with generation tags"
    )]
    Prompt {
        /// The assistant message.
        message: usize,
        /// Where the texts differ first, in bytes.
        at: usize,
        /// The prompt from there on.
        asked: String,
        /// The prompt with its answer from there on.
        answered: String,
    },
    /// A template that writes a message differently once others follow it.
    #[error(
        "the chat template rewrites history: with message {message}, of the assistant, as the last one, the text goes \
         on at byte {at} with {before:?}, in the whole conversation with {after:?}; the model did not read what \
         training would show it: train on the segments that the agent recorded, or use a template with generation tags"
    )]
    Rewritten {
        /// The assistant message.
        message: usize,
        /// Where the texts differ first, in bytes.
        at: usize,
        /// The conversation that ends with the message, from there on.
        before: String,
        /// The whole conversation from there on.
        after: String,
    },
}

/// The bytes of each assistant message in `whole`, the rendered conversation, without the template's header and without
/// what the template writes after its end.
pub(super) fn assistant_spans(
    template: &ChatTemplate,
    look_alikes: &LookAlikes,
    conversation: &Conversation,
    whole: &str,
) -> Result<Vec<Range<usize>>, TurnError> {
    let is_assistant = |message: &serde_json::Value| message.get("role").is_some_and(|role| role == "assistant");
    let messages = conversation.messages.iter().enumerate();
    let assistants: Vec<usize> =
        messages.filter(|(_, message)| is_assistant(message)).map(|(index, _)| index).collect();
    let Some(&first) = assistants.first() else { return Ok(Vec::new()) };
    let parts = Parts { template, conversation };
    let trailer = parts.trailer(first, look_alikes)?;
    assistants.into_iter().map(|message| parts.span(message, &trailer, whole)).collect()
}

/// Renders the first messages of a conversation.
struct Parts<'a> {
    template: &'a ChatTemplate,
    conversation: &'a Conversation,
}

impl Parts<'_> {
    /// The first `count` messages.
    fn first(&self, count: usize) -> Conversation {
        let messages = self.conversation.messages.iter().take(count).cloned().collect();
        Conversation::from_values(messages, self.conversation.tools.clone())
    }

    fn render(&self, part: &Conversation) -> Result<String, TemplateError> {
        self.template.render(part).map(|rendered| rendered.text)
    }

    /// What the template writes after the end of an answer at the end of a conversation: a line break in ChatML.
    fn trailer(&self, message: usize, look_alikes: &LookAlikes) -> Result<String, TurnError> {
        let part_error = |source| TurnError::Part { message, source };
        let mut answered = self.first(message);
        let unused = self.template.unused_characters(self.conversation);
        let answer = *unused.first().ok_or(TemplateError::NoFreeCharacter).map_err(part_error)?;
        answered.messages.push(json!({"role": "assistant", "content": answer.to_string()}));

        let text = self.render(&answered).map_err(part_error)?;
        let Some(last) = after_once(&text, answer) else {
            return Err(TurnError::Content { message, times: text.matches(answer).count() });
        };
        // Templates may refuse to ask for a second answer in a row; what ends the first one is then not cross-checked.
        let continued = self.render(&answered.with_generation_prompt(true)).ok();
        let between = continued.as_ref().and_then(|text| after_once(text, answer)).unwrap_or(last);
        let end = last.get(..common(last, between, look_alikes)).unwrap_or_default().trim_end();
        if end.is_empty() && !last.trim().is_empty() {
            return Err(TurnError::Ending { last: excerpt(last, 0), between: excerpt(between, 0) });
        }
        Ok(last.get(end.len()..).unwrap_or_default().to_owned())
    }

    fn span(&self, message: usize, trailer: &str, whole: &str) -> Result<Range<usize>, TurnError> {
        let part_error = |source| TurnError::Part { message, source };
        let prompt = self.render(&self.first(message).with_generation_prompt(true)).map_err(part_error)?;
        let text = self.render(&self.first(message + 1)).map_err(part_error)?;
        let answered = text.strip_suffix(trailer).unwrap_or(&text);
        if let Some(at) = difference(&prompt, answered) {
            let (asked, answered) = (excerpt(&prompt, at), excerpt(answered, at));
            return Err(TurnError::Prompt { message, at, asked, answered });
        }
        if let Some(at) = difference(answered, whole) {
            let (before, after) = (excerpt(answered, at), excerpt(whole, at));
            return Err(TurnError::Rewritten { message, at, before, after });
        }
        Ok(prompt.len()..answered.len())
    }
}

/// What follows the only `character` in `text`.
fn after_once(text: &str, character: char) -> Option<&str> {
    let (before, after) = text.split_once(character)?;
    (!before.contains(character) && !after.contains(character)).then_some(after)
}

/// The length of what two texts have in common at their start, up to a place that is inside no added token of either.
fn common(one: &str, other: &str, look_alikes: &LookAlikes) -> usize {
    let mut length = shared(one, other);
    loop {
        let tokens = look_alikes.find(one, Scope::Added).chain(look_alikes.find(other, Scope::Added));
        match tokens.filter(|token| token.start < length && length < token.end).map(|token| token.start).min() {
            Some(start) => length = start,
            None => return length,
        }
    }
}

/// The length of what two texts have in common at their start, in whole characters.
fn shared(one: &str, other: &str) -> usize {
    let pairs = one.chars().zip(other.chars());
    pairs.take_while(|(here, there)| here == there).map(|(character, _)| character.len_utf8()).sum()
}

/// Where `longer` first differs from `shorter`, unless it begins with it.
fn difference(shorter: &str, longer: &str) -> Option<usize> {
    (!longer.starts_with(shorter)).then(|| shared(shorter, longer))
}

/// The text at byte `at`, shortened.
fn excerpt(text: &str, at: usize) -> String {
    let rest = text.get(at..).unwrap_or_default();
    let mut excerpt: String = rest.chars().take(EXCERPT).collect();
    if excerpt.len() < rest.len() {
        excerpt.push('…');
    }
    excerpt
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(source: &str, turns: &[(&str, &str)]) -> Result<Vec<String>, TurnError> {
        let template = ChatTemplate::new(source, [("eos_token", "</s>")]).unwrap();
        let messages = turns.iter().map(|(role, content)| json!({"role": role, "content": content}));
        let conversation = Conversation::from_values(messages.collect(), vec![]);
        let whole = template.render(&conversation).unwrap().text;
        let look_alikes = LookAlikes::new(["<|end|>", "<|user|>", "<|assistant|>", "</s>"].map(|text| (text, true)));
        let spans = assistant_spans(&template, &look_alikes, &conversation, &whole)?;
        Ok(spans.into_iter().map(|span| whole[span].to_owned()).collect())
    }

    const TURNS: [(&str, &str); 4] = [("user", "a"), ("assistant", "b \n"), ("user", "c"), ("assistant", "")];

    /// A template of messages written as `message`, with `prompt` at the end.
    fn template(message: &str, prompt: &str) -> String {
        format!("{{% for m in messages %}}{message}{{% endfor %}}{{% if add_generation_prompt %}}{prompt}{{% endif %}}")
    }

    #[test]
    fn an_answer_ends_where_the_model_stops() {
        let marked = |end: &str| template(&format!("<|{{{{ m.role }}}}|>{{{{ m.content }}}}{end}"), "<|assistant|>");
        let cases = [
            // The end of turn belongs to the answer, what is blank after it does not.
            ("<|end|>{{ '\\n' }}", ["b \n<|end|>", "<|end|>"]),
            ("</s>", ["b \n</s>", "</s>"]),
            (" </s>{{ '\\n\\n' }}", ["b \n </s>", " </s>"]),
            // Without one, the answer ends with its content, blanks included.
            ("", ["b \n", ""]),
            ("{{ '\\n' }}", ["b \n", ""]),
        ];
        for (end, expected) in cases {
            assert_eq!(spans(&marked(end), &TURNS).unwrap(), expected, "{end:?}");
        }
    }

    #[test]
    fn what_ends_the_conversation_ends_no_answer() {
        let message = "<|{{ m.role }}|>{{ m.content }}<|end|>{{ '\\n' }}";
        let source = template(message, "<|assistant|>{% else %}{{ eos_token }}");
        assert_eq!(spans(&source, &TURNS).unwrap(), ["b \n<|end|>", "<|end|>"]);
    }

    #[test]
    fn two_ends_are_refused() {
        let end = "{{ '</s>' if loop.last and not add_generation_prompt else '<|end|>' }}";
        let error = spans(&template(&format!("<|{{{{ m.role }}}}|>{{{{ m.content }}}}{end}"), "<|assistant|>"), &TURNS);
        let error = error.unwrap_err();
        assert!(
            matches!(&error, TurnError::Ending { last, between } if last == "</s>" && between == "<|end|><|assistant|>"),
            "{error}"
        );
    }

    #[test]
    fn rewritten_history_is_refused_with_both_texts() {
        let dropped = "<|{{ m.role }}|>{% if m.role == 'assistant' and loop.last %}(thinks){% endif %}{{ m.content }}";
        let error = spans(&template(dropped, "<|assistant|>"), &TURNS).unwrap_err();
        assert!(
            matches!(&error, TurnError::Rewritten { message: 1, before, after, .. }
                if before == "(thinks)b \n" && after == "b \n<|user|>c<|assistant|>(thinks)"),
            "{error}"
        );
        let stripped = "<|{{ m.role }}|>{{ m.content if loop.last else m.content | trim }}";
        let error = spans(&template(stripped, "<|assistant|>"), &TURNS).unwrap_err();
        assert!(matches!(&error, TurnError::Rewritten { message: 1, .. }), "{error}");
        let tools = "{% if m.role == 'user' and m is sameas(messages | selectattr('role', 'equalto', 'user') | last) %}\
            TOOLS{% endif %}<|{{ m.role }}|>{{ m.content }}";
        let error = spans(&template(tools, "<|assistant|>"), &TURNS).unwrap_err();
        assert!(
            matches!(&error, TurnError::Rewritten { message: 1, at: 0, before, .. } if before.starts_with("TOOLS"))
        );
        assert!(error.to_string().contains("segments"), "{error}");
    }

    #[test]
    fn prompts_that_are_no_start_of_the_answer_are_refused() {
        let source = template("<|{{ m.role }}|>{{ m.content }}<|end|>", "<|assistant|><think>");
        let error = spans(&source, &TURNS).unwrap_err();
        assert!(
            matches!(&error, TurnError::Prompt { message: 1, asked, answered, .. }
                if asked == "<think>" && answered.starts_with("b \n")),
            "{error}"
        );
    }

    #[test]
    fn content_must_be_written_once_and_parts_must_render() {
        let doubled = template("<|{{ m.role }}|>{{ m.content }}{{ m.content }}", "<|assistant|>");
        let error = spans(&doubled, &TURNS).unwrap_err();
        assert!(matches!(error, TurnError::Content { message: 1, times: 2 }), "{error}");
        let long =
            "{% if messages | length < 4 %}{{ raise_exception('too short') }}{% endif %}{{ messages[1].content }}";
        let error = spans(long, &TURNS).unwrap_err();
        assert!(matches!(error, TurnError::Part { message: 1, source: TemplateError::Refused { .. } }), "{error}");
    }

    #[test]
    fn conversations_without_answers_have_no_spans() {
        assert!(spans("{{ raise_exception('x') if messages | length == 0 }}", &[("user", "a")]).unwrap().is_empty());
    }
}
