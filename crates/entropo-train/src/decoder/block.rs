//! One decoder block: norm, attention, norm, feed-forward layer, each half added to the residual stream.

use burn::module::Module;
use burn::tensor::Tensor;

use super::attention::{Attention, Positions};
use super::config::{DecoderConfig, LayerConfig};
use super::feed_forward::FeedForward;
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

    /// `x`: `[batch, token, hidden]`.
    pub(super) fn forward(&self, x: Tensor<3>, positions: &Positions) -> Tensor<3> {
        let attended = self.self_attn.forward(self.input_layernorm.forward(x.clone()), positions);
        if let (Some(before), Some(after)) = (&self.pre_feedforward_layernorm, &self.post_feedforward_layernorm) {
            let x = x + self.post_attention_layernorm.forward(attended);
            let fed = self.mlp.forward(before.forward(x.clone()));
            return x + after.forward(fed);
        }
        let x = x + attended;
        let fed = self.mlp.forward(self.post_attention_layernorm.forward(x.clone()));
        x + fed
    }
}
