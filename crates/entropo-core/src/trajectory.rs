//! What happened in one rollout.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::condensation::Condensation;
use crate::message::Message;
use crate::tokens::TokenTrace;
use crate::usage::Usage;

/// The version of the format that this crate writes, and the only one that it reads.
pub const TRAJECTORY_FORMAT: &str = "entropo-trajectory/1";

/// One rollout: an agent's attempt at one task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trajectory {
    /// Always [`TRAJECTORY_FORMAT`]; another value is refused when a store is read.
    pub format: String,
    /// Which rollout of which task.
    pub id: RolloutId,
    /// Name of the policy that acted.
    pub model: String,
    /// Seed of everything random in the rollout.
    pub seed: u64,
    /// The conversation.
    pub messages: Vec<Message>,
    /// Where the model read a shorter context in the conversation's place, in the order of their turns.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub condensations: Vec<Condensation>,
    /// The same conversation as the model's tokens, if the model told them.
    #[serde(default, skip_serializing_if = "TokenTrace::is_empty")]
    pub trace: TokenTrace,
    /// Why it ended.
    pub exit: ExitReason,
    /// What went wrong, if the exit was an error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What it used.
    pub usage: Usage,
    /// What it achieved.
    pub outcome: Outcome,
}

/// Names one rollout: the task and a number among the task's rollouts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RolloutId {
    /// [`Task::id`](crate::Task::id).
    pub task: String,
    /// Counted from 0.
    pub rollout: usize,
}

impl RolloutId {
    /// The rollout numbered `rollout` of `task`.
    pub fn new(task: impl Into<String>, rollout: usize) -> Self {
        Self { task: task.into(), rollout }
    }
}

impl fmt::Display for RolloutId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.task, self.rollout)
    }
}

/// Why a rollout ended, in the words of R2E-Gym and SWE-agent where they have one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ExitReason {
    /// The agent called a finishing tool.
    Agent,
    /// The step limit was reached.
    StepLimit,
    /// The limit on tokens of the whole rollout was reached.
    TokenLimit,
    /// The model's context is full.
    Context,
    /// The wall-clock limit was reached.
    TimeLimit,
    /// The limit on what the rollout may cost was reached.
    CostLimit,
    /// Too many turns in a row without a valid tool call.
    FormatErrors,
    /// The agent did the same again and again, and was answered the same.
    Stuck,
    /// A hook, or somebody who was asked for approval, stopped it.
    Stopped,
    /// The model could not be asked.
    ModelError,
    /// The environment could not be opened, used or closed.
    EnvironmentError,
    /// Something panicked; the rollout is lost, the batch is not.
    Panic,
    /// Somebody asked it to stop.
    Cancelled,
}

impl ExitReason {
    /// Whether the agent ended the rollout itself; only such rollouts are trained on or submitted by default.
    pub fn is_finished(self) -> bool {
        self == Self::Agent
    }
}

/// What a rollout achieved.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The agent's changes as a git patch; empty if it made none.
    pub patch: String,
    /// The hidden judgement, 1 for solved and 0 for not; `None` if nobody judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reward: Option<f64>,
    /// Named scores that a selector may use, such as `regression` and `reproduction`. Never the hidden judgement.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub scores: BTreeMap<String, f64>,
}

impl Trajectory {
    /// An empty trajectory that ended with `exit`, for rollouts that never started.
    pub fn empty(id: RolloutId, model: impl Into<String>, seed: u64, exit: ExitReason) -> Self {
        Self {
            format: TRAJECTORY_FORMAT.to_owned(),
            id,
            model: model.into(),
            seed,
            messages: Vec::new(),
            condensations: Vec::new(),
            trace: TokenTrace::default(),
            exit,
            error: None,
            usage: Usage::default(),
            outcome: Outcome::default(),
        }
    }

    /// Whether the hidden judgement is a success (reward of at least 1).
    pub fn is_solved(&self) -> bool {
        self.outcome.reward.is_some_and(|reward| reward >= 1.0)
    }

    /// What the model read before it wrote assistant turn `turn`, counted from 0; `None` if it never wrote that turn.
    pub fn context(&self, turn: usize) -> Option<Cow<'_, [Message]>> {
        let mut written =
            self.messages.iter().enumerate().filter(|(_, message)| matches!(message, Message::Assistant(_)));
        let before = self.messages.get(..written.nth(turn)?.0)?;
        let condensation = self.condensations.iter().rev().find(|condensation| condensation.turn <= turn);
        Some(condensation.map_or(Cow::Borrowed(before), |condensation| Cow::Owned(condensation.context(before))))
    }

    /// Assistant turns.
    pub fn steps(&self) -> usize {
        self.messages.iter().filter(|message| matches!(message, Message::Assistant(_))).count()
    }
}
