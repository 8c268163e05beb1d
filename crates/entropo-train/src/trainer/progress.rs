//! What a step changes beside tensors, and what makes a run that run.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::config::TrainConfig;

/// The format of saved states.
pub(super) const FORMAT: u32 = 2;

/// What is not a tensor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Progress {
    pub(super) format: u32,
    /// Steps taken or left out.
    pub(super) step: usize,
    /// Steps left out.
    pub(super) skipped: usize,
    /// Steps left out in a row up to now.
    pub(super) bad: usize,
    /// The objective's reference point.
    pub(super) z0: Option<f64>,
    /// The best value of the metric that is watched.
    pub(super) best: Option<f64>,
    /// Evaluations since then.
    pub(super) waited: usize,
    /// Whether the run has ended before its last step.
    pub(super) stopped: bool,
    /// What the run is: another run's state is refused.
    pub(super) run: Identity,
}

/// What makes two runs the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Identity {
    /// A hash of the weights that it starts from.
    pub(super) model: String,
    /// A hash of its examples in order.
    pub(super) data: String,
    /// The same of what it is evaluated on.
    pub(super) evaluation: Option<String>,
    /// Every setting that has a say in the result.
    pub(super) settings: Value,
}

impl Progress {
    pub(super) fn start(run: Identity) -> Self {
        let (step, skipped, bad, waited) = (0, 0, 0, 0);
        Self { format: FORMAT, step, skipped, bad, z0: None, best: None, waited, stopped: false, run }
    }
}

impl Identity {
    pub(super) fn new(model: String, data: String, evaluation: Option<String>, config: &TrainConfig) -> Self {
        let mut settings = serde_json::to_value(config).unwrap_or_default();
        if let Some(settings) = settings.as_object_mut() {
            // These decide what is on disk after a crash, and nothing else.
            settings.remove("save_every");
            settings.remove("max_bad_steps");
        }
        Self { model, data, evaluation, settings }
    }

    /// What differs from the run that is to go on `now`, in words; empty if nothing does.
    pub(super) fn differences(&self, now: &Self) -> Vec<String> {
        let mut found = Vec::new();
        differing("", &self.settings, &now.settings, &mut found);
        for (what, same) in [
            ("starting weights", self.model == now.model),
            ("examples, or their order", self.data == now.data),
            ("evaluation examples", self.evaluation == now.evaluation),
        ] {
            if !same {
                found.push(format!("other {what}"));
            }
        }
        found
    }
}

/// Every leaf that is not the same, as `a.b is 1, was 2`.
fn differing(path: &str, was: &Value, is: &Value, found: &mut Vec<String>) {
    match (was, is) {
        (Value::Object(were), Value::Object(are)) => {
            for key in were.keys().chain(are.keys().filter(|key| !were.contains_key(*key))) {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                let [was, is] = [were, are].map(|keys| keys.get(key).unwrap_or(&Value::Null));
                differing(&path, was, is, found);
            }
        }
        _ if was == is => {}
        _ => found.push(format!("`{path}` is {is}, was {was}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objective::{Dpo, Objective, Sft};

    fn identity(config: &TrainConfig) -> Identity {
        Identity::new("m".to_owned(), "d".to_owned(), None, config)
    }

    #[test]
    fn differences_are_named_to_the_leaf() {
        let was = TrainConfig { objective: Objective::Dpo(Dpo::default()), ..TrainConfig::default() };
        let now = TrainConfig {
            objective: Objective::Dpo(Dpo { beta: 0.2, ..Dpo::default() }),
            learning_rate: 0.5,
            save_every: 7,
            ..was.clone()
        };
        let differences = identity(&was).differences(&identity(&now));
        assert_eq!(differences, ["`objective.beta` is 0.2, was 0.1", "`learning_rate` is 0.5, was 0.00001"]);
        let other = Identity { data: "e".to_owned(), ..identity(&was) };
        assert_eq!(identity(&was).differences(&other), ["other examples, or their order"]);
        assert!(identity(&was).differences(&identity(&was)).is_empty());
        let sft = TrainConfig { objective: Objective::Sft(Sft::default()), ..was.clone() };
        assert!(!identity(&was).differences(&identity(&sft)).is_empty());
    }
}
