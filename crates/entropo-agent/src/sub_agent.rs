//! Agents as tools of other agents.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use entropo_core::{Message, RolloutId, ToolSpec, Trajectory};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::agent::Agent;
use crate::environment::Conversation;
use crate::observe::Observer;
use crate::seed::rollout_seed;
use crate::tool::{Arguments, CallError, Concurrency, DynTool, ToolOutput, Toolbox, ToolboxError};

/// An agent that another one calls like a tool: it is given a task in words, works on it with tools of its own and in a
/// context of its own, and gives back what it says when it finishes. The caller's context grows by that only.
///
/// Its own limits hold, and what it uses counts towards the caller's. It ends when the caller does. The name and the
/// description that the caller's model reads are free, so that an agent may have several.
///
/// ```
/// # use std::sync::Arc;
/// use entropo_agent::{Agent, ScriptedModel, SubAgent, Toolbox};
///
/// # fn main() -> Result<(), entropo_agent::tool::ToolboxError> {
/// # let model = Arc::new(ScriptedModel::new("m", Vec::new()));
/// let readers_tools = Toolbox::new(); // search and finish, say
/// let reader = SubAgent::new("reader", "Reads code and answers a question about it.", Agent::new(model), readers_tools);
/// let mut toolbox = Toolbox::new();
/// toolbox.push(reader.instructions("Answer in three sentences, with paths and lines.").into_tool()?)?;
/// # Ok(()) }
/// ```
pub struct SubAgent {
    name: String,
    description: String,
    instructions: String,
    agent: Agent,
    toolbox: Toolbox,
    observer: Arc<dyn Observer>,
    concurrency: Concurrency,
}

#[derive(Deserialize, JsonSchema)]
struct Delegated {
    /// What is to be done, with everything that must be known for it: nothing else of this conversation is seen.
    task: String,
}

impl SubAgent {
    /// A sub-agent whose conversation begins with `instructions` and the task. One tool of `toolbox` must finish.
    pub fn new(name: impl Into<String>, description: impl Into<String>, agent: Agent, toolbox: Toolbox) -> Self {
        Self {
            name: name.into(),
            description: description.into(),
            instructions: "Do the task that you are given, and finish with what was asked for.".to_owned(),
            agent,
            toolbox,
            observer: Arc::new(()),
            concurrency: Concurrency::Alone,
        }
    }

    /// Sets what it is told before the task.
    #[must_use]
    pub fn instructions(self, instructions: impl Into<String>) -> Self {
        Self { instructions: instructions.into(), ..self }
    }

    /// Sets who watches it. Its rollouts are named `<name>#<number>`, where the number follows from the task.
    #[must_use]
    pub fn observer(self, observer: Arc<dyn Observer>) -> Self {
        Self { observer, ..self }
    }

    /// Sets whether several of its tasks may be worked on together. Say so only if its tools allow it.
    #[must_use]
    pub fn concurrency(self, concurrency: Concurrency) -> Self {
        Self { concurrency, ..self }
    }

    /// The tool, for [`Toolbox::push`].
    ///
    /// # Errors
    /// [`ToolboxError::Schema`], which would be a fault of this crate.
    pub fn into_tool(self) -> Result<Arc<dyn DynTool>, ToolboxError> {
        let name = self.name.clone();
        let (parameters, arguments) = Arguments::of::<Delegated>(&name)?;
        let spec = ToolSpec { name, description: self.description.clone(), parameters };
        Ok(Arc::new(Delegate { spec, arguments, sub_agent: self, tasks: AtomicUsize::new(0) }))
    }
}

/// A sub-agent as the loop sees it.
struct Delegate {
    spec: ToolSpec,
    arguments: Arguments,
    sub_agent: SubAgent,
    /// How many tasks it was given.
    tasks: AtomicUsize,
}

#[async_trait]
impl DynTool for Delegate {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn concurrency(&self) -> Concurrency {
        self.sub_agent.concurrency
    }

    async fn call(&self, arguments: &Value, cancel: &CancellationToken) -> Result<ToolOutput, CallError> {
        let name = &self.spec.name;
        let Delegated { task } = self.arguments.read(arguments)?;
        let SubAgent { agent, toolbox, instructions, observer, .. } = &self.sub_agent;
        let id = RolloutId::new(name, self.tasks.fetch_add(1, Ordering::Relaxed));
        let messages = vec![Message::system(instructions), Message::user(task)];
        let episode = Box::new(Conversation::new(messages, toolbox.clone()));
        let seed = rollout_seed(0, &id);
        let trajectory = agent.run(id, seed, episode, cancel, observer.as_ref()).await;
        report(name, trajectory)
    }
}

/// What the caller reads.
fn report(name: &str, trajectory: Trajectory) -> Result<ToolOutput, CallError> {
    let usage = trajectory.usage;
    let last = trajectory.messages.last().map(Message::content).unwrap_or_default();
    let content = if trajectory.exit.is_finished() {
        last.to_owned()
    } else {
        let error = trajectory.error.as_deref().map(|error| format!(", {error}")).unwrap_or_default();
        format!("{name} ended without finishing ({:?}{error}). Its last message was: {last}", trajectory.exit)
    };
    Ok(ToolOutput { usage, ..ToolOutput::text(content) })
}
