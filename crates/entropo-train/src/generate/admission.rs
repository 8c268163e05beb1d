//! Which requests are served, and what each may need at worst.

use entropo_agent::Sampling;

use super::cache::{BLOCK, Block};
use super::error::EngineError;
use super::request::GenerateRequest;
use crate::decoder::DecoderConfig;

/// The bounds that a scheduler keeps.
#[derive(Clone, Debug)]
pub(super) struct Limits {
    /// Longest context in tokens.
    pub(super) context: usize,
    /// Size of the vocabulary.
    pub(super) vocabulary: usize,
    /// Bytes of one block of keys and values.
    pub(super) block_bytes: usize,
    /// Bytes of all blocks together.
    pub(super) cache_bytes: usize,
    /// Sequences that run at a time.
    pub(super) batch: usize,
    /// Tokens of prompts that are read in one step.
    pub(super) prefill: usize,
}

impl Limits {
    pub(super) fn new(decoder: &DecoderConfig, batch: usize, prefill: usize, cache_bytes: usize) -> Self {
        Self {
            context: decoder.max_position_embeddings,
            vocabulary: decoder.vocab_size,
            block_bytes: Block::bytes(decoder).max(1),
            cache_bytes,
            batch: batch.max(1),
            prefill: prefill.max(1),
        }
    }

    /// Blocks that there may be.
    pub(super) fn blocks(&self) -> usize {
        self.cache_bytes / self.block_bytes
    }

    /// Blocks that a sequence has at worst. The last token of a reply is never read, so it needs no place.
    pub(super) fn blocks_at_worst(&self, request: &GenerateRequest) -> usize {
        self.tokens_at_worst(request).saturating_sub(1).div_ceil(BLOCK)
    }

    fn tokens_at_worst(&self, request: &GenerateRequest) -> usize {
        request.prompt.len().saturating_add(request.sampling.max_tokens).min(self.context)
    }

    /// Refuses what can never be served.
    pub(super) fn check(&self, request: &GenerateRequest) -> Result<(), EngineError> {
        let (prompt, context, vocabulary) = (request.prompt.len(), self.context, self.vocabulary);
        if prompt == 0 {
            return Err(EngineError::EmptyPrompt);
        }
        if prompt >= context {
            return Err(EngineError::ContextFull { prompt, context });
        }
        let outside = request.prompt.iter().enumerate().find(|&(_, &token)| token as usize >= vocabulary);
        if let Some((position, &token)) = outside {
            return Err(EngineError::Token { position, token, vocabulary });
        }
        check_sampling(&request.sampling)?;
        let blocks = self.blocks_at_worst(request);
        if blocks > self.blocks() {
            let (tokens, needed) = (self.tokens_at_worst(request), blocks.saturating_mul(self.block_bytes));
            return Err(EngineError::CacheFull { tokens, needed, budget: self.cache_bytes });
        }
        Ok(())
    }
}

fn check_sampling(sampling: &Sampling) -> Result<(), EngineError> {
    let Sampling { temperature, top_p, top_k, min_p, repetition_penalty, .. } = *sampling;
    let top_k = top_k.map_or(1.0, |top_k| top_k as f32);
    let settings = [
        ("temperature", temperature, temperature >= 0.0 && temperature.is_finite(), "0 or positive"),
        ("top_p", top_p, top_p > 0.0 && top_p <= 1.0, "above 0 and at most 1"),
        ("top_k", top_k, top_k >= 1.0, "at least 1"),
        ("min_p", min_p, (0.0..=1.0).contains(&min_p), "between 0 and 1"),
        (
            "repetition_penalty",
            repetition_penalty,
            repetition_penalty > 0.0 && repetition_penalty.is_finite(),
            "positive",
        ),
    ];
    match settings.into_iter().find(|&(_, _, fine, _)| !fine) {
        Some((name, value, _, allowed)) => Err(EngineError::Sampling { name, value: value.into(), allowed }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        Limits { context: 100, vocabulary: 10, block_bytes: 1000, cache_bytes: 3999, batch: 1, prefill: 1 }
    }

    fn request(prompt: usize, max_tokens: usize) -> GenerateRequest {
        let sampling = Sampling { max_tokens, ..Sampling::default() };
        GenerateRequest { prompt: vec![1; prompt], sampling, ..GenerateRequest::default() }
    }

    #[test]
    fn the_last_token_needs_no_place() {
        for (prompt, max_tokens, blocks) in [(16, 1, 1), (16, 2, 2), (1, 0, 0), (40, 9, 3), (40, 10, 4), (90, 99, 7)] {
            assert_eq!(limits().blocks_at_worst(&request(prompt, max_tokens)), blocks, "{prompt} {max_tokens}");
        }
    }

    #[test]
    fn what_never_fits_is_refused_with_both_numbers() {
        assert_eq!(limits().check(&request(20, 29)), Ok(()));
        let refused = EngineError::CacheFull { tokens: 50, needed: 4000, budget: 3999 };
        assert_eq!(limits().check(&request(20, 30)), Err(refused));
        let refused = EngineError::CacheFull { tokens: 100, needed: 7000, budget: 3999 };
        assert_eq!(limits().check(&request(20, usize::MAX)), Err(refused));
    }

    #[test]
    fn settings_that_mean_nothing_are_refused_by_name() {
        let fine = Sampling::default();
        let wrong = [
            ("temperature", Sampling { temperature: -0.1, ..fine.clone() }),
            ("temperature", Sampling { temperature: f32::NAN, ..fine.clone() }),
            ("top_p", Sampling { top_p: 0.0, ..fine.clone() }),
            ("top_p", Sampling { top_p: 1.1, ..fine.clone() }),
            ("top_k", Sampling { top_k: Some(0), ..fine.clone() }),
            ("min_p", Sampling { min_p: 1.5, ..fine.clone() }),
            ("repetition_penalty", Sampling { repetition_penalty: 0.0, ..fine.clone() }),
        ];
        assert_eq!(check_sampling(&fine), Ok(()));
        for (wanted, sampling) in wrong {
            let Err(EngineError::Sampling { name, .. }) = check_sampling(&sampling) else { panic!("{wanted}") };
            assert_eq!(name, wanted);
        }
    }
}
