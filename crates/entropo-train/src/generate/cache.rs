//! Keys and values of one sequence, in blocks that sequences share.
//!
//! Rollouts of one task begin alike. A block of [`BLOCK`] positions is therefore a value behind an [`Arc`]: who continues
//! a known beginning holds the same blocks, and only the last one, where it is not full, is copied when it is written to.

use std::sync::Arc;

use super::kernel::{KeysAndValues, LANES, Lanes};
use crate::decoder::DecoderConfig;

/// Positions in a block.
pub(super) const BLOCK: usize = LANES;

/// Keys and values of all layers for [`BLOCK`] positions.
#[derive(Clone, Debug)]
pub(super) struct Block {
    keys: Vec<Lanes>,   // [layer][key head][head][BLOCK]
    values: Vec<Lanes>, // [layer][key head][BLOCK][head, filled up with zeros to whole Lanes]
}

/// What attention remembers of one sequence.
#[derive(Clone, Debug)]
pub(super) struct Cache {
    blocks: Vec<Arc<Block>>,
    tokens: Vec<u32>,
}

/// The sizes of a block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    layers: usize,
    key_heads: usize,
    head: usize,
}

impl Shape {
    pub(super) fn new(config: &DecoderConfig) -> Self {
        Self { layers: config.layers.len(), key_heads: config.num_key_value_heads, head: config.head_dim }
    }

    /// Lanes of one layer's and head's keys and of its values.
    fn sizes(self) -> (usize, usize) {
        (self.head, BLOCK * self.head.div_ceil(LANES))
    }

    fn heads(self) -> usize {
        self.layers * self.key_heads
    }
}

impl Block {
    fn new(shape: Shape) -> Self {
        let (keys, values) = shape.sizes();
        let zeros = |lanes: usize| vec![Lanes::ZERO; shape.heads() * lanes];
        Self { keys: zeros(keys), values: zeros(values) }
    }

    /// Memory that a block takes.
    pub(super) fn bytes(config: &DecoderConfig) -> usize {
        let shape = Shape::new(config);
        let (keys, values) = shape.sizes();
        shape.heads() * (keys + values) * size_of::<Lanes>()
    }

    /// Keys and values of one layer and key head.
    fn head(&self, shape: Shape, layer: usize, key_head: usize) -> KeysAndValues<'_> {
        let (keys, values) = shape.sizes();
        let index = layer * shape.key_heads + key_head;
        let part = |lanes: usize| index * lanes..(index + 1) * lanes;
        (self.keys.get(part(keys)).unwrap_or_default(), self.values.get(part(values)).unwrap_or_default())
    }

    fn set(&mut self, shape: Shape, layer: usize, key_head: usize, lane: usize, key: &[f32], value: &[f32]) {
        let (keys, values) = shape.sizes();
        let index = layer * shape.key_heads + key_head;
        let slots = self.keys.iter_mut().skip(index * keys).filter_map(|lanes| lanes.0.get_mut(lane));
        slots.zip(key).for_each(|(slot, key)| *slot = *key);
        let width = values / BLOCK;
        let rows = self.values.iter_mut().skip(index * values + lane * width);
        for (row, value) in rows.zip(value.chunks(LANES)) {
            row.0.iter_mut().zip(value).for_each(|(slot, value)| *slot = *value);
        }
    }
}

impl Cache {
    /// Of a sequence that has not begun.
    #[cfg(test)]
    pub(super) fn new() -> Self {
        Self::from_shared([], Vec::new())
    }

    /// Of a sequence whose beginning is known: `blocks` hold at least the positions of `tokens`.
    pub(super) fn from_shared(tokens: impl Into<Vec<u32>>, mut blocks: Vec<Arc<Block>>) -> Self {
        let tokens = tokens.into();
        blocks.truncate(tokens.len().div_ceil(BLOCK));
        Self { blocks, tokens }
    }

    /// The tokens that it holds keys and values of.
    pub(super) fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// The blocks, the last of which may be filled in part.
    pub(super) fn blocks(&self) -> &[Arc<Block>] {
        &self.blocks
    }

    /// Keys and values of one layer and key head, block by block.
    pub(super) fn heads(&self, shape: Shape, layer: usize, key_head: usize) -> Vec<KeysAndValues<'_>> {
        self.blocks.iter().map(|block| block.head(shape, layer, key_head)).collect()
    }

    /// Notes tokens whose keys and values are about to be set in every layer.
    pub(super) fn extend(&mut self, tokens: &[u32], shape: Shape) {
        self.tokens.extend_from_slice(tokens);
        self.blocks.resize_with(self.tokens.len().div_ceil(BLOCK), || Arc::new(Block::new(shape)));
    }

    /// Sets the key and the value `[head]` of a position.
    pub(super) fn set(
        &mut self,
        shape: Shape,
        (layer, key_head): (usize, usize),
        position: usize,
        key: &[f32],
        value: &[f32],
    ) {
        if let Some(block) = self.blocks.get_mut(position / BLOCK) {
            Arc::make_mut(block).set(shape, layer, key_head, position % BLOCK, key, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape { layers: 2, key_heads: 3, head: 5 };

    fn fill(cache: &mut Cache, tokens: &[u32]) {
        let start = cache.tokens().len();
        cache.extend(tokens, SHAPE);
        for (position, token) in (start..).zip(tokens) {
            for layer in 0..2 {
                for head in 0..3 {
                    let number = (*token as usize * 100 + layer * 10 + head) as f32;
                    cache.set(SHAPE, (layer, head), position, &[number; 5], &[-number; 5]);
                }
            }
        }
    }

    fn key(cache: &Cache, layer: usize, head: usize, position: usize) -> f32 {
        let (keys, values) = cache.blocks()[position / BLOCK].head(SHAPE, layer, head);
        let (key, value) = (keys[4].0[position % BLOCK], values[position % BLOCK].0[4]);
        assert_eq!(key, -value);
        key
    }

    #[test]
    fn a_shared_beginning_is_copied_only_where_it_is_written() {
        let mut first = Cache::from_shared([], Vec::new());
        fill(&mut first, &(0..40).collect::<Vec<_>>());
        assert_eq!(first.blocks().len(), 3);
        let mut second = Cache::from_shared(&first.tokens()[..20], first.blocks().to_vec());
        assert_eq!(second.blocks().len(), 2);
        assert!(Arc::ptr_eq(&first.blocks()[1], &second.blocks()[1]));
        fill(&mut second, &[77, 78]);
        assert!(Arc::ptr_eq(&first.blocks()[0], &second.blocks()[0]));
        assert!(!Arc::ptr_eq(&first.blocks()[1], &second.blocks()[1]));
        for (layer, head) in [(0, 0), (1, 2)] {
            let offset = (layer * 10 + head) as f32;
            assert_eq!(key(&first, layer, head, 20), 2000.0 + offset);
            assert_eq!(key(&second, layer, head, 19), 1900.0 + offset);
            assert_eq!(key(&second, layer, head, 20), 7700.0 + offset);
        }
    }
}
