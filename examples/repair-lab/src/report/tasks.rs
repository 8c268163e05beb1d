//! Rollouts as they are read: what was tried, what came of it, and why the selector kept or dropped it.

use entropo::core::{Message, RolloutId, Trajectory};
use serde::Serialize;
use serde_json::Value;

use super::ShownTask;
use super::diff::{self, DiffLine};
use super::number::compact;

/// One arm's rollouts of one task.
#[derive(Debug, Serialize)]
pub(super) struct TaskView<'a> {
    /// The arm.
    pub(super) arm: &'a str,
    /// The arm's number.
    pub(super) arm_number: usize,
    /// The task's id.
    pub(super) id: &'a str,
    /// What was asked.
    pub(super) issue: &'a str,
    /// How many rollouts solved it.
    pub(super) solved: usize,
    /// How many candidates the selector could not tell apart.
    pub(super) tied: usize,
    /// The candidate that is shown first: the chosen one, or the first.
    pub(super) shown: usize,
    /// The rollouts.
    pub(super) candidates: Vec<Candidate<'a>>,
}

/// One rollout.
#[derive(Debug, Serialize)]
pub(super) struct Candidate<'a> {
    /// Its number among the task's rollouts.
    pub(super) number: usize,
    /// Whether the selector chose it.
    pub(super) chosen: bool,
    /// `solved`, `failed` or `unjudged`.
    pub(super) judgement: &'static str,
    /// Named facts, in order.
    pub(super) facts: Vec<(String, String)>,
    /// What went wrong, if the rollout ended by an error.
    pub(super) error: Option<&'a str>,
    /// What the selector's stages said of it.
    pub(super) decisions: Vec<DecisionView<'a>>,
    /// What it was told before it acted.
    pub(super) prompt: Vec<Turn<'a>>,
    /// What then happened.
    pub(super) turns: Vec<Turn<'a>>,
    /// What it changed.
    pub(super) patch: Vec<DiffLine<'a>>,
}

/// A stage's verdict.
#[derive(Debug, Serialize)]
pub(super) struct DecisionView<'a> {
    /// The stage.
    pub(super) stage: &'a str,
    /// Whether the candidate stayed.
    pub(super) kept: bool,
    /// Why.
    pub(super) reason: &'a str,
}

/// One message.
#[derive(Debug, Serialize)]
pub(super) struct Turn<'a> {
    /// Who wrote it, as chat templates spell it.
    pub(super) role: &'static str,
    /// The tool that wrote it.
    pub(super) tool: Option<&'a str>,
    /// Its text.
    pub(super) text: &'a str,
    /// The calls in it.
    pub(super) calls: Vec<Call<'a>>,
}

/// A tool call.
#[derive(Debug, Serialize)]
pub(super) struct Call<'a> {
    /// The tool.
    pub(super) name: &'a str,
    /// Names and values of its arguments; one value without a name if they are no object.
    pub(super) arguments: Vec<(String, String)>,
}

/// A task as it is shown; `arm_number` numbers its arm.
pub(super) fn view(task: &ShownTask, arm_number: usize) -> TaskView<'_> {
    let candidates: Vec<Candidate<'_>> = task.trajectories.iter().map(|rollout| candidate(task, rollout)).collect();
    TaskView {
        arm: &task.arm,
        arm_number,
        id: task.trajectories.first().map_or("", |rollout| rollout.id.task.as_str()),
        issue: &task.issue,
        solved: task.trajectories.iter().filter(|rollout| rollout.is_solved()).count(),
        tied: task.selection.tied,
        shown: candidates.iter().position(|candidate| candidate.chosen).unwrap_or(0),
        candidates,
    }
}

fn candidate<'a>(task: &'a ShownTask, rollout: &'a Trajectory) -> Candidate<'a> {
    let acted = rollout.messages.iter().position(|message| matches!(message, Message::Assistant(_)));
    let (prompt, rest) = rollout.messages.split_at(acted.unwrap_or(rollout.messages.len()));
    Candidate {
        number: rollout.id.rollout,
        chosen: task.selection.chosen.as_ref() == Some(&rollout.id),
        judgement: match rollout.outcome.reward {
            None => "unjudged",
            Some(_) if rollout.is_solved() => "solved",
            Some(_) => "failed",
        },
        facts: facts(rollout),
        error: rollout.error.as_deref(),
        decisions: decisions(task, &rollout.id),
        prompt: prompt.iter().map(turn).collect(),
        turns: rest.iter().map(turn).collect(),
        patch: diff::lines(&rollout.outcome.patch),
    }
}

fn facts(rollout: &Trajectory) -> Vec<(String, String)> {
    let usage = &rollout.usage;
    let fact = |name: &str, value: String| (name.to_owned(), value);
    let mut facts = vec![
        fact("reward", rollout.outcome.reward.map_or("not judged".to_owned(), compact)),
        fact("exit", spoken(&format!("{:?}", rollout.exit))),
    ];
    facts.extend(rollout.outcome.scores.iter().map(|(name, score)| (name.clone(), compact(*score))));
    facts.extend([
        fact("turns", rollout.steps().to_string()),
        fact("bad calls", format!("{} of {}", usage.bad_calls, usage.tool_calls)),
        fact("tokens written", usage.completion_tokens.to_string()),
        fact("seed", rollout.seed.to_string()),
    ]);
    facts
}

/// `step limit` of `StepLimit`.
fn spoken(name: &str) -> String {
    let mut words = String::new();
    for character in name.chars() {
        if character.is_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.extend(character.to_lowercase());
    }
    words
}

fn decisions<'a>(task: &'a ShownTask, id: &RolloutId) -> Vec<DecisionView<'a>> {
    let own = task.selection.decisions.iter().filter(|decision| decision.rollout == *id);
    own.map(|decision| DecisionView { stage: &decision.stage, kept: decision.kept, reason: &decision.reason }).collect()
}

fn turn(message: &Message) -> Turn<'_> {
    let (tool, calls) = match message {
        Message::Tool(message) => (Some(message.name.as_str()), [].as_slice()),
        Message::Assistant(message) => (None, message.tool_calls.as_slice()),
        _ => (None, [].as_slice()),
    };
    let calls = calls.iter().map(|call| Call { name: &call.name, arguments: arguments(&call.arguments) }).collect();
    Turn { role: message.role(), tool, text: message.content(), calls }
}

fn arguments(arguments: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match arguments.as_object() {
        Some(named) => named.iter().map(|(name, value)| (name.clone(), text(value))).collect(),
        None => vec![(String::new(), text(arguments))],
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::sample;
    use super::*;

    #[test]
    fn the_chosen_one_is_shown_first_with_its_reasons() {
        let tasks = sample::tasks();
        let view = view(&tasks[0], 0);
        let chosen = &view.candidates[view.shown];
        assert!(chosen.chosen);
        assert_eq!(view.candidates.iter().filter(|candidate| candidate.chosen).count(), 1);
        assert!(!chosen.decisions.is_empty() && chosen.decisions.iter().all(|decision| decision.kept));
        assert!(view.candidates.iter().any(|other| other.decisions.iter().any(|decision| !decision.kept)));
    }

    #[test]
    fn the_prompt_ends_where_the_agent_acts() {
        let tasks = sample::tasks();
        let view = view(&tasks[0], 0);
        let first = &view.candidates[0];
        assert_eq!(first.prompt.iter().map(|turn| turn.role).collect::<Vec<_>>(), ["system", "user"]);
        assert_eq!(first.turns[0].role, "assistant");
    }

    #[test]
    fn arguments_of_any_shape_are_shown() {
        assert_eq!(
            arguments(&json!({"path": "a", "line": 3})),
            [("path".to_owned(), "a".to_owned()), ("line".to_owned(), "3".to_owned())]
        );
        assert_eq!(arguments(&json!([1])), [(String::new(), "[1]".to_owned())]);
        assert!(arguments(&json!({})).is_empty());
    }

    #[test]
    fn exits_are_words() {
        assert_eq!(spoken("FormatErrors"), "format errors");
    }
}
