//! From stored trajectories to what preference training reads: pairs for DPO-like objectives, labels for KTO.
//!
//! Which trajectories become data decides what is learned, so the rules are few, explicit and counted. They follow
//! EntroPO's pipeline (`docs/method.md` §1.5): only rollouts that the agent itself finished, only judged ones; a pair
//! has one task, one prompt and exactly one success. Whatever is left out is counted in a [`DropReport`] under its
//! [`DropReason`], because data that vanishes silently is how experiments go wrong.
//!
//! Training needs one context with a prompt that both sides share token for token. A trajectory without a token trace,
//! or with several segments, is therefore left out. For other trainers, which tokenise text anew, [`build_dialogue_pairs`]
//! holds messages to the same rules.
//!
//! Pairs are drawn by a shuffle that depends on the seed, the task's name and its trajectories only: neither the order
//! in which rollouts happened to finish nor the presence of other tasks changes them.
//!
//! [`TrajectoryIndex`] draws the same pairs out of a file that is larger than memory, one task at a time.
//!
//! ```
//! use entropo_core::preference::{PreferenceRules, build_pairs};
//! use entropo_core::{ExitReason, RolloutId, Trajectory};
//!
//! let rollout = |number, action, reward| {
//!     let mut trajectory = Trajectory::empty(RolloutId::new("fix", number), "model", 0, ExitReason::Agent);
//!     trajectory.trace.record(0, &[1, 2], &[action], &[], 2)?;
//!     trajectory.outcome.reward = Some(reward);
//!     Ok::<_, entropo_core::TraceError>(trajectory)
//! };
//! let stored = [rollout(0, 7, 1.0)?, rollout(1, 8, 0.0)?, rollout(2, 9, 0.0)?];
//! let data = build_pairs(&stored, &PreferenceRules::default().with_pairs_per_task(1));
//! assert_eq!(data.pairs.len(), 1);
//! assert_eq!(data.pairs[0].chosen.id.rollout, 0);
//! assert_eq!(data.dropped.to_string(), "dropped pairs: 1 over the cap per task");
//! # Ok::<(), entropo_core::TraceError>(())
//! ```

mod context;
mod report;
mod stream;

use std::collections::{BTreeMap, HashMap};

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

pub(crate) use self::context::{Context, Words};
pub use self::report::{DropReason, DropReport};
pub use self::stream::{StreamError, TrajectoryIndex};
use crate::{Segment, Trajectory};

/// How pairs are drawn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct PreferenceRules {
    /// At most so many pairs of one task. The default of 2 is what EntroPO took: one from each of two policies.
    pub pairs_per_task: usize,
    /// Seed of the draw, 0 by default.
    pub seed: u64,
}

/// Pairs, tasks in the order of their names, and what did not become one.
#[derive(Clone, Debug, Default)]
pub struct PreferenceData<'a> {
    /// The pairs.
    pub pairs: Vec<PreferencePair<'a>>,
    /// What was left out.
    pub dropped: DropReport,
}

/// Two finished trajectories of one task with the same prompt tokens and different actions.
#[derive(Clone, Copy, Debug)]
pub struct PreferencePair<'a> {
    /// The one that solved the task.
    pub chosen: &'a Trajectory,
    /// The one that did not.
    pub rejected: &'a Trajectory,
}

/// Labelled trajectories in the order in which they were given, and what did not become one.
#[derive(Clone, Debug, Default)]
pub struct LabelledData<'a> {
    /// The labelled trajectories.
    pub examples: Vec<LabelledTrajectory<'a>>,
    /// What was left out.
    pub dropped: DropReport,
}

/// A finished trajectory and whether it solved its task.
#[derive(Clone, Copy, Debug)]
pub struct LabelledTrajectory<'a> {
    /// The trajectory.
    pub trajectory: &'a Trajectory,
    /// Whether to make it more likely: [`Trajectory::is_solved`].
    pub desirable: bool,
}

impl Default for PreferenceRules {
    fn default() -> Self {
        Self { pairs_per_task: 2, seed: 0 }
    }
}

impl PreferenceRules {
    /// Sets the cap on pairs of one task.
    pub fn with_pairs_per_task(mut self, pairs_per_task: usize) -> Self {
        self.pairs_per_task = pairs_per_task;
        self
    }

    /// Sets the seed of the draw.
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }
}

/// Pairs up trajectories that solved a task with trajectories that did not.
///
/// In each task, pairs are drawn until the cap is reached, always one whose two trajectories were used least so far; so
/// none is used twice while a pair of unused ones is left.
pub fn build_pairs<'a>(trajectories: &'a [Trajectory], rules: &PreferenceRules) -> PreferenceData<'a> {
    pair_up::<&Segment>(trajectories, rules)
}

/// Pairs by the same rules of trajectories whose tokens do not matter, as other agents or a model behind an API left them.
///
/// A prompt is then the messages before the assistant's first, and two sides are equal if the assistant wrote the same. A trajectory
/// that was condensed is left out, since the model read something else than its messages.
/// [`dialogues_of_pair`](crate::format::dialogues_of_pair) makes rows of the pairs.
pub fn build_dialogue_pairs<'a>(trajectories: &'a [Trajectory], rules: &PreferenceRules) -> PreferenceData<'a> {
    pair_up::<Words<'_>>(trajectories, rules)
}

fn pair_up<'a, C: Context<'a>>(trajectories: &'a [Trajectory], rules: &PreferenceRules) -> PreferenceData<'a> {
    let mut data = PreferenceData::default();
    let mut tasks: BTreeMap<&str, Vec<Candidate<'_, C>>> = BTreeMap::new();
    for trajectory in trajectories {
        match C::of(trajectory) {
            Ok(context) => tasks.entry(&trajectory.id.task).or_default().push(Candidate { trajectory, context }),
            Err(reason) => data.dropped.add(reason, 1),
        }
    }
    for (task, mut candidates) in tasks {
        candidates.sort_by_key(|Candidate { trajectory, .. }| (trajectory.id.rollout, &trajectory.model));
        let pairs = possible_pairs(&candidates, &mut data.dropped);
        let (drawn, left) = draw(pairs, rules.pairs_per_task, &mut task_rng(rules.seed, task));
        data.dropped.add(DropReason::OverCap, left);
        data.pairs.extend(drawn);
    }
    data
}

/// Labels each trajectory with whether it solved its task, under the same conditions on single trajectories as
/// [`build_pairs`].
pub fn label(trajectories: &[Trajectory]) -> LabelledData<'_> {
    let mut data = LabelledData::default();
    for trajectory in trajectories {
        match admit(trajectory) {
            Ok(()) => data.examples.push(LabelledTrajectory { trajectory, desirable: trajectory.is_solved() }),
            Err(reason) => data.dropped.add(reason, 1),
        }
    }
    data
}

/// Whether a trajectory may be trained on, token for token.
pub(crate) fn admit(trajectory: &Trajectory) -> Result<(), DropReason> {
    <&Segment>::of(trajectory).map(|_| ())
}

/// A trajectory that may be trained on, and its only context.
struct Candidate<'a, C> {
    trajectory: &'a Trajectory,
    context: C,
}

impl PreferencePair<'_> {
    /// The two trajectories by address: stores of two policies may use the same names.
    fn sides(&self) -> [*const Trajectory; 2] {
        [self.chosen, self.rejected]
    }
}

/// Every pair of one task's trajectories that the rules allow.
fn possible_pairs<'a, C: Context<'a>>(
    candidates: &[Candidate<'a, C>],
    dropped: &mut DropReport,
) -> Vec<PreferencePair<'a>> {
    let (solved, failed): (Vec<_>, Vec<_>) = candidates.iter().partition(|candidate| candidate.trajectory.is_solved());
    for (side, opposites) in [(&solved, &failed), (&failed, &solved)] {
        if opposites.is_empty() {
            dropped.add(DropReason::NoOpposite, side.len());
        } else {
            let alone =
                |one: &&&Candidate<'_, C>| opposites.iter().all(|other| !other.context.same_prompt(&one.context));
            dropped.add(DropReason::OtherPrompt, side.iter().filter(alone).count());
        }
    }
    let mut pairs = Vec::new();
    for chosen in &solved {
        for rejected in failed.iter().filter(|rejected| rejected.context.same_prompt(&chosen.context)) {
            if chosen.context.same_actions(&rejected.context) {
                dropped.add(DropReason::EqualActions, 1);
            } else {
                pairs.push(PreferencePair { chosen: chosen.trajectory, rejected: rejected.trajectory });
            }
        }
    }
    pairs
}

/// Draws at most `cap` of `pairs`, the least used trajectories first; also tells how many pairs were left.
fn draw<'a>(mut pairs: Vec<PreferencePair<'a>>, cap: usize, rng: &mut ChaCha8Rng) -> (Vec<PreferencePair<'a>>, usize) {
    pairs.shuffle(rng);
    if pairs.len() <= cap {
        return (pairs, 0);
    }
    let mut drawn = Vec::with_capacity(cap);
    let mut uses: HashMap<*const Trajectory, usize> = HashMap::new();
    while drawn.len() < cap {
        let used = |pair: &PreferencePair<'_>| -> usize { pair.sides().iter().filter_map(|side| uses.get(side)).sum() };
        let Some((position, _)) = pairs.iter().enumerate().min_by_key(|(_, pair)| used(pair)) else { break };
        let pair = pairs.remove(position);
        for side in pair.sides() {
            *uses.entry(side).or_default() += 1;
        }
        drawn.push(pair);
    }
    (drawn, pairs.len())
}

/// One stream of random numbers for each seed and task; the task's name picks the stream by its FNV-1a hash.
fn task_rng(seed: u64, task: &str) -> ChaCha8Rng {
    let hash = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(task.bytes().fold(0xcbf2_9ce4_8422_2325, hash));
    rng
}
