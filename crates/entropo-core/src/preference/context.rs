//! What two trajectories are compared by: the tokens of their contexts, or the words.

use serde_json::Value;

use super::DropReason;
use crate::{Message, Segment, ToolCall, Trajectory};

/// What a model was shown and did in the one context of a trajectory.
pub(crate) trait Context<'a>: Sized {
    /// The context of a trajectory that may be trained on.
    fn of(trajectory: &'a Trajectory) -> Result<Self, DropReason>;

    /// Whether both begin with the same, up to the first action.
    fn same_prompt(&self, other: &Self) -> bool;

    /// Whether both did the same.
    fn same_actions(&self, other: &Self) -> bool;
}

impl<'a> Context<'a> for &'a Segment {
    fn of(trajectory: &'a Trajectory) -> Result<Self, DropReason> {
        judged(trajectory)?;
        match trajectory.trace.segments() {
            [] => Err(DropReason::NoTrace),
            [segment] if segment.action_tokens() == 0 => Err(DropReason::NoActions),
            [segment] => Ok(segment),
            _ => Err(DropReason::SeveralSegments),
        }
    }

    fn same_prompt(&self, other: &Self) -> bool {
        prompt_ids(self) == prompt_ids(other)
    }

    fn same_actions(&self, other: &Self) -> bool {
        self.action_ids().eq(other.action_ids())
    }
}

/// The messages of a trajectory.
pub(crate) struct Words<'a> {
    prompt: &'a [Message],
    rest: &'a [Message],
}

impl<'a> Context<'a> for Words<'a> {
    fn of(trajectory: &'a Trajectory) -> Result<Self, DropReason> {
        judged(trajectory)?;
        if !trajectory.condensations.is_empty() {
            return Err(DropReason::SeveralSegments);
        }
        let first = trajectory.messages.iter().position(|message| message.as_assistant().is_some());
        let split = first.and_then(|first| trajectory.messages.split_at_checked(first));
        split.map(|(prompt, rest)| Self { prompt, rest }).ok_or(DropReason::NoActions)
    }

    fn same_prompt(&self, other: &Self) -> bool {
        self.prompt == other.prompt
    }

    fn same_actions(&self, other: &Self) -> bool {
        self.actions().eq(other.actions())
    }
}

impl<'a> Words<'a> {
    /// What the assistant wrote. Ids of calls are drawn by whoever serves the model.
    fn actions(&self) -> impl Iterator<Item = (&'a str, Vec<(&'a str, &'a Value)>)> + use<'a> {
        let call = |call: &'a ToolCall| (call.name.as_str(), &call.arguments);
        let said = self.rest.iter().filter_map(Message::as_assistant);
        said.map(move |said| (said.content.as_str(), said.tool_calls.iter().map(call).collect()))
    }
}

/// Refuses what the agent did not end itself, and what nobody judged.
fn judged(trajectory: &Trajectory) -> Result<(), DropReason> {
    match trajectory.outcome.reward {
        _ if !trajectory.exit.is_finished() => Err(DropReason::Unfinished),
        None => Err(DropReason::Unjudged),
        Some(_) => Ok(()),
    }
}

/// The ids before the first action.
fn prompt_ids(segment: &Segment) -> &[u32] {
    let end = segment.actions.first().map_or(0, |span| span.start);
    segment.ids.get(..end).unwrap_or_default()
}
