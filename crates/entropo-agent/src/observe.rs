//! Watching rollouts while they run.

use entropo_core::{AssistantMessage, Replacement, RolloutId, ToolCall, ToolResult, Trajectory, Usage};
use serde::Serialize;

use crate::model::Delta;

/// Is told what happens, as it happens. `()` watches nothing.
///
/// It is called from the tasks that run the rollouts: it should return soon and must not panic.
///
/// ```
/// use entropo_agent::{Event, Observer};
/// use entropo_core::RolloutId;
///
/// /// Sends everything as JSON to whoever listens at the other end.
/// struct Page(std::sync::mpsc::Sender<String>);
///
/// impl Observer for Page {
///     fn event(&self, _: &RolloutId, event: Event<'_>) {
///         let _ = self.0.send(serde_json::to_string(&event).unwrap_or_default()); // nobody may listen any more
///     }
///
///     fn wants_pieces(&self) -> bool {
///         true
///     }
/// }
/// ```
pub trait Observer: Send + Sync {
    /// Something happened in `rollout`.
    fn event(&self, rollout: &RolloutId, event: Event<'_>);

    /// Whether it wants replies piece by piece ([`Event::Writing`]); models are then asked to stream. Says no unless it is
    /// written.
    fn wants_pieces(&self) -> bool {
        false
    }
}

impl Observer for () {
    fn event(&self, _: &RolloutId, _: Event<'_>) {}
}

/// What an [`Observer`] is told. It serialises as JSON with the kind in `event`, ready to be sent to a page or a log.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event<'a> {
    /// The model is asked for an assistant turn.
    TurnStarted {
        /// Counted from 0.
        turn: usize,
    },
    /// The model writes. What it wrote counts when it has [replied](Self::Replied).
    Writing {
        /// The next piece.
        piece: Delta<'a>,
    },
    /// The model has replied.
    Replied {
        /// The assistant turn.
        turn: usize,
        /// The reply, its calls not yet numbered.
        message: &'a AssistantMessage,
        /// What it took.
        usage: &'a Usage,
    },
    /// Somebody is asked whether a call may be carried out.
    Asked {
        /// The call.
        call: &'a ToolCall,
        /// Why it is asked.
        why: &'a str,
    },
    /// A call is being carried out.
    CallStarted {
        /// The call, with the arguments as a hook may have rewritten them.
        call: &'a ToolCall,
    },
    /// A call was answered, by its tool or in its place.
    CallReturned {
        /// The call, as the model wrote it.
        call: &'a ToolCall,
        /// The answer.
        result: &'a ToolResult,
    },
    /// The context was made shorter: the model reads something else in the place of old messages.
    Condensed {
        /// What stands in for what.
        replacements: &'a [Replacement],
        /// What making it took.
        usage: &'a Usage,
    },
    /// The context should have been made shorter, but was not.
    NotCondensed {
        /// Why.
        why: &'a str,
    },
    /// Somebody said something to the agent.
    Said {
        /// The words.
        content: &'a str,
    },
    /// The rollout is over and its place closed.
    Finished {
        /// All of it.
        trajectory: &'a Trajectory,
    },
}
