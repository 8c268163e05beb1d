//! Making a verifier's confidence honest with one number.
//!
//! Temperature scaling (Guo et al. 2017, arXiv 1706.04599, §4.2) divides logits z by a T > 0 that maximises the
//! likelihood of held-out labels. With a = 1/T the negative log-likelihood is convex in a, and its slope
//!
//! sum over samples of z (sigma(a z) - y)
//!
//! only grows, so its zero is found by halving an interval until two neighbouring numbers are left: no step size, no
//! seed, the same T everywhere. The order of predictions stays, and so does AUROC.

use serde::{Deserialize, Serialize};

use super::{StatsError, check_labelled, sigmoid};

/// The temperature is looked for between `1 / LIMIT` and `LIMIT`.
const LIMIT: f64 = 1e6;

/// What logits are divided by before they become probabilities: a finite number above 0, also in files. Above 1 it makes
/// predictions less sure.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Temperature(f64);

/// A temperature that is none.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("a temperature is a number above 0, not {0}")]
pub struct TemperatureError(f64);

impl Temperature {
    /// Leaves probabilities as they are.
    pub const ONE: Self = Self(1.0);

    /// A temperature.
    ///
    /// # Errors
    /// Where it is not finite or not above 0.
    pub fn new(value: f64) -> Result<Self, TemperatureError> {
        if value.is_finite() && value > 0.0 { Ok(Self(value)) } else { Err(TemperatureError(value)) }
    }

    /// The number.
    pub fn value(self) -> f64 {
        self.0
    }

    /// The temperature under which the labels are likeliest.
    ///
    /// # Errors
    /// [`StatsError::Nothing`], [`StatsError::NotFinite`] (the logit of a probability of 0 or 1 is infinite),
    /// [`StatsError::Labels`], [`StatsError::NoTemperature`] if there is no such temperature: every logit has the sign
    /// of its label, or the logits say no more, or less, than a coin.
    pub fn fit(logits: &[f64], labels: &[bool]) -> Result<Self, StatsError> {
        check_labelled("the list of logits", logits, labels)?;
        let slope = |inverse: f64| -> f64 {
            let parts = logits.iter().zip(labels);
            parts.map(|(logit, label)| logit * (sigmoid(inverse * logit) - f64::from(*label))).sum()
        };
        let (mut low, mut high) = (1.0 / LIMIT, LIMIT);
        if slope(low) >= 0.0 {
            return Err(StatsError::NoTemperature { why: "the logits say no more than a coin" });
        }
        if slope(high) <= 0.0 {
            return Err(StatsError::NoTemperature { why: "every logit has the sign of its label" });
        }
        loop {
            let middle = low + (high - low) / 2.0;
            if middle <= low || middle >= high {
                return Ok(Self(1.0 / middle));
            }
            if slope(middle) < 0.0 { low = middle } else { high = middle }
        }
    }

    /// The probability that belongs to a logit.
    pub fn probability(self, logit: f64) -> f64 {
        sigmoid(logit / self.0)
    }
}

impl TryFrom<f64> for Temperature {
    type Error = TemperatureError;

    fn try_from(value: f64) -> Result<Self, TemperatureError> {
        Self::new(value)
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
    use crate::stats::logit;

    #[test]
    fn three_of_four_right_is_what_the_temperature_makes_of_one_logit() {
        // One logit z, right in 3 of 4 cases: sigma(z / T) = 3/4, so T = z / ln 3.
        let labels = [true, true, true, false];
        for z in [0.2, 1.0, 8.0] {
            let temperature = Temperature::fit(&[z; 4], &labels).unwrap();
            assert!((temperature.value() / (z / 3_f64.ln()) - 1.0).abs() < 1e-12, "{temperature:?}");
            assert!((temperature.probability(z) - 0.75).abs() < 1e-12);
        }
    }

    #[test]
    fn mixed_logits_have_the_temperature_of_an_independent_search() {
        // A golden-section search over T of the negative log-likelihood in Python, to 1e-7.
        let temperature = Temperature::fit(&LOGITS, &LABELS).unwrap();
        assert!((temperature.value() - GOLDEN).abs() < 1e-6, "{temperature:?}");
    }

    const LOGITS: [f64; 8] = [4.0, 3.0, -2.0, -5.0, 1.0, -1.0, 6.0, -0.5];
    const LABELS: [bool; 8] = [true, false, false, false, true, true, true, false];
    const GOLDEN: f64 = 2.4362799;

    #[test]
    fn where_there_is_no_temperature_none_is_made_up() {
        let none = |logits: &[f64], labels: &[bool]| {
            matches!(Temperature::fit(logits, labels), Err(StatsError::NoTemperature { .. }))
        };
        assert!(none(&[1.0, -2.0], &[true, false]), "separable: the colder the better");
        assert!(none(&[1.0, -2.0], &[false, true]), "reversed: the hotter the better");
        assert!(none(&[0.0, 0.0], &[true, false]));
        assert!(matches!(Temperature::fit(&[logit(1.0)], &[true]), Err(StatsError::NotFinite { .. })));
    }

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

    #[test]
    fn logits_and_probabilities_are_inverse() {
        for probability in [1e-12, 0.01, 0.5, 0.75, 0.999] {
            assert!((sigmoid(logit(probability)) / probability - 1.0).abs() < 1e-12);
        }
        assert_eq!((sigmoid(-1000.0), sigmoid(1000.0)), (0.0, 1.0));
    }
}
