//! What is asked of the engine, and what it answers.

use entropo_agent::{CancellationToken, Sampling, StopReason};

use super::stop::StopRule;

/// A prompt to continue.
#[derive(Debug, Default)]
pub struct GenerateRequest {
    /// Token ids; at least one, fewer than the context.
    pub prompt: Vec<u32>,
    /// How to sample, and how much. With `max_tokens` 0 the answer is empty and nothing is computed.
    pub sampling: Sampling,
    /// Token ids that end the reply; they are part of it.
    pub stop: Vec<u32>,
    /// Another reason to end the reply, [`StopStrings`](super::StopStrings) say; asked after every token that is not in
    /// `stop`. The token that it ends with is part of the reply.
    pub rule: Option<Box<dyn StopRule>>,
    /// How many of the likeliest tokens are reported beside each sampled one.
    pub top_logprobs: usize,
    /// Governs the sampling.
    pub seed: u64,
    /// Ends the request.
    pub cancel: CancellationToken,
}

/// One token of a reply. Probabilities are those of the policy itself: temperature 1, no penalty, no filter.
#[derive(Clone, Debug, PartialEq)]
pub struct SampledToken {
    /// Its id.
    pub id: u32,
    /// Its natural log-probability.
    pub logprob: f32,
    /// The entropy of the distribution that it comes from, in nats.
    pub entropy: f32,
    /// The [`GenerateRequest::top_logprobs`] likeliest tokens with their log-probabilities, the likeliest first, of equal
    /// ones the one with the smaller id.
    pub top: Vec<(u32, f32)>,
}

/// How a reply ended, and what its prompt cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ending {
    /// Why it ended: [`StopReason::EndOfTurn`] by a stop token or the request's rule.
    pub stop: StopReason,
    /// Tokens of the prompt: those computed and those reused.
    pub prompt: usize,
    /// Tokens of the prompt that were computed for this request.
    pub prefilled: usize,
    /// Tokens of the prompt that other requests had computed.
    pub reused: usize,
}

/// What a [`TokenStream`](super::TokenStream) yields.
#[derive(Clone, Debug, PartialEq)]
pub enum Streamed {
    /// The next token.
    Token(SampledToken),
    /// The end; nothing follows.
    End(Ending),
}

/// A whole reply.
#[derive(Clone, Debug, PartialEq)]
pub struct Generated {
    /// Token ids, a stop token included.
    pub completion: Vec<u32>,
    /// Natural log-probability of each under the policy at temperature 1, unfiltered.
    pub logprobs: Vec<f32>,
    /// Entropy in nats of the distribution that each comes from, likewise unchanged.
    pub entropies: Vec<f32>,
    /// The likeliest tokens at each position, see [`SampledToken::top`].
    pub top: Vec<Vec<(u32, f32)>>,
    /// How it ended.
    pub ending: Ending,
}
