//! Coding agents that learn, in one process and without Python.
//!
//! An agent works in a sandboxed copy of a repository with real tools. Many rollouts of it in parallel give a pool of
//! attempts, of which a selector submits the best. The same attempts, token for token, train a local model with EntroPO
//! (entropy-regularised multi-turn DPO and KTO, arXiv 2509.12434), and the better model goes back into the agent.
//!
//! # The crates
//!
//! * [`core`]: trajectories, token traces, stores, preferences and statistics;
//! * [`agent`]: the loop, rollouts and the selector, over traits for models, tools and environments;
//! * `tools` (feature `tools`): shell, editor, search, sandboxes and workspaces;
//! * `train` (feature `train`): decoder, checkpoints, objectives, trainer and the local model. `cuda` and `wgpu` move it to
//!   a GPU.
//!
//! Both of these features are on by default. `openai` and `anthropic` add models behind servers (`agent::model::openai` and
//! `agent::model::anthropic`; `docs/models.md`), `mcp` tools of MCP servers (`agent::mcp`). Who brings a model and tools of
//! their own turns the defaults off and compiles neither burn nor a sandbox.
//!
//! # An example
//!
//! A scripted model in the place of a policy, with real tools on real files:
//!
//! ```
//! # #[cfg(feature = "tools")] {
//! use std::sync::Arc;
//!
//! use entropo::agent::{Agent, CancellationToken, Environment, EnvironmentError, Episode, ScriptedModel, Toolbox};
//! use entropo::core::{AssistantMessage, ExitReason, Message, Outcome, RolloutId, Task, ToolCall};
//! use entropo::tools::{LocalSandbox, Workspace, coding_tools};
//! use serde_json::json;
//!
//! /// A repository of one file.
//! struct Greeter;
//!
//! struct Attempt(Workspace, Toolbox);
//!
//! #[async_trait::async_trait]
//! impl Environment for Greeter {
//!     async fn open(&self, task: &Task, _: &RolloutId, _: u64) -> Result<Box<dyn Episode>, EnvironmentError> {
//!         let open = async {
//!             let workspace = Workspace::from_files([("greet.sh", "echo helo\n", true)]).await?;
//!             let sandbox = Arc::new(LocalSandbox::new(workspace.root())?);
//!             let tools = coding_tools(sandbox, workspace.root())?;
//!             Ok::<_, Box<dyn std::error::Error + Send + Sync>>(Attempt(workspace, tools))
//!         };
//!         match open.await {
//!             Ok(attempt) => Ok(Box::new(attempt)),
//!             Err(source) => Err(EnvironmentError { task: task.id.clone(), source }),
//!         }
//!     }
//! }
//!
//! #[async_trait::async_trait]
//! impl Episode for Attempt {
//!     fn messages(&self) -> Vec<Message> {
//!         vec![Message::user("`./greet.sh` should say hello.")]
//!     }
//!
//!     fn toolbox(&self) -> &Toolbox {
//!         &self.1
//!     }
//!
//!     async fn close(self: Box<Self>, _: ExitReason) -> Result<Outcome, EnvironmentError> {
//!         let patch = self.0.patch().await.unwrap_or_default();
//!         Ok(Outcome { patch, ..Outcome::default() })
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
//! let call = |name: &str, arguments| AssistantMessage {
//!     tool_calls: vec![ToolCall { id: String::new(), name: name.into(), arguments }],
//!     ..AssistantMessage::default()
//! };
//! let edit = json!({"command": "str_replace", "path": "greet.sh", "old_str": "helo", "new_str": "hello"});
//! let model = ScriptedModel::new("script", vec![call("editor", edit), call("finish", json!({}))]);
//!
//! let (task, id) = (Task::new("greet", "say hello"), RolloutId::new("greet", 0));
//! let episode = Greeter.open(&task, &id, 0).await?;
//! let trajectory = Agent::new(Arc::new(model)).run(id, 0, episode, &CancellationToken::new(), &()).await;
//! assert_eq!(trajectory.exit, ExitReason::Agent);
//! assert!(trajectory.outcome.patch.contains("+echo hello"));
//! # Ok(()) }
//! # main().unwrap();
//! # }
//! ```
//!
//! `cargo run --release --example quickstart` runs the whole loop: rollouts, selection, training and a comparison.

#[cfg(feature = "tools")]
mod doctor;

pub use entropo_agent as agent;
pub use entropo_core as core;
#[cfg(feature = "tools")]
pub use entropo_tools as tools;
#[cfg(feature = "train")]
pub use entropo_train as train;

#[cfg(feature = "tools")]
pub use doctor::{Diagnosis, Program, doctor};

pub mod prelude {
    //! What nearly every program that embeds an agent names: `use entropo::prelude::*;`.

    pub use crate::agent::{
        Agent, CancellationToken, ChatModel, Conversation, Environment, Episode, Event, Limits, Observer, Sampling,
        Session, Tool, ToolError, ToolOutput, Toolbox,
    };
    pub use crate::core::{ExitReason, Message, Outcome, RolloutId, Task, Trajectory};
    #[cfg(feature = "tools")]
    pub use crate::tools::{LocalSandbox, Workspace, coding_tools};
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
