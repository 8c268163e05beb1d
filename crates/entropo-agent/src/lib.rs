//! The multi-turn tool-calling loop, parallel rollouts and the hybrid selector.
//!
//! An [`Environment`] opens a task into an [`Episode`]: first messages and a [`Toolbox`]. An [`Agent`] asks its
//! [`ChatModel`] for the next message, carries out the tool calls in it, and goes on until the model calls a tool that
//! finishes or a [limit](Limits) is reached. Closing the episode tells what was achieved, and all of it is a
//! [`Trajectory`](entropo_core::Trajectory).
//!
//! ```
//! use std::sync::Arc;
//!
//! use async_trait::async_trait;
//! use entropo_agent::{
//!     Agent, CancellationToken, Environment, EnvironmentError, Episode, RolloutJob, Rollouts, ScriptedModel, Selector,
//!     Tool, ToolError, ToolOutput, Toolbox,
//! };
//! use entropo_core::{AssistantMessage, ExitReason, Message, Outcome, RolloutId, Task, ToolCall};
//! use schemars::JsonSchema;
//! use serde::Deserialize;
//! use serde_json::json;
//!
//! // A tool: a name, arguments, a description and what it does.
//! struct Answer;
//!
//! #[derive(Deserialize, JsonSchema)]
//! struct AnswerArgs {
//!     /// The number that was asked for.
//!     number: i64,
//! }
//!
//! impl Tool for Answer {
//!     const NAME: &'static str = "answer";
//!     type Args = AnswerArgs;
//!
//!     fn description(&self) -> String {
//!         "Gives the answer and ends the task.".to_owned()
//!     }
//!
//!     async fn call(&self, args: AnswerArgs, _: &CancellationToken) -> Result<ToolOutput, ToolError> {
//!         if args.number < 0 {
//!             return Err(ToolError::new("The answer is not negative."));
//!         }
//!         Ok(ToolOutput::finish(args.number.to_string()))
//!     }
//! }
//!
//! // An environment: opens tasks into episodes.
//! struct Riddles;
//!
//! struct Riddle {
//!     question: String,
//!     toolbox: Toolbox,
//! }
//!
//! #[async_trait]
//! impl Environment for Riddles {
//!     async fn open(&self, task: &Task, _: &RolloutId, _: u64) -> Result<Box<dyn Episode>, EnvironmentError> {
//!         let toolbox = Toolbox::new()
//!             .with(Answer)
//!             .map_err(|error| EnvironmentError { task: task.id.clone(), source: error.into() })?;
//!         Ok(Box::new(Riddle { question: task.problem.clone(), toolbox }))
//!     }
//! }
//!
//! #[async_trait]
//! impl Episode for Riddle {
//!     fn messages(&self) -> Vec<Message> {
//!         vec![Message::user(&self.question)]
//!     }
//!
//!     fn toolbox(&self) -> &Toolbox {
//!         &self.toolbox
//!     }
//!
//!     async fn close(self: Box<Self>, exit: ExitReason) -> Result<Outcome, EnvironmentError> {
//!         Ok(Outcome { reward: Some(f64::from(exit.is_finished())), ..Outcome::default() })
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // A model that first gets the arguments wrong, then reads the tool's complaint.
//! let say = |number| AssistantMessage {
//!     tool_calls: vec![ToolCall { id: String::new(), name: "answer".to_owned(), arguments: json!({"number": number}) }],
//!     ..AssistantMessage::default()
//! };
//! let model = ScriptedModel::new("scripted", vec![say("forty-two"), say("42")]);
//!
//! let task = Arc::new(Task::new("ultimate", "What is the answer?"));
//! let jobs = (0..4).map(|number| RolloutJob::new(&task, number, 7)).collect();
//! let rollouts = Rollouts::new(Agent::new(Arc::new(model)), Arc::new(Riddles)).concurrency(2);
//! let trajectories = rollouts.run(jobs, &CancellationToken::new(), |done| assert!(done.is_solved())).await;
//!
//! let complaint = "Invalid arguments for answer: \"number\" must be an integer, got \"forty-two\".";
//! assert_eq!(trajectories[0].messages[2].content(), complaint);
//! assert_eq!(trajectories[0].exit, ExitReason::Agent);
//!
//! let candidates: Vec<_> = trajectories.iter().collect();
//! let selection = Selector::hybrid().select(&candidates)?;
//! assert_eq!((selection.chosen, selection.tied), (Some(RolloutId::new("ultimate", 0)), 4));
//! # Ok(())
//! # }
//! ```
//!
//! # What is where
//!
//! * [`run`]: the loop as a serialisable value that does nothing itself; [`agent`] drives it, [`rollout`] drives many,
//!   [`session`] keeps it on disk.
//! * [`model`], [`environment`], [`tool`], [`observe`]: what to implement. All are object-safe, so each is a run-time
//!   choice; [`Tool`] is typed sugar over [`DynTool`].
//! * [`hook`]: having a say in every step, and asking somebody; [`condense`]: staying within the model's context;
//!   [`limit`]: what ends a rollout otherwise.
//! * [`typed`]: answers that are a Rust type; [`sub_agent`]: agents as tools; [`telemetry`]: spans.
//! * `model::openai`, `model::anthropic` (features of these names): models behind servers; [`model::pool`] makes several
//!   one. `docs/models.md` says how to connect which.
//! * `mcp` (feature `mcp`): the tools of MCP servers.
//! * [`dialect`]: tool calls as text, for models that write text.
//! * [`select`]: which of many rollouts to submit; [`verifier`]: a model's judgement of them.
//! * [`view`]: rollouts as a page or as text to read.
//!
//! `docs/agent.md` tells what happens in a step, what ends a run and what it never does.
//!
//! Nothing that a model writes, a tool does or an environment breaks is an error of [`Agent::run`]: it is an
//! [`ExitReason`](entropo_core::ExitReason), and what happened until then is kept.

pub mod agent;
pub mod condense;
pub mod dialect;
mod drive;
pub mod environment;
pub mod hook;
pub mod limit;
#[cfg(feature = "mcp")]
pub mod mcp;
pub mod model;
pub mod observe;
pub mod rollout;
pub mod run;
#[cfg(any(feature = "openai", feature = "anthropic", feature = "mcp"))]
mod secret;
pub mod seed;
pub mod select;
pub mod session;
pub mod sub_agent;
pub mod telemetry;
pub mod tool;
pub mod typed;
mod unwind;
pub mod verifier;
pub mod view;

pub use agent::Agent;
pub use condense::{Condenser, DropObservations, Summarise};
pub use dialect::Dialect;
pub use environment::{Conversation, Environment, EnvironmentError, Episode};
pub use hook::{Approver, Hook, ToolRules};
pub use limit::Limits;
pub use model::replay::ReplayModel;
pub use model::scripted::ScriptedModel;
pub use model::{ChatModel, ChatRequest, ChatResponse, Delta, ModelError, SampledTokens, Sampling, StopReason};
pub use observe::{Event, Observer};
pub use rollout::{RolloutJob, Rollouts};
pub use run::{Fact, Run, Step};
pub use seed::{rollout_seed, turn_seed};
pub use select::{Selection, Selector, SelectorConfig, StageConfig};
pub use session::{Session, SessionError};
pub use sub_agent::SubAgent;
pub use tokio_util::sync::CancellationToken;
pub use tool::{CallError, Concurrency, DynTool, Tool, ToolError, ToolOutput, Toolbox};
pub use typed::{Typed, TypedError};
