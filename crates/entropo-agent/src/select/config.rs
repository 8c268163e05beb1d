//! Selectors as configuration.
//!
//! ```
//! use entropo_agent::Selector;
//! use entropo_agent::select::SelectorConfig;
//!
//! let config: SelectorConfig = toml::from_str(
//!     r#"
//!     ties = { by = "lot", seed = 7 }
//!     stages = [
//!         { stage = "finished" },
//!         { stage = "score", name = "regression" },
//!         { stage = "threshold", name = "verifier", above = 0.01, missing = "drop" },
//!         { stage = "majority" },
//!     ]
//!     "#,
//! )?;
//! let selector = Selector::from(config);
//! # let published: SelectorConfig = toml::from_str("preset = \"paper_lite\"")?;
//! # Ok::<(), toml::de::Error>(())
//! ```

use serde::{Deserialize, Serialize};

use super::learned::Learned;
use super::{
    Changed, Finished, Majority, Prefer, Random, Score, Stage, Steps, Threshold, TieBreak, Top, WeightedVote, Within,
};

/// A whole selector: the stages of the preset, if there is one, and then its own.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SelectorConfig {
    /// Stages that have a name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preset: Option<Preset>,
    /// What decides between those that no stage could tell apart.
    pub ties: TieBreak,
    /// Stages after those of the preset.
    pub stages: Vec<StageConfig>,
}

/// A list of stages that has a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Preset {
    /// See [`StageConfig::hybrid`].
    Hybrid,
    /// See [`StageConfig::paper_verified`].
    PaperVerified,
    /// See [`StageConfig::paper_lite`].
    PaperLite,
    /// See [`StageConfig::r2e_hybrid`].
    R2eHybrid,
}

/// The stages that come with this crate, as configuration: `{ stage = "score", name = "regression" }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "snake_case")]
#[non_exhaustive]
pub enum StageConfig {
    /// See [`Finished`].
    Finished(Finished),
    /// See [`Changed`].
    Changed(Changed),
    /// See [`Within`].
    Within(Within),
    /// See [`Score`].
    Score(Score),
    /// See [`Threshold`].
    Threshold(Threshold),
    /// See [`Top`].
    Top(Top),
    /// See [`Steps`].
    Steps(Steps),
    /// See [`Majority`].
    Majority(Majority),
    /// See [`WeightedVote`].
    WeightedVote(WeightedVote),
    /// See [`Learned`].
    Learned(Learned),
    /// See [`Random`].
    Random(Random),
}

impl Preset {
    /// Its stages.
    pub fn stages(self) -> Vec<StageConfig> {
        match self {
            Self::Hybrid => StageConfig::hybrid(),
            Self::PaperVerified => StageConfig::paper_verified(),
            Self::PaperLite => StageConfig::paper_lite(),
            Self::R2eHybrid => StageConfig::r2e_hybrid(),
        }
    }
}

impl StageConfig {
    /// Finished, changed, then best `regression`, then best `reproduction`, then `verifier` above 0.01, then fewest steps:
    /// the order in which EntroPO's text puts them, and `changed`, which it does not have. Without it, a rollout that
    /// changed nothing breaks no test and wins by its steps.
    pub fn hybrid() -> Vec<Self> {
        let mut stages = Self::execution_and_verifier(Prefer::Fewest);
        stages.insert(1, Self::Changed(Changed::default()));
        stages
    }

    /// EntroPO's published script for SWE-bench Verified: as [`hybrid`](Self::hybrid) without `changed`, and most steps at
    /// the end.
    pub fn paper_verified() -> Vec<Self> {
        Self::execution_and_verifier(Prefer::Most)
    }

    /// EntroPO's published script for SWE-bench Lite: finished, `verifier` above 0.01, fewest steps.
    pub fn paper_lite() -> Vec<Self> {
        let mut stages = Self::execution_and_verifier(Prefer::Fewest);
        stages.retain(|stage| !matches!(stage, Self::Score(_)));
        stages
    }

    /// R2E-Gym's hybrid: the better half by `verifier`, then best `regression`, best `reproduction`, best `verifier`.
    pub fn r2e_hybrid() -> Vec<Self> {
        let best = ["regression", "reproduction", "verifier"].map(|name| Self::Score(Score::new(name)));
        [Self::Top(Top::new("verifier", 0.5))].into_iter().chain(best).collect()
    }

    fn execution_and_verifier(prefer: Prefer) -> Vec<Self> {
        vec![
            Self::Finished(Finished {}),
            Self::Score(Score::new("regression")),
            Self::Score(Score::new("reproduction")),
            Self::Threshold(Threshold::new("verifier", 0.01)),
            Self::Steps(Steps { prefer }),
        ]
    }

    pub(super) fn build(self) -> Box<dyn Stage> {
        match self {
            Self::Finished(stage) => Box::new(stage),
            Self::Changed(stage) => Box::new(stage),
            Self::Within(stage) => Box::new(stage),
            Self::Score(stage) => Box::new(stage),
            Self::Threshold(stage) => Box::new(stage),
            Self::Top(stage) => Box::new(stage),
            Self::Steps(stage) => Box::new(stage),
            Self::Majority(stage) => Box::new(stage),
            Self::WeightedVote(stage) => Box::new(stage),
            Self::Learned(stage) => Box::new(stage),
            Self::Random(stage) => Box::new(stage),
        }
    }
}
