//! Causal grouped-query attention.

use burn::module::Module;
use burn::tensor::Tensor;

use super::config::DecoderConfig;
use super::gradients::Gradients;
use super::init::Init;
use super::layout::Layout;
use super::linear::Linear;
use super::norm::Norm;
use crate::ops::attention::{self, Attended, Scores};
use crate::ops::heads;
use crate::ops::rotary::{Rotary, Turn};

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
    head: usize,
    #[module(skip)]
    scale: f64,
}

/// What a layer's attention needs to know of the positions.
#[derive(Clone, Debug)]
pub(super) struct Positions<'a> {
    pub(super) layout: &'a Layout,
    pub(super) rotary: Rotary,
    pub(super) window: Option<usize>,
}

/// What the backward pass needs.
#[derive(Debug)]
pub(super) struct Saved {
    /// Queries and keys before their norms, where there are norms.
    unnormed: [Option<Tensor<2>>; 2],
    q: Tensor<3>, // [head, token, width]
    k: Tensor<3>, // [group, token, width]
    v: Tensor<3>, // [group, token, width]
    attended: Attended,
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
            head: config.head_dim,
            scale: config.attention_scale,
        }
    }

    /// The projections by their names.
    pub(super) fn linears_mut(&mut self) -> [(&'static str, &mut Linear); 4] {
        let Self { q_proj, k_proj, v_proj, o_proj, .. } = self;
        [("q_proj", q_proj), ("k_proj", k_proj), ("v_proj", v_proj), ("o_proj", o_proj)]
    }

    /// `[token, hidden]` to the same shape.
    pub(super) fn forward(&self, x: &Tensor<2>, positions: &Positions<'_>) -> (Tensor<2>, Saved) {
        let rotation = Some((&positions.rotary, Turn::Forward));
        let turned = |projection: &Linear, norm: &Option<Norm>| {
            let plain = projection.forward(x);
            match norm {
                Some(norm) => (heads::split(&norm.forward_heads(&plain), self.head, rotation), Some(plain)),
                None => (heads::split(&plain, self.head, rotation), None),
            }
        };
        let (q, q_unnormed) = turned(&self.q_proj, &self.q_norm);
        let (k, k_unnormed) = turned(&self.k_proj, &self.k_norm);
        let v = heads::split(&self.v_proj.forward(x), self.head, None);
        let attended = attention::forward(&q, &k, &v, positions.layout, self.scores(positions));
        let y = self.o_proj.forward(&heads::join(&attended.mixed, None));
        (y, Saved { unnormed: [q_unnormed, k_unnormed], q, k, v, attended })
    }

    /// From the gradient of the result to that of the input.
    pub(super) fn backward(
        &self,
        x: &Tensor<2>,
        saved: Saved,
        dy: &Tensor<2>,
        positions: &Positions<'_>,
        gradients: &mut Gradients,
    ) -> Tensor<2> {
        let Saved { unnormed: [q_unnormed, k_unnormed], q, k, v, attended } = saved;
        let of_mixed = self.o_proj.backward(&heads::join(&attended.mixed, None), dy, gradients);
        let of_mixed = heads::split(&of_mixed, self.head, None);
        let scores = self.scores(positions);
        let [of_q, of_k, of_v] = attention::backward([&q, &k, &v], &attended, &of_mixed, positions.layout, scores);
        drop((q, k, v, attended, of_mixed));
        let rotation = Some((&positions.rotary, Turn::Back));
        let mut back = |projection: &Linear, norm: &Option<Norm>, unnormed: Option<Tensor<2>>, of_heads: Tensor<3>| {
            let gradient = heads::join(&of_heads, rotation);
            let gradient = match (norm, unnormed) {
                (Some(norm), Some(plain)) => norm.backward_heads(&plain, gradient, gradients),
                _ => gradient,
            };
            projection.backward(x, &gradient, gradients)
        };
        let of_x = back(&self.q_proj, &self.q_norm, q_unnormed, of_q);
        let of_x = of_x + back(&self.k_proj, &self.k_norm, k_unnormed, of_k);
        of_x + self.v_proj.backward(x, &heads::join(&of_v, None), gradients)
    }

    fn scores(&self, positions: &Positions<'_>) -> Scores {
        Scores { scale: self.scale, window: positions.window }
    }
}
