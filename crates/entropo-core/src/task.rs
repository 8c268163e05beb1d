//! What an agent is asked to do.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A problem in a repository, described in words.
///
/// Where the repository is, and how a solution is judged, is the business of the
/// environment that opens the task; it may keep what it needs in `metadata`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// Unique among the tasks of a data set; trajectories and scores refer to it.
    pub id: String,
    /// The issue text, as a person would write it.
    pub problem: String,
    /// Anything an environment wants to keep with the task.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub metadata: Map<String, Value>,
}

impl Task {
    /// A task without metadata.
    pub fn new(id: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { id: id.into(), problem: problem.into(), metadata: Map::new() }
    }
}
