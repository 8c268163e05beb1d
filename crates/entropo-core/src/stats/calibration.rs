//! Whether a verifier's 0.8 is right in four of five cases.
//!
//! Predictions are put into bins, and in each bin the mean prediction is held against the share of what came true: the
//! reliability curve. The expected calibration error is the mean distance, weighted by the bins' sizes (Naeini, Cooper
//! and Hauskrecht 2015; Guo et al. 2017, arXiv 1706.04599, eq. 3). It depends on the bins, so both usual kinds are here,
//! and neither of them is a proper score; the Brier score is, and needs no bins.

use serde::{Deserialize, Serialize};

use super::{StatsError, check_probabilities};

/// How predictions are put into bins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bins {
    /// So many intervals of the same width, each with its lower end; the last with 1 too.
    EqualWidth(usize),
    /// So many bins of nearly the same number of predictions. Equal predictions are never torn apart: each value goes
    /// where the middle of its ranks belongs.
    EqualMass(usize),
}

/// The predictions of one bin.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReliabilityBin {
    /// How many.
    pub count: usize,
    /// Their mean.
    pub predicted: f64,
    /// The share of them that came true.
    pub observed: f64,
}

/// The bins that have predictions, in ascending order.
///
/// # Errors
/// [`StatsError::Nothing`] without predictions or bins, [`StatsError::Labels`], [`StatsError::NotProbability`].
pub fn reliability(probabilities: &[f64], labels: &[bool], bins: Bins) -> Result<Vec<ReliabilityBin>, StatsError> {
    check_probabilities(probabilities, labels)?;
    let (Bins::EqualWidth(count) | Bins::EqualMass(count)) = bins;
    if count == 0 {
        return Err(StatsError::Nothing { what: "the number of bins" });
    }
    let mut ascending: Vec<(f64, bool)> = probabilities.iter().copied().zip(labels.iter().copied()).collect();
    ascending.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let (mut before, mut found) = (0_usize, Vec::<(usize, ReliabilityBin)>::new());
    for tied in ascending.chunk_by(|a, b| a.0 == b.0) {
        let value = tied.first().map_or(0.0, |one| one.0);
        let place = match bins {
            Bins::EqualWidth(_) => (value * count as f64) as usize,
            Bins::EqualMass(_) => {
                let middle = (2 * before + tied.len()) as u128 * count as u128;
                (middle / (2 * ascending.len()) as u128) as usize
            }
        };
        before += tied.len();
        let (size, came_true) = (tied.len(), tied.iter().filter(|(_, label)| *label).count());
        let (predicted, observed) = (value * size as f64, came_true as f64);
        let place = place.min(count - 1);
        match found.last_mut() {
            Some((last, bin)) if *last == place => {
                bin.count += size;
                bin.predicted += predicted;
                bin.observed += observed;
            }
            _ => found.push((place, ReliabilityBin { count: size, predicted, observed })),
        }
    }
    let means = found.into_iter().map(|(_, bin)| ReliabilityBin {
        predicted: bin.predicted / bin.count as f64,
        observed: bin.observed / bin.count as f64,
        ..bin
    });
    Ok(means.collect())
}

/// The expected calibration error, in `[0, 1]`: the mean over predictions of their bin's |predicted - observed|.
///
/// # Errors
/// Those of [`reliability`].
pub fn expected_calibration_error(probabilities: &[f64], labels: &[bool], bins: Bins) -> Result<f64, StatsError> {
    let bins = reliability(probabilities, labels, bins)?;
    let distance: f64 = bins.iter().map(|bin| bin.count as f64 * (bin.predicted - bin.observed).abs()).sum();
    Ok(distance / probabilities.len() as f64)
}

/// The Brier score (Brier 1950): the mean squared distance from 1 for what came true and 0 for what did not. 0 is
/// perfect, 0.25 is what always saying 0.5 gets.
///
/// # Errors
/// [`StatsError::Nothing`] without predictions, [`StatsError::Labels`], [`StatsError::NotProbability`].
pub fn brier_score(probabilities: &[f64], labels: &[bool]) -> Result<f64, StatsError> {
    check_probabilities(probabilities, labels)?;
    let squared = probabilities.iter().zip(labels).map(|(value, label)| (value - f64::from(*label)).powi(2));
    Ok(squared.sum::<f64>() / probabilities.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of each of these, by hand: width 0.5 holds {0.1, 0.3} with 1 of 2 true and {0.7, 0.9} with 2 of 2 true.
    const PREDICTED: [f64; 4] = [0.1, 0.9, 0.7, 0.3];
    const TRUE: [bool; 4] = [false, true, true, true];

    #[test]
    fn the_brier_score_of_the_usual_example() {
        // The example in scikit-learn's documentation of brier_score_loss.
        let score = brier_score(&[0.1, 0.9, 0.8, 0.3], &[false, true, true, false]).unwrap();
        assert!((score - 0.0375).abs() < 1e-15);
    }

    #[test]
    fn bins_hold_what_belongs_in_them() {
        let curve = reliability(&PREDICTED, &TRUE, Bins::EqualWidth(2)).unwrap();
        assert_eq!(curve.iter().map(|bin| (bin.count, bin.observed)).collect::<Vec<_>>(), [(2, 0.5), (2, 1.0)]);
        assert!((curve[0].predicted - 0.2).abs() < 1e-15 && (curve[1].predicted - 0.8).abs() < 1e-15);
        // (2 * |0.2 - 0.5| + 2 * |0.8 - 1|) / 4
        let error = expected_calibration_error(&PREDICTED, &TRUE, Bins::EqualWidth(2)).unwrap();
        assert!((error - 0.25).abs() < 1e-15);
        let ends = reliability(&[0.0, 0.5, 1.0], &[false, true, true], Bins::EqualWidth(2)).unwrap();
        assert_eq!(ends.iter().map(|bin| bin.count).collect::<Vec<_>>(), [1, 2], "1 belongs to the last");
    }

    #[test]
    fn equal_mass_does_not_tear_equal_predictions_apart() {
        let predicted = [0.2, 0.2, 0.2, 0.9];
        let curve = reliability(&predicted, &TRUE, Bins::EqualMass(2)).unwrap();
        assert_eq!(curve.iter().map(|bin| bin.count).collect::<Vec<_>>(), [3, 1]);
        // The middle of the six ranks 1..7 of eight is 4, where the second bin begins.
        let lump = [0.1, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.9];
        let curve = reliability(&lump, &[true; 8], Bins::EqualMass(2)).unwrap();
        assert_eq!(curve.iter().map(|bin| bin.count).collect::<Vec<_>>(), [1, 7]);
        let distinct: Vec<f64> = (0..10).map(|index| f64::from(index * index) / 100.0).collect();
        let curve = reliability(&distinct, &[true; 10], Bins::EqualMass(5)).unwrap();
        assert_eq!(curve.iter().map(|bin| bin.count).collect::<Vec<_>>(), [2; 5]);
    }

    #[test]
    fn what_is_no_probability_is_refused() {
        let refused = brier_score(&[0.5, 1.5], &[true, true]);
        assert_eq!(refused, Err(StatsError::NotProbability { index: 1, value: 1.5 }));
        assert!(brier_score(&[f64::NAN], &[true]).is_err() && brier_score(&[], &[]).is_err());
        assert!(reliability(&[0.5], &[true], Bins::EqualWidth(0)).is_err());
        assert_eq!(reliability(&[0.5], &[], Bins::EqualMass(3)), Err(StatsError::Labels { values: 1, labels: 0 }));
    }
}
