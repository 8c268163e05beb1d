//! Which rollout of each task is submitted.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use clap::Args;
use entropo_agent::select::sampling::Settled;
use entropo_agent::select::{Decision, Preset, ScoreRow, Scores, SelectorConfig};
use entropo_agent::{Selection, Selector};
use entropo_core::format::swe_bench::Prediction;
use entropo_core::{JsonlStore, RolloutId, Trajectory};
use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::report;
use crate::run::files;
use crate::waves;

/// How a rollout is chosen.
#[derive(Clone, Debug, Args)]
pub(crate) struct Choosing {
    /// What chooses one of a task's rollouts: a selector as TOML, or the name of a preset (docs/selection.md). Default: what
    /// chose the predictions that are there, and at first the preset `hybrid`.
    #[arg(long, value_name = "FILE or PRESET")]
    selector: Option<PathBuf>,
}

/// A selector, as it is kept beside the predictions that it chose.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Named {
    name: String,
    selector: SelectorConfig,
}

/// Chooses among the rollouts of one run, by the scores that they carry and those beside them. It never looks at hidden
/// judgements.
pub(crate) struct Chooser {
    named: Named,
    selector: Selector,
    /// Those of `scores.jsonl`, by rollout: a selector asks about a few of many.
    scores: HashMap<RolloutId, Scores>,
    /// The answers that a budget counted as settled.
    settled: BTreeMap<String, Settled>,
}

impl Choosing {
    /// The selector, with the scores that are in a run's directory.
    pub(crate) fn open(&self, run: &Path) -> Result<Chooser, Failure> {
        let named = match &self.selector {
            Some(selector) => Named::asked(selector)?,
            None => Named::kept(&files::selector(run))?,
        };
        let selector = Selector::from(named.selector.clone());
        let mut scores = HashMap::<RolloutId, Scores>::new();
        for ScoreRow { rollout, name, value } in score_rows(run)? {
            scores.entry(rollout.clone()).or_default().insert(rollout, name, value)?;
        }
        let early = waves::read(run)?.into_iter().map(|early| (early.task, early.settled));
        Ok(Chooser { named, selector, scores, settled: early.collect() })
    }
}

impl Named {
    /// A preset, or what a file says.
    fn asked(selector: &Path) -> Result<Self, Failure> {
        let name = selector.to_string_lossy();
        let unknown = match serde_json::from_value(name.as_ref().into()) {
            Ok(preset) => return Ok(Self::of(preset, &name)),
            Err(error) => error,
        };
        if !selector.exists() {
            return Err(Failure::Asked(format!(
                "there is no file {name} with a selector, nor such a preset: {unknown}"
            )));
        }
        let text = std::fs::read_to_string(selector).map_err(Failure::file(selector))?;
        let name = selector.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self { name, selector: toml::from_str(&text).map_err(Failure::toml(selector))? })
    }

    /// What chose the predictions that are there.
    fn kept(path: &Path) -> Result<Self, Failure> {
        match std::fs::read_to_string(path) {
            Ok(text) => serde_json::from_str(&text).map_err(Failure::json(path)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::of(Preset::Hybrid, "hybrid")),
            Err(error) => Err(Failure::file(path)(error)),
        }
    }

    fn of(preset: Preset, name: &str) -> Self {
        let selector = SelectorConfig { preset: Some(preset), ..SelectorConfig::default() };
        Self { name: name.to_owned(), selector }
    }
}

impl Chooser {
    /// What the selector is called.
    pub(crate) fn name(&self) -> &str {
        &self.named.name
    }

    /// The scores that rollouts carry, and in their place those of `scores.jsonl`.
    pub(crate) fn scores(&self, candidates: &[&Trajectory]) -> Scores {
        let mut scores = Scores::of(candidates.iter().copied());
        for beside in candidates.iter().filter_map(|candidate| self.scores.get(&candidate.id)) {
            scores.overwrite(beside);
        }
        scores
    }

    /// Chooses among some rollouts of a task by the selector alone.
    pub(crate) fn select(&self, candidates: &[&Trajectory]) -> Result<Selection, Failure> {
        Ok(self.selector.select_by(candidates, &self.scores(candidates))?)
    }

    /// Chooses among all rollouts of a task; of a settled answer one of those that gave it.
    fn submit(&self, candidates: &[&Trajectory]) -> Result<Selection, Failure> {
        let task = candidates.first().map(|one| one.id.task.as_str()).unwrap_or_default();
        let Some(settled) = self.settled.get(task) else { return self.select(candidates) };
        let voters: Vec<&Trajectory> =
            candidates.iter().copied().filter(|one| settled.rollouts.contains(&one.id)).collect();
        if voters.is_empty() {
            return self.select(candidates);
        }
        let first = Selector::new().then(settled.clone()).select(candidates)?;
        let rule = format!("settled by {}", settled.rule);
        let mut decisions: Vec<Decision> =
            first.decisions.into_iter().filter(|decision| decision.stage == rule).collect();
        let mut selection = self.select(&voters)?;
        decisions.append(&mut selection.decisions);
        Ok(Selection { decisions, ..selection })
    }

    /// The selection of each task, and what was chosen.
    pub(crate) fn choose<'a>(&self, rollouts: &'a [Trajectory]) -> Result<Vec<(Selection, &'a Trajectory)>, Failure> {
        let mut chosen = Vec::new();
        for candidates in by_task(rollouts).into_values() {
            let selection = self.submit(&candidates)?;
            let one = candidates.into_iter().find(|candidate| Some(&candidate.id) == selection.chosen.as_ref());
            chosen.extend(one.map(|one| (selection, one)));
        }
        Ok(chosen)
    }

    /// Writes `predictions.jsonl`, the rollouts that are submitted, `selections.json`, why, and `selector.json`, by
    /// what. Says how many.
    pub(crate) fn write(&self, run: &Path, rollouts: &[Trajectory]) -> Result<usize, Failure> {
        let chosen = self.choose(rollouts)?;
        let lines = chosen.iter().map(|(_, one)| Prediction::of(one).to_value().to_string() + "\n");
        report::put(&files::predictions(run), &lines.collect::<String>())?;
        let selections: Vec<&Selection> = chosen.iter().map(|(selection, _)| selection).collect();
        let path = files::selections(run);
        report::put_json(&path, &selections)?;
        let path = files::selector(run);
        report::put_json(&path, &self.named)?;
        Ok(chosen.len())
    }
}

/// The rows of `scores.jsonl`, if it is there.
pub(crate) fn score_rows(run: &Path) -> Result<Vec<ScoreRow>, Failure> {
    let path = files::scores(run);
    Ok(if path.exists() { JsonlStore::open(path)?.into_records() } else { Vec::new() })
}

/// The rollouts of each task.
pub(crate) fn by_task(rollouts: &[Trajectory]) -> BTreeMap<&str, Vec<&Trajectory>> {
    let mut tasks: BTreeMap<&str, Vec<&Trajectory>> = BTreeMap::new();
    for rollout in rollouts {
        tasks.entry(&rollout.id.task).or_default().push(rollout);
    }
    tasks
}
