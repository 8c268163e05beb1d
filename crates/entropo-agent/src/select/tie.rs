//! What decides between candidates that no stage could tell apart.

use std::fmt;

use entropo_core::RolloutId;
use serde::{Deserialize, Serialize};

use crate::seed::rollout_seed;

/// How a tie is broken. Neither way looks at positions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "snake_case", deny_unknown_fields)]
pub enum TieBreak {
    /// The lowest number.
    #[default]
    LowestNumber,
    /// A lot that each rollout draws by its id: the same seed decides the same between the same two, whoever else is
    /// there.
    Lot {
        /// Another seed, another lot.
        seed: u64,
    },
}

impl TieBreak {
    /// The one that wins.
    pub fn decide<'a>(self, tied: impl IntoIterator<Item = &'a RolloutId>) -> Option<&'a RolloutId> {
        match self {
            Self::LowestNumber => tied.into_iter().min(),
            Self::Lot { seed } => tied.into_iter().min_by_key(|id| (rollout_seed(seed, id), *id)),
        }
    }
}

impl fmt::Display for TieBreak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LowestNumber => f.write_str("lowest number"),
            Self::Lot { seed } => write!(f, "lot of seed {seed}"),
        }
    }
}
