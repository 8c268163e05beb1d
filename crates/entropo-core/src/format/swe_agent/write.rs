//! From a trajectory to a `.traj`.

use serde_json::{Value, json};

use super::EXITS;
use crate::format::carried::{self, Carried};
use crate::format::export::{ExportError, Loss};
use crate::{AssistantMessage, ExitReason, Message, ToolCall, Trajectory};

const FORMAT: &str = "SWE-agent";

/// The `.traj` that a rollout is, for SWE-agent's viewers and scripts. Save it as `TASK/TASK.traj`.
///
/// `action` is a command where the call has nothing but a `command`, else the call's name and its arguments as JSON. Times
/// are 0, and states and queries empty.
///
/// Lost are tokens, seeds, condensations, rewards and scores, error texts, the model's words before they were parsed, and
/// the usage that SWE-agent does not count.
///
/// # Errors
/// [`ExportError`] for several calls in one turn, which SWE-agent does not make, and messages that do not belong together.
pub fn write(trajectory: &Trajectory) -> Result<Carried<Value>, ExportError> {
    carried::check(trajectory)?;
    let mut lost = carried::losses(trajectory);
    let mut history = Vec::with_capacity(trajectory.messages.len());
    for (index, message) in trajectory.messages.iter().enumerate() {
        if message.as_assistant().is_some_and(|said| said.tool_calls.len() > 1) {
            let at = format!("messages[{index}]");
            return Err(ExportError::Lost { format: FORMAT, loss: Loss::SeveralCalls, at });
        }
        history.push(entry(message));
    }
    let usage = trajectory.usage;
    let calls: usize =
        trajectory.messages.iter().filter_map(Message::as_assistant).map(|one| one.tool_calls.len()).sum();
    let others = [
        (Loss::Usage, (usage.tool_calls, usage.bad_calls, usage.cached_tokens) != (calls, 0, 0)),
        (Loss::Reward, trajectory.outcome.reward.is_some()),
        (Loss::Scores, !trajectory.outcome.scores.is_empty()),
        (Loss::ErrorText, trajectory.error.is_some()),
    ];
    lost.extend(others.into_iter().filter_map(|(loss, is_lost)| is_lost.then_some(loss)));
    let config = json!({"agent": {"model": {"name": trajectory.model}}});
    let value = json!({
        "trajectory": steps(&trajectory.messages),
        "history": history,
        "info": info(trajectory),
        "replay_config": config.to_string(),
        "environment": "main",
    });
    Ok(Carried { value, lost })
}

fn info(trajectory: &Trajectory) -> Value {
    let (usage, patch) = (trajectory.usage, &trajectory.outcome.patch);
    let mut stats = json!({
        "tokens_sent": usage.prompt_tokens,
        "tokens_received": usage.completion_tokens,
        "api_calls": usage.model_calls,
    });
    if let (Some(nano), Some(stats)) = (usage.cost_nano_usd, stats.as_object_mut()) {
        stats.insert("instance_cost".to_owned(), carried::dollars(nano).into());
    }
    let word = carried::word(EXITS, trajectory.exit);
    let status = if trajectory.exit == ExitReason::Agent || patch.is_empty() {
        word.to_owned()
    } else {
        format!("submitted ({word})")
    };
    let submission = if patch.is_empty() { Value::Null } else { patch.as_str().into() };
    json!({"exit_status": status, "submission": submission, "model_stats": stats})
}

/// An entry of the history.
fn entry(message: &Message) -> Value {
    let content = message.content();
    match message {
        Message::System { .. } => {
            json!({"role": "system", "content": content, "agent": "main", "message_type": "system_prompt"})
        }
        Message::User { .. } => {
            json!({"role": "user", "content": content, "agent": "main", "message_type": "observation"})
        }
        Message::Assistant(said) => {
            let calls: Vec<Value> = said.tool_calls.iter().map(carried::api_call).collect();
            json!({
                "role": "assistant", "content": content, "thought": content, "action": action(said), "agent": "main",
                "tool_calls": if calls.is_empty() { Value::Null } else { calls.into() }, "message_type": "action",
            })
        }
        Message::Tool(tool) => json!({
            "role": "tool", "content": content, "agent": "main", "message_type": "observation",
            "tool_call_ids": [tool.call_id],
        }),
    }
}

/// A step for each turn, with the message that follows it.
fn steps(messages: &[Message]) -> Vec<Value> {
    let mut steps = Vec::new();
    for (index, message) in messages.iter().enumerate() {
        let Message::Assistant(said) = message else { continue };
        let observation = match messages.get(index + 1) {
            Some(Message::Tool(_) | Message::User { .. }) => messages.get(index + 1).map(Message::content),
            _ => None,
        };
        steps.push(json!({
            "action": action(said), "observation": observation.unwrap_or_default(), "response": said.content,
            "state": {}, "thought": said.content, "execution_time": 0.0, "query": [], "extra_info": {},
        }));
    }
    steps
}

/// What was done, for people.
fn action(said: &AssistantMessage) -> String {
    let Some(ToolCall { name, arguments, .. }) = said.tool_calls.first() else { return String::new() };
    let only = arguments.as_object().filter(|arguments| arguments.len() == 1);
    match only.and_then(|arguments| arguments.get("command")?.as_str()) {
        Some(command) => command.to_owned(),
        None => format!("{name} {arguments}"),
    }
}
