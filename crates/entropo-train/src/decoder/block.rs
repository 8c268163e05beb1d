//! One decoder block: norm, attention, norm, gated feed-forward layer, each added to the residual stream.

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::activation::silu;
use burn::tensor::{Bool, Tensor};

use super::attention::Attention;
use super::config::DecoderConfig;
use super::init::Init;
use super::rope::Rotary;

/// A root-mean-square norm: `x / sqrt(mean(x^2) + epsilon) * weight`, in the tensor's own precision.
#[derive(Module, Debug)]
pub struct Norm {
    weight: Param<Tensor<1>>,
    #[module(skip)]
    epsilon: f64,
}

impl Norm {
    pub(super) fn new(config: &DecoderConfig, init: &mut Init<'_>) -> Self {
        Self { weight: init.ones(config.hidden_size), epsilon: config.rms_norm_eps }
    }

    /// `[batch, token, hidden]` to the same shape.
    pub(super) fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let mean_square = (x.clone() * x.clone()).mean_dim(2);
        x / mean_square.add_scalar(self.epsilon).sqrt() * self.weight.val().unsqueeze()
    }
}

/// The gated feed-forward layer: `down(silu(gate(x)) * up(x))`.
#[derive(Module, Debug)]
pub struct Mlp {
    gate_proj: Linear,
    up_proj: Linear,
    down_proj: Linear,
}

impl Mlp {
    fn new(config: &DecoderConfig, init: &mut Init<'_>) -> Self {
        let (hidden, wide) = (config.hidden_size, config.intermediate_size);
        Self {
            gate_proj: init.linear(hidden, wide, false),
            up_proj: init.linear(hidden, wide, false),
            down_proj: init.residual(wide, hidden),
        }
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        self.down_proj.forward(silu(self.gate_proj.forward(x.clone())) * self.up_proj.forward(x))
    }
}

/// One block, its parts named as in Qwen2 checkpoints.
#[derive(Module, Debug)]
pub struct Block {
    input_layernorm: Norm,
    self_attn: Attention,
    post_attention_layernorm: Norm,
    mlp: Mlp,
}

impl Block {
    pub(super) fn new(config: &DecoderConfig, init: &mut Init<'_>) -> Self {
        Self {
            input_layernorm: Norm::new(config, init),
            self_attn: Attention::new(config, init),
            post_attention_layernorm: Norm::new(config, init),
            mlp: Mlp::new(config, init),
        }
    }

    /// `x`: `[batch, token, hidden]`, see [`Attention`] for `future`.
    pub(super) fn forward(&self, x: Tensor<3>, rotary: &Rotary, future: &Tensor<5, Bool>) -> Tensor<3> {
        let attended = self.self_attn.forward(self.input_layernorm.forward(x.clone()), rotary, future);
        let x = x + attended;
        let fed = self.mlp.forward(self.post_attention_layernorm.forward(x.clone()));
        x + fed
    }
}
