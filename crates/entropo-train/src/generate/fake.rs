//! A decoder that costs nothing, for tests of what surrounds it: its logits are a hash of the tokens read, which it
//! takes from the cache's blocks, so that a wrong block is a wrong reply.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::cache::{BLOCK, Cache, Shape};
use super::forward::Work;
use crate::decoder::DecoderConfig;

pub(super) const VOCABULARY: usize = 11;

/// What it was asked for.
#[derive(Debug)]
pub(super) struct Fake {
    shape: Shape,
    /// Tokens read, over all sequences.
    pub(super) rows: usize,
}

impl Fake {
    pub(super) fn new() -> Self {
        let config = r#"{"model_type": "qwen2", "vocab_size": 11, "hidden_size": 2, "intermediate_size": 1,
            "num_hidden_layers": 1, "num_attention_heads": 1, "num_key_value_heads": 1, "eos_token_id": 0}"#;
        Self { shape: Shape::new(&DecoderConfig::from_json(config, "fake").unwrap()), rows: 0 }
    }

    pub(super) fn forward(&mut self, work: &mut [Work<'_>]) -> Vec<Vec<f32>> {
        for Work { cache, tokens, .. } in work.iter_mut() {
            self.rows += tokens.len();
            let start = cache.tokens().len();
            cache.extend(tokens, self.shape);
            for (position, &token) in (start..).zip(tokens.iter()) {
                cache.set(self.shape, (0, 0), position, &[token as f32; 2], &[position as f32; 2]);
            }
        }
        work.iter().filter(|work| work.logits).map(|work| self.logits(work.cache)).collect()
    }

    fn logits(&self, cache: &Cache) -> Vec<f32> {
        let blocks = cache.heads(self.shape, 0, 0);
        let held = (0..cache.tokens().len()).map(|position| {
            let (keys, values) = blocks[position / BLOCK];
            assert_eq!(values[position % BLOCK].0[0], position as f32);
            keys[0].0[position % BLOCK] as u32
        });
        let held: Vec<u32> = held.collect();
        assert_eq!(held, cache.tokens());
        logits(&held)
    }
}

/// The logits after `tokens`, `[vocabulary]`.
pub(super) fn logits(tokens: &[u32]) -> Vec<f32> {
    let seed = tokens.iter().fold(7u64, |hash, &token| (hash ^ u64::from(token)).wrapping_mul(0x0100_0000_01b3));
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    (0..VOCABULARY).map(|_| random.random_range(-2.0..2.0)).collect()
}
