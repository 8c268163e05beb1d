//! The tool with which an agent says that it is done.

use entropo_agent::{Tool, ToolError, ToolOutput};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

/// Ends the episode.
#[derive(Clone, Copy, Debug, Default)]
pub struct Finish;

/// What the agent has to say at the end.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(description = "")]
pub struct FinishArgs {
    /// A closing remark.
    pub message: Option<String>,
}

impl Tool for Finish {
    const NAME: &'static str = "finish";
    type Args = FinishArgs;

    fn description(&self) -> String {
        "Call this when the task is done.".to_owned()
    }

    async fn call(&self, _arguments: FinishArgs, _cancel: &CancellationToken) -> Result<ToolOutput, ToolError> {
        Ok(ToolOutput::finish("Done."))
    }
}
