//! Causal grouped-query attention.

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Bool, Tensor};

use super::config::DecoderConfig;
use super::init::Init;
use super::rope::Rotary;

/// The projections of one layer, named as in Qwen2 checkpoints. Query, key and value have biases, the output has none.
#[derive(Module, Debug)]
pub struct Attention {
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    o_proj: Linear,
    #[module(skip)]
    groups: usize,
    #[module(skip)]
    head: usize,
}

impl Attention {
    pub(super) fn new(config: &DecoderConfig, init: &mut Init<'_>) -> Self {
        let (hidden, head) = (config.hidden_size, config.head_dim());
        let keys = config.num_key_value_heads * head;
        Self {
            q_proj: init.linear(hidden, hidden, true),
            k_proj: init.linear(hidden, keys, true),
            v_proj: init.linear(hidden, keys, true),
            o_proj: init.residual(hidden, hidden),
            groups: config.num_key_value_heads,
            head,
        }
    }

    /// `x`: `[batch, token, hidden]`; `future`: `[1, 1, 1, query, key]`, true where a query must not look.
    ///
    /// The scores are normalised after they are applied to the values, `(e V) / sum(e)` instead of `(e / sum(e)) V`:
    /// the division then costs `[token, head]` instead of `[token, token]`, forward and backward.
    pub(super) fn forward(&self, x: Tensor<3>, rotary: &Rotary, future: &Tensor<5, Bool>) -> Tensor<3> {
        let [batch, tokens, hidden] = x.dims();
        let (groups, head) = (self.groups, self.head);
        let shared = hidden / (groups * head); // query heads for each key head
        let heads = |x: Tensor<3>, n: usize| x.reshape([batch, tokens, n, head]).swap_dims(1, 2);

        let scale = 1.0 / (head as f64).sqrt();
        let q = rotary.apply(heads(self.q_proj.forward(x.clone()), groups * shared)).mul_scalar(scale);
        let k = rotary.apply(heads(self.k_proj.forward(x.clone()), groups));
        let v = heads(self.v_proj.forward(x), groups);

        let q = q.reshape([batch, groups, shared * tokens, head]);
        let scores = q.matmul(k.swap_dims(2, 3)); // [batch, group, shared * query, key]
        let scores =
            scores.reshape([batch, groups, shared, tokens, tokens]).mask_fill(future.clone(), f32::NEG_INFINITY);
        let highest = scores.clone().detach().max_dim(4);
        let weights = (scores - highest).exp();
        let total = weights.clone().sum_dim(4).reshape([batch, groups, shared * tokens, 1]);
        let mixed = weights.reshape([batch, groups, shared * tokens, tokens]).matmul(v) / total;

        let mixed = mixed.reshape([batch, groups * shared, tokens, head]).swap_dims(1, 2);
        self.o_proj.forward(mixed.reshape([batch, tokens, hidden]))
    }
}
