//! A mixture of experts: a router gives each token to a few gated layers and weighs their results.

use burn::module::{Module, Param};
use burn::tensor::activation::{sigmoid, softmax};
use burn::tensor::{DType, Device, IndexingUpdateOp, Int, Tensor, TensorData};

use super::config::{DecoderConfig, ExpertsConfig, Router};
use super::gradients::Gradients;
use super::init::Init;
use super::linear::Linear;
use super::mlp::{self, Mlp};
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
            weight: init.matrix(config.hidden_size, experts.experts),
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
    pub(super) fn forward(&self, x: &Tensor<2>) -> (Tensor<2>, Saved) {
        let scores = self.gate.scores(x, self.config.router); // [row, expert]
        let chosen = self.choose(&scores); // [row][chosen]
        let routes = Routes::new(&chosen, self.config.chosen, &x.device());
        let shares = routes.shares(&scores, &self.config); // [row, chosen]
        let weights = weights(&shares, x.dtype());
        let (mut y, shared) = match &self.shared_experts {
            Some(shared) => {
                let (y, saved) = shared.forward(x);
                (y, Some(saved))
            }
            None => (x.zeros_like(), None),
        };
        let mut parts = Vec::new();
        for (index, (expert, places)) in self.experts.iter().zip(self.places(&chosen)).enumerate() {
            if places.is_empty() {
                continue;
            }
            let (rows, places) = routes.of_expert(&places);
            let (share, saved) = expert.forward(&x.clone().select(0, rows.clone()));
            let share = share * weights.clone().select(0, places.clone());
            y = y.select_assign(0, rows.clone(), share, IndexingUpdateOp::Add);
            parts.push(Part { index, rows, places, saved });
        }
        (y, Saved { scores, routes, shared, parts })
    }

    /// From the gradient of the result to that of the input.
    pub(super) fn backward(&self, x: &Tensor<2>, saved: Saved, dy: &Tensor<2>, gradients: &mut Gradients) -> Tensor<2> {
        let Saved { scores, routes, shared, parts } = saved;
        let shares = routes.shares(&scores, &self.config);
        let weights = weights(&shares, x.dtype());
        let mut of_x = match (&self.shared_experts, shared) {
            (Some(expert), Some(saved)) => expert.backward(x, saved, dy, gradients),
            _ => x.zeros_like(),
        };
        let mut of_weights = Tensor::<2>::zeros(weights.dims(), (&x.device(), DType::F32));
        for Part { index, rows, places, saved } in parts {
            let Some(expert) = self.experts.get(index) else { continue };
            let (x, dy) = (x.clone().select(0, rows.clone()), dy.clone().select(0, rows.clone()));
            let weights = weights.clone().select(0, places.clone());
            let (of_rows, of_part) = expert.backward_weighed(&x, saved, &dy, &weights, gradients);
            of_x = of_x.select_assign(0, rows, of_rows, IndexingUpdateOp::Add);
            of_weights = of_weights.select_assign(0, places, of_part.cast(DType::F32), IndexingUpdateOp::Add);
        }
        let of_scores = routes.backward(&scores, of_weights.reshape(shares.dims()), &self.config);
        of_x + self.gate.backward(x, scores, of_scores, self.config.router, gradients)
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
    fn scores(&self, x: &Tensor<2>, router: Router) -> Tensor<2> {
        let (x, weight) = self.factors(x, router);
        let products = x.matmul(weight.transpose()).cast(DType::F32);
        match router {
            Router::Softmax => softmax(products, 1),
            Router::Sigmoid { .. } => sigmoid(products),
        }
    }

    /// From the gradient of the scores to that of the input.
    fn backward(
        &self,
        x: &Tensor<2>,
        scores: Tensor<2>,
        of_scores: Tensor<2>,
        router: Router,
        gradients: &mut Gradients,
    ) -> Tensor<2> {
        let of_products = match router {
            Router::Softmax => {
                let mean = (of_scores.clone() * scores.clone()).sum_dim(1);
                scores * (of_scores - mean)
            }
            Router::Sigmoid { .. } => of_scores * scores.clone() * scores.neg().add_scalar(1.0),
        };
        let dtype = x.dtype();
        let (x, weight) = self.factors(x, router);
        let of_products = of_products.cast(x.dtype());
        gradients.add(&self.weight, || of_products.clone().transpose().matmul(x));
        of_products.matmul(weight).cast(dtype)
    }

    /// Input and weight in the precision in which their product is taken.
    fn factors(&self, x: &Tensor<2>, router: Router) -> (Tensor<2>, Tensor<2>) {
        let dtype = match router {
            Router::Softmax => x.dtype(),
            Router::Sigmoid { .. } => DType::F32,
        };
        (x.clone().cast(dtype), self.weight.val().cast(dtype))
    }
}

/// Which experts rows were given to.
#[derive(Debug)]
struct Routes {
    chosen: Tensor<2, Int>, // [row, chosen]
    device: Device,
}

/// What one expert computed.
#[derive(Debug)]
struct Part {
    index: usize,
    /// `[share]`: the rows of the input.
    rows: Tensor<1, Int>,
    /// `[share]`: the places in `[row * chosen]`.
    places: Tensor<1, Int>,
    saved: mlp::Saved,
}

/// What the backward pass needs.
#[derive(Debug)]
pub(super) struct Saved {
    scores: Tensor<2>, // [row, expert]
    routes: Routes,
    shared: Option<mlp::Saved>,
    parts: Vec<Part>,
}

impl Routes {
    fn new(chosen: &[Vec<usize>], width: usize, device: &Device) -> Self {
        let flat: Vec<i64> = chosen.iter().flatten().map(|&expert| expert as i64).collect();
        let chosen = Tensor::from_data(TensorData::new(flat, [chosen.len(), width]), device);
        Self { chosen, device: device.clone() }
    }

    /// Rows and places of one expert, given its places.
    fn of_expert(&self, places: &[usize]) -> (Tensor<1, Int>, Tensor<1, Int>) {
        let [_, width] = self.chosen.dims();
        let index = |values: Vec<i64>| Tensor::<1, Int>::from_data(values.as_slice(), &self.device);
        let rows = places.iter().map(|place| (place / width.max(1)) as i64).collect();
        (index(rows), index(places.iter().map(|&place| place as i64).collect()))
    }

    /// What part each chosen expert's result has, in f32: `[row, expert]` to `[row, chosen]`.
    fn shares(&self, scores: &Tensor<2>, config: &ExpertsConfig) -> Tensor<2> {
        let chosen = scores.clone().gather(1, self.chosen.clone());
        let chosen = if config.normalise { chosen.clone() / total(&chosen, config) } else { chosen };
        chosen.mul_scalar(config.scale)
    }

    /// From the gradient of the shares, `[row, chosen]`, to that of the scores, `[row, expert]`.
    fn backward(&self, scores: &Tensor<2>, of_shares: Tensor<2>, config: &ExpertsConfig) -> Tensor<2> {
        let mut of_chosen = of_shares.mul_scalar(config.scale);
        if config.normalise {
            let chosen = scores.clone().gather(1, self.chosen.clone());
            let total = total(&chosen, config);
            let common = (of_chosen.clone() * chosen).sum_dim(1) / total.clone();
            of_chosen = (of_chosen - common) / total;
        }
        scores.zeros_like().scatter(1, self.chosen.clone(), of_chosen, IndexingUpdateOp::Add)
    }
}

fn total(chosen: &Tensor<2>, config: &ExpertsConfig) -> Tensor<2> {
    chosen.clone().sum_dim(1).add_scalar(config.router.least_sum())
}

/// Shares one below the other, in the precision that experts compute in: `[row * chosen, 1]`.
fn weights(shares: &Tensor<2>, dtype: DType) -> Tensor<2> {
    let [rows, chosen] = shares.dims();
    shares.clone().cast(dtype).reshape([rows * chosen, 1])
}
