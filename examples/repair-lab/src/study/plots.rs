//! The study's plots, in the kit of the report.

use entropo::core::stats::Interval;

use super::StudyError;
use super::results::{SelectorResult, StudyResults};
use crate::report::plots::line::{Line, LineChart, Whisker, heights};
use crate::report::plots::{alone, mark};

/// The selectors whose curves are drawn: as many as there are marks.
const CURVES: [(&str, &str); 5] = [
    ("reference", "random"),
    ("reference", "oracle (pass@N)"),
    ("cumulative", "+ best reproduction"),
    ("cumulative", "+ best verifier"),
    ("alone", "majority"),
];
/// Distance between intervals in the same place, in doublings.
const ASIDE: f64 = 0.06;

/// A drawing in a file.
pub(super) struct Plot {
    pub(super) file: &'static str,
    pub(super) title: &'static str,
    /// What its marks mean.
    pub(super) legend: String,
    pub(super) svg: String,
}

/// All plots that there is something for.
pub(super) fn all(results: &StudyResults) -> Result<Vec<Plot>, StudyError> {
    let plots = [best_at(results)?, contributions(results)?, reliability(results)?];
    Ok(plots.into_iter().flatten().collect())
}

fn best_at(results: &StudyResults) -> Result<Option<Plot>, StudyError> {
    let found = CURVES.iter().filter_map(|(group, name)| {
        results.selectors.iter().find(|selector| selector.group == *group && selector.name == *name)
    });
    let found: Vec<&SelectorResult> = found.collect();
    let place = |count: &usize| (*count as f64).log2();
    let line = |(arm, selector): (usize, &&SelectorResult)| {
        let points: Vec<(f64, f64)> =
            selector.best_at.iter().map(|(count, interval)| (place(count), interval.mean)).collect();
        Line { arm, marked: points.clone(), points }
    };
    let whiskers = found.iter().enumerate().flat_map(|(arm, selector)| {
        let aside = ASIDE * (arm as f64 - (CURVES.len() - 1) as f64 / 2.0);
        selector.best_at.iter().map(move |(count, one)| Whisker {
            arm,
            at: (*count as f64).log2() + aside,
            from_to: (one.low, one.high),
        })
    });
    let Some(heights) = heights(found.iter().flat_map(|one| one.best_at.values()).flat_map(ends)) else {
        return Ok(None);
    };
    let counts = results.settings.counts();
    let last = counts.last().map_or(0.0, place);
    let chart = LineChart {
        size: (640, 400),
        across: "N, number of rollouts (doubling)",
        from_to: (-0.2, last + 0.2),
        marks: counts.iter().map(|count| (place(count), count.to_string())).collect(),
        heights,
        height_label: percent,
        lines: found.iter().enumerate().map(line).collect(),
        whiskers: whiskers.collect(),
    };
    let legend = legend(found.iter().map(|selector| match selector.group.as_str() {
        "cumulative" => format!("finished … {}", selector.name),
        _ => selector.name.clone(),
    }));
    Ok(Some(Plot { file: "best-at-n.svg", title: "best@N", legend, svg: alone(&chart.draw()?) }))
}

fn contributions(results: &StudyResults) -> Result<Option<Plot>, StudyError> {
    let adds = results.contributions.iter().filter_map(|one| one.adds.get(&results.settings.rollouts));
    let adds: Vec<&Interval> = adds.collect();
    let Some(heights) = heights(adds.iter().copied().flat_map(ends).chain([0.0])) else { return Ok(None) };
    let places: Vec<(f64, String)> = (1..=adds.len()).map(|number| (number as f64, number.to_string())).collect();
    let points: Vec<(f64, f64)> = places.iter().zip(&adds).map(|((place, _), one)| (*place, one.mean)).collect();
    let whiskers =
        places.iter().zip(&adds).map(|((place, _), one)| Whisker { arm: 1, at: *place, from_to: (one.low, one.high) });
    let end = adds.len() as f64 + 0.5;
    let zero = Line { arm: 0, points: vec![(0.5, 0.0), (end, 0.0)], marked: Vec::new() };
    let chart = LineChart {
        size: (500, 300),
        across: "stage",
        from_to: (0.5, end),
        marks: places.clone(),
        heights,
        height_label: points_of_percent,
        lines: vec![zero, Line { arm: 1, points: Vec::new(), marked: points }],
        whiskers: whiskers.collect(),
    };
    let names = results.contributions.iter().enumerate().map(|(index, one)| format!("{} {}", index + 1, one.stage));
    let legend = format!("percentage points of best@{} by stage: {}", results.settings.rollouts, list(names));
    Ok(Some(Plot { file: "stages.svg", title: "What each stage adds", legend, svg: alone(&chart.draw()?) }))
}

fn reliability(results: &StudyResults) -> Result<Option<Plot>, StudyError> {
    let found: Vec<(String, Vec<(f64, f64)>)> = results
        .verifiers
        .iter()
        .flat_map(|verifier| {
            verifier.reliability.iter().zip(["before", "after"]).map(|(bins, when)| {
                let points = bins.iter().map(|bin| (bin.predicted, bin.observed)).collect();
                (format!("{}, {when} its temperature", verifier.name), points)
            })
        })
        .collect();
    if found.is_empty() {
        return Ok(None);
    }
    let places: Vec<f64> = (0..=5).map(|fifth| f64::from(fifth) / 5.0).collect();
    let diagonal = Line { arm: 0, points: vec![(0.0, 0.0), (1.0, 1.0)], marked: Vec::new() };
    let curves = found.iter().enumerate().map(|(index, (_, points))| Line {
        arm: index + 1,
        points: points.clone(),
        marked: points.clone(),
    });
    let chart = LineChart {
        size: (460, 400),
        across: "predicted",
        from_to: (0.0, 1.0),
        marks: places.iter().map(|place| (*place, percent(*place))).collect(),
        heights: places.clone(),
        height_label: percent,
        lines: std::iter::once(diagonal).chain(curves).collect(),
        whiskers: Vec::new(),
    };
    let names = found.iter().enumerate().map(|(index, (name, _))| format!("{} {name}", mark(index + 1)));
    let legend = format!("share solved against predicted, ten bins of equal mass: {}", list(names));
    Ok(Some(Plot { file: "reliability.svg", title: "Reliability", legend, svg: alone(&chart.draw()?) }))
}

fn ends(interval: &Interval) -> [f64; 3] {
    [interval.low, interval.mean, interval.high]
}

fn percent(height: f64) -> String {
    format!("{:.0} %", 100.0 * height)
}

fn points_of_percent(height: f64) -> String {
    format!("{:+.0}", 100.0 * height)
}

fn legend(names: impl Iterator<Item = String>) -> String {
    list(names.enumerate().map(|(arm, name)| format!("{} {name}", mark(arm))))
}

fn list(names: impl Iterator<Item = String>) -> String {
    names.collect::<Vec<_>>().join(", ")
}
