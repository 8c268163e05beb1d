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
use entropo_core::{ToolSpec, Usage};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

pub(crate) use arguments::Arguments;
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

    /// Whether calls may overlap. Says [`Alone`](Concurrency::Alone) unless it is written.
    fn concurrency(&self) -> Concurrency {
        Concurrency::Alone
    }

    /// Carries out a call.
    fn call(
        &self,
        arguments: Self::Args,
        cancel: &CancellationToken,
    ) -> impl Future<Output = Result<ToolOutput, ToolError>> + Send;
}

/// Whether a call may be carried out while others of the same turn are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Concurrency {
    /// Nothing else is carried out meanwhile: what a tool does that changes files, say, must be seen by the next call.
    #[default]
    Alone,
    /// Neighbouring calls that all say so are carried out together. Their answers stay in the order of the calls.
    Shared,
}

/// What a tool answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolOutput {
    /// What the model is shown.
    pub content: String,
    /// Whether the agent is done.
    pub finish: bool,
    /// What models cost that the tool asked itself, as a sub-agent does; it counts towards the limits of the run.
    pub usage: Usage,
}

/// Why a tool refused or failed, in words for the model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ToolError(String);

impl ToolOutput {
    /// An answer after which the agent goes on.
    pub fn text(content: impl Into<String>) -> Self {
        Self { content: content.into(), ..Self::default() }
    }

    /// An answer that ends the episode.
    pub fn finish(content: impl Into<String>) -> Self {
        Self { content: content.into(), finish: true, ..Self::default() }
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

    /// Whether calls may overlap. Says [`Alone`](Concurrency::Alone) unless it is written.
    fn concurrency(&self) -> Concurrency {
        Concurrency::Alone
    }

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
        let (parameters, arguments) = Arguments::of::<T::Args>(&name)?;
        Ok(Self { tool, spec: ToolSpec { name, description, parameters }, arguments })
    }
}

#[async_trait]
impl<T: Tool> DynTool for Typed<T> {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn concurrency(&self) -> Concurrency {
        self.tool.concurrency()
    }

    async fn call(&self, arguments: &Value, cancel: &CancellationToken) -> Result<ToolOutput, CallError> {
        Ok(self.tool.call(self.arguments.read(arguments)?, cancel).await?)
    }
}
