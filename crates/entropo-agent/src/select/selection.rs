//! What was chosen, and every step on the way there.

use std::collections::BTreeSet;
use std::fmt::Write;

use entropo_core::RolloutId;
use serde::{Deserialize, Serialize};

use super::{Measured, TieBreak};

/// What was chosen, and how.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Selection {
    /// The one; `None` if there was no candidate.
    pub chosen: Option<RolloutId>,
    /// Every verdict, stage by stage.
    pub decisions: Vec<Decision>,
    /// How many candidates the stages left; more than 1 means that [`tie`](Self::tie) decided.
    pub tied: usize,
    /// The candidates that no stage could tell apart, and what decided between them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tie: Option<Tie>,
}

/// One verdict as it was carried out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// The candidate.
    pub rollout: RolloutId,
    /// The stage.
    pub stage: String,
    /// Whether the candidate stayed.
    pub kept: bool,
    /// Why.
    pub reason: String,
    /// The same as data, if it was a matter of numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured: Option<Measured>,
    /// Whether the stage was passed over because it would have kept nobody.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub passed_over: bool,
}

/// A tie and what broke it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tie {
    /// Who was tied, by number.
    pub between: Vec<RolloutId>,
    /// What decided.
    pub broken: TieBreak,
}

impl Selection {
    /// The decisions in words, a line for each candidate that a stage dropped, one for each stage that dropped nobody,
    /// and one for the end.
    pub fn explain(&self) -> String {
        let mut text = String::new();
        for stage in self.decisions.chunk_by(|a, b| a.stage == b.stage) {
            let Some(first) = stage.first() else { continue };
            let mut dropped = stage.iter().filter(|decision| !decision.kept).peekable();
            if first.passed_over {
                _ = writeln!(text, "{}: passed over, it would keep nobody", first.stage);
            } else if dropped.peek().is_none() {
                _ = writeln!(text, "{}: keeps all {}", first.stage, stage.len());
            }
            for decision in dropped {
                _ = writeln!(text, "{}: drops {}, {}", decision.stage, decision.rollout, decision.reason);
            }
        }
        match &self.chosen {
            Some(chosen) => _ = writeln!(text, "chosen: {chosen}"),
            None => text.push_str("chosen: none, there was no candidate\n"),
        }
        text
    }

    /// The stages that dropped somebody.
    pub fn decisive_stages(&self) -> BTreeSet<&str> {
        self.decisions.iter().filter(|decision| !decision.kept).map(|decision| decision.stage.as_str()).collect()
    }
}
