//! The study's plots.

use entropo::core::plot::{Curve, Drawing, ForestRow, PlotError, Verifier, best_at_k, forest, reliability};

use super::StudyError;
use super::results::{SelectorResult, StudyResults};

/// The selectors whose curves are drawn: as many as there are marks.
const CURVES: [(&str, &str); 5] = [
    ("reference", "random"),
    ("reference", "oracle (pass@N)"),
    ("cumulative", "+ best reproduction"),
    ("cumulative", "+ best verifier"),
    ("alone", "majority"),
];

/// A drawing in a file.
pub(super) struct Plot {
    pub(super) file: &'static str,
    pub(super) title: &'static str,
    pub(super) svg: String,
}

/// All plots that there is something for.
pub(super) fn all(results: &StudyResults) -> Result<Vec<Plot>, StudyError> {
    let drawn = [
        ("best-at-n.svg", "best@N", best_at(results)),
        ("stages.svg", "What each stage adds", contributions(results)),
        ("reliability.svg", "Reliability", calibration(results)),
    ];
    let plot = |(file, title, drawing): (_, _, Result<Drawing, PlotError>)| match drawing {
        Ok(drawing) => Some(Ok(Plot { file, title, svg: drawing.svg() })),
        Err(PlotError::Nothing { .. }) => None,
        Err(error) => Some(Err(error.into())),
    };
    drawn.into_iter().filter_map(plot).collect()
}

fn best_at(results: &StudyResults) -> Result<Drawing, PlotError> {
    let found = CURVES.iter().filter_map(|(group, name)| {
        results.selectors.iter().find(|selector| selector.group == *group && selector.name == *name)
    });
    let curve = |selector: &SelectorResult| Curve {
        name: match selector.group.as_str() {
            "cumulative" => format!("finished … {}", selector.name),
            _ => selector.name.clone(),
        },
        points: selector.best_at.iter().map(|(count, interval)| (*count, *interval)).collect(),
    };
    best_at_k("best@N", &found.map(curve).collect::<Vec<_>>())
}

fn contributions(results: &StudyResults) -> Result<Drawing, PlotError> {
    let rollouts = results.settings.rollouts;
    let rows = results.contributions.iter().filter_map(|one| {
        let interval = *one.adds.get(&rollouts)?;
        Some(ForestRow { name: one.stage.clone(), interval })
    });
    let title = format!("Percentage points of best@{rollouts} that each stage adds");
    forest(&title, &rows.collect::<Vec<_>>(), |value| format!("{:+.1}", 100.0 * value))
}

fn calibration(results: &StudyResults) -> Result<Drawing, PlotError> {
    let verifiers = results.verifiers.iter().flat_map(|verifier| {
        verifier.reliability.iter().zip(["before", "after"]).map(|(bins, when)| Verifier {
            name: format!("{}, {when} its temperature", verifier.name),
            bins: bins.clone(),
        })
    });
    reliability("Share solved against predicted, bins of equal mass", &verifiers.collect::<Vec<_>>())
}
