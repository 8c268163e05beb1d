//! Causal grouped-query attention.

use burn::module::Module;
use burn::tensor::{Bool, Device, Tensor};

use super::config::DecoderConfig;
use super::init::Init;
use super::linear::Linear;
use super::norm::Norm;
use super::precision::in_f32;
use super::rope::Rotary;

/// The projections of one layer, named as in checkpoints.
#[derive(Module, Debug)]
pub struct Attention {
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    o_proj: Linear,
    q_norm: Option<Norm>,
    k_norm: Option<Norm>,
    #[module(skip)]
    groups: usize,
    #[module(skip)]
    head: usize,
    #[module(skip)]
    scale: f64,
}

/// What a layer's attention needs to know of the positions.
#[derive(Clone, Debug)]
pub(super) struct Positions {
    pub(super) rotary: Rotary,
    /// `[1, 1, 1, query, key]`, true where a query must not look.
    pub(super) hidden: Tensor<5, Bool>,
}

/// Hides the keys after a query and, with a window, those that are too far before it: `[1, 1, 1, query, key]`.
pub(super) fn hidden_keys(tokens: usize, window: Option<usize>, device: &Device) -> Tensor<5, Bool> {
    // burn's tril_mask is true above the diagonal: exactly the keys that come after the query.
    let future = Tensor::<2, Bool>::tril_mask([tokens, tokens], 0, device);
    let hidden = match window.and_then(|window| i64::try_from(window).ok()) {
        Some(window) => future.bool_or(Tensor::<2, Bool>::triu_mask([tokens, tokens], 1 - window, device)),
        None => future,
    };
    hidden.unsqueeze()
}

impl Attention {
    pub(super) fn new(config: &DecoderConfig, init: &mut Init<'_>) -> Self {
        let (hidden, queries, keys) = (config.hidden_size, config.query_size(), config.key_size());
        let bias = config.query_key_value_bias;
        let mut projection = |output| init.linear(hidden, output, bias);
        let (q_proj, k_proj, v_proj) = (projection(queries), projection(keys), projection(keys));
        let o_proj = init.residual(queries, hidden, config.output_bias);
        let mut head_norm = || config.query_key_norm.then(|| Norm::new(config.head_dim, config, init));
        Self {
            q_proj,
            k_proj,
            v_proj,
            o_proj,
            q_norm: head_norm(),
            k_norm: head_norm(),
            groups: config.num_key_value_heads,
            head: config.head_dim,
            scale: config.attention_scale,
        }
    }

    /// The projections by their names.
    pub(super) fn linears_mut(&mut self) -> [(&'static str, &mut Linear); 4] {
        let Self { q_proj, k_proj, v_proj, o_proj, .. } = self;
        [("q_proj", q_proj), ("k_proj", k_proj), ("v_proj", v_proj), ("o_proj", o_proj)]
    }

    /// `x`: `[batch, token, hidden]`.
    ///
    /// The scores are normalised after they are applied to the values, `(e V) / sum(e)` instead of `(e / sum(e)) V`:
    /// the division then costs `[token, head]` instead of `[token, token]`, forward and backward.
    pub(super) fn forward(&self, x: Tensor<3>, positions: &Positions) -> Tensor<3> {
        let [batch, tokens, _] = x.dims();
        let (groups, head) = (self.groups, self.head);
        let heads = |x: Tensor<3>, norm: &Option<Norm>| {
            let [_, _, width] = x.dims();
            let x = x.reshape([batch, tokens, width / head, head]);
            norm.iter().fold(x, |x, norm| norm.forward(x)).swap_dims(1, 2) // [batch, heads, token, head]
        };
        let rotary = &positions.rotary;
        let q = rotary.apply(heads(self.q_proj.forward(x.clone()), &self.q_norm)).mul_scalar(self.scale);
        let k = rotary.apply(heads(self.k_proj.forward(x.clone()), &self.k_norm));
        let v = heads(self.v_proj.forward(x), &None);

        let [_, queries, ..] = q.dims();
        let shared = queries / groups; // query heads for each key head
        let q = q.reshape([batch, groups, shared * tokens, head]);
        let scores = q.matmul(k.swap_dims(2, 3)); // [batch, group, shared * query, key]
        let scores = scores.reshape([batch, groups, shared, tokens, tokens]);
        let mixed = in_f32(scores, |scores| {
            let scores = scores.mask_fill(positions.hidden.clone(), f32::NEG_INFINITY);
            let highest = scores.clone().detach().max_dim(4);
            let weights = (scores - highest).exp();
            let total = weights.clone().sum_dim(4).reshape([batch, groups, shared * tokens, 1]);
            let weights = weights.reshape([batch, groups, shared * tokens, tokens]);
            let dtype = weights.dtype();
            weights.matmul(v.cast(dtype)) / total
        });
        let mixed = mixed.reshape([batch, queries, tokens, head]).swap_dims(1, 2);
        self.o_proj.forward(mixed.reshape([batch, tokens, queries * head]))
    }
}
