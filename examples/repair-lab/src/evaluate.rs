//! From rollouts to numbers.

use std::collections::BTreeMap;

use entropo::agent::Selector;
use entropo::core::Trajectory;
use entropo::core::stats::{
    Bootstrap, Interval, Samples, StatsError, Subsets, best_at_k, count_patches, effective_number, mean_pass_at_k,
    pass_at_k,
};

use crate::results::{Arm, Difference};

/// Subsets of a task's rollouts that stand for all of them in the best@k curve.
const SUBSETS: usize = 64;

/// One value for each task, by metric.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PerTask(BTreeMap<String, Vec<f64>>);

/// Counts an arm's rollouts, `[task][rollout]`, the same number for each task.
pub fn evaluate(name: &str, training: &str, tasks: &[Vec<Trajectory>]) -> Result<(Arm, PerTask), StatsError> {
    let rollouts = tasks.iter().map(Vec::len).min().unwrap_or(0);
    let selector = Selector::hybrid();
    let mut values = PerTask::default();
    for task in tasks {
        let solved = task.iter().filter(|trajectory| trajectory.is_solved()).count();
        let share = |holds: &dyn Fn(&Trajectory) -> bool| {
            task.iter().filter(|trajectory| holds(trajectory)).count() as f64 / task.len() as f64
        };
        let calls: usize = task.iter().map(|trajectory| trajectory.usage.tool_calls).sum();
        let bad: usize = task.iter().map(|trajectory| trajectory.usage.bad_calls).sum();
        let patches = task.iter().map(|trajectory| trajectory.outcome.patch.as_str());
        values.push("pass@1", pass_at_k(task.len(), solved, 1)?);
        values.push(&format!("pass@{rollouts}"), pass_at_k(task.len(), solved, rollouts)?);
        values.push(&format!("best@{rollouts}"), best_at(&selector, task, rollouts)?);
        values.push("patches", effective_number(count_patches(patches).into_values()));
        values.push("visible", share(&passes_visible_tests));
        values.push("finished", share(&|trajectory| trajectory.exit.is_finished()));
        values.push("bad_calls", bad as f64 / calls.max(1) as f64);
    }
    let metrics = values
        .0
        .iter()
        .map(|(metric, values)| Ok((metric.clone(), Bootstrap::default().mean(values)?)))
        .collect::<Result<BTreeMap<String, Interval>, StatsError>>()?;
    let samples: Vec<Samples> = tasks
        .iter()
        .map(|task| Samples { drawn: task.len(), solved: task.iter().filter(|t| t.is_solved()).count() })
        .collect();
    let arm = Arm {
        name: name.to_owned(),
        training: training.to_owned(),
        metrics,
        pass_at: (1..=rollouts).map(|k| mean_pass_at_k(&samples, k)).collect::<Result<_, _>>()?,
        best_at: best_curve(&selector, tasks, rollouts)?,
    };
    Ok((arm, values))
}

impl PerTask {
    fn push(&mut self, metric: &str, value: f64) {
        self.0.entry(metric.to_owned()).or_default().push(value);
    }

    /// One arm minus another, metric by metric, on the same tasks.
    pub fn minus(&self, control: &Self, names: (&str, &str)) -> Result<Vec<Difference>, StatsError> {
        let both = self.0.iter().filter_map(|(metric, values)| Some((metric, values, control.0.get(metric)?)));
        both.map(|(metric, values, control)| {
            let interval = Bootstrap::default().difference(values, control)?;
            let (arm, control) = (names.0.to_owned(), names.1.to_owned());
            Ok(Difference { arm, control, metric: metric.clone(), interval })
        })
        .collect()
    }
}

/// Whether every visible test passes; the example of the issue is one of them.
pub(crate) fn passes_visible_tests(trajectory: &Trajectory) -> bool {
    let score = |name: &str| trajectory.outcome.scores.get(name).copied().unwrap_or(0.0);
    score("reproduction") >= 1.0 && score("regression") >= 1.0
}

/// best@k of one task under the selector, which sees what it submits for and nothing else.
fn best_at(selector: &Selector, task: &[Trajectory], k: usize) -> Result<f64, StatsError> {
    let rewards: Vec<f64> = task.iter().map(|trajectory| f64::from(trajectory.is_solved())).collect();
    let select = |subset: &[usize]| {
        let candidates: Vec<&Trajectory> = subset.iter().filter_map(|&index| task.get(index)).collect();
        let chosen = selector.select(&candidates).ok()?.chosen?;
        subset.iter().copied().find(|&index| task.get(index).is_some_and(|trajectory| trajectory.id == chosen))
    };
    Ok(best_at_k(&rewards, k, Subsets { at_most: SUBSETS, seed: k as u64 }, select)?.mean)
}

/// best@k for k from 1 to `rollouts`, means over tasks.
fn best_curve(selector: &Selector, tasks: &[Vec<Trajectory>], rollouts: usize) -> Result<Vec<f64>, StatsError> {
    let mean = |k: usize| {
        let total: Result<f64, StatsError> = tasks.iter().map(|task| best_at(selector, task, k)).sum();
        Ok(total? / tasks.len().max(1) as f64)
    };
    (1..=rollouts).map(mean).collect()
}
