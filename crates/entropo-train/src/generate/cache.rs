//! Keys and values of one sequence.

use super::kernel::LANES;
use crate::decoder::DecoderConfig;

/// What attention remembers of one sequence, layer by layer.
#[derive(Clone, Debug)]
pub(super) struct Cache {
    layers: Vec<LayerCache>,
    tokens: Vec<u32>,
}

/// One layer, head by head.
#[derive(Clone, Debug)]
pub(super) struct LayerCache {
    pub(super) heads: Vec<HeadCache>,
    head: usize,
}

/// One key and value head.
#[derive(Clone, Debug, Default)]
pub(super) struct HeadCache {
    /// `[block][head][LANES]`: [`LANES`] positions side by side, so that they are scored together.
    pub(super) keys: Vec<[f32; LANES]>,
    /// `[position, head]`.
    pub(super) values: Vec<f32>,
}

impl Cache {
    pub(super) fn new(config: &DecoderConfig) -> Self {
        let heads = vec![HeadCache::default(); config.num_key_value_heads];
        let layer = LayerCache { heads, head: config.head_dim };
        Self { layers: vec![layer; config.layers.len()], tokens: Vec::new() }
    }

    /// The tokens that it holds keys and values of.
    pub(super) fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// Notes tokens whose keys and values are about to be pushed into every layer.
    pub(super) fn extend(&mut self, tokens: &[u32]) {
        self.tokens.extend_from_slice(tokens);
    }

    pub(super) fn layer_mut(&mut self, layer: usize) -> Option<&mut LayerCache> {
        self.layers.get_mut(layer)
    }

    /// A copy of the first `positions` positions.
    pub(super) fn prefix(&self, positions: usize) -> Self {
        let layer = |layer: &LayerCache| {
            let head = layer.head;
            let cut = |cache: &HeadCache| HeadCache {
                keys: cache.keys.iter().take(positions.div_ceil(LANES) * head).copied().collect(),
                values: cache.values.iter().take(positions * head).copied().collect(),
            };
            LayerCache { heads: layer.heads.iter().map(cut).collect(), head }
        };
        let tokens = self.tokens.iter().take(positions).copied().collect();
        Self { layers: self.layers.iter().map(layer).collect(), tokens }
    }
}

impl LayerCache {
    /// Appends one position: `keys` and `values` `[head of heads]`.
    pub(super) fn push(&mut self, keys: &[f32], values: &[f32]) {
        let head = self.head.max(1);
        let parts = keys.chunks_exact(head).zip(values.chunks_exact(head));
        for (cache, (keys, values)) in self.heads.iter_mut().zip(parts) {
            let position = cache.values.len() / head;
            let (block, lane) = (position / LANES, position % LANES);
            cache.keys.resize((block + 1) * head, [0.0; LANES]);
            let slots = cache.keys.iter_mut().skip(block * head).filter_map(|slot| slot.get_mut(lane));
            slots.zip(keys).for_each(|(slot, key)| *slot = *key);
            cache.values.extend_from_slice(values);
        }
    }
}
