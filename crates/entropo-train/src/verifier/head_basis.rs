//! What a head was fitted to, and so the only thing that it can judge.
//!
//! A head reads hidden states. Those of another model, or of the same one with another adapter or none, have the same size and
//! mean something else: what a head says of them is noise that looks like scores.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::judging::Judging;
use crate::adapter::Adapter;
use crate::checkpoint::Weights;

/// What a head was fitted to: prompts, a model, and its adapter if it had one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeadBasis {
    /// [`Judging::fingerprint`] of the prompts.
    pub prompt: String,
    /// The model.
    pub model: Fitted,
    /// The adapter; `None` if there was none.
    pub adapter: Option<Fitted>,
}

/// A model or an adapter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fitted {
    /// What it was called, for people; names are not compared.
    pub name: String,
    /// A hash of its weights.
    pub fingerprint: String,
}

impl HeadBasis {
    /// What a verifier of these prompts, weights and adapter is, each with its name.
    pub fn new(judging: &Judging, model: (&str, &Weights<'_>), adapter: Option<(&str, &Adapter)>) -> Self {
        let fitted = |name: &str, fingerprint| Fitted { name: name.to_owned(), fingerprint };
        let (name, weights) = model;
        Self {
            prompt: judging.fingerprint(),
            model: fitted(name, weights.fingerprint()),
            adapter: adapter.map(|(name, adapter)| fitted(name, adapter.fingerprint())),
        }
    }

    /// Whether hidden states are the same, whatever is asked.
    pub(super) fn has_states_of(&self, other: &Self) -> bool {
        let adapter = |basis: &Self| basis.adapter.as_ref().map(|adapter| adapter.fingerprint.clone());
        self.model.fingerprint == other.model.fingerprint && adapter(self) == adapter(other)
    }
}

/// The model and the adapter in words.
impl fmt::Display for HeadBasis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.adapter {
            Some(adapter) => write!(f, "{} with the adapter {adapter}", self.model),
            None => write!(f, "{} without an adapter", self.model),
        }
    }
}

impl fmt::Display for Fitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let start: String = self.fingerprint.chars().take(12).collect();
        write!(f, "{} ({start})", self.name)
    }
}
