//! Rollouts without tokens as rows: what other agents left, or a model behind an API.
//!
//! Their text is tokenised again, and the model may not have read these very tokens. Where there is a token trace,
//! [`of_trajectory`](super::of_trajectory) is the better way.

use serde_json::{Map, json};

use super::carried::openai;
use super::place::Place;
use super::{Dialogue, Record, Row, RowError, Side, record};
use crate::preference::{Context, Words};
use crate::{Message, ToolSpec, Trajectory};

/// A rollout's conversation as a labelled row, wanted if it [solved](Trajectory::is_solved) its task; everything that the
/// assistant wrote is learned. The group is the task.
///
/// [`Row::into_demonstration`] then keeps the solved ones.
///
/// # Errors
/// [`RowError::Trajectory`] for a rollout that was not finished by the agent, not judged, or condensed, so that the model
/// read something else than the conversation. [`RowError::Type`] for a call whose arguments are no object.
pub fn dialogue_of_trajectory(trajectory: &Trajectory, tools: &[ToolSpec]) -> Result<Row, RowError> {
    let record = record::single(&Map::new(), side(trajectory, tools)?)?;
    let record = match record {
        Record::Demonstration(side) => Record::Labelled { side, desirable: trajectory.is_solved() },
        other => other,
    };
    Ok(Row { id: Some(trajectory.id.to_string()), group: Some(trajectory.id.task.clone()), record })
}

/// Two rollouts of one task as a pair of conversations.
///
/// # Errors
/// Those of [`dialogue_of_trajectory`], and [`RowError`] if the prompts differ or both say the same.
pub fn dialogues_of_pair(chosen: &Trajectory, rejected: &Trajectory, tools: &[ToolSpec]) -> Result<Row, RowError> {
    let record = record::pair(&Map::new(), side(chosen, tools)?, side(rejected, tools)?)?;
    let id = format!("{} over {}", chosen.id, rejected.id);
    Ok(Row { id: Some(id), group: Some(chosen.id.task.clone()), record })
}

fn side(trajectory: &Trajectory, tools: &[ToolSpec]) -> Result<Side, RowError> {
    Words::of(trajectory).map_err(RowError::Trajectory)?;
    let at = Place::ROW.key("messages");
    for (index, message) in trajectory.messages.iter().enumerate() {
        let at = at.index(index);
        for (number, call) in message.as_assistant().into_iter().flat_map(|said| said.tool_calls.iter().enumerate()) {
            if !call.arguments.is_object() {
                let at = at.key("tool_calls");
                return Err(RowError::of_type(at.index(number), &call.arguments, "an object of arguments"));
            }
        }
    }
    let tools = tools.iter().map(|ToolSpec { name, description, parameters }| {
        let function = json!({"name": name, "description": description, "parameters": parameters});
        json!({"type": "function", "function": function})
    });
    Ok(Side::Dialogue(Dialogue {
        messages: trajectory.messages.iter().map(openai).collect(),
        tools: tools.collect(),
        learned: trajectory.messages.iter().map(|message| matches!(message, Message::Assistant(_))).collect(),
    }))
}
