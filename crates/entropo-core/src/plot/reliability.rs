//! Whether a verifier's 0.8 is right in four of five cases, as a picture.

use super::lines::{Line, LineChart, Whisker};
use super::{Drawing, PlotError};
use crate::stats::{ReliabilityBin, wilson_interval};

/// A verifier's predictions, in bins.
#[derive(Clone, Debug, PartialEq)]
pub struct Verifier {
    /// What it is called.
    pub name: String,
    /// [`reliability`](crate::stats::reliability) of its predictions.
    pub bins: Vec<ReliabilityBin>,
}

/// What was observed against what was predicted, with 95 % Wilson intervals; on the diagonal both agree.
///
/// # Errors
/// [`PlotError::Nothing`] if no bin holds a prediction.
pub fn reliability(title: &str, verifiers: &[Verifier]) -> Result<Drawing, PlotError> {
    let (mut lines, mut whiskers) = (Vec::new(), Vec::new());
    for (arm, verifier) in verifiers.iter().enumerate() {
        let bins = verifier.bins.iter().filter(|bin| {
            bin.count > 0 && [bin.predicted, bin.observed].iter().all(|share| (0.0..=1.0).contains(share))
        });
        let points: Vec<_> = bins.clone().map(|bin| (bin.predicted, bin.observed)).collect();
        lines.push(Line { arm, marked: points.clone(), points });
        whiskers.extend(bins.filter_map(|bin| {
            let came_true = (bin.observed * bin.count as f64).round() as usize;
            let interval = wilson_interval(came_true.min(bin.count), bin.count, 0.95).ok()?;
            Some(Whisker { arm, at: bin.predicted, from_to: (interval.low, interval.high) })
        }));
    }
    if whiskers.is_empty() {
        return Err(PlotError::Nothing { what: "every bin" });
    }
    let shares = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0];
    LineChart {
        title: title.to_owned(),
        legend: verifiers.iter().map(|verifier| verifier.name.clone()).collect(),
        size: (460, 480 + 20 * verifiers.len() as u32),
        across: "predicted".to_owned(),
        up: "observed".to_owned(),
        from_to: (0.0, 1.0),
        marks: shares.map(|share| (share, format!("{share:.1}"))).to_vec(),
        heights: shares.to_vec(),
        height_label: |share| format!("{share:.1}"),
        lines,
        guide: vec![(0.0, 0.0), (1.0, 1.0)],
        whiskers,
    }
    .draw()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::{self, Bins};

    #[test]
    fn each_bin_has_a_mark_and_an_interval() {
        let bins = stats::reliability(&[0.1, 0.2, 0.8, 0.9], &[false, false, true, true], Bins::EqualWidth(2)).unwrap();
        let verifier = Verifier { name: "calibrated".to_owned(), bins };
        let svg = reliability("Verifier", &[verifier]).unwrap().svg();
        assert_eq!(svg.matches("<polygon").count(), 2, "{svg}");
        assert!(svg.contains("calibrated") && svg.contains("observed"), "{svg}");
        assert!(matches!(reliability("Verifier", &[]), Err(PlotError::Nothing { .. })));
    }
}
