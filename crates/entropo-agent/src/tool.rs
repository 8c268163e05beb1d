//! What a model can do.
//!
//! A [`Tool`] is typed: its arguments are a Rust type with a JSON Schema, and what reaches [`Tool::call`] has been
//! checked. The loop sees only the object-safe [`DynTool`], which every `Tool` becomes, so that a [`Toolbox`] is put together
//! at run time.

mod arguments;
mod toolbox;

use std::fmt::Display;
use std::future::Future;

use async_trait::async_trait;
use entropo_core::ToolSpec;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use arguments::Arguments;
pub use arguments::coerce;
pub use toolbox::{Toolbox, ToolboxError};

/// A tool with typed arguments.
pub trait Tool: Send + Sync + 'static {
    /// The name by which a model calls it.
    const NAME: &'static str;
    /// The arguments; documentation comments on its fields reach the model as descriptions.
    type Args: DeserializeOwned + JsonSchema + Send;

    /// What it does and when to use it, for the model.
    fn description(&self) -> String;

    /// Carries out a call.
    fn call(
        &self,
        arguments: Self::Args,
        cancel: &CancellationToken,
    ) -> impl Future<Output = Result<ToolOutput, ToolError>> + Send;
}

/// What a tool answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolOutput {
    /// What the model is shown.
    pub content: String,
    /// Whether the agent is done.
    pub finish: bool,
}

/// Why a tool refused or failed, in words for the model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ToolError(String);

impl ToolOutput {
    /// An answer after which the agent goes on.
    pub fn text(content: impl Into<String>) -> Self {
        Self { content: content.into(), finish: false }
    }

    /// An answer that ends the episode.
    pub fn finish(content: impl Into<String>) -> Self {
        Self { content: content.into(), finish: true }
    }
}

impl ToolError {
    /// An error that the model reads as `reason`: what was wrong and what to do instead.
    pub fn new(reason: impl Display) -> Self {
        Self(reason.to_string())
    }
}

/// A tool as the loop sees it.
///
/// Every [`Tool`] becomes one in [`Toolbox::with`]; implement it directly where tools are only known at run time, and
/// hand it over with [`Toolbox::push`].
#[async_trait]
pub trait DynTool: Send + Sync {
    /// What the model is told.
    fn spec(&self) -> &ToolSpec;

    /// Checks the arguments as the model wrote them and carries out the call. Dropping the future must stop the work.
    async fn call(&self, arguments: &Value, cancel: &CancellationToken) -> Result<ToolOutput, CallError>;
}

/// Why a call brought nothing, in words for the model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The arguments do not fit; the tool did nothing. One line.
    #[error("{0}")]
    Invalid(String),
    /// The tool refused or failed.
    #[error(transparent)]
    Failed(#[from] ToolError),
}

/// A [`Tool`] whose schema was made and compiled once.
struct Typed<T> {
    tool: T,
    spec: ToolSpec,
    arguments: Arguments,
}

impl<T: Tool> Typed<T> {
    fn new(tool: T) -> Result<Self, ToolboxError> {
        let (name, description) = (T::NAME.to_owned(), tool.description());
        let parameters = arguments::schema_of::<T::Args>();
        let arguments = Arguments::new(&parameters)
            .map_err(|reason| ToolboxError::Schema { name: name.clone(), reason: reason.to_string() })?;
        Ok(Self { tool, spec: ToolSpec { name, description, parameters }, arguments })
    }
}

#[async_trait]
impl<T: Tool> DynTool for Typed<T> {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    async fn call(&self, arguments: &Value, cancel: &CancellationToken) -> Result<ToolOutput, CallError> {
        let read = self.arguments.read(arguments);
        let arguments = read.map_err(|why| CallError::Invalid(format!("Invalid arguments for {}: {why}.", T::NAME)))?;
        Ok(self.tool.call(arguments, cancel).await?)
    }
}
