//! Scores that can be believed.
//!
//! A verifier's `P(YES)` orders attempts well before it is right about how many of those with 0.9 are solved. Dividing its
//! logits by one number, fitted on judgements that were held out of training, repairs most of that and changes no order
//! (Guo et al. 2017, arXiv 1706.04599). The number is fitted elsewhere; here it is applied.

use serde::{Deserialize, Serialize};

/// What logits are divided by before they become probabilities.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Temperature(f64);

/// A temperature that is none.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("a temperature is a number above 0, not {0}")]
pub struct TemperatureError(f64);

impl Temperature {
    /// Leaves scores as they are.
    pub const ONE: Self = Self(1.0);

    /// A temperature, finite and above 0. Above 1 it makes a verifier less sure.
    pub fn new(temperature: f64) -> Result<Self, TemperatureError> {
        if temperature.is_finite() && temperature > 0.0 {
            Ok(Self(temperature))
        } else {
            Err(TemperatureError(temperature))
        }
    }

    /// The probability that belongs to a logit, see [`Judgement::logit`](super::Judgement::logit).
    pub fn probability(self, logit: f64) -> f64 {
        let scaled = logit / self.0;
        // Whichever exponential cannot overflow.
        if scaled >= 0.0 { 1.0 / (1.0 + (-scaled).exp()) } else { scaled.exp() / (1.0 + scaled.exp()) }
    }
}

impl Default for Temperature {
    fn default() -> Self {
        Self::ONE
    }
}

impl TryFrom<f64> for Temperature {
    type Error = TemperatureError;

    fn try_from(temperature: f64) -> Result<Self, TemperatureError> {
        Self::new(temperature)
    }
}

impl From<Temperature> for f64 {
    fn from(temperature: Temperature) -> Self {
        temperature.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_changes_how_sure_and_not_which_way() {
        let warm = Temperature::new(2.0).unwrap();
        assert!((warm.probability(3.4) - 0.8455347349).abs() < 1e-10);
        assert_eq!(warm.probability(0.0), 0.5);
        assert_eq!((warm.probability(1e300), warm.probability(-1e300)), (1.0, 0.0));
        let inputs = [-5.0, -0.1, 0.0, 0.3, 8.0];
        assert!(inputs.windows(2).all(|pair| warm.probability(pair[0]) < warm.probability(pair[1])));
    }

    #[test]
    fn what_is_no_temperature_is_refused_in_files_too() {
        for wrong in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(Temperature::new(wrong).is_err(), "{wrong}");
        }
        assert_eq!(serde_json::from_str::<Temperature>("1.5").unwrap(), Temperature::new(1.5).unwrap());
        assert!(serde_json::from_str::<Temperature>("0").unwrap_err().to_string().contains("above 0, not 0"));
    }
}
