//! A mixture of experts: a router gives each token to a few gated layers and weighs their results.

use burn::module::{Module, Param};
use burn::tensor::activation::{sigmoid, softmax};
use burn::tensor::{DType, IndexingUpdateOp, Int, Tensor, TensorData};

use super::config::{DecoderConfig, ExpertsConfig, Router};
use super::init::Init;
use super::linear::Linear;
use super::mlp::Mlp;
use super::routing::choose;

/// The experts of one layer, named as in checkpoints.
#[derive(Module, Debug)]
pub struct Experts {
    gate: Gate,
    experts: Vec<Mlp>,
    shared_experts: Option<Mlp>,
    #[module(skip)]
    config: ExpertsConfig,
}

/// The router's parameters.
#[derive(Module, Debug)]
pub struct Gate {
    weight: Param<Tensor<2>>, // [expert, hidden]
    /// `[expert]`, added to sigmoid scores when experts are chosen. No gradient flows through a choice.
    e_score_correction_bias: Option<Param<Tensor<1>>>,
}

impl Experts {
    pub(super) fn new(experts: &ExpertsConfig, config: &DecoderConfig, init: &mut Init<'_>) -> Self {
        let corrected = matches!(experts.router, Router::Sigmoid { .. });
        let gate = Gate {
            weight: init.linear(config.hidden_size, experts.experts, false).weight,
            e_score_correction_bias: corrected.then(|| init.constant(experts.experts, 0.0).set_require_grad(false)),
        };
        Self {
            gate,
            experts: (0..experts.experts).map(|_| Mlp::new(experts.intermediate_size, config, init)).collect(),
            shared_experts: experts.shared_size.map(|wide| Mlp::new(wide, config, init)),
            config: experts.clone(),
        }
    }

    /// The experts' linear layers by their names. The router is not one of them: its scores choose.
    pub(super) fn linears_mut(&mut self) -> Vec<(String, &mut Linear)> {
        let numbered = self.experts.iter_mut().enumerate().map(|(index, expert)| (format!("experts.{index}"), expert));
        let shared = self.shared_experts.iter_mut().map(|shared| ("shared_experts".to_owned(), shared));
        let all = numbered.chain(shared).flat_map(|(path, expert)| {
            expert.linears_mut().map(move |(name, linear)| (format!("{path}.{name}"), linear))
        });
        all.collect()
    }

    /// `[row, hidden]` to the same shape.
    ///
    /// Which experts a row goes to is decided on the host; each expert then computes its rows together. An expert
    /// without rows costs nothing and has no gradient.
    pub(super) fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let device = x.device();
        let scores = self.gate.scores(x.clone(), self.config.router); // [row, expert]
        let chosen = self.choose(&scores); // [row][chosen]
        let rows = chosen.len();
        let flat: Vec<i64> = chosen.iter().flatten().map(|&expert| expert as i64).collect();
        let index = Tensor::<2, Int>::from_data(TensorData::new(flat, [rows, self.config.chosen]), &device);
        let mut weights = scores.gather(1, index); // [row, chosen]
        if self.config.normalise {
            weights = weights.clone() / weights.sum_dim(1).add_scalar(self.config.router.least_sum());
        }
        let weights = weights.mul_scalar(self.config.scale).cast(x.dtype()).reshape([rows * self.config.chosen, 1]);

        let mut result = match &self.shared_experts {
            Some(shared) => shared.forward(x.clone()),
            None => x.zeros_like(),
        };
        for (expert, places) in self.experts.iter().zip(self.places(&chosen)) {
            if places.is_empty() {
                continue;
            }
            let index = |values: Vec<i64>| Tensor::<1, Int>::from_data(values.as_slice(), &device);
            let rows = index(places.iter().map(|place| (place / self.config.chosen) as i64).collect());
            let places = index(places.iter().map(|&place| place as i64).collect());
            let share = expert.forward(x.clone().select(0, rows.clone())) * weights.clone().select(0, places);
            result = result.select_assign(0, rows, share, IndexingUpdateOp::Add);
        }
        result
    }

    /// The experts of every row.
    fn choose(&self, scores: &Tensor<2>) -> Vec<Vec<usize>> {
        let host = |tensor: Tensor<1>| -> Vec<f32> { tensor.into_data().iter::<f32>().collect() };
        let correction = self.gate.e_score_correction_bias.as_ref().map(|bias| host(bias.val())).unwrap_or_default();
        let [rows, experts] = scores.dims();
        let scores = host(scores.clone().detach().reshape([rows * experts]));
        scores.chunks(experts.max(1)).map(|scores| choose(scores, &correction, &self.config)).collect()
    }

    /// `[expert]`: the places in `[row * chosen]` that it was chosen for, ascending.
    fn places(&self, chosen: &[Vec<usize>]) -> Vec<Vec<usize>> {
        let mut places = vec![Vec::new(); self.experts.len()];
        for (place, &expert) in chosen.iter().flatten().enumerate() {
            if let Some(of_expert) = places.get_mut(expert) {
                of_expert.push(place);
            }
        }
        places
    }
}

impl Gate {
    /// How well each expert suits each row, in f32: `[row, hidden]` to `[row, expert]`.
    fn scores(&self, x: Tensor<2>, router: Router) -> Tensor<2> {
        let weight = self.weight.val().transpose();
        match router {
            Router::Softmax => softmax(x.matmul(weight).cast(DType::F32), 1),
            Router::Sigmoid { .. } => sigmoid(x.cast(DType::F32).matmul(weight.cast(DType::F32))),
        }
    }
}
