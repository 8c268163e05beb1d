//! How success grows with the number of rollouts: what is among them, and what the selector makes of it.

use entropo::core::plot::{Line, LineChart, Whisker, heights};

use super::{Panel, PlotError};
use crate::results::Arm;

/// Distance between the intervals of two arms, in doublings, so that they do not hide each other.
const ASIDE: f64 = 0.085;

/// pass@k and best@k against k, at the same heights. Nothing without a curve.
pub(in crate::report) fn by_rollouts(arms: &[Arm], rollouts: usize) -> Result<Vec<Panel>, PlotError> {
    let panels = [
        ("pass@k", "Whether any of k rollouts solves the task.", curves(arms, |arm| &arm.pass_at)),
        ("best@k", "Whether the one that the selector picks of k does.", curves(arms, |arm| &arm.best_at)),
    ];
    let longest = arms.iter().map(|arm| arm.pass_at.len().max(arm.best_at.len())).max().unwrap_or(0);
    let doublings = (longest.max(2) as f64).log2();
    let whiskers: Vec<Vec<Whisker>> =
        ["pass", "best"].into_iter().map(|name| whiskers(arms, name, rollouts, doublings)).collect();
    let drawn = panels.iter().flat_map(|(_, _, lines)| lines).flat_map(|line| &line.points).map(|point| point.1);
    let ends = whiskers.iter().flatten().flat_map(|whisker| [whisker.from_to.0, whisker.from_to.1]);
    let all: Vec<f64> = drawn.chain(ends).collect();
    let Some(heights) = heights(all) else { return Ok(Vec::new()) };
    let aside = ASIDE * (arms.len() + 1) as f64;
    let panels = panels.into_iter().zip(whiskers).filter(|((_, _, lines), _)| !lines.is_empty());
    panels
        .map(|((title, note, lines), whiskers)| {
            let chart = LineChart {
                size: (500, 330),
                across: "k, number of rollouts (doubling)".to_owned(),
                from_to: (-aside, doublings + aside),
                marks: doubled(longest),
                heights: heights.clone(),
                height_label: |height| format!("{:.0} %", 100.0 * height),
                lines,
                whiskers,
                ..LineChart::default()
            };
            Ok(Panel { title: title.to_owned(), note: note.to_owned(), svg: chart.draw()?.inline() })
        })
        .collect()
}

fn curves(arms: &[Arm], values: impl Fn(&Arm) -> &Vec<f64>) -> Vec<Line> {
    let line = |(arm, values): (usize, &Vec<f64>)| {
        let numbered = (1_usize..).zip(values).filter(|(_, value)| value.is_finite());
        let placed = numbered.map(|(k, value)| (k, ((k as f64).log2(), *value)));
        let (points, doubled) = (placed.clone(), placed.filter(|(k, _)| k.is_power_of_two()));
        let marked = doubled.map(|(_, point)| point).collect();
        Line { arm, points: points.map(|(_, point)| point).collect(), marked }
    };
    arms.iter().map(values).enumerate().map(line).filter(|line| !line.points.is_empty()).collect()
}

/// The intervals at both ends, each arm's a little further out than the last one's.
fn whiskers(arms: &[Arm], name: &str, rollouts: usize, doublings: f64) -> Vec<Whisker> {
    let ends = [("1".to_owned(), 0.0, -1.0), ("N".to_owned(), doublings, 1.0), (rollouts.to_string(), doublings, 1.0)];
    let of_arm = |(number, arm): (usize, &Arm)| {
        let aside = ASIDE * (number + 1) as f64;
        let found = ends.iter().filter_map(move |(k, end, side)| {
            let interval = arm.metrics.get(&format!("{name}@{k}"))?;
            let from_to = (interval.low, interval.high);
            (from_to.0.is_finite() && from_to.1.is_finite()).then_some(Whisker {
                arm: number,
                at: end + side * aside,
                from_to,
            })
        });
        found.collect::<Vec<_>>()
    };
    arms.iter().enumerate().flat_map(of_arm).collect()
}

/// 1, 2, 4 and so on up to `longest`.
fn doubled(longest: usize) -> Vec<(f64, String)> {
    let powers = (0..usize::BITS).map(|power| 1_usize << power).take_while(|number| *number <= longest.max(2));
    powers.map(|number| ((number as f64).log2(), number.to_string())).collect()
}
