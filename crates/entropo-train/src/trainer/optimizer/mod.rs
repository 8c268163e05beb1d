//! From a gradient to new weights. What an optimiser keeps between updates is kept under the parameters' names, so that it
//! can be saved and resumed.
//!
//! Clipping is over the global norm of all gradients, whatever the optimiser is.

mod adafactor;
mod adamw;
mod gradients;
mod kept;
mod muon;

use burn::module::{Module, ModuleMapper, Param};
use burn::optim::GradientsParams;
use burn::tensor::{DType, Tensor};
use serde::{Deserialize, Serialize};

use super::error::TrainError;
use super::learner::Learner;
use crate::decoder::Decoder;
use crate::decoder::place::Place;

pub use adafactor::AdafactorConfig;
pub use adamw::AdamWConfig;
pub(crate) use gradients::finite_norm;
pub(crate) use kept::{Kept, States};
pub use muon::MuonConfig;

/// Which optimiser makes the updates, and its settings.
///
/// In TOML: `optimizer = { name = "muon", momentum = 0.9 }`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "lowercase")]
#[non_exhaustive]
pub enum OptimizerConfig {
    /// Two moments of every number. The default.
    AdamW(AdamWConfig),
    /// Orthogonal steps for the blocks' matrices, AdamW for everything else.
    Muon(MuonConfig),
    /// Moments of rows and columns only.
    Adafactor(AdafactorConfig),
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self::AdamW(AdamWConfig::default())
    }
}

impl From<AdamWConfig> for OptimizerConfig {
    fn from(config: AdamWConfig) -> Self {
        Self::AdamW(config)
    }
}

impl OptimizerConfig {
    /// Refuses values out of range.
    pub(super) fn validate(&self) -> Result<(), TrainError> {
        match self {
            Self::AdamW(config) => config.validate(),
            Self::Muon(config) => config.validate(),
            Self::Adafactor(config) => config.validate(),
        }
    }

    /// One update of a parameter by its gradient, which is `scale`d first.
    fn update<const D: usize>(
        &self,
        name: &str,
        (learning_rate, scale): (f64, f64),
        [parameter, gradient]: [Tensor<D>; 2],
        kept: Option<Kept>,
    ) -> (Tensor<D>, Option<Kept>) {
        let adamw = |config: &AdamWConfig, both: [Tensor<D>; 2], kept: Option<Kept>| {
            let moments = match kept {
                Some(Kept::AdamW(moments)) => Some(moments),
                _ => None,
            };
            let (parameter, moments) = adamw::update(config, learning_rate, scale, both, moments);
            (parameter, Some(Kept::AdamW(moments)))
        };
        let scaled = |gradient: Tensor<D>| {
            let gradient = gradient.cast(DType::F32);
            if scale < 1.0 { gradient.mul_scalar(scale) } else { gradient }
        };
        let shape = parameter.shape();
        match (self, shape.to_vec().as_slice()) {
            (Self::Muon(config), &[rows, columns]) if MuonConfig::takes(name, D) => {
                let momentum = match kept {
                    Some(Kept::Muon(momentum, _)) => Some(momentum),
                    _ => None,
                };
                let both = [parameter, scaled(gradient)].map(|tensor| tensor.reshape([rows, columns]));
                let (parameter, momentum) = muon::update(config, learning_rate, both, momentum);
                (parameter.reshape(shape), Some(Kept::Muon(momentum, [rows, columns])))
            }
            (Self::AdamW(config), _) | (Self::Muon(MuonConfig { adamw: config, .. }), _) => {
                adamw(config, [parameter, gradient], kept)
            }
            (Self::Adafactor(config), _) => {
                let means = match kept {
                    Some(Kept::Adafactor(means)) => Some(means),
                    _ => None,
                };
                let (parameter, means) = adafactor::update(config, learning_rate, [parameter, scaled(gradient)], means);
                (parameter, means.map(Kept::Adafactor))
            }
        }
    }
}

/// An optimiser at work.
pub(crate) struct Optimizer {
    config: OptimizerConfig,
    /// The global norm that gradients are scaled down to.
    max_grad_norm: Option<f64>,
    states: States,
}

impl Optimizer {
    /// One that has seen nothing yet, and clips gradients at a norm of 1.
    pub(crate) fn new(config: &OptimizerConfig) -> Self {
        Self { config: *config, max_grad_norm: Some(1.0), states: States::new() }
    }

    /// Its settings.
    pub(crate) fn config(&self) -> &OptimizerConfig {
        &self.config
    }

    /// Updates the decoder, given the gradient's norm before clipping. Only parameters with a gradient change.
    pub(crate) fn step(
        &mut self,
        decoder: Decoder,
        gradients: GradientsParams,
        norm: f64,
        learning_rate: f64,
    ) -> Decoder {
        let scale = self.max_grad_norm.map_or(1.0, |limit| (limit / (norm + 1e-6)).min(1.0));
        decoder.map(&mut Update { optimizer: self, gradients, learning_rate, scale, place: Place::default() })
    }

    /// What it keeps.
    pub(crate) fn states(&self) -> &States {
        &self.states
    }

    /// Takes back what it kept.
    pub(crate) fn restore(&mut self, states: States) {
        self.states = states;
    }
}

impl Learner {
    /// The same with gradients scaled down to another global norm than 1; `None` leaves them.
    pub fn with_max_grad_norm(mut self, limit: Option<f64>) -> Self {
        self.optimizer.max_grad_norm = limit;
        self
    }
}

struct Update<'a> {
    optimizer: &'a mut Optimizer,
    gradients: GradientsParams,
    learning_rate: f64,
    scale: f64,
    place: Place,
}

impl ModuleMapper for Update<'_> {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.place.enter(name, container_type);
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.place.exit();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(gradient) = self.gradients.remove::<D>(param.id) else { return param };
        let name = self.place.name();
        let Optimizer { config, states, .. } = &mut *self.optimizer;
        let kept = states.remove(&name);
        let rates = (self.learning_rate, self.scale);
        param.map(|value| {
            let (value, kept) = config.update(&name, rates, [value, gradient], kept);
            states.extend(kept.map(|kept| (name, kept)));
            value
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_optimiser_is_named_and_has_its_own_settings_only() {
        let parse = serde_json::from_str::<OptimizerConfig>;
        let muon = MuonConfig { momentum: 0.9, ..MuonConfig::default() };
        assert_eq!(parse(r#"{"name":"muon","momentum":0.9}"#).unwrap(), OptimizerConfig::Muon(muon));
        assert_eq!(parse(r#"{"name":"adamw"}"#).unwrap(), OptimizerConfig::default());
        assert!(matches!(parse(r#"{"name":"adafactor","decay":0.7}"#), Ok(OptimizerConfig::Adafactor(_))));
        for text in [
            r#"{"name":"sgd"}"#,
            r#"{"betas":[0.9,0.99]}"#,
            r#"{"name":"adamw","momentum":0.9}"#,
            r#"{"name":"muon","betas":[0.9,0.99]}"#,
            r#"{"name":"muon","adamw":{"momentum":0.9}}"#,
            r#"{"name":"adafactor","relative_step":true}"#,
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn settings_survive_a_round_trip() {
        for config in [
            OptimizerConfig::AdamW(AdamWConfig { weight_decay: 0.1, ..AdamWConfig::default() }),
            OptimizerConfig::Muon(MuonConfig { nesterov: false, ..MuonConfig::default() }),
            OptimizerConfig::Adafactor(AdafactorConfig { scale_parameter: true, ..AdafactorConfig::default() }),
        ] {
            let text = serde_json::to_string(&config).unwrap();
            assert_eq!(serde_json::from_str::<OptimizerConfig>(&text).unwrap(), config, "{text}");
        }
    }
}
