//! Examples of right judgements.

use std::collections::BTreeMap;

use entropo_agent::verifier::{Answer, Condensed, MissingScore};
use entropo_core::format::{Record, Row, Side};
use entropo_core::{ActionSpan, RolloutId, Segment, Trajectory};

use super::balance::{Balance, BalanceError, BalanceReport, Candidate};
use super::judging::{Judged, Judging};
use crate::data::{Example, Sequence, SequenceError};

/// What is learned of a judgement.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Learned {
    /// The right answer, for [`Sft`](crate::objective::Sft): its probability among all tokens.
    #[default]
    Right,
    /// The right answer over the wrong one, for [`Verifier`](crate::objective::Verifier): the very ratio that is the score.
    RightOverWrong,
}

/// Examples, and what became of the attempts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Judgements {
    /// A solved attempt and a failed one by turns.
    pub examples: Vec<Example>,
    /// `[example]`: the attempt that is judged.
    pub rollouts: Vec<RolloutId>,
    /// What became of the attempts.
    pub report: JudgementReport,
}

/// What became of attempts on the way to examples.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct JudgementReport {
    /// What was chosen.
    pub balance: BalanceReport,
    /// Chosen attempts that cannot be shown, and why; each took the attempt that it was chosen with along.
    pub dropped: Vec<(RolloutId, String)>,
    /// Attempts in the examples.
    pub attempts: usize,
    /// Of these, those that lost observations.
    pub condensed: usize,
    /// What they lost together.
    pub lost: Condensed,
    /// Tokens of all prompts, without answers.
    pub prompt_tokens: usize,
}

/// Examples of a balanced choice of attempts.
pub fn judgements(
    judging: &Judging,
    balance: &Balance,
    trajectories: &[Trajectory],
    learned: Learned,
) -> Result<Judgements, BalanceError> {
    let balanced = balance.choose(trajectories.iter().map(Candidate::from))?;
    let by_name: BTreeMap<&RolloutId, &Trajectory> =
        trajectories.iter().map(|trajectory| (&trajectory.id, trajectory)).collect();
    let mut made = Judgements::default();
    made.report.balance = balanced.report;
    for pair in &balanced.pairs {
        let read = |rollout| by_name.get(rollout).map_or(Err(MissingScore::Nothing), |found| judging.read(found));
        let mut both = Vec::new();
        for (rollout, answer) in pair.iter().zip([Answer::Affirmative, Answer::Negative]) {
            let example = read(rollout).map_err(|error| error.to_string()).and_then(|judged| {
                let example = example(judging, &judged, answer, learned).map_err(|error| error.to_string())?;
                Ok((judged, example))
            });
            match example {
                Ok(example) => both.push(example),
                Err(reason) => made.report.dropped.push((rollout.clone(), reason)),
            }
        }
        // Without its counterpart an attempt would tip the balance.
        if both.len() == pair.len() {
            for (judged, example) in both {
                made.report.count(&judged);
                made.examples.push(example);
                made.rollouts.push(judged.rollout);
            }
        }
    }
    Ok(made)
}

impl Judgements {
    /// The examples as rows, each in the group of its task: [`tokens`](entropo_core::format::export::tokens) writes them
    /// as lines that `sft` learns as they are.
    pub fn rows(&self) -> impl Iterator<Item = Row> + '_ {
        self.rollouts.iter().zip(&self.examples).filter_map(|(rollout, example)| {
            let record = match example {
                Example::Demonstration(sequence) => Record::Demonstration(side(sequence)),
                Example::Preference { chosen, rejected } => {
                    Record::Preference { chosen: side(chosen), rejected: side(rejected) }
                }
                Example::Labelled { .. } => return None,
            };
            Some(Row { id: Some(rollout.to_string()), group: Some(rollout.task.clone()), record })
        })
    }
}

/// A sequence as a row has it; what is learned of a judgement is one stretch at the end.
fn side(sequence: &Sequence) -> Side {
    let (ids, end) = (sequence.ids().to_vec(), sequence.ids().len());
    let start = sequence.action_positions().next().unwrap_or(end);
    let actions = vec![ActionSpan { turn: 0, start, end }];
    Side::Tokens(Segment { ids, actions, logprobs: Vec::new(), messages: 0 })
}

/// One attempt's example.
fn example(judging: &Judging, judged: &Judged, right: Answer, learned: Learned) -> Result<Example, SequenceError> {
    let chosen = judging.answered(judged, right)?;
    Ok(match learned {
        Learned::Right => Example::Demonstration(chosen),
        Learned::RightOverWrong => {
            let rejected = judging.answered(judged, Answer::right(right == Answer::Negative))?;
            Example::Preference { chosen, rejected }
        }
    })
}

impl JudgementReport {
    fn count(&mut self, judged: &Judged) {
        self.attempts += 1;
        self.condensed += usize::from(judged.condensed != Condensed::default());
        self.lost.turns += judged.condensed.turns;
        self.lost.observations += judged.condensed.observations;
        self.lost.bytes += judged.condensed.bytes;
        self.prompt_tokens += judged.ids.len();
    }
}
