//! Why a chat template cannot be used.

/// Why a template cannot be loaded or rendered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// A file that cannot be read.
    #[error("cannot read {file}: {source}")]
    Read {
        /// The file.
        file: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file that is not the JSON it should be.
    #[error("{file} is not valid JSON: {source}")]
    Json {
        /// The file.
        file: String,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// A checkpoint without a chat template.
    #[error(
        "no chat template in {directory}: neither chat_template.jinja nor chat_template in tokenizer_config.json; base \
         models have none: give one with ChatTemplate::new"
    )]
    Missing {
        /// The checkpoint's directory.
        directory: String,
    },
    /// A template far longer than any that was written for a model.
    #[error(
        "the chat template has {bytes} bytes; {limit} is the most that is read, and published ones need half of it"
    )]
    TooLong {
        /// Its length.
        bytes: u64,
        /// The longest that is accepted.
        limit: u64,
    },
    /// A system without room for the stack that parsing a template may need.
    #[error("cannot start a thread with {stack} bytes of stack to parse the chat template: {source}")]
    Stack {
        /// The size of the stack.
        stack: usize,
        /// What the system said.
        source: std::io::Error,
    },
    /// A template with a syntax error.
    #[error("the chat template does not parse: {0}")]
    Parse(#[source] minijinja::Error),
    /// A template that refuses the conversation by `raise_exception`.
    #[error("the chat template refuses the conversation: {message}")]
    Refused {
        /// The template's words.
        message: String,
    },
    /// A template that computes without end, or makes more text than its conversation can explain.
    #[error(
        "the chat template was stopped because it did not finish; look for a loop that never ends or squares its input"
    )]
    Runaway,
    /// A template that fails on this conversation.
    #[error("the chat template fails on this conversation: {0}")]
    Render(#[source] minijinja::Error),
    /// `{% generation %}` blocks inside each other, or repeated in part.
    #[error("the chat template's generation blocks overlap in its output; they must follow each other")]
    GenerationBlocks,
    /// Content that uses every private-use character of plane 16.
    #[error("the conversation leaves no private-use character (U+100000 to U+10FFFD) free to mark content with")]
    NoFreeCharacter,
    /// A template that takes text apart which must be kept from becoming special tokens.
    #[error(
        "the chat template takes content apart at text that looks like a special token, so the two cannot be kept \
         apart; remove such text from the messages, or render without escaping if they can be trusted"
    )]
    Inseparable,
}
