//! How to train.

use burn::tensor::DType;
use serde::{Deserialize, Serialize};

use super::error::{TrainError, at_least_one, setting};
use super::optimizer::OptimizerConfig;
use super::schedule::Schedule;
use crate::decoder::trace::Keep;
use crate::objective::{EntropoDpo, Margin, Objective};

/// How to train. Every field has a default; in files, unknown fields are refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainConfig {
    /// What is minimised. Default: EntroPO on pairs with the paper's settings.
    pub objective: Objective,
    /// Passes over the examples. Default 1.
    pub epochs: usize,
    /// Updates after which the run ends, if the epochs have more. Default: none.
    pub max_steps: Option<usize>,
    /// Examples (pairs count as one) in an update. Default 8.
    pub batch_size: usize,
    /// Sequences that are differentiated at a time, fewer if they are longer than [`MICRO_TOKENS`](super::MICRO_TOKENS):
    /// less memory for less to do at once. The gradient is that of the whole batch. Default 16.
    pub micro_batch: usize,
    /// Highest learning rate; at least 0. Default 1e-5.
    pub learning_rate: f64,
    /// How it changes.
    pub schedule: Schedule,
    /// What makes an update of a gradient. Default: AdamW.
    pub optimizer: OptimizerConfig,
    /// Gradients are scaled down to this global norm; 0 leaves them. Default 1.
    pub max_grad_norm: f64,
    /// Steps in a row whose loss or gradient is not finite that are left out; the run stops at the next one. Default 5.
    pub max_bad_steps: usize,
    /// Governs the order of the examples and an adapter's dropout. Default 0.
    pub seed: u64,
    /// Steps between saved states, if the run has a directory. Default 50.
    pub save_every: usize,
    /// Steps between evaluations, if there is something to evaluate on; there is another after the last step. Default
    /// 100.
    pub evaluate_every: usize,
    /// Ends the run when evaluations do not get better. Default: none.
    pub early_stopping: Option<EarlyStopping>,
    /// Whether what happens inside a block is computed again in the backward pass instead of being kept: memory for one
    /// block instead of all, for a third more work. Default true.
    pub checkpointing: bool,
    /// In which precision blocks compute, in training, evaluations and the reference alike. Default f32.
    pub precision: Precision,
}

/// When evaluations say that a run has learned what it will. They also decide which weights are kept as the best.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EarlyStopping {
    /// The metric of evaluations to watch, with or without `eval/` before it. Default `loss`.
    pub metric: String,
    /// Where it should go. Default: lower.
    pub goal: Goal,
    /// The run ends after so many evaluations in a row without progress; at least 1. Default 3.
    pub patience: usize,
    /// Less than this is no progress; at least 0. Default 0.
    pub min_delta: f64,
}

/// Which values of a metric are good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Goal {
    /// Low ones.
    #[default]
    Lower,
    /// High ones.
    Higher,
}

/// In which precision blocks compute: everything between the embedding and the head.
///
/// The rest does not follow it. Weights are kept and updated as they were loaded, in f32 unless
/// [`LoadOptions::dtype`](crate::checkpoint::LoadOptions::dtype) says otherwise, and an adapter's always in f32, its
/// products included. The head computes in f32 if its weights or the blocks' results are f32: log-probabilities are
/// differences of large logits, and a preference is the difference of two sums of them. Norms, softmax, gradients, their
/// norm, moments and losses are f32 or f64.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Precision {
    /// 32 bits.
    #[default]
    F32,
    /// 16 bits with f32's range: half the memory for what is kept of a pass, and the GPU's fast products. A weight is
    /// rounded when it is used and its rounded copy dropped at once. The CPU has no products for it and is slower with it.
    Bf16,
}

impl Precision {
    /// The type that blocks compute in.
    pub(super) fn dtype(self) -> DType {
        match self {
            Self::F32 => DType::F32,
            Self::Bf16 => DType::BF16,
        }
    }
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            objective: Objective::EntropoDpo(EntropoDpo::default()),
            epochs: 1,
            max_steps: None,
            batch_size: 8,
            micro_batch: 16,
            learning_rate: 1e-5,
            schedule: Schedule::default(),
            optimizer: OptimizerConfig::default(),
            max_grad_norm: 1.0,
            max_bad_steps: 5,
            seed: 0,
            save_every: 50,
            evaluate_every: 100,
            early_stopping: None,
            checkpointing: true,
            precision: Precision::F32,
        }
    }
}

impl Default for EarlyStopping {
    fn default() -> Self {
        Self { metric: "loss".to_owned(), goal: Goal::Lower, patience: 3, min_delta: 0.0 }
    }
}

impl EarlyStopping {
    /// The metric's name without `eval/`.
    pub(super) fn metric(&self) -> &str {
        self.metric.strip_prefix("eval/").unwrap_or(&self.metric)
    }

    /// Whether a value is progress from the best so far.
    pub(super) fn is_progress(&self, value: f64, best: Option<f64>) -> bool {
        let Some(best) = best else { return value.is_finite() };
        match self.goal {
            Goal::Lower => value < best - self.min_delta,
            Goal::Higher => value > best + self.min_delta,
        }
    }
}

impl TrainConfig {
    /// Refuses values out of range, and those that contradict each other.
    ///
    /// # Errors
    /// [`TrainError::Setting`] and [`TrainError::Objective`], naming the setting.
    pub fn validate(&self) -> Result<(), TrainError> {
        let refused = |source| TrainError::Objective { step: 0, source, sequences: String::new() };
        self.objective.validate().map_err(refused)?;
        for (name, value) in [
            ("epochs", self.epochs),
            ("batch_size", self.batch_size),
            ("micro_batch", self.micro_batch),
            ("save_every", self.save_every),
            ("evaluate_every", self.evaluate_every),
            ("max_steps", self.max_steps.unwrap_or(1)),
        ] {
            at_least_one(name, value)?;
        }
        setting("learning_rate", self.learning_rate, self.learning_rate >= 0.0, "at least 0")?;
        setting("max_grad_norm", self.max_grad_norm, self.max_grad_norm >= 0.0, "at least 0")?;
        self.schedule.validate()?;
        self.optimizer.validate()?;
        if let Some(early) = &self.early_stopping {
            at_least_one("early_stopping.patience", early.patience)?;
            setting("early_stopping.min_delta", early.min_delta, early.min_delta >= 0.0, "at least 0")?;
        }
        let together = match &self.objective {
            Objective::EntropoDpo(EntropoDpo { margin: Margin::Centred, .. }) => true,
            objective => needs_mismatched(objective),
        };
        if together {
            let value = self.batch_size as f64;
            setting("batch_size", value, value >= 2.0, "at least 2: the objective compares examples of a batch")?;
        }
        Ok(())
    }

    /// Updates of a run over so many examples.
    pub(super) fn steps(&self, examples: usize) -> usize {
        let steps = examples.div_ceil(self.batch_size.max(1)).saturating_mul(self.epochs);
        self.max_steps.map_or(steps, |most| steps.min(most))
    }

    /// What is kept of a forward pass.
    pub(super) fn keep(&self) -> Keep {
        Keep { inputs_only: self.checkpointing, compute: Some(self.precision.dtype()) }
    }
}

/// Whether an objective reads log-probabilities of prompts with other prompts' completions.
pub(super) fn needs_mismatched(objective: &Objective) -> bool {
    match objective {
        Objective::Kto(_) => true,
        Objective::EntropoKto(entropo) => entropo.z0.needs_mismatched(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::optimizer::{AdafactorConfig, AdamWConfig, MuonConfig};
    use super::*;
    use crate::objective::Kto;

    #[test]
    fn values_out_of_range_are_named() {
        let default = TrainConfig::default;
        let early = |early| TrainConfig { early_stopping: Some(early), ..default() };
        let optimizer = |optimizer| TrainConfig { optimizer, ..default() };
        for (name, config) in [
            ("epochs", TrainConfig { epochs: 0, ..default() }),
            ("batch_size", TrainConfig { batch_size: 0, ..default() }),
            ("batch_size", TrainConfig { batch_size: 1, objective: Objective::Kto(Kto::default()), ..default() }),
            ("micro_batch", TrainConfig { micro_batch: 0, ..default() }),
            ("save_every", TrainConfig { save_every: 0, ..default() }),
            ("evaluate_every", TrainConfig { evaluate_every: 0, ..default() }),
            ("max_steps", TrainConfig { max_steps: Some(0), ..default() }),
            ("learning_rate", TrainConfig { learning_rate: f64::NAN, ..default() }),
            ("max_grad_norm", TrainConfig { max_grad_norm: -1.0, ..default() }),
            ("early_stopping.patience", early(EarlyStopping { patience: 0, ..EarlyStopping::default() })),
            ("early_stopping.min_delta", early(EarlyStopping { min_delta: -1.0, ..EarlyStopping::default() })),
            ("betas", optimizer(AdamWConfig { betas: (0.9, 1.0), ..AdamWConfig::default() }.into())),
            ("momentum", optimizer(OptimizerConfig::Muon(MuonConfig { momentum: 1.0, ..MuonConfig::default() }))),
            (
                "decay",
                optimizer(OptimizerConfig::Adafactor(AdafactorConfig { decay: 0.0, ..AdafactorConfig::default() })),
            ),
        ] {
            let error = config.validate().unwrap_err();
            assert!(matches!(&error, TrainError::Setting { name: found, .. } if *found == name), "{name}: {error}");
            assert!(error.to_string().contains(&format!("`{name}` is ")), "{error}");
        }
        default().validate().unwrap();
    }

    #[test]
    fn progress_needs_its_delta() {
        let lower = EarlyStopping { min_delta: 0.1, ..EarlyStopping::default() };
        assert!(lower.is_progress(5.0, None) && !lower.is_progress(f64::NAN, None));
        assert!(lower.is_progress(0.85, Some(1.0)) && !lower.is_progress(0.95, Some(1.0)));
        let higher = EarlyStopping { goal: Goal::Higher, metric: "eval/rewards/margins".to_owned(), ..lower };
        assert!(higher.is_progress(1.15, Some(1.0)) && !higher.is_progress(1.05, Some(1.0)));
        assert!(!higher.is_progress(f64::NAN, Some(1.0)));
        assert_eq!(higher.metric(), "rewards/margins");
    }

    #[test]
    fn the_run_is_as_long_as_asked() {
        let config = TrainConfig { epochs: 3, batch_size: 4, ..TrainConfig::default() };
        assert_eq!(config.steps(9), 9);
        assert_eq!(TrainConfig { max_steps: Some(5), ..config.clone() }.steps(9), 5);
        assert_eq!(TrainConfig { max_steps: Some(50), ..config }.steps(9), 9);
    }
}
