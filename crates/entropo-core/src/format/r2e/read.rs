//! From a run of R2E-Gym to a trajectory.

use serde_json::{Number, Value};

use super::{EXITS, R2eRun, action};
use crate::format::RowError;
use crate::format::carried::{Carried, Conversation, exit};
use crate::format::error::shown;
use crate::format::export::Loss;
use crate::format::place::Place;
use crate::{ExitReason, Message, RolloutId, Trajectory};

impl R2eRun {
    /// The run as the rollout numbered `rollout` of its task. An empty observation of the last step is none.
    ///
    /// Lost are the regression tests' scores, which have to be read from their output.
    ///
    /// # Errors
    /// [`RowError::Value`] for an exit reason that is not known.
    pub fn to_trajectory(&self, rollout: usize) -> Result<Carried<Trajectory>, RowError> {
        let at = Place::ROW.key("exit_reason");
        let reason = exit(EXITS, &self.exit_reason).ok_or_else(|| RowError::Value {
            at: at.to_string(),
            found: shown(&Value::from(self.exit_reason.as_str())),
            expected: "agent, max_step_limit, agent_max_step_limit, abs_step_limit, token_limit, traj_time_limit or \
                       llm_query_error",
        })?;
        let mut conversation = self.conversation()?;
        let model = self.agent_args.get("llm_name").and_then(Value::as_str).unwrap_or_default();
        let mut trajectory = self.trajectory(model, rollout, reason);
        trajectory.usage.tool_calls = conversation.calls();
        if self.regression_test_output.is_some() || !self.custom_test_outputs.is_empty() {
            conversation.lost.insert(Loss::Scores);
        }
        trajectory.messages = conversation.messages;
        Ok(Carried { value: trajectory, lost: conversation.lost })
    }

    fn trajectory(&self, model: &str, rollout: usize, exit: ExitReason) -> Trajectory {
        let mut trajectory = Trajectory::empty(RolloutId::new(self.task(), rollout), model, 0, exit);
        trajectory.outcome.patch.clone_from(&self.output_patch);
        trajectory.outcome.reward = self.reward;
        let reproduced = self.reproduction_test_scores.as_ref();
        let reproduced = reproduced.map(|scores| scores.iter().filter_map(Number::as_f64).sum());
        let scores = [("verifier", self.verifier_prob), ("reproduction", reproduced)];
        let scores = scores.into_iter().filter_map(|(name, score)| Some((name.to_owned(), score?)));
        trajectory.outcome.scores = scores.collect();
        let tokens = |count: i64| usize::try_from(count).unwrap_or(0);
        for step in &self.trajectory_steps {
            trajectory.usage.model_calls += 1;
            let usage = &mut trajectory.usage;
            usage.prompt_tokens = usage.prompt_tokens.saturating_add(tokens(step.token_usage_prompt));
            usage.completion_tokens = usage.completion_tokens.saturating_add(tokens(step.token_usage_completion));
        }
        trajectory
    }

    fn conversation(&self) -> Result<Conversation, RowError> {
        let mut conversation = Conversation::default();
        if let Some(system) = self.agent_args.get("system_prompt").and_then(Value::as_str) {
            conversation.messages.push(Message::system(system));
        }
        conversation.messages.push(Message::user(&self.problem_statement));
        let last = self.trajectory_steps.len().saturating_sub(1);
        for (index, step) in self.trajectory_steps.iter().enumerate() {
            let call = action::parse(&step.action);
            let called = call.is_some();
            conversation.say(step.thought.clone(), call.into_iter().map(|call| (None, call)).collect());
            if step.observation.is_empty() && index == last {
                continue;
            }
            match conversation.last_call().filter(|_| called) {
                Some(id) => {
                    let at = Place::ROW.key("trajectory_steps");
                    conversation.answer(&id, None, step.observation.clone(), at.index(index))?;
                }
                None => conversation.messages.push(Message::user(&step.observation)),
            }
        }
        Ok(conversation)
    }
}
