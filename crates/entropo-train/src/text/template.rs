//! Chat templates: from messages to the text that a model reads.
//!
//! A template is Jinja that comes with a checkpoint, and decides more than layout: it may trim content, drop old
//! reasoning or refuse roles. It is rendered as transformers does; what the assistant wrote is known from the
//! template's own `{% generation %}` tags, or, where it has none, from rendering parts of the conversation
//! ([`ChatFormat::render`](super::ChatFormat::render)).

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::time::SystemTime;

use minijinja::value::Value;
use serde_json::Value as Json;

use super::conversation::Conversation;
use super::generation;
use super::jinja::{InputSize, Jinja, LONGEST};
use super::look_alike::{LookAlikes, Scope};
use super::marks::{Marking, Marks, Placement, data_value, message_value, unused_characters};
use super::rendered::Rendered;
use super::template_error::TemplateError;

/// The longest `tokenizer_config.json`. The longest published ones list their added tokens in 2 MB.
const CONFIG_BYTES: u64 = 64 << 20;

/// A parsed chat template and its variables.
///
/// `strftime_now` in the template gives the time, in UTC, at which it was loaded: the prompts of one run agree.
///
/// ```
/// # use entropo_train::text::{ChatTemplate, Conversation};
/// use entropo_core::Message;
///
/// let source = "{{ bos_token }}{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}";
/// let template = ChatTemplate::new(source, [("bos_token", "<s>")])?;
/// let rendered = template.render(&Conversation::new(&[Message::user("Hello")], &[]))?;
/// assert_eq!(rendered.text, "<s><user>Hello");
/// # Ok::<(), entropo_train::text::TemplateError>(())
/// ```
pub struct ChatTemplate {
    source: String,
    jinja: Jinja,
    variables: BTreeMap<String, Json>,
}

impl ChatTemplate {
    /// Parses a template. `variables` are those besides messages and tools, `bos_token` and `eos_token` first of all.
    pub fn new<N: Into<String>, V: Into<Json>>(
        source: &str,
        variables: impl IntoIterator<Item = (N, V)>,
    ) -> Result<Self, TemplateError> {
        Ok(Self {
            source: source.to_owned(),
            jinja: Jinja::parse(source, SystemTime::now())?,
            variables: variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect(),
        })
    }

    /// Loads a checkpoint's template: `chat_template.jinja`, else `chat_template` in `tokenizer_config.json` (of
    /// several named ones, `default`). The special tokens there (`bos_token`, `eos_token`, …) become variables.
    pub fn from_dir(directory: impl AsRef<Path>) -> Result<Self, TemplateError> {
        let directory = directory.as_ref();
        let path = directory.join("tokenizer_config.json");
        let config = match read_if_exists(&path, CONFIG_BYTES)? {
            Some(text) => serde_json::from_str(&text)
                .map_err(|source| TemplateError::Json { file: path.display().to_string(), source })?,
            None => Json::Null,
        };
        let source = match read_if_exists(&directory.join("chat_template.jinja"), LONGEST as u64)? {
            Some(source) => source,
            None => configured_template(&config)
                .ok_or_else(|| TemplateError::Missing { directory: directory.display().to_string() })?
                .to_owned(),
        };
        Self::new(&source, special_tokens(&config))
    }

    /// Sets a variable that the template reads: `enable_thinking`, say.
    #[must_use]
    pub fn with_variable(mut self, name: impl Into<String>, value: impl Into<Json>) -> Self {
        self.variables.insert(name.into(), value.into());
        self
    }

    /// Takes the time for `strftime_now` from `now` instead of the moment of loading.
    pub fn with_clock(mut self, now: SystemTime) -> Result<Self, TemplateError> {
        self.jinja = Jinja::parse(&self.source, now)?;
        Ok(self)
    }

    /// The template itself.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// A variable: the text of `eos_token`, say.
    pub fn variable(&self, name: &str) -> Option<&Json> {
        self.variables.get(name)
    }

    /// Everything that decides what it writes but the clock: its source and variables.
    pub(super) fn identity(&self) -> String {
        format!("{}\n{:?}", self.source, self.variables)
    }

    /// Whether the template has `{% generation %}` tags, which say what the assistant wrote.
    pub fn marks_generation(&self) -> bool {
        self.jinja.marks_generation()
    }

    /// Renders a conversation, without any cuts. The assistant's spans are those of the `{% generation %}` blocks; a
    /// template without them gives none: see [`ChatFormat::render`](super::ChatFormat::render).
    pub fn render(&self, conversation: &Conversation) -> Result<Rendered, TemplateError> {
        self.render_marked(conversation, &self.marks(conversation)?, None)
    }

    /// Renders a conversation with cuts wherever its content looks like one of the tokenizer's added tokens.
    ///
    /// Look-alikes are marked in the content before rendering. Templates do not only copy content, so a marked
    /// rendering counts only if it says exactly what the unmarked one says. The marks are put inside the look-alikes
    /// first, then beside them; then both again without marking the assistant's own text, for templates that take that
    /// apart (`split('</think>')` where that token is flagged special).
    pub fn render_escaped(
        &self,
        conversation: &Conversation,
        look_alikes: &LookAlikes,
    ) -> Result<Rendered, TemplateError> {
        let marks = self.marks(conversation)?;
        let plain = self.render_marked(conversation, &marks, None)?;
        if !conversation.texts().into_iter().any(|text| look_alikes.occur_in(text)) {
            return Ok(plain);
        }
        for assistant in [true, false] {
            for placement in [Placement::Inside, Placement::Beside] {
                let marking = Marking { look_alikes, placement, assistant };
                // A template may refuse what it does not recognise; the next placement may suit it.
                let Ok(marked) = self.render_marked(conversation, &marks, Some(&marking)) else { continue };
                if marked.text == plain.text && marked.assistant_spans == plain.assistant_spans {
                    return Ok(marked);
                }
            }
        }
        Err(TemplateError::Inseparable)
    }

    /// A few characters that neither the conversation nor the template uses.
    pub(super) fn unused_characters(&self, conversation: &Conversation) -> Vec<char> {
        let variables = self.variables.values().filter_map(Json::as_str);
        unused_characters(conversation.texts().into_iter().chain(variables).chain([self.source.as_str()]))
    }

    fn marks(&self, conversation: &Conversation) -> Result<Marks, TemplateError> {
        Marks::new(&self.unused_characters(conversation)).ok_or(TemplateError::NoFreeCharacter)
    }

    fn render_marked(
        &self,
        conversation: &Conversation,
        marks: &Marks,
        marking: Option<&Marking<'_>>,
    ) -> Result<Rendered, TemplateError> {
        let messages: Value =
            conversation.messages.iter().map(|message| message_value(message, marking, marks)).collect();
        let tools: Value =
            conversation.tools.iter().map(|tool| data_value(tool, Scope::Added, marking, marks)).collect();
        let variable = |(name, value)| (String::as_str(name), data_value(value, Scope::Added, None, marks));
        let context = self.variables.iter().map(variable).chain([
            ("messages", messages),
            ("tools", if conversation.tools.is_empty() { Value::from(()) } else { tools }),
            ("documents", Value::from(())),
            ("add_generation_prompt", Value::from(conversation.generation_prompt)),
            (generation::START, Value::from(marks.generation_start.to_string())),
            (generation::END, Value::from(marks.generation_end.to_string())),
        ]);
        let texts = conversation.texts();
        let size = InputSize {
            messages: conversation.messages.len() + conversation.tools.len(),
            bytes: texts.into_iter().map(str::len).sum(),
        };
        let output = self.jinja.render(Value::from_pairs(context), size)?;
        marks.strip(&output).ok_or(TemplateError::GenerationBlocks)
    }
}

impl fmt::Debug for ChatTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChatTemplate").field("variables", &self.variables).finish_non_exhaustive()
    }
}

/// The text of a file that is not longer than `limit` bytes, if there is one.
fn read_if_exists(path: &Path, limit: u64) -> Result<Option<String>, TemplateError> {
    let file = || path.display().to_string();
    let length = match std::fs::metadata(path) {
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(TemplateError::Read { file: file(), source }),
    };
    if length > limit {
        return Err(TemplateError::TooLong { bytes: length, limit });
    }
    std::fs::read_to_string(path).map(Some).map_err(|source| TemplateError::Read { file: file(), source })
}

/// The template in a `tokenizer_config.json`: a text, or a list of `{name, template}`.
fn configured_template(config: &Json) -> Option<&str> {
    match config.get("chat_template")? {
        Json::String(source) => Some(source),
        Json::Array(named) => named
            .iter()
            .find(|entry| entry.get("name").is_some_and(|name| name == "default"))?
            .get("template")?
            .as_str(),
        _ => None,
    }
}

/// `bos_token` and its like in a `tokenizer_config.json`: a text, or an object that holds it as `content`.
fn special_tokens(config: &Json) -> Vec<(String, String)> {
    let entries = config.as_object().into_iter().flatten().filter(|(name, _)| name.ends_with("_token"));
    entries
        .filter_map(|(name, token)| {
            let text = token.as_str().or_else(|| token.get("content")?.as_str())?;
            Some((name.clone(), text.to_owned()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use serde_json::json;

    use super::*;

    fn user(content: &str) -> Conversation {
        Conversation::from_values(vec![json!({"role": "user", "content": content})], vec![])
    }

    fn template(source: &str) -> ChatTemplate {
        ChatTemplate::new(source, [("eos_token", "</s>")]).unwrap()
    }

    fn look_alikes() -> LookAlikes {
        LookAlikes::new([("<|end|>", true), ("<tool>", false), ("</tool>", false)])
    }

    const COPY: &str = "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}";

    #[test]
    fn content_is_cut_and_the_template_is_not() {
        let rendered = template(COPY).render_escaped(&user("a<|end|>b<tool>"), &look_alikes()).unwrap();
        assert_eq!(rendered.text, "<|user|>a<|end|>b<tool><|end|>");
        assert_eq!(rendered.cuts, [10, 18]);
    }

    #[test]
    fn private_use_characters_in_content_are_content() {
        let content = "\u{100000}\u{100001}<|end|>\u{100002}";
        let rendered = template(COPY).render_escaped(&user(content), &look_alikes()).unwrap();
        assert_eq!(rendered.text, format!("<|user|>{content}<|end|>"));
        assert_eq!(rendered.cuts, ["<|user|>\u{100000}\u{100001}<".len()]);
    }

    #[test]
    fn templates_that_test_content_still_see_it() {
        let source = "{% for m in messages %}{% if m.content.startswith('<tool>') and m.content.endswith('</tool>') %}\
            result:{% endif %}{{ m.content }}{% endfor %}";
        let rendered = template(source).render_escaped(&user("<tool>x</tool>"), &look_alikes()).unwrap();
        assert_eq!((rendered.text.as_str(), rendered.cuts.as_slice()), ("result:<tool>x</tool>", [12, 15].as_slice()));
    }

    #[test]
    fn a_user_whose_text_cannot_be_kept_apart_is_refused() {
        let source = "{% for m in messages %}{{ m.content.split('<|end|>')[0].strip() }}{% endfor %}";
        let error = template(source).render_escaped(&user("a <|end|> b"), &look_alikes()).unwrap_err();
        assert!(matches!(error, TemplateError::Inseparable), "{error}");
        assert_eq!(template(source).render(&user("a <|end|> b")).unwrap().text, "a");
    }

    #[test]
    fn an_assistant_may_write_what_its_template_takes_apart() {
        let source = "{% for m in messages %}{% if m.role == 'assistant' %}{{ m.content.split('<|end|>')[0].strip() }}\
            {% else %}{{ m.content }}{% endif %}{% endfor %}";
        let mut conversation = user("<|end|>");
        conversation.messages.push(json!({"role": "assistant", "content": "a <|end|> b"}));
        let rendered = template(source).render_escaped(&conversation, &look_alikes()).unwrap();
        assert_eq!((rendered.text.as_str(), rendered.cuts.as_slice()), ("<|end|>a", [1].as_slice()));
    }

    #[test]
    fn an_assistants_own_marks_stay_and_its_arguments_are_data() {
        let call = json!({"function": {"name": "f", "arguments": {"text": "<tool>"}}});
        let message = json!({"role": "assistant", "content": "<tool><|end|>", "tool_calls": [call]});
        let source = "{% for m in messages %}{{ m.content }}{{ m.tool_calls | tojson }}{% endfor %}";
        let conversation = Conversation::from_values(vec![message], vec![]);
        let rendered = template(source).render_escaped(&conversation, &look_alikes()).unwrap();
        let argument = rendered.text.rfind("<tool>").unwrap();
        assert_eq!(rendered.cuts, ["<tool><".len(), argument + 1]);
    }

    #[test]
    fn refusals_are_told_in_the_templates_words() {
        let source = "{% macro check(m) %}{{ raise_exception('no ' ~ m.role) }}{% endmacro %}{{ check(messages[0]) }}";
        let error = template(source).render(&user("")).unwrap_err();
        assert!(matches!(&error, TemplateError::Refused { message } if message == "no user"), "{error}");
    }

    #[test]
    fn endless_templates_are_stopped() {
        let source = "{% for i in range(9999) %}{% for j in range(9999) %}{{ i }}{% endfor %}{% endfor %}";
        let error = template(source).render(&user("")).unwrap_err();
        assert!(matches!(error, TemplateError::Runaway), "{error}");
    }

    #[test]
    fn errors_say_where() {
        let error = ChatTemplate::new("a\n{% if %}", [("bos_token", "")]).unwrap_err();
        assert!(matches!(error, TemplateError::Parse(_)) && error.to_string().contains(":2"), "{error}");
        let error = template("\n\n{{ messages[0].x.y }}").render(&user("")).unwrap_err();
        assert!(matches!(error, TemplateError::Render(_)) && error.to_string().contains(":3"), "{error}");
    }

    #[test]
    fn variables_and_clock_reach_the_template() {
        let source = "{{ eos_token }} {{ enable_thinking }} {{ tools is none }} {{ strftime_now('%Y-%m-%d') }}";
        let template = template(source).with_variable("enable_thinking", false);
        let template = template.with_clock(UNIX_EPOCH + Duration::from_secs(86_400)).unwrap();
        assert_eq!(template.render(&user("")).unwrap().text, "</s> False True 1970-01-02");
        assert_eq!(template.variable("eos_token"), Some(&json!("</s>")));
    }

    #[test]
    fn checkpoints_name_their_template_in_several_ways() {
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path().join("tokenizer_config.json");
        assert!(matches!(ChatTemplate::from_dir(&directory), Err(TemplateError::Missing { .. })));

        let render = || ChatTemplate::from_dir(&directory).unwrap().render(&user("")).unwrap().text;
        std::fs::write(&config, json!({"chat_template": "a{{ bos_token }}", "bos_token": "<s>"}).to_string()).unwrap();
        assert_eq!(render(), "a<s>");
        let named = json!([{"name": "rag", "template": "r"}, {"name": "default", "template": "d{{ bos_token }}"}]);
        let object = json!({"content": "<s>", "lstrip": false});
        std::fs::write(&config, json!({"chat_template": named, "bos_token": object}).to_string()).unwrap();
        assert_eq!(render(), "d<s>");
        std::fs::write(directory.path().join("chat_template.jinja"), "j{{ bos_token }}").unwrap();
        assert_eq!(render(), "j<s>");
        std::fs::write(&config, "{").unwrap();
        assert!(matches!(ChatTemplate::from_dir(&directory), Err(TemplateError::Json { .. })));
    }
}
