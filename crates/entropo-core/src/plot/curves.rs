//! How success grows with the number of rollouts, for several selectors.

use super::lines::{Line, LineChart, Whisker, heights};
use super::{Drawing, PlotError};
use crate::stats::Interval;

/// Distance between the intervals of two curves, in doublings, so that they do not hide each other.
const ASIDE: f64 = 0.07;

/// What a selector makes of k rollouts.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// The selector, or `pass@k`.
    pub name: String,
    /// The share that is solved for each k from 1 on, with its interval.
    pub points: Vec<(usize, Interval)>,
}

/// best@k against k, which doubles from mark to mark.
///
/// # Errors
/// [`PlotError::Nothing`] if no curve has a finite point.
pub fn best_at_k(title: &str, curves: &[Curve]) -> Result<Drawing, PlotError> {
    let finite = |curve: &Curve| -> Vec<(usize, Interval)> {
        let points = curve.points.iter().copied();
        points.filter(|(k, one)| *k > 0 && [one.mean, one.low, one.high].iter().all(|end| end.is_finite())).collect()
    };
    let points: Vec<_> = curves.iter().map(finite).collect();
    let ends = points.iter().flatten().flat_map(|(_, one)| [one.low, one.high, one.mean]);
    let heights = heights(ends).ok_or(PlotError::Nothing { what: "every curve" })?;
    let longest = points.iter().flatten().map(|(k, _)| *k).max().unwrap_or(1);
    let place = |k: usize| (k as f64).log2();
    let middle = (curves.len().saturating_sub(1)) as f64 / 2.0;
    let (mut lines, mut whiskers) = (Vec::new(), Vec::new());
    for (arm, points) in points.iter().enumerate() {
        let aside = ASIDE * (arm as f64 - middle);
        let marked = |k: usize| k.is_power_of_two() || k == longest;
        let places = points.iter().map(|(k, one)| (*k, (place(*k) + aside, one.mean)));
        lines.push(Line {
            arm,
            points: places.clone().map(|(_, point)| point).collect(),
            marked: places.filter(|(k, _)| marked(*k)).map(|(_, point)| point).collect(),
        });
        let intervals = points.iter().filter(|(k, _)| marked(*k));
        whiskers.extend(intervals.map(|(k, one)| Whisker { arm, at: place(*k) + aside, from_to: (one.low, one.high) }));
    }
    let room = ASIDE * (middle + 1.5);
    let marks = (0..usize::BITS).map(|power| 1_usize << power).take_while(|k| *k <= longest.max(2));
    LineChart {
        title: title.to_owned(),
        legend: curves.iter().map(|curve| curve.name.clone()).collect(),
        size: (560, 380 + 20 * curves.len() as u32),
        across: "k, number of rollouts (doubling)".to_owned(),
        up: "solved".to_owned(),
        from_to: (-room, place(longest.max(2)) + room),
        marks: marks.map(|k| (place(k), k.to_string())).collect(),
        heights,
        height_label: |height| format!("{:.0} %", 100.0 * height),
        lines,
        whiskers,
        ..LineChart::default()
    }
    .draw()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(name: &str, values: &[f64]) -> Curve {
        let interval = |mean: &f64| Interval { mean: *mean, low: mean - 0.05, high: mean + 0.05 };
        Curve { name: name.to_owned(), points: (1..).zip(values.iter().map(interval)).collect() }
    }

    #[test]
    fn every_curve_has_line_intervals_and_a_name() {
        let drawing = best_at_k("x", &[curve("<hybrid>", &[0.3, 0.4, 0.45]), curve("random", &[0.3; 3])]).unwrap();
        let svg = drawing.svg();
        for part in ["&lt;hybrid&gt;", "random", "#0072b2", "#d55e00", "number of rollouts"] {
            assert!(svg.contains(part), "{part} is not in {svg}");
        }
        // Marks are at k = 1, 2 and the last.
        assert_eq!(svg.matches("<polygon").count(), 6, "{svg}");
    }

    #[test]
    fn nothing_finite_is_no_plot() {
        assert!(matches!(best_at_k("x", &[]), Err(PlotError::Nothing { .. })));
        assert!(matches!(best_at_k("x", &[curve("a", &[f64::NAN])]), Err(PlotError::Nothing { .. })));
    }
}
