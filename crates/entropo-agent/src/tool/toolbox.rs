//! The tools of one episode.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use entropo_core::{ToolCall, ToolResult, ToolSpec, ToolStatus};
use futures::FutureExt;
use tokio_util::sync::CancellationToken;

use super::{CallError, Concurrency, DynTool, Tool, ToolOutput, Typed};
use crate::unwind;

/// Tools by name, in the order in which the model is told about them. A clone shares the tools.
#[derive(Clone, Default)]
pub struct Toolbox {
    tools: Vec<Arc<dyn DynTool>>,
    specs: Vec<ToolSpec>,
}

/// Why a tool cannot be added.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ToolboxError {
    /// Two tools of one name.
    #[error("there is a tool named {name} already; give this one another name")]
    Duplicate {
        /// The name.
        name: String,
    },
    /// The schema of the arguments is no JSON Schema.
    #[error("the argument schema of tool {name} cannot be used: {reason}")]
    Schema {
        /// The tool's name.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl Toolbox {
    /// An empty toolbox.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a typed tool.
    pub fn with<T: Tool>(mut self, tool: T) -> Result<Self, ToolboxError> {
        self.push(Arc::new(Typed::new(tool)?))?;
        Ok(self)
    }

    /// Adds any tool.
    pub fn push(&mut self, tool: Arc<dyn DynTool>) -> Result<(), ToolboxError> {
        let spec = tool.spec().clone();
        if self.specs.iter().any(|other| other.name == spec.name) {
            return Err(ToolboxError::Duplicate { name: spec.name });
        }
        self.specs.push(spec);
        self.tools.push(tool);
        Ok(())
    }

    /// What a model is told about the tools.
    pub fn specs(&self) -> &[ToolSpec] {
        &self.specs
    }

    /// Takes a tool out; nothing happens if there is none of that name.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.tools.retain(|tool| tool.spec().name != name);
        self.specs.retain(|spec| spec.name != name);
        self
    }

    /// Whether calls of the tool `name` may overlap. What names no tool is answered at once, beside anything.
    pub fn concurrency(&self, name: &str) -> Concurrency {
        self.find(name).map_or(Concurrency::Shared, |tool| tool.concurrency())
    }

    /// Carries out one call. Whatever the model wrote and whatever the tool does, there is an answer to show: a
    /// misspelt name, unfit arguments, a failure, a panic and a cancellation are results too.
    pub async fn call(&self, call: &ToolCall, cancel: &CancellationToken) -> ToolResult {
        match self.find(&call.name) {
            Some(tool) => carry_out(tool, call, cancel).await,
            None => call.answer(ToolStatus::Invalid, self.unknown(&call.name)),
        }
    }

    fn find(&self, name: &str) -> Option<&dyn DynTool> {
        self.tools.iter().find(|tool| tool.spec().name == name).map(Arc::as_ref)
    }

    fn unknown(&self, name: &str) -> String {
        let names: Vec<_> = self.specs.iter().map(|spec| spec.name.as_str()).collect();
        match names.as_slice() {
            [] => format!("There is no tool named {name:?}; there are no tools."),
            names => format!("There is no tool named {name:?}; the tools are {}.", names.join(", ")),
        }
    }
}

async fn carry_out(tool: &dyn DynTool, call: &ToolCall, cancel: &CancellationToken) -> ToolResult {
    let answer = AssertUnwindSafe(tool.call(&call.arguments, cancel)).catch_unwind();
    let answer = tokio::select! {
        biased; // a tool that noticed the cancellation itself has the better answer
        answer = answer => answer,
        () = cancel.cancelled() => return call.answer(ToolStatus::Failed, "The call was cancelled."),
    };
    match answer {
        Ok(Ok(ToolOutput { content, finish, usage })) => {
            let status = if finish { ToolStatus::Finish } else { ToolStatus::Done };
            ToolResult { usage, ..call.answer(status, content) }
        }
        Ok(Err(CallError::Invalid(why))) => call.answer(ToolStatus::Invalid, why),
        Ok(Err(CallError::Failed(why))) => call.answer(ToolStatus::Failed, why.to_string()),
        Err(panic) => {
            let why = unwind::message(panic.as_ref());
            tracing::error!(tool = call.name, why, "a tool panicked");
            call.answer(ToolStatus::Failed, format!("The tool {} broke: {why}", call.name))
        }
    }
}

#[cfg(test)]
mod tests {
    use schemars::JsonSchema;
    use serde::Deserialize;
    use serde_json::{Value, json};

    use super::*;
    use crate::tool::ToolError;

    #[derive(Deserialize, JsonSchema)]
    struct Count {
        /// How far.
        to: u8,
    }

    struct Counter;

    impl Tool for Counter {
        const NAME: &'static str = "count";
        type Args = Count;

        fn description(&self) -> String {
            "Counts.".to_owned()
        }

        async fn call(&self, Count { to }: Count, _: &CancellationToken) -> Result<ToolOutput, ToolError> {
            match to {
                0 => Err(ToolError::new("nothing to count")),
                13 => panic!("unlucky"),
                99 => std::future::pending().await,
                100 => Ok(ToolOutput::finish("done")),
                to => Ok(ToolOutput::text(to.to_string())),
            }
        }
    }

    fn toolbox() -> Toolbox {
        Toolbox::new().with(Counter).unwrap()
    }

    async fn call(name: &str, arguments: Value, cancel: &CancellationToken) -> (String, ToolStatus) {
        let call = ToolCall { id: "call_0_0".to_owned(), name: name.to_owned(), arguments };
        let result = toolbox().call(&call, cancel).await;
        assert_eq!((result.call_id.as_str(), result.name.as_str()), ("call_0_0", name));
        (result.content, result.status)
    }

    #[tokio::test]
    async fn every_call_has_an_answer() {
        let cancel = CancellationToken::new();
        let answers = [
            ("count", json!({"to": "3"}), "3", ToolStatus::Done),
            ("count", json!({"to": 100}), "done", ToolStatus::Finish),
            ("count", json!({"to": 0}), "nothing to count", ToolStatus::Failed),
            ("count", json!({"to": 13}), "The tool count broke: unlucky", ToolStatus::Failed),
            ("count", json!({}), "Invalid arguments for count: \"to\" is required.", ToolStatus::Invalid),
            ("cuont", json!({}), "There is no tool named \"cuont\"; the tools are count.", ToolStatus::Invalid),
        ];
        for (name, arguments, content, status) in answers {
            assert_eq!(call(name, arguments, &cancel).await, (content.to_owned(), status));
        }
    }

    #[tokio::test]
    async fn a_tool_that_never_answers_is_left_when_cancelled() {
        let cancel = CancellationToken::new();
        let stuck = call("count", json!({"to": 99}), &cancel);
        let (answer, ()) = tokio::join!(stuck, async { cancel.cancel() });
        assert_eq!(answer, ("The call was cancelled.".to_owned(), ToolStatus::Failed));
    }

    #[test]
    fn a_name_is_taken_once() {
        let refused = toolbox().with(Counter).err();
        assert_eq!(refused, Some(ToolboxError::Duplicate { name: "count".to_owned() }));
    }
}
