//! A checkpoint as a [`ChatModel`]: token in, token out.
//!
//! The first prompt of a conversation is rendered and tokenised. From then on the prompt of every turn is the ids of the
//! turn before, what was sampled included, followed by the newly tokenised observation: what training reads is, byte for
//! byte, what the policy saw and wrote.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use entropo_agent::{ChatModel, ChatRequest, ChatResponse, Dialect, ModelError, SampledTokens, dialect};
use entropo_core::{Message, ToolSpec, Usage};

use crate::checkpoint::{CheckpointError, Problems};
use crate::decoder::Decoder;
use crate::generate::{Engine, EngineConfig, EngineError, GenerateRequest, HostDecoder};
use crate::text::{ChatFormat, Conversation, EncodeError};

/// A decoder with its tokenizer, chat template and way of writing tool calls.
pub struct LocalModel {
    name: String,
    engine: Engine,
    format: Arc<ChatFormat>,
    dialect: Box<dyn Dialect>,
    stop: Vec<u32>,
}

/// Why a checkpoint cannot act.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LocalModelError {
    /// Weights or configuration.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A decoder whose parameters cannot be copied to the host.
    #[error("the decoder's parameters do not fit its configuration:\n{0}")]
    Weights(Problems),
    /// Tokenizer or template.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// A tokenizer with more tokens than the embedding has rows.
    #[error("the tokenizer has {tokens} tokens, the embedding {rows} rows; they belong to different checkpoints")]
    Vocabulary {
        /// Tokens of the tokenizer.
        tokens: usize,
        /// Rows of the embedding.
        rows: usize,
    },
}

impl LocalModel {
    /// A model that writes tool calls as its chat template does ([`dialect::of_template`]) and stops at the
    /// configuration's end tokens. The decoder's weights are copied.
    pub fn new(
        name: impl Into<String>,
        decoder: &Decoder,
        format: ChatFormat,
        config: EngineConfig,
    ) -> Result<Self, LocalModelError> {
        let host = HostDecoder::new(decoder).map_err(LocalModelError::Weights)?;
        Self::of_host(name, host, format, config)
    }

    /// The same of a decoder that is made for generation already.
    pub fn of_host(
        name: impl Into<String>,
        decoder: HostDecoder,
        format: ChatFormat,
        config: EngineConfig,
    ) -> Result<Self, LocalModelError> {
        let (tokens, rows) = (format.tokenizer().vocab_size(), decoder.config().vocab_size);
        if tokens > rows {
            return Err(LocalModelError::Vocabulary { tokens, rows });
        }
        let stop = decoder.config().eos_token_ids.clone();
        let dialect = dialect::of_template(format.template().source());
        let engine = Engine::new(decoder, config);
        Ok(Self { name: name.into(), engine, format: Arc::new(format), dialect, stop })
    }

    /// Opens a checkpoint directory: `config.json`, the weights, `tokenizer.json` and the chat template. Weights are held
    /// in the type in which they are stored.
    pub fn open(directory: &Path, config: EngineConfig) -> Result<Self, LocalModelError> {
        let format = ChatFormat::from_dir(directory)?;
        let decoder = HostDecoder::open(directory)?;
        let name = directory.file_name().map_or_else(|| "local".into(), |name| name.to_string_lossy());
        Self::of_host(name, decoder, format, config)
    }

    /// Sets the name that is recorded in trajectories.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Sets how tool calls are written.
    #[must_use]
    pub fn with_dialect(mut self, dialect: impl Dialect + 'static) -> Self {
        self.dialect = Box::new(dialect);
        self
    }

    /// What generates.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Tokenizer and chat template.
    pub fn format(&self) -> &Arc<ChatFormat> {
        &self.format
    }

    /// How tool calls are written.
    pub fn dialect(&self) -> &dyn Dialect {
        self.dialect.as_ref()
    }

    /// The tokens that end a turn.
    pub fn stop_tokens(&self) -> &[u32] {
        &self.stop
    }

    /// The ids of a request's prompt.
    fn prompt(&self, request: &ChatRequest<'_>) -> Result<Vec<u32>, EncodeError> {
        let conversation = Conversation::new(request.messages, request.tools).with_generation_prompt(true);
        let written = request.messages.iter().rposition(|message| matches!(message, Message::Assistant(_)));
        let seen = request.trace.segments().last().filter(|seen| written.is_some_and(|last| last + 1 == seen.messages));
        let Some(seen) = seen else {
            return self.format.prompt_ids(&conversation);
        };
        let sampled = seen.actions.last().and_then(|action| seen.ids.get(action.start..action.end)).unwrap_or_default();
        let observed = self.format.observation_ids(&conversation, sampled)?;
        Ok(seen.ids.iter().copied().chain(observed).collect())
    }

    fn failed(&self, source: impl std::error::Error + Send + Sync + 'static) -> ModelError {
        ModelError::Other { model: self.name.clone(), source: Box::new(source) }
    }
}

#[async_trait]
impl ChatModel for LocalModel {
    fn name(&self) -> &str {
        &self.name
    }

    async fn chat(&self, request: ChatRequest<'_>) -> Result<ChatResponse, ModelError> {
        let prompt = self.prompt(&request).map_err(|error| self.failed(error))?;
        let generated = self.engine.generate(GenerateRequest {
            prompt: prompt.clone(),
            sampling: request.sampling.clone(),
            stop: self.stop.clone(),
            seed: request.seed,
            cancel: request.cancel.clone(),
            ..GenerateRequest::default()
        });
        let generated = generated.await.map_err(|error| match error {
            EngineError::Cancelled => ModelError::Cancelled,
            EngineError::ContextFull { prompt, context } => ModelError::ContextFull { prompt, context },
            other => self.failed(other),
        })?;
        let words = generated.completion.iter().copied().filter(|token| !self.stop.contains(token));
        let words: Vec<u32> = words.collect();
        let raw = self.format.tokenizer().decode(&words, false).map_err(|error| self.failed(error))?;
        let (message, format_error) = self.dialect.read(&raw);
        let usage =
            Usage { prompt_tokens: prompt.len(), completion_tokens: generated.completion.len(), ..Usage::default() };
        let tokens = SampledTokens { prompt, completion: generated.completion, logprobs: generated.logprobs };
        Ok(ChatResponse { message, format_error, stop: generated.ending.stop, usage, tokens: Some(tokens) })
    }

    fn count_tokens(&self, messages: &[Message], tools: &[ToolSpec]) -> Option<usize> {
        let conversation = Conversation::new(messages, tools).with_generation_prompt(true);
        self.format.prompt_ids(&conversation).ok().map(|ids| ids.len())
    }
}

impl std::fmt::Debug for LocalModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LocalModel").field("name", &self.name).finish_non_exhaustive()
    }
}
