//! The study as tables in Markdown with plots beside them.

use std::collections::BTreeMap;
use std::path::Path;

use entropo::core::stats::Interval;
use entropo::train::checkpoint::write_file;

use super::StudyError;
use super::plots;
use super::results::{Contribution, SelectorResult, StoppingResult, StudyResults, VerifierResult};

/// Writes `study.md` and its plots into a directory.
pub(super) fn write(results: &StudyResults, directory: &Path) -> Result<(), StudyError> {
    let plots = plots::all(results)?;
    let mut page = introduction(results);
    for verifier in &results.verifiers {
        page += &judge(verifier);
    }
    page += &selectors(results);
    page += &contributions(results);
    page += &stopping(&results.stopping);
    for plot in &plots {
        page += &format!("\n![{}]({})\n", plot.title, plot.file);
        write_file(&directory.join(plot.file), plot.svg.as_bytes())?;
    }
    Ok(write_file(&super::page(directory), page.as_bytes())?)
}

fn introduction(results: &StudyResults) -> String {
    let settings = &results.settings;
    format!(
        "{} unseen tasks, {} rollouts each; a rollout solves its task: {}. {} known tasks, {} rollouts each, of which {} tasks \
         teach the judges. Seed {}. Means with 95 % bootstrap intervals over tasks. The score `verifier` is that of the judge \
         `{}`.\n",
        settings.tasks,
        settings.rollouts,
        plain(&results.solved),
        settings.known_tasks,
        settings.known_rollouts,
        settings.learned_from(),
        settings.seed,
        results.chosen,
    )
}

fn judge(verifier: &VerifierResult) -> String {
    let optional = |interval: &Option<Interval>| interval.as_ref().map_or_else(|| "none".to_owned(), plain);
    let [before, after] = &verifier.calibration_error;
    let [brier_before, brier_after] = verifier.brier;
    let missing: usize = verifier.missing.values().sum();
    let mut why = BTreeMap::<String, usize>::new();
    for (reason, count) in &verifier.missing {
        *why.entry(without_numbers(reason)).or_default() += count;
    }
    let mut rows = vec![
        ("fitted on".to_owned(), verifier.fitted.clone()),
        ("scored, missing".to_owned(), format!("{}, {missing}", verifier.scored)),
        ("AUROC, held-out known tasks".to_owned(), format!("{:.3}", verifier.held_out_auroc)),
        ("AUROC, all rollouts".to_owned(), optional(&verifier.auroc)),
        ("AUROC within tasks".to_owned(), optional(&verifier.within)),
        ("AUROC within tasks, visible tests pass".to_owned(), optional(&verifier.within_visible)),
        ("temperature".to_owned(), format!("{:.3}", verifier.temperature)),
        ("calibration error before".to_owned(), optional(before)),
        ("calibration error after".to_owned(), optional(after)),
        ("Brier score before, after".to_owned(), format!("{brier_before:.3}, {brier_after:.3}")),
    ];
    rows.extend(verifier.without_temperature.iter().map(|why| ("no temperature".to_owned(), why.clone())));
    rows.extend(why.into_iter().map(|(why, count)| ("missing".to_owned(), format!("{count}: {why}"))));
    let rows: String = rows.into_iter().map(|(name, value)| format!("| {name} | {value} |\n")).collect();
    format!("\n| judge `{}` | |\n|---|---|\n{rows}", verifier.name)
}

fn selectors(results: &StudyResults) -> String {
    let counts = results.settings.counts();
    let heads: String = counts.iter().map(|count| format!(" best@{count} |")).collect();
    let rule = "---|".repeat(counts.len() + 4);
    let row = |selector: &SelectorResult| {
        let SelectorResult { group, name, best_at, over_random, regret } = selector;
        let cells = cells(&counts, best_at, plain);
        format!("| {group} | {name} |{cells} {} | {:.3} |\n", signed(over_random), regret.mean)
    };
    let rows: String = results.selectors.iter().map(row).collect();
    let weights: Vec<String> =
        results.weights.iter().map(|one| format!("{} {:+.2} ({:+.2})", one.feature, one.weight, one.missing)).collect();
    format!(
        "\n| | selector |{heads} over random | regret |\n|{rule}\n{rows}\nThe learned combination weighs, standardised (and \
         where missing): {}.\n",
        weights.join(", ")
    )
}

fn contributions(results: &StudyResults) -> String {
    let counts = results.settings.counts();
    let heads: String = counts.iter().map(|count| format!(" N = {count} |")).collect();
    let rule = "---|".repeat(counts.len() + 1);
    let row = |Contribution { stage, adds }: &Contribution| format!("| {stage} |{}\n", cells(&counts, adds, signed));
    let rows: String = results.contributions.iter().map(row).collect();
    format!("\n| stage adds |{heads}\n|{rule}\n{rows}")
}

fn stopping(stopping: &[StoppingResult]) -> String {
    let row = |one: &StoppingResult| {
        let StoppingResult { rule, selector, wave, drawn, stopped, solved, over_all } = one;
        let (drawn, solved, over_all) = (drawn_of(drawn), plain(solved), signed(over_all));
        format!("| {rule} | {wave} | {drawn} | {:.0} % | {selector} | {solved} | {over_all} |\n", 100.0 * stopped)
    };
    let rows: String = stopping.iter().map(row).collect();
    format!(
        "\n| stops by | wave | rollouts drawn | tasks stopped | then | solved | against all rollouts |\n|{}\n{rows}",
        "---|".repeat(7)
    )
}

fn cells(counts: &[usize], by_count: &BTreeMap<usize, Interval>, write: impl Fn(&Interval) -> String) -> String {
    let cell = |count: &usize| by_count.get(count).map_or_else(|| " |".to_owned(), |one| format!(" {} |", write(one)));
    counts.iter().map(cell).collect()
}

/// Reasons that differ in their numbers only are one.
fn without_numbers(reason: &str) -> String {
    let is_digit = |letter: char| letter.is_ascii_digit();
    reason
        .split_inclusive(|letter| !is_digit(letter))
        .map(|part| {
            if part.starts_with(is_digit) { format!("n{}", part.trim_start_matches(is_digit)) } else { part.to_owned() }
        })
        .collect()
}

fn plain(interval: &Interval) -> String {
    format!("{:.3} [{:.3}, {:.3}]", interval.mean, interval.low, interval.high)
}

fn signed(interval: &Interval) -> String {
    format!("{:+.3} [{:+.3}, {:+.3}]", interval.mean, interval.low, interval.high)
}

fn drawn_of(interval: &Interval) -> String {
    format!("{:.1} [{:.1}, {:.1}]", interval.mean, interval.low, interval.high)
}
