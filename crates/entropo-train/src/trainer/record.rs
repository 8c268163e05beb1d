//! What is told of a step.

use std::collections::BTreeMap;

use serde::Serialize;

/// One line of a run's log.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct StepRecord {
    /// The step, counted from 0.
    pub step: usize,
    /// Steps of the whole run.
    pub steps: usize,
    /// The loss before the update; NaN, in JSON `null`, where the step was left out.
    pub loss: f64,
    /// Global norm of the gradient before clipping; NaN where the step was left out.
    pub grad_norm: f64,
    /// The learning rate of the update.
    pub learning_rate: f64,
    /// Real tokens in the batch.
    pub tokens: usize,
    /// Action tokens in the batch.
    pub action_tokens: usize,
    /// Whether the step was left out, because its loss or gradient was not finite.
    pub skipped: bool,
    /// Finite numbers by name: the objective's, `computed_tokens` (a beginning that sequences share counts once),
    /// `skipped_steps` once there are any, `alpha` while it rises, those of an evaluation after the step, whose names
    /// begin with `eval/`, and with the very first step what [`StepZero`](crate::objective::StepZero) says.
    pub metrics: BTreeMap<String, f64>,
    /// What a person should know, a sentence each.
    pub notes: Vec<String>,
}
