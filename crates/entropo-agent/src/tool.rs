//! What a model can do.
//!
//! A [`Tool`] is typed: its arguments are a Rust type with a JSON Schema, and what reaches [`Tool::call`] has been
//! checked. The loop sees only the object-safe [`DynTool`], which every `Tool` is, so that a [`Toolbox`] is put together
//! at run time.

use std::fmt::Display;
use std::future::Future;

use async_trait::async_trait;
use entropo_core::{ToolCall, ToolResult, ToolSpec};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

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
