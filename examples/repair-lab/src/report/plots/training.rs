//! How training went: small panels, one quantity each, all arms in each.

use entropo::core::plot::{Line, LineChart, extent, heights, ticks};

use super::{Panel, PlotError};
use crate::report::number::compact;
use crate::report::{CurvePoint, TrainingCurve};

/// Points of a line; longer runs are averaged over equal stretches of steps.
const POINTS: usize = 60;

/// What is plotted: its name, how to read it, where it is.
type Quantity = (&'static str, &'static str, fn(&CurvePoint) -> Option<f64>);

const QUANTITIES: [Quantity; 6] = [
    ("Loss", "Each arm’s own objective: shapes compare, heights do not.", |point| Some(point.loss)),
    ("Reward accuracy", "Share of pairs whose chosen side has the higher reward.", |point| point.accuracy),
    ("Reward margin", "Mean reward of the chosen minus that of the rejected side.", |point| point.margin),
    ("Gradient norm", "Before clipping.", |point| Some(point.grad_norm)),
    ("Offset", "Mean part of the margin that training cannot change, nats.", |point| point.offset_mean),
    ("Effective pairs", "How many pairs of a batch carry the gradient.", |point| point.effective_count),
];

/// A panel for each quantity that any curve has; `arm` numbers the curves' arms.
pub(in crate::report) fn training(
    curves: &[TrainingCurve],
    arm: impl Fn(&str) -> usize,
) -> Result<Vec<Panel>, PlotError> {
    let steps = extent(curves.iter().flat_map(|curve| &curve.records).map(|point| point.step as f64));
    let Some((first, last)) = steps else { return Ok(Vec::new()) };
    let marks = ticks(first, last, 4);
    let from_to = (marks.first().copied().unwrap_or(first), marks.last().copied().unwrap_or(last));
    let mut panels = Vec::new();
    for (title, note, quantity) in QUANTITIES {
        let lines = curves.iter().map(|curve| line(curve, arm(&curve.arm), quantity));
        let lines: Vec<Line> = lines.filter(|line| !line.points.is_empty()).collect();
        let values = lines.iter().flat_map(|line| &line.points).map(|point| point.1);
        let Some(heights) = heights(values) else { continue };
        let chart = LineChart {
            size: (330, 235),
            across: "optimiser step".to_owned(),
            from_to,
            marks: marks.iter().map(|step| (*step, compact(*step))).collect(),
            heights,
            height_label: tick,
            lines,
            ..LineChart::default()
        };
        panels.push(Panel { title: title.to_owned(), note: note.to_owned(), svg: chart.draw()?.inline() });
    }
    Ok(panels)
}

fn line(curve: &TrainingCurve, arm: usize, quantity: fn(&CurvePoint) -> Option<f64>) -> Line {
    let points = curve.records.iter().filter_map(|point| Some((point.step as f64, quantity(point)?)));
    let points: Vec<(f64, f64)> = points.filter(|(_, value)| value.is_finite()).collect();
    let stretch = points.len().div_ceil(POINTS).max(1);
    let mean =
        |part: &[(f64, f64)], side: fn(&(f64, f64)) -> f64| part.iter().map(side).sum::<f64>() / part.len() as f64;
    let points = points.chunks(stretch).map(|part| (mean(part, |point| point.0), mean(part, |point| point.1)));
    let points: Vec<_> = points.collect();
    Line { arm, marked: points.last().copied().into_iter().collect(), points }
}

/// A height without digits that say nothing.
fn tick(value: f64) -> String {
    let text = format!("{value:.4}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.replace('-', "−") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(records: Vec<CurvePoint>) -> TrainingCurve {
        TrainingCurve { arm: "DPO".to_owned(), records }
    }

    #[test]
    fn only_what_was_recorded_is_plotted() {
        let records = (0..5).map(|step| CurvePoint { step, margin: Some(0.1), ..CurvePoint::default() }).collect();
        let titles: Vec<String> =
            training(&[curve(records)], |_| 0).unwrap().into_iter().map(|panel| panel.title).collect();
        assert_eq!(titles, ["Loss", "Reward margin", "Gradient norm"]);
        assert!(training(&[curve(Vec::new())], |_| 0).unwrap().is_empty());
        assert!(training(&[], |_| 0).unwrap().is_empty());
    }

    #[test]
    fn a_single_step_and_losses_without_a_value_are_drawn() {
        let point = CurvePoint { step: 3, loss: f64::NAN, grad_norm: 1.0, ..CurvePoint::default() };
        let panels = training(&[curve(vec![point])], |_| 0).unwrap();
        assert_eq!(panels.iter().map(|panel| panel.title.as_str()).collect::<Vec<_>>(), ["Gradient norm"]);
    }

    #[test]
    fn long_runs_are_averaged_in_stretches() {
        let records = (0..1000).map(|step| CurvePoint { step, loss: step as f64, ..CurvePoint::default() }).collect();
        let line = line(&curve(records), 0, |point| Some(point.loss));
        assert_eq!(line.points.len(), 59);
        assert_eq!(line.points.first(), Some(&(8.0, 8.0)));
    }

    #[test]
    fn heights_are_written_short() {
        assert_eq!([0.5, -0.0, 20.0, -1.25].map(tick), ["0.5", "0", "20", "−1.25"]);
    }
}
