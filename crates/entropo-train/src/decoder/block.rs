//! One decoder block: norm, attention, norm, feed-forward layer, each half added to the residual stream.

use burn::module::Module;
use burn::tensor::Tensor;

use super::attention::{self, Attention, Positions};
use super::config::{DecoderConfig, LayerConfig};
use super::feed_forward::{self, FeedForward};
use super::gradients::Gradients;
use super::init::Init;
use super::linear::Linear;
use super::norm::Norm;

/// One block, its parts named as in checkpoints.
///
/// `post_attention_layernorm` is a misleading name: it usually stands before the feed-forward layer. Only where results
/// are normalised too (Gemma) is it what it says, and the feed-forward layer has a norm on either side.
#[derive(Module, Debug)]
pub struct Block {
    input_layernorm: Norm,
    self_attn: Attention,
    post_attention_layernorm: Norm,
    mlp: FeedForward,
    pre_feedforward_layernorm: Option<Norm>,
    post_feedforward_layernorm: Option<Norm>,
}

/// What the backward pass needs beside the block's input.
#[derive(Debug)]
pub(super) struct Saved {
    attention: attention::Saved,
    /// The stream between the halves.
    middle: Tensor<2>,
    feed_forward: feed_forward::Saved,
    /// What the halves gave, where it is normalised.
    results: Option<[Tensor<2>; 2]>,
}

impl Block {
    pub(super) fn new(layer: &LayerConfig, config: &DecoderConfig, init: &mut Init<'_>) -> Self {
        let norm = |init: &mut Init<'_>| Norm::new(config.hidden_size, config, init);
        Self {
            input_layernorm: norm(init),
            self_attn: Attention::new(config, init),
            post_attention_layernorm: norm(init),
            mlp: FeedForward::new(&layer.feed_forward, config, init),
            pre_feedforward_layernorm: config.norm_results.then(|| norm(init)),
            post_feedforward_layernorm: config.norm_results.then(|| norm(init)),
        }
    }

    /// The block's linear layers by their names in it.
    pub(super) fn linears_mut(&mut self) -> Vec<(String, &mut Linear)> {
        let attention = self.self_attn.linears_mut().map(|(name, linear)| (format!("self_attn.{name}"), linear));
        let fed = self.mlp.linears_mut().into_iter().map(|(name, linear)| (format!("mlp.{name}"), linear));
        attention.into_iter().chain(fed).collect()
    }

    /// `[token, hidden]` to the same shape.
    pub(super) fn forward(&self, x: &Tensor<2>, positions: &Positions<'_>) -> (Tensor<2>, Saved) {
        let (attended, attention) = self.self_attn.forward(&self.input_layernorm.forward(x), positions);
        let Some((before, after)) = self.norms_around() else {
            let middle = attended + x.clone();
            let (fed, feed_forward) = self.mlp.forward(&self.post_attention_layernorm.forward(&middle));
            return (fed + middle.clone(), Saved { attention, middle, feed_forward, results: None });
        };
        let middle = self.post_attention_layernorm.forward(&attended) + x.clone();
        let (fed, feed_forward) = self.mlp.forward(&before.forward(&middle));
        let y = after.forward(&fed) + middle.clone();
        (y, Saved { attention, middle, feed_forward, results: Some([attended, fed]) })
    }

    /// From the gradient of the result to that of the input.
    pub(super) fn backward(
        &self,
        x: &Tensor<2>,
        saved: Saved,
        dy: Tensor<2>,
        positions: &Positions<'_>,
        gradients: &mut Gradients,
    ) -> Tensor<2> {
        let Saved { attention, middle, feed_forward, results } = saved;
        let (before, of_fed, attended) = match (self.norms_around(), results) {
            (Some((before, after)), Some([attended, fed])) => {
                let of_fed = after.backward(&fed, &dy, fed.zeros_like(), gradients);
                (before, Some(of_fed), Some(attended))
            }
            _ => (&self.post_attention_layernorm, None, None),
        };
        let of_fed =
            self.mlp.backward(&before.forward(&middle), feed_forward, of_fed.as_ref().unwrap_or(&dy), gradients);
        let of_middle = before.backward(&middle, &of_fed, dy, gradients);
        drop((middle, of_fed));
        let of_attended = attended.map(|attended| {
            let into = attended.zeros_like();
            self.post_attention_layernorm.backward(&attended, &of_middle, into, gradients)
        });
        let normed = self.input_layernorm.forward(x);
        let of_attended = of_attended.as_ref().unwrap_or(&of_middle);
        let of_normed = self.self_attn.backward(&normed, attention, of_attended, positions, gradients);
        self.input_layernorm.backward(x, &of_normed, of_middle, gradients)
    }

    /// The norms before and after the feed-forward layer, where its result is normalised.
    fn norms_around(&self) -> Option<(&Norm, &Norm)> {
        self.pre_feedforward_layernorm.as_ref().zip(self.post_feedforward_layernorm.as_ref())
    }
}
