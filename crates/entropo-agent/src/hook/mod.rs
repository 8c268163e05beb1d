//! Having a say in what an agent does.
//!
//! A [`Hook`] is asked before and after each step, and what it may answer is a type of its own for each moment, so that no
//! answer is without a meaning. Hooks are asked in the order in which the agent was given them; the first that does not let
//! a step pass decides, and a rewritten call goes on to the next.
//!
//! A hook that cannot decide alone [asks](BeforeTool::Ask). Who answers is the agent's [`Approver`]; where there is none, as
//! in a headless run, or none that answers in time, the call is refused and the model told so. A question never hangs.
//!
//! ```
//! use entropo_agent::Hook;
//! use entropo_agent::hook::{BeforeTool, Moment};
//! use entropo_core::{Message, ToolCall};
//!
//! /// Nobody finishes who has not run the tests.
//! struct TestFirst;
//!
//! #[async_trait::async_trait]
//! impl Hook for TestFirst {
//!     async fn before_tool(&self, moment: &Moment<'_>, call: &ToolCall) -> BeforeTool {
//!         let tested = moment.messages.iter().any(|message| message.content().contains("test result:"));
//!         match call.name.as_str() {
//!             "finish" if !tested => BeforeTool::Refuse("Run the tests before you finish.".to_owned()),
//!             "shell" if call.arguments["command"].as_str().is_some_and(|command| command.contains("git push")) => {
//!                 BeforeTool::Ask("it publishes changes".to_owned())
//!             }
//!             _ => BeforeTool::Allow,
//!         }
//!     }
//! }
//! ```

mod approval;
mod rules;

use async_trait::async_trait;
use entropo_core::{AssistantMessage, Message, RolloutId, ToolCall, ToolResult, Usage};
use serde_json::Value;

pub(crate) use approval::Approval;
pub use approval::{Answer, Approver, Question};
pub use rules::ToolRules;

/// Is asked before and after each step of a run. Every method lets everything pass unless it is written.
#[async_trait]
pub trait Hook: Send + Sync {
    /// The model is about to be asked.
    async fn before_model(&self, _moment: &Moment<'_>) -> BeforeModel {
        BeforeModel::Ask
    }

    /// The model has replied with `message`, and none of its calls was carried out.
    async fn after_model(&self, _moment: &Moment<'_>, _message: &AssistantMessage) -> AfterModel {
        AfterModel::GoOn
    }

    /// `call` is about to be carried out. Calls that finish are asked about too: refusing one sends the agent back to work.
    async fn before_tool(&self, _moment: &Moment<'_>, _call: &ToolCall) -> BeforeTool {
        BeforeTool::Allow
    }

    /// A tool answered `call`, and the model has not yet read it.
    async fn after_tool(&self, _moment: &Moment<'_>, _call: &ToolCall, _result: &ToolResult) -> AfterTool {
        AfterTool::Keep
    }
}

/// Where a run stands.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Moment<'a> {
    /// Which rollout.
    pub rollout: &'a RolloutId,
    /// Assistant turns so far.
    pub turn: usize,
    /// The whole conversation.
    pub messages: &'a [Message],
    /// What was used.
    pub usage: &'a Usage,
}

/// What happens in the place of a question to the model.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BeforeModel {
    /// The model is asked.
    Ask,
    /// A user message is added first; the other hooks are not asked. This is how to steer an agent that is at work.
    Say(String),
    /// The run ends as [`ExitReason::Stopped`](entropo_core::ExitReason::Stopped), for this reason.
    Stop(String),
}

/// What happens after a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AfterModel {
    /// Its calls are carried out.
    GoOn,
    /// The run ends as [`ExitReason::Stopped`](entropo_core::ExitReason::Stopped), for this reason.
    Stop(String),
}

/// What happens in the place of a call.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum BeforeTool {
    /// It is carried out.
    Allow,
    /// It is carried out with these arguments. The conversation keeps what the model wrote.
    Rewrite(Value),
    /// It is not carried out; the model reads this.
    Refuse(String),
    /// The [`Approver`] decides, and is told this.
    Ask(String),
    /// The run ends as [`ExitReason::Stopped`](entropo_core::ExitReason::Stopped), for this reason.
    Stop(String),
}

/// What happens to an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AfterTool {
    /// The model reads it.
    Keep,
    /// The model reads this instead.
    Replace(String),
    /// The run ends as [`ExitReason::Stopped`](entropo_core::ExitReason::Stopped), for this reason.
    Stop(String),
}
