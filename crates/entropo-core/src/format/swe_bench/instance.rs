//! What is to be solved.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Tests;
use crate::Task;
use crate::format::error::shown;
use crate::format::place::Place;
use crate::format::value::{get, object, typed};
use crate::format::{RowError, error};

/// The version of our own plain rows that this crate writes, and the only one that it reads.
pub const LOCAL_TASK_FORMAT: &str = "entropo-task/1";

/// A row of a data set of problems, told apart by its keys.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Instance {
    /// Of SWE-bench, its Lite and Verified parts, SWE-smith and others of this shape.
    SweBench(SweBenchInstance),
    /// Of R2E-Gym.
    R2eGym(R2eGymInstance),
    /// Of our own plain format.
    Local(LocalInstance),
}

/// A row of SWE-bench or of a data set that follows it. Fields beyond those named here are kept as they are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SweBenchInstance {
    /// Unique in the data set, such as `owner__repo-number`.
    pub instance_id: String,
    /// `owner/repo`; SWE-smith's are mirrors.
    pub repo: String,
    /// The text.
    pub problem_statement: String,
    /// The commit to start from; SWE-smith has none, its images are at the right one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_commit: Option<String>,
    /// The reference solution; in SWE-smith the patch that breaks the repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patch: Option<String>,
    /// The hidden tests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_patch: Option<String>,
    /// What was said about the issue before the solution.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hints_text: Option<String>,
    /// The version whose installation and test command are meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The commit at which the environment is installed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment_setup_commit: Option<String>,
    /// How long a person needs, in Verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub difficulty: Option<String>,
    /// The container image, in SWE-smith.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_name: Option<String>,
    /// Tests that a solution has to make pass.
    #[serde(rename = "FAIL_TO_PASS", default, skip_serializing_if = "Option::is_none")]
    pub fail_to_pass: Option<Tests>,
    /// Tests that a solution must not break.
    #[serde(rename = "PASS_TO_PASS", default, skip_serializing_if = "Option::is_none")]
    pub pass_to_pass: Option<Tests>,
    /// All other fields.
    #[serde(flatten)]
    pub others: Map<String, Value>,
}

/// A row of R2E-Gym's data sets, which are known by their images. Fields beyond those named here are kept as they are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct R2eGymInstance {
    /// The container image, unique in the data set.
    pub docker_image: String,
    /// The repository's short name.
    pub repo_name: String,
    /// The commit that solved the problem.
    pub commit_hash: String,
    /// The text.
    pub problem_statement: String,
    /// JSON of an object that says how every hidden test should end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_output_json: Option<String>,
    /// All other fields.
    #[serde(flatten)]
    pub others: Map<String, Value>,
}

/// A row of our own plain format, [`LOCAL_TASK_FORMAT`]: a problem in a repository that is at hand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LocalInstance {
    /// Always [`LOCAL_TASK_FORMAT`].
    pub format: String,
    /// Unique in the file.
    pub id: String,
    /// What is wrong, in words.
    pub problem: String,
    /// A folder, an archive, or what git clones.
    pub repository: String,
    /// The commit to start from; the one that is checked out if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// The container image to work in, if it is to be one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Commands that make the files ready, once, before anything else.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub setup: Vec<String>,
    /// The command that runs the tests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<String>,
    /// How what it prints is read, such as `pytest`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
    /// The reference solution.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patch: Option<String>,
    /// A patch with the hidden tests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_patch: Option<String>,
    /// Tests that a solution has to make pass.
    #[serde(rename = "FAIL_TO_PASS", default, skip_serializing_if = "Vec::is_empty")]
    pub fail_to_pass: Vec<String>,
    /// Tests that a solution must not break.
    #[serde(rename = "PASS_TO_PASS", default, skip_serializing_if = "Vec::is_empty")]
    pub pass_to_pass: Vec<String>,
    /// Anything else that an environment wants to keep.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub metadata: Map<String, Value>,
}

impl Instance {
    /// Reads a row.
    ///
    /// # Errors
    /// [`RowError`] with the field that is missing or does not fit.
    pub fn read(row: &Value) -> Result<Self, RowError> {
        let fields = object(row, Place::ROW)?;
        let has = |key| get(fields, key).is_some();
        if let Some(format) = get(fields, "format").filter(|format| format.as_str().is_some_and(is_local)) {
            if format != LOCAL_TASK_FORMAT {
                return Err(RowError::FormatVersion { found: shown(format), expected: LOCAL_TASK_FORMAT });
            }
            return typed(row).map(Self::Local);
        }
        if has("instance_id") {
            return typed(row).map(Self::SweBench);
        }
        if has("docker_image") {
            return typed(row).map(Self::R2eGym);
        }
        Err(RowError::Missing { at: Place::ROW.to_string(), key: "instance_id, or docker_image, or a format of ours" })
    }

    /// The name by which trajectories, predictions and reports know it.
    pub fn id(&self) -> &str {
        match self {
            Self::SweBench(instance) => &instance.instance_id,
            Self::R2eGym(instance) => &instance.docker_image,
            Self::Local(instance) => &instance.id,
        }
    }

    /// The container image, if the row names one.
    pub fn image(&self) -> Option<&str> {
        match self {
            Self::SweBench(instance) => instance.image_name.as_deref().or_else(|| {
                let keys = ["docker_image", "image"];
                keys.into_iter().find_map(|key| instance.others.get(key).and_then(Value::as_str))
            }),
            Self::R2eGym(instance) => Some(&instance.docker_image),
            Self::Local(instance) => instance.image.as_deref(),
        }
    }

    /// The task, with every field but the name and the problem in its metadata, hidden tests and solutions included: it
    /// is for the environment, and nothing of it is for the model.
    ///
    /// # Errors
    /// [`RowError::Malformed`] if the instance cannot be written as JSON.
    pub fn to_task(&self) -> Result<Task, RowError> {
        let malformed = |reason: &str| RowError::Malformed { reason: error::shortened(reason) };
        let written = serde_json::to_value(self).map_err(|error| malformed(&error.to_string()))?;
        let Value::Object(mut metadata) = written else { return Err(malformed("no object")) };
        let (problem, said): (_, &[&str]) = match self {
            Self::SweBench(instance) => (&instance.problem_statement, &["instance_id", "problem_statement"]),
            Self::R2eGym(instance) => (&instance.problem_statement, &["problem_statement"]),
            Self::Local(instance) => (&instance.problem, &["format", "id", "problem"]),
        };
        metadata.retain(|key, _| !said.contains(&key.as_str()));
        Ok(Task { metadata, ..Task::new(self.id(), problem) })
    }
}

fn is_local(format: &str) -> bool {
    format.starts_with("entropo-task/")
}
