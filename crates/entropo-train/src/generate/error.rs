//! Why nothing was generated.

/// Why nothing was generated.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// A prompt without tokens.
    #[error("the prompt is empty; a generation needs at least one token to continue")]
    EmptyPrompt,
    /// A prompt that leaves no room.
    #[error("the prompt has {prompt} tokens, the context {context}")]
    ContextFull {
        /// Tokens in the prompt.
        prompt: usize,
        /// Tokens that fit.
        context: usize,
    },
    /// A token id that the model does not have.
    #[error("prompt token {token} at position {position} is outside the vocabulary of {vocabulary}")]
    Token {
        /// Where it is.
        position: usize,
        /// The token id.
        token: u32,
        /// Size of the vocabulary.
        vocabulary: usize,
    },
    /// A way of sampling that means nothing.
    #[error("cannot sample with {name} = {value}; it must be {allowed}")]
    Sampling {
        /// The setting's name.
        name: &'static str,
        /// Its value.
        value: f64,
        /// What it may be.
        allowed: &'static str,
    },
    /// A request that would not fit if it were alone.
    #[error(
        "{tokens} tokens of prompt and reply may need {needed} bytes of key and value cache, the engine has {budget}; \
         ask for fewer tokens or raise cache_bytes"
    )]
    CacheFull {
        /// Tokens of the prompt and of the longest reply.
        tokens: usize,
        /// Bytes that they need.
        needed: usize,
        /// Bytes that there are.
        budget: usize,
    },
    /// Logits that are not numbers.
    #[error("the model's logits are not numbers after {tokens} tokens; its weights are broken")]
    NotFinite {
        /// Tokens read until then.
        tokens: usize,
    },
    /// The request's token was cancelled, or the engine was dropped.
    #[error("cancelled")]
    Cancelled,
    /// The engine's thread is no more.
    #[error("the engine's thread panicked; standard error has its message, and the engine serves no more requests")]
    Stopped,
}
