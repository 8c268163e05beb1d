//! What training minimises: from log-probabilities summed per sequence to a loss, its gradient and metrics.
//!
//! Every objective here sees a sequence only through [`SequenceLogProbs`]: the log-probability of all its action tokens
//! under the policy and under the frozen reference, and how many there are. That is enough, because the loss depends on
//! the policy only through these sums; its derivative with respect to the log-probability of *each* action token of a
//! sequence is therefore one number per sequence, the weight in [`Evaluation::weights`], and 0 for every other token.
//! A trainer back-propagates `sum_i weight_i * policy_sum_i` and needs to know nothing else about the objective.
//!
//! So objectives are pure functions in `f64`, without tensors or devices, and are tested to the last digit.
//!
//! Whether a loss is single-turn or multi-turn is decided by the mask that made the sums: [`Dpo`] and [`Kto`] over the
//! assistant tokens of all turns *are* M-DPO and M-KTO (Xiong et al. 2024).
//!
//! ```
//! use entropo_train::objective::{EntropoDpo, SequenceLogProbs};
//!
//! let chosen = SequenceLogProbs { policy: -4.1, reference: -4.7, tokens: 5, turns: 2 };
//! let rejected = SequenceLogProbs { policy: -2.6, reference: -2.2, tokens: 3, turns: 1 };
//! let evaluation = EntropoDpo::default().evaluate(&[(chosen, rejected)])?;
//! assert!((evaluation.loss - 0.6515500338).abs() < 1e-10);
//! let (chosen, rejected) = evaluation.weights[0];
//! assert!(chosen < 0.0 && rejected == -chosen); // descending raises the chosen side, lowers the rejected one
//! # Ok::<(), entropo_train::objective::ObjectiveError>(())
//! ```

mod dpo;
mod entropo_dpo;
mod entropo_kto;
mod error;
mod kto;
mod logistic;
mod metrics;
mod reference_point;
mod sequence;
mod sft;
mod share;
mod step_zero;
mod tempering;
mod verifier;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod testing;

use serde::{Deserialize, Serialize};

pub use dpo::{Dpo, DpoVariant};
pub use entropo_core::stats::{negative_log_sigmoid, sigmoid};
pub use entropo_dpo::{EntropoDpo, Margin};
pub use entropo_kto::EntropoKto;
pub use error::{ObjectiveError, SequenceIndex};
pub use kto::Kto;
pub use metrics::Metrics;
pub use reference_point::ReferencePoint;
pub(crate) use sequence::turns;
pub use sequence::{Labelled, Pair, SequenceLogProbs};
pub use sft::{Reduction, Sft};
pub use share::Counts;
pub use step_zero::StepZero;
pub use tempering::Reference;
pub use verifier::{Answered, Verifier};

/// Which objective to train on, as configuration files name it.
///
/// ```
/// use entropo_train::objective::Objective;
///
/// let objective: Objective = serde_json::from_str(r#"{"objective": "entropo_dpo", "alpha": 0.15}"#)?;
/// objective.validate()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "objective", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Objective {
    /// Supervised fine-tuning; reads sequences.
    Sft(Sft),
    /// DPO and M-DPO; reads pairs.
    Dpo(Dpo),
    /// KTO and M-KTO; reads labelled sequences.
    Kto(Kto),
    /// EntroPO on pairs.
    EntropoDpo(EntropoDpo),
    /// EntroPO on labelled sequences.
    EntropoKto(EntropoKto),
    /// Cross-entropy between two answers; reads pairs of a right and a wrong one.
    Verifier(Verifier),
}

impl Objective {
    /// Refuses settings out of range, and those that contradict each other. Every `evaluate` checks them too.
    pub fn validate(&self) -> Result<(), ObjectiveError> {
        match self {
            Self::Sft(_) => Ok(()),
            Self::Dpo(dpo) => dpo.validate(),
            Self::Kto(kto) => kto.validate(),
            Self::EntropoDpo(entropo) => entropo.validate(),
            Self::EntropoKto(entropo) => entropo.validate(),
            Self::Verifier(verifier) => verifier.validate(),
        }
    }

    /// What it is called in configuration files.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Sft(_) => "sft",
            Self::Dpo(_) => "dpo",
            Self::Kto(_) => "kto",
            Self::EntropoDpo(_) => "entropo_dpo",
            Self::EntropoKto(_) => "entropo_kto",
            Self::Verifier(_) => "verifier",
        }
    }

    /// The objective after a share of the run, in `[0, 1]`: coefficients that change over a run have become those of that
    /// moment.
    pub fn at(&self, progress: f64) -> Self {
        match self {
            Self::EntropoDpo(entropo) => Self::EntropoDpo(entropo.at(progress)),
            Self::EntropoKto(entropo) => Self::EntropoKto(entropo.at(progress)),
            other => *other,
        }
    }

    /// Whether the frozen reference's sums are read.
    pub fn needs_reference(&self) -> bool {
        !matches!(self, Self::Sft(_) | Self::Verifier(_))
    }

    /// What the reference's logits are multiplied with before its log-probabilities are summed; the reference sum to be
    /// given is that sum divided by this scale. 1 but for [`Reference::Local`].
    pub fn reference_scale(&self) -> f64 {
        match self {
            Self::EntropoDpo(entropo) => entropo.tempering().scale(),
            Self::EntropoKto(entropo) => entropo.tempering().scale(),
            _ => 1.0,
        }
    }
}

/// What an objective says about a batch. `W` is `f64` for sequences and `(f64, f64)`, chosen first, for pairs.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation<W> {
    /// The mean over the batch, in nats where the objective has a unit.
    pub loss: f64,
    /// In the order of the batch: the derivative of `loss` with respect to the sequence's policy sum, and so with
    /// respect to the policy's log-probability of each of its action tokens.
    pub weights: Vec<W>,
    /// Finite numbers to log. A metric that is undefined for this batch (the mean reward of rejected sequences where
    /// there are none) is absent.
    pub metrics: Metrics,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Objective, serde_json::Error> {
        serde_json::from_str(text)
    }

    #[test]
    fn only_the_name_is_required() {
        assert_eq!(parse(r#"{"objective":"sft"}"#).unwrap(), Objective::Sft(Sft::default()));
        assert_eq!(parse(r#"{"objective":"dpo"}"#).unwrap(), Objective::Dpo(Dpo::default()));
        assert_eq!(parse(r#"{"objective":"kto"}"#).unwrap(), Objective::Kto(Kto::default()));
        assert_eq!(parse(r#"{"objective":"entropo_dpo"}"#).unwrap(), Objective::EntropoDpo(EntropoDpo::default()));
        assert_eq!(parse(r#"{"objective":"entropo_kto"}"#).unwrap(), Objective::EntropoKto(EntropoKto::default()));
        assert_eq!(parse(r#"{"objective":"verifier"}"#).unwrap(), Objective::Verifier(Verifier::default()));
    }

    #[test]
    fn settings_survive_a_round_trip() {
        for objective in [
            Objective::Sft(Sft { reduction: Reduction::SequenceMean }),
            Objective::Dpo(Dpo { variant: DpoVariant::Robust { label_smoothing: 0.2 }, ..Dpo::default() }),
            Objective::Kto(Kto { undesirable_weight: 0.75, ..Kto::default() }),
            Objective::EntropoDpo(EntropoDpo { margin: Margin::Clipped { limit: 2.0 }, ..EntropoDpo::default() }),
            Objective::EntropoDpo(EntropoDpo {
                kappa: Some(1.5),
                reference: Reference::Local,
                ..EntropoDpo::default()
            }),
            Objective::EntropoKto(EntropoKto { z0: ReferencePoint::MismatchClamped, ..EntropoKto::default() }),
            Objective::Verifier(Verifier { positive: Some(7), negative_weight: 2.0, ..Verifier::default() }),
        ] {
            let text = serde_json::to_string(&objective).unwrap();
            assert!(text.contains(&format!(r#""objective":"{}""#, objective.name())), "{text}");
            assert_eq!(parse(&serde_json::to_string(&objective).unwrap()).unwrap(), objective);
        }
    }

    #[test]
    fn unknown_names_and_fields_are_refused() {
        for text in [
            r#"{"objective":"orpo"}"#,
            r#"{"objective":"dpo","gamma":1.0}"#,
            r#"{"objective":"sft","beta":0.1}"#,
            r#"{"objective":"dpo","variant":{"robust":{"smoothing":0.1}}}"#,
            r#"{"objective":"dpo","variant":"robust"}"#,
            r#"{"objective":"entropo_kto","z0":{"ema":{"decay":0.9,"clamp":true}}}"#,
            r#"{"objective":"entropo_dpo","reference":"global"}"#,
            r#"{"objective":"verifier","beta":0.1}"#,
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn settings_out_of_range_are_named() {
        for (text, field) in [
            (r#"{"objective":"dpo","beta":0.0}"#, "beta"),
            (r#"{"objective":"dpo","sft_weight":-1.0}"#, "sft_weight"),
            (r#"{"objective":"dpo","variant":{"robust":{"label_smoothing":0.5}}}"#, "label_smoothing"),
            (r#"{"objective":"dpo","variant":{"conservative":{"label_smoothing":-0.1}}}"#, "label_smoothing"),
            (r#"{"objective":"kto","beta":-0.1}"#, "beta"),
            (r#"{"objective":"kto","desirable_weight":-1.0}"#, "desirable_weight"),
            (r#"{"objective":"entropo_dpo","alpha":0.0}"#, "alpha"),
            (r#"{"objective":"entropo_dpo","margin":{"clipped":{"limit":0.0}}}"#, "limit"),
            (r#"{"objective":"entropo_dpo","anneal":1.5}"#, "anneal"),
            (r#"{"objective":"entropo_dpo","kappa":0.0}"#, "kappa"),
            (r#"{"objective":"entropo_kto","beta":0.0}"#, "beta"),
            (r#"{"objective":"verifier","negative_weight":-1.0}"#, "negative_weight"),
            (r#"{"objective":"entropo_kto","z0":{"ema":{"decay":1.0}}}"#, "decay"),
        ] {
            match parse(text).unwrap().validate() {
                Err(ObjectiveError::OutOfRange { name, .. }) => assert_eq!(name, field, "{text}"),
                other => panic!("{text}: {other:?}"),
            }
        }
    }
}
