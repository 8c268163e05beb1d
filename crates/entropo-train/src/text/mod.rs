//! Between messages and token ids: tokenizers, chat templates and the mask of what the assistant wrote.
//!
//! A model is trained on exactly the ids that it reads and samples when it acts. Everything that turns messages into
//! ids is therefore here, once, for agents and for training: [`Tokenizer`] reads `tokenizer.json`, [`ChatTemplate`]
//! renders as transformers does, and [`ChatFormat`] puts them together.
//!
//! # Text that only looks like a special token
//!
//! A file that an agent reads may hold `<|im_end|>`. Tokenised as text it would end the tool's turn and let the file
//! speak as the user. [`SpecialText::Escape`], the agent's choice, keeps such look-alikes apart: they are marked in
//! the messages, the rendered text is cut at the marks before tokenising, and nothing else changes. What counts:
//!
//! - in system, user and tool messages, tool calls and tool declarations: the text of every added token of the
//!   tokenizer, special or not;
//! - in an assistant's own text: of those flagged special. The others (`<think>`, `<tool_call>`) are how the model
//!   writes its answer and stay what the model samples.
//!
//! Added tokens of a single character or of blanks only are ordinary text everywhere. Tokenizers that put a space
//! before every text would put one at a cut; none of the supported families (Qwen, Llama 3, Gemma, GLM) does.
//!
//! The marks are private-use characters that occur neither in the conversation nor in the template, so no content has
//! to be refused and none is lost. A template that takes its content apart (`startswith`, `split`) could see them;
//! a marked rendering is only used if it says the same as the unmarked one, otherwise the marks are placed differently.
//! See [`ChatTemplate::render_escaped`].

mod clock;
mod conversation;
mod encode;
mod generation;
mod jinja;
mod json;
mod look_alike;
mod marks;
mod methods;
mod print;
mod rendered;
mod stream;
mod template;
mod template_error;
mod tokenizer;
mod turns;

pub use conversation::Conversation;
pub use encode::{ChatFormat, EncodeError, Encoded, encode};
pub use look_alike::LookAlikes;
pub use rendered::Rendered;
pub use stream::TextStream;
pub use template::ChatTemplate;
pub use template_error::TemplateError;
pub use tokenizer::{AddedToken, SpecialText, Tokenizer, TokenizerError};
pub use turns::TurnError;
