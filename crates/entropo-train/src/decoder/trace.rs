//! Through a decoder's blocks, forward and backward.

use burn::module::Param;
use burn::tensor::{DType, Device, Int, Tensor, module::embedding};

use super::attention::Positions;
use super::block::Saved;
use super::config::{LayerConfig, RopeConfig};
use super::linear::Linear;
use super::{Decoder, Gradients, Layout};
use crate::ops;
use crate::ops::rotary::Rotary;

/// What is kept of a forward pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    /// Whether only the input of each block is kept, and what happens inside is computed again in the backward pass:
    /// memory for one block instead of all, for a third more work.
    pub inputs_only: bool,
    /// The precision of everything between the embedding and the head, if it is another than the embedding's.
    pub compute: Option<DType>,
}

/// A forward pass whose gradient can be had.
#[derive(Debug)]
pub struct Trace<'a> {
    ids: Tensor<1, Int>,
    positions: Vec<Positions<'a>>,
    /// `[layer]`: the input of each block and, unless it is to be computed again, what happened inside.
    blocks: Vec<(Tensor<2>, Option<Saved>)>,
    /// The stream after the last block.
    last: Tensor<2>,
    /// `[token, hidden]`: after the last norm.
    pub(crate) hidden: Tensor<2>,
}

impl Decoder {
    /// Final hidden states after the last norm: `ids` `[token]` to `[token, hidden]`; `compute` as in [`Keep`].
    pub fn forward(&self, ids: Tensor<1, Int>, layout: &Layout, compute: Option<DType>) -> Tensor<2> {
        let device = ids.device();
        let x = self.embed(ids, compute);
        let positions = self.positions(layout, x.dtype(), &device);
        let blocks = self.model.layers.iter().zip(&positions);
        let x = blocks.fold(x, |x, (block, positions)| block.forward(&x, positions).0);
        self.model.norm.forward(&x)
    }

    /// The same, and what [`backward`](Self::backward) needs.
    pub fn trace<'a>(&self, ids: Tensor<1, Int>, layout: &'a Layout, keep: Keep) -> Trace<'a> {
        let mut x = self.embed(ids.clone(), keep.compute);
        let positions = self.positions(layout, x.dtype(), &ids.device());
        let mut blocks = Vec::with_capacity(positions.len());
        for (block, positions) in self.model.layers.iter().zip(&positions) {
            let (y, saved) = block.forward(&x, positions);
            blocks.push((std::mem::replace(&mut x, y), (!keep.inputs_only).then_some(saved)));
        }
        let hidden = self.model.norm.forward(&x);
        Trace { ids, positions, blocks, last: x, hidden }
    }

    /// Adds the gradients of all parameters below the head, given that of the final hidden states, `[token, hidden]`.
    pub fn backward(&self, trace: Trace<'_>, of_hidden: Tensor<2>, gradients: &mut Gradients) {
        let Trace { ids, positions, blocks, last, hidden } = trace;
        drop(hidden);
        let into = last.zeros_like();
        let mut gradient = self.model.norm.backward(&last, &of_hidden, into, gradients);
        drop((last, of_hidden));
        let layers = self.model.layers.iter().zip(&positions).zip(blocks).rev();
        for ((block, positions), (input, saved)) in layers {
            let saved = saved.unwrap_or_else(|| block.forward(&input, positions).1);
            gradient = block.backward(&input, saved, gradient, positions, gradients);
        }
        self.embed_backward(&ids, gradient, gradients);
    }

    fn embed(&self, ids: Tensor<1, Int>, compute: Option<DType>) -> Tensor<2> {
        let [tokens] = ids.dims();
        let x = embedding(self.embedding().val(), ids.unsqueeze::<2>());
        let x = x.reshape([tokens, self.config.hidden_size]);
        let x = compute.map_or(x.clone(), |dtype| x.cast(dtype));
        if self.config.embedding_scale == 1.0 { x } else { x.mul_scalar(self.config.embedding_scale) }
    }

    fn embed_backward(&self, ids: &Tensor<1, Int>, gradient: Tensor<2>, gradients: &mut Gradients) {
        let weight = self.embedding();
        if !gradients.wants(weight) {
            return;
        }
        let gradient = gradient.mul_scalar(self.config.embedding_scale);
        gradients.update(weight, |known| {
            let device = &gradient.device();
            let into = known.unwrap_or_else(|| Tensor::zeros(weight.lazy_shape(), (device, DType::F32)));
            ops::embedding::backward(into, ids, &gradient)
        });
    }

    /// Absent where the embedding serves as head.
    pub(crate) fn lm_head(&self) -> Option<&Linear> {
        self.lm_head.as_ref()
    }

    /// `[vocabulary, hidden]`
    pub(crate) fn embedding(&self) -> &Param<Tensor<2>> {
        &self.model.embed_tokens.weight
    }

    /// `[layer]`: rotations and masks, layers of one kind sharing theirs.
    fn positions<'a>(&self, layout: &'a Layout, dtype: DType, device: &Device) -> Vec<Positions<'a>> {
        let mut known: Vec<(RopeConfig, Rotary)> = Vec::new();
        let of_layer = |layer: &LayerConfig| {
            let rotary = match known.iter().find(|(rope, _)| *rope == layer.rope) {
                Some((_, rotary)) => rotary.clone(),
                None => {
                    let rotary = Rotary::new(layout.positions(), self.config.head_dim, &layer.rope, device, dtype);
                    known.push((layer.rope, rotary.clone()));
                    rotary
                }
            };
            Positions { layout, rotary, window: layer.window }
        };
        self.config.layers.iter().map(of_layer).collect()
    }
}
