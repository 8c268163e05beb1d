//! From a trajectory to a run of R2E-Gym.

use std::collections::BTreeSet;

use serde_json::{Number, Value};

use super::{EXITS, R2eRun, R2eStep, action};
use crate::format::carried::{self, Carried};
use crate::format::export::{ExportError, Loss};
use crate::{AssistantMessage, Message, Trajectory};

const FORMAT: &str = "R2E-Gym";

impl R2eRun {
    /// The run that a rollout is. Limits and times are 0, and tokens of a step -1: whoever knows them sets them. The task's
    /// name is the `instance_id` of `ds` and the `docker_image`, by which R2E-Gym's scripts tell problems apart.
    ///
    /// Lost are tokens, seeds, condensations, ids of calls, usage, error texts, the model's words before they were parsed,
    /// scores other than `verifier` and `reproduction`, and that an argument was not text.
    ///
    /// # Errors
    /// [`ExportError`] for what R2E-Gym would read otherwise: a prompt other than a system and a user message, several calls
    /// in one turn, a turn that is not answered by one message, and values that hold its marks.
    pub fn of_trajectory(trajectory: &Trajectory) -> Result<Carried<Self>, ExportError> {
        carried::check(trajectory)?;
        let mut lost = carried::losses(trajectory);
        let (system, problem, rest) = prompt(&trajectory.messages)?;
        let mut run = Self {
            trajectory_steps: steps(rest, trajectory.messages.len() - rest.len(), &mut lost)?,
            problem_statement: problem.to_owned(),
            docker_image: trajectory.id.task.clone(),
            exit_reason: carried::word(EXITS, trajectory.exit).to_owned(),
            output_patch: trajectory.outcome.patch.clone(),
            reward: trajectory.outcome.reward.filter(|reward| reward.is_finite()),
            ..Self::default()
        };
        let named = [("system_prompt", system), ("llm_name", Some(trajectory.model.as_str()))];
        run.agent_args = named.into_iter().filter_map(|(key, text)| Some((key.to_owned(), text?.into()))).collect();
        run.ds = Some([("instance_id".to_owned(), Value::from(trajectory.id.task.as_str()))].into_iter().collect());
        for (name, score) in &trajectory.outcome.scores {
            match name.as_str() {
                _ if !score.is_finite() => drop(lost.insert(Loss::Scores)),
                "verifier" => run.verifier_prob = Some(*score),
                "reproduction" => run.reproduction_test_scores = whole(*score).map(|score| vec![score]),
                _ => drop(lost.insert(Loss::Scores)),
            }
        }
        let usage = trajectory.usage;
        let calls =
            trajectory.messages.iter().filter_map(Message::as_assistant).map(|said| said.tool_calls.len()).sum();
        let known = (trajectory.steps(), 0, 0, calls);
        if (usage.model_calls, usage.prompt_tokens, usage.completion_tokens, usage.tool_calls) != known
            || (usage.bad_calls, usage.cached_tokens, usage.cost_nano_usd) != (0, 0, None)
        {
            lost.insert(Loss::Usage);
        }
        if trajectory.error.is_some() {
            lost.insert(Loss::ErrorText);
        }
        if run.reward != trajectory.outcome.reward {
            lost.insert(Loss::Reward);
        }
        Ok(Carried { value: run, lost })
    }
}

/// A count as R2E-Gym writes it, without a fraction where there is none.
fn whole(score: f64) -> Option<Number> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if score.fract() == 0.0 && score.abs() < EXACT { Some((score as i64).into()) } else { Number::from_f64(score) }
}

/// The system message, the problem and what follows.
fn prompt(messages: &[Message]) -> Result<(Option<&str>, &str, &[Message]), ExportError> {
    match messages {
        [Message::System { content: system }, Message::User { content }, rest @ ..] => {
            Ok((Some(system), content, rest))
        }
        [Message::User { content }, rest @ ..] => Ok((None, content, rest)),
        _ => Err(ExportError::Lost { format: FORMAT, loss: Loss::Alternation, at: "messages[0]".to_owned() }),
    }
}

/// A step for each turn and its answer; the first of `messages` is number `start` of the conversation.
fn steps(messages: &[Message], start: usize, lost: &mut BTreeSet<Loss>) -> Result<Vec<R2eStep>, ExportError> {
    let (mut steps, mut calls) = (Vec::new(), 0_usize);
    let mut rest = messages;
    while let Some((first, after)) = rest.split_first() {
        let at = format!("messages[{}]", start + messages.len() - rest.len());
        let refused = |loss| ExportError::Lost { format: FORMAT, loss, at: at.clone() };
        let Message::Assistant(said) = first else { return Err(refused(Loss::Alternation)) };
        let (observation, after) = observation(said, after).ok_or_else(|| refused(Loss::Alternation))?;
        let call = match said.tool_calls.as_slice() {
            [] => None,
            [call] => Some(call),
            _ => return Err(refused(Loss::SeveralCalls)),
        };
        if let Some(call) = call {
            if call.id != carried::call_id(calls) {
                lost.insert(Loss::CallNames);
            }
            calls += 1;
        }
        let index = i64::try_from(steps.len()).unwrap_or(i64::MAX);
        steps.push(R2eStep {
            step_idx: index,
            step_count: index.saturating_add(1),
            thought: said.content.clone(),
            action: action::render(call, lost).map_err(refused)?,
            observation: observation.to_owned(),
            done: after.is_empty(),
            token_usage_prompt: -1,
            token_usage_completion: -1,
            token_usage_total: -1,
            ..R2eStep::default()
        });
        rest = after;
    }
    Ok(steps)
}

/// What answers a turn, and what follows that. Only the last turn may be without an answer.
fn observation<'a>(said: &AssistantMessage, after: &'a [Message]) -> Option<(&'a str, &'a [Message])> {
    match (after.split_first(), said.tool_calls.as_slice()) {
        (None, _) => Some(("", after)),
        (Some((Message::Tool(tool), rest)), [call]) if tool.call_id == call.id => Some((&tool.content, rest)),
        (Some((Message::User { content }, rest)), []) => Some((content, rest)),
        _ => None,
    }
}
