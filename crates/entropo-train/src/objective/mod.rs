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
//! let chosen = SequenceLogProbs { policy: -4.1, reference: -4.7, tokens: 5 };
//! let rejected = SequenceLogProbs { policy: -2.6, reference: -2.2, tokens: 3 };
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

#[cfg(test)]
mod properties;
#[cfg(test)]
mod testing;

use serde::{Deserialize, Serialize};

pub use dpo::{Dpo, DpoVariant};
pub use entropo_dpo::{EntropoDpo, Margin};
pub use entropo_kto::EntropoKto;
pub use error::{ObjectiveError, SequenceIndex};
pub use kto::Kto;
pub use logistic::{negative_log_sigmoid, sigmoid};
pub use metrics::Metrics;
pub use reference_point::ReferencePoint;
pub use sequence::{Labelled, Pair, SequenceLogProbs};
pub use sft::{Reduction, Sft};

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
}

impl Objective {
    /// Refuses settings out of range with [`ObjectiveError::OutOfRange`]. Every `evaluate` checks them too.
    pub fn validate(&self) -> Result<(), ObjectiveError> {
        match self {
            Self::Sft(_) => Ok(()),
            Self::Dpo(dpo) => dpo.validate(),
            Self::Kto(kto) => kto.validate(),
            Self::EntropoDpo(entropo) => entropo.validate(),
            Self::EntropoKto(entropo) => entropo.validate(),
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
    }

    #[test]
    fn settings_survive_a_round_trip() {
        for objective in [
            Objective::Sft(Sft { reduction: Reduction::SequenceMean }),
            Objective::Dpo(Dpo { variant: DpoVariant::Robust { label_smoothing: 0.2 }, ..Dpo::default() }),
            Objective::Kto(Kto { undesirable_weight: 0.75, ..Kto::default() }),
            Objective::EntropoDpo(EntropoDpo { margin: Margin::Clipped { limit: 2.0 }, ..EntropoDpo::default() }),
            Objective::EntropoKto(EntropoKto { z0: ReferencePoint::MismatchClamped, ..EntropoKto::default() }),
        ] {
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
            (r#"{"objective":"entropo_kto","beta":0.0}"#, "beta"),
            (r#"{"objective":"entropo_kto","z0":{"ema":{"decay":1.0}}}"#, "decay"),
        ] {
            match parse(text).unwrap().validate() {
                Err(ObjectiveError::OutOfRange { name, .. }) => assert_eq!(name, field, "{text}"),
                other => panic!("{text}: {other:?}"),
            }
        }
    }
}
