//! Where an agent acts.
//!
//! An [`Environment`] opens a [`Task`] into an [`Episode`]: the tools, the first messages and whatever place stands
//! behind them. Closing the episode tells what was achieved. The loop sees only these traits; repositories implement
//! them in `entropo-tools`, anything else can elsewhere.

mod conversation;

use async_trait::async_trait;
use entropo_core::{ExitReason, Message, Outcome, RolloutId, Task};

pub use conversation::Conversation;

use crate::tool::Toolbox;

/// Opens tasks.
#[async_trait]
pub trait Environment: Send + Sync {
    /// Prepares a fresh place for one rollout. The same task, rollout and `seed` must open the same place: training
    /// assumes deterministic observations (method, lemma 3.1).
    async fn open(&self, task: &Task, rollout: &RolloutId, seed: u64) -> Result<Box<dyn Episode>, EnvironmentError>;
}

/// One rollout's place. Dropping it without closing must leave nothing behind.
#[async_trait]
pub trait Episode: Send {
    /// What the agent is told first: usually a system and a user message.
    fn messages(&self) -> Vec<Message>;

    /// What the agent can do.
    fn toolbox(&self) -> &Toolbox;

    /// Judges and clears up. Called on every exit, so that an unfinished agent's changes are kept too.
    async fn close(self: Box<Self>, exit: ExitReason) -> Result<Outcome, EnvironmentError>;
}

/// Why a task cannot be opened, used or closed.
#[derive(Debug, thiserror::Error)]
#[error("task {task}: {source}")]
pub struct EnvironmentError {
    /// The task.
    pub task: String,
    /// What went wrong.
    pub source: Box<dyn std::error::Error + Send + Sync>,
}
