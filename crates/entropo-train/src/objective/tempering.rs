//! What EntroPO's two coefficients do besides weighing: they may rise over a run, and they may temper the reference token
//! by token instead of sequence by sequence (method §1.4).

use serde::{Deserialize, Serialize};

use super::error::{ObjectiveError, within};

/// Which reference the policy is compared with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reference {
    /// The frozen model as it is, so that the optimum is the reference's whole sequences at temperature `alpha / beta`,
    /// as in the paper.
    #[default]
    Sequence,
    /// The frozen model with its logits scaled by `beta / alpha`, so that the optimum is the reference's tokens at that
    /// temperature. It is normalised token by token, and no offset grows with length. With `q` its probabilities, the
    /// reference sum that the objective is to be given is `alpha / beta * sum(log q)`.
    Local,
}

/// The coefficients and what is done with them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Tempering {
    pub(super) alpha: f64,
    pub(super) beta: f64,
    pub(super) reference: Reference,
    pub(super) anneal: f64,
}

impl Tempering {
    /// Refuses a share of the run out of range, and a reference that would change along with alpha.
    pub(super) fn validate(&self) -> Result<(), ObjectiveError> {
        within("anneal", self.anneal, (0.0..=1.0).contains(&self.anneal), "between 0 and 1")?;
        if self.reference == Reference::Local && self.anneal > 0.0 {
            return Err(ObjectiveError::Combination {
                first: "reference = \"local\"",
                second: "anneal",
                reason: "its log-probabilities would have to be computed again in every step; set `anneal` to 0",
            });
        }
        Ok(())
    }

    /// Alpha after a share of the run: from beta it rises linearly over the first `anneal`.
    pub(super) fn alpha_at(&self, progress: f64) -> f64 {
        if self.anneal <= 0.0 {
            return self.alpha;
        }
        let risen = (progress / self.anneal).clamp(0.0, 1.0);
        self.alpha * risen + self.beta * (1.0 - risen)
    }

    /// What the reference's logits are multiplied with before its log-probabilities are summed.
    pub(super) fn scale(&self) -> f64 {
        match self.reference {
            Reference::Sequence => 1.0,
            Reference::Local => self.beta / self.alpha,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RISING: Tempering = Tempering { alpha: 0.3, beta: 0.1, reference: Reference::Sequence, anneal: 0.5 };

    #[test]
    fn alpha_rises_from_beta_and_stays() {
        let alphas = [0.0, 0.25, 0.5, 0.75, 1.0].map(|progress| RISING.alpha_at(progress));
        assert_eq!(alphas, [0.1, 0.2, 0.3, 0.3, 0.3]);
        assert_eq!(Tempering { anneal: 0.0, ..RISING }.alpha_at(0.0), 0.3);
    }

    #[test]
    fn a_local_reference_has_one_temperature() {
        assert_eq!(RISING.scale(), 1.0);
        let local = Tempering { reference: Reference::Local, ..RISING };
        assert!(matches!(local.validate(), Err(ObjectiveError::Combination { second: "anneal", .. })));
        let local = Tempering { anneal: 0.0, ..local };
        local.validate().unwrap();
        assert!((local.scale() - 1.0 / 3.0).abs() < 1e-15);
    }
}
