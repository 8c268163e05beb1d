//! R2E-Gym's trajectories, one JSON object a line, as its scripts for selection and its viewer read them.
//!
//! | In the file | In a [`Trajectory`](crate::Trajectory) |
//! |---|---|
//! | `agent_args.system_prompt`, `problem_statement` | the system and the user message |
//! | a step's `thought` and `action` | an assistant message, its call read from the XML |
//! | a step's `observation` | the tool's answer, or a user message after a step without a call |
//! | `exit_reason` | [`exit`](crate::Trajectory::exit); only `agent` is finished |
//! | `output_patch`, `reward` | the outcome |
//! | `verifier_prob`, the sum of `reproduction_test_scores` | the scores `verifier` and `reproduction` |
//! | `ds.instance_id`, else `docker_image` | the task's name |
//! | `agent_args.llm_name` | the model |
//!
//! R2E-Gym keeps neither what the model sampled nor the exact prompt: a step is the parsed call written anew, without
//! white space at the ends of its values, and the prompt of its file is the problem without what the agent puts around
//! it. `history`, which EntroPO adds, is kept for whoever wants the messages that the model read.

mod action;
mod read;
mod write;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value};

use super::RowError;
use super::carried::Exits;
use super::value::typed;
use crate::ExitReason;

/// One run, a line of the file. Fields beyond those named here are kept as they are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct R2eRun {
    /// What the agent did.
    pub trajectory_steps: Vec<R2eStep>,
    /// The text.
    pub problem_statement: String,
    /// The container image, by which R2E-Gym's own problems are known.
    pub docker_image: String,
    /// The experiment's name.
    #[serde(default)]
    pub exp_name: Option<String>,
    /// The environment's settings.
    #[serde(default)]
    pub env_args: Map<String, Value>,
    /// The agent's settings: `system_prompt`, `instance_prompt`, `llm_name` and others.
    #[serde(default)]
    pub agent_args: Map<String, Value>,
    /// The data set's row.
    #[serde(default)]
    pub ds: Option<Map<String, Value>>,
    /// Steps after which the agent is told to finish.
    pub max_steps: i64,
    /// Steps after which it is stopped.
    pub max_steps_absolute: i64,
    /// Tokens of one prompt and its answer after which it is stopped.
    pub max_token_limit: i64,
    /// Seconds of a model call.
    pub max_llm_time: i64,
    /// Seconds of an action.
    pub max_exec_time: i64,
    /// Seconds of the run.
    pub max_total_time: i64,
    /// Why it ended.
    pub exit_reason: String,
    /// The agent's changes as a patch.
    pub output_patch: String,
    /// The hidden judgement.
    #[serde(default)]
    pub reward: Option<f64>,
    /// What the hidden tests printed.
    #[serde(default)]
    pub test_output: Option<String>,
    /// What other tests printed, by name.
    #[serde(default)]
    pub custom_test_outputs: Map<String, Value>,
    /// What the regression tests printed.
    #[serde(default)]
    pub regression_test_output: Option<String>,
    /// The verifier's probability that the patch is right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verifier_prob: Option<f64>,
    /// How many reproduction tests passed, by generated test.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reproduction_test_scores: Option<Vec<Number>>,
    /// The messages that the model read and wrote, where EntroPO's variant has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<Vec<Value>>,
    /// All other fields.
    #[serde(flatten)]
    pub others: Map<String, Value>,
}

/// One step of a run. Fields beyond those named here are kept as they are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct R2eStep {
    /// Counted from 0.
    pub step_idx: i64,
    /// What the model wrote before the call.
    pub thought: String,
    /// The call in R2E-Gym's XML; `<function=>` if there was none.
    pub action: String,
    /// What the model was shown.
    pub observation: String,
    /// Whether the run ended.
    pub done: bool,
    /// What the environment noted.
    pub info: Map<String, Value>,
    /// Tokens read, -1 if they are not known.
    pub token_usage_prompt: i64,
    /// Tokens written, -1 if they are not known.
    pub token_usage_completion: i64,
    /// Both, -1 if they are not known.
    pub token_usage_total: i64,
    /// Seconds of the model call.
    pub llm_exec_time: f64,
    /// Seconds of the action.
    pub env_exec_time: f64,
    /// Both.
    pub total_step_time: f64,
    /// Both, summed up to here.
    pub total_time_traj: f64,
    /// Counted from 1.
    pub step_count: i64,
    /// All other fields.
    #[serde(flatten)]
    pub others: Map<String, Value>,
}

/// R2E-Gym's words, and after them ours for what it has no word for. Its field is any text.
const EXITS: &Exits = &[
    ("agent", ExitReason::Agent),
    ("abs_step_limit", ExitReason::StepLimit),
    ("max_step_limit", ExitReason::StepLimit),
    ("agent_max_step_limit", ExitReason::StepLimit),
    ("token_limit", ExitReason::TokenLimit),
    ("traj_time_limit", ExitReason::TimeLimit),
    ("llm_query_error", ExitReason::ModelError),
    ("context", ExitReason::Context),
    ("cost_limit", ExitReason::CostLimit),
    ("format_errors", ExitReason::FormatErrors),
    ("stuck", ExitReason::Stuck),
    ("stopped", ExitReason::Stopped),
    ("environment_error", ExitReason::EnvironmentError),
    ("panic", ExitReason::Panic),
    ("cancelled", ExitReason::Cancelled),
];

impl R2eRun {
    /// Reads a line.
    ///
    /// # Errors
    /// [`RowError`] with the field that is missing or does not fit.
    pub fn read(line: &Value) -> Result<Self, RowError> {
        typed(line)
    }

    /// The task's name: `instance_id` of the data set's row, else the image.
    pub fn task(&self) -> &str {
        let named = self.ds.as_ref().and_then(|row| row.get("instance_id")).and_then(Value::as_str);
        named.unwrap_or(&self.docker_image)
    }
}
