//! From a trajectory to a `.traj.json`.

use serde_json::{Value, json};

use super::{EXITS, FORMAT};
use crate::format::carried::{self, Carried};
use crate::format::export::{ExportError, Loss};
use crate::{Message, ToolCall, Trajectory};

/// The `.traj.json` of version 1.1 that a rollout is. Save it as `TASK/TASK.traj.json`.
///
/// Lost are tokens, seeds, condensations, rewards and scores, the model's words before they were parsed, and usage other
/// than calls and cost.
///
/// # Errors
/// [`ExportError`] for messages that do not belong together.
pub fn write(trajectory: &Trajectory) -> Result<Carried<Value>, ExportError> {
    carried::check(trajectory)?;
    let mut lost = carried::losses(trajectory);
    let (usage, outcome) = (trajectory.usage, &trajectory.outcome);
    let calls: usize =
        trajectory.messages.iter().filter_map(Message::as_assistant).map(|one| one.tool_calls.len()).sum();
    let counted =
        (usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens, usage.bad_calls, usage.tool_calls);
    let others = [
        (Loss::Usage, counted != (0, 0, 0, 0, calls)),
        (Loss::Reward, outcome.reward.is_some()),
        (Loss::Scores, !outcome.scores.is_empty()),
    ];
    lost.extend(others.into_iter().filter_map(|(loss, is_lost)| is_lost.then_some(loss)));

    let status = carried::word(EXITS, trajectory.exit);
    let mut messages: Vec<Value> = trajectory.messages.iter().map(message).collect();
    messages.push(json!({
        "role": "exit", "content": outcome.patch, "extra": {"exit_status": status, "submission": outcome.patch},
    }));
    let mut stats = json!({"api_calls": usage.model_calls});
    if let Some(nano) = usage.cost_nano_usd {
        insert(&mut stats, "instance_cost", carried::dollars(nano).into());
    }
    let mut info = json!({
        "model_stats": stats,
        "config": {"model": {"model_name": trajectory.model}},
        "exit_status": status,
        "submission": outcome.patch,
    });
    if let Some(error) = &trajectory.error {
        insert(&mut info, "exception_str", error.as_str().into());
    }
    let value = json!({
        "info": info, "messages": messages, "trajectory_format": FORMAT, "instance_id": trajectory.id.task,
    });
    Ok(Carried { value, lost })
}

fn insert(object: &mut Value, key: &str, value: Value) {
    if let Some(fields) = object.as_object_mut() {
        fields.insert(key.to_owned(), value);
    }
}

fn message(message: &Message) -> Value {
    let content = message.content();
    match message {
        Message::Assistant(said) if !said.tool_calls.is_empty() => {
            let calls: Vec<Value> = said.tool_calls.iter().map(carried::api_call).collect();
            let actions: Vec<Value> = said.tool_calls.iter().filter_map(command).collect();
            json!({"role": "assistant", "content": content, "tool_calls": calls, "extra": {"actions": actions}})
        }
        Message::Tool(tool) => json!({"role": "tool", "content": content, "tool_call_id": tool.call_id}),
        _ => json!({"role": message.role(), "content": content}),
    }
}

/// What mini-swe-agent would run.
fn command(call: &ToolCall) -> Option<Value> {
    Some(json!({"command": call.arguments.get("command")?.as_str()?, "tool_call_id": call.id}))
}
