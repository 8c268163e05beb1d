//! How well scores rank what is true above what is not.
//!
//! AUROC is the chance that a random solved sample has a higher score than a random unsolved one, an equal score
//! counting half: the Mann-Whitney U statistic divided by the number of pairs (Hanley and McNeil 1982, *Radiology* 143).
//! It depends on the order of the scores alone, so any increasing transformation leaves it as it is. Wins and ties are
//! counted in whole numbers; the one rounding is the last division.

use super::{StatsError, check_labelled};

/// The area under the receiver operating characteristic, in `[0, 1]`; 0.5 is no better than chance.
///
/// # Errors
/// [`StatsError::Nothing`], [`StatsError::NotFinite`], [`StatsError::Labels`] if the lengths differ,
/// [`StatsError::OneClass`] if all labels are equal.
///
/// ```
/// use entropo_core::stats::auroc;
///
/// assert_eq!(auroc(&[0.1, 0.4, 0.35, 0.8], &[false, false, true, true]), Ok(0.75));
/// ```
pub fn auroc(scores: &[f64], labels: &[bool]) -> Result<f64, StatsError> {
    check_labelled("the list of scores", scores, labels)?;
    let positives = labels.iter().filter(|&&label| label).count() as u128;
    let negatives = labels.len() as u128 - positives;
    if positives == 0 || negatives == 0 {
        return Err(StatsError::OneClass);
    }
    let mut ascending: Vec<(f64, bool)> = scores.iter().copied().zip(labels.iter().copied()).collect();
    ascending.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut doubled, mut negatives_below) = (0_u128, 0_u128);
    for tied in ascending.chunk_by(|a, b| a.0 == b.0) {
        let here = tied.iter().filter(|(_, label)| *label).count() as u128;
        let beside = tied.len() as u128 - here;
        doubled += here * (2 * negatives_below + beside);
        negatives_below += beside;
    }
    Ok(doubled as f64 / (2 * positives * negatives) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_count_half() {
        assert_eq!(auroc(&[0.5; 5], &[true, false, true, false, false]), Ok(0.5));
        // pairs (solved, unsolved): 2>1, 2=2, 3>1, 3>2, so 3.5 of 4
        assert_eq!(auroc(&[2.0, 3.0, 1.0, 2.0], &[true, true, false, false]), Ok(0.875));
        assert_eq!(auroc(&[0.0, -0.0], &[true, false]), Ok(0.5), "both zeros are one number");
        assert_eq!(auroc(&[3.0, 2.0, 1.0], &[false, false, true]), Ok(0.0));
    }

    #[test]
    fn what_cannot_be_ranked_is_refused() {
        assert_eq!(auroc(&[1.0, 2.0], &[true, true]), Err(StatsError::OneClass));
        assert_eq!(auroc(&[1.0], &[]), Err(StatsError::Labels { values: 1, labels: 0 }));
        assert!(matches!(auroc(&[1.0, f64::NAN], &[true, false]), Err(StatsError::NotFinite { index: 1, .. })));
    }
}
