//! Answers that are a Rust type.
//!
//! [`Agent::run_typed`] gives the agent one more tool, whose arguments are the type: calling it is the answer and ends the
//! rollout. It works with every model that calls tools, beside other tools, and what does not fit the type is refused with
//! the same words as any other misfit call, so that the model can mend it.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use entropo_core::{ExitReason, Message, Outcome, RolloutId, Trajectory};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use crate::agent::Agent;
use crate::environment::{EnvironmentError, Episode};
use crate::observe::Observer;
use crate::tool::{Tool, ToolError, ToolOutput, Toolbox, ToolboxError};

/// The name of the tool by which an answer is given.
pub const ANSWER: &str = "answer";

/// A rollout, and the answer that it gave.
#[derive(Clone, Debug, PartialEq)]
pub struct Typed<T> {
    /// What was answered.
    pub value: T,
    /// How.
    pub trajectory: Trajectory,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TypedError {
    /// The tools cannot be put together: the episode has a tool named `answer`, or the type's schema is none.
    #[error(transparent)]
    Toolbox(#[from] ToolboxError),
    /// The rollout ended before it answered.
    #[error("rollout {} ended without an answer: {:?}{}", .0.id, .0.exit, reason(.0))]
    NoAnswer(Box<Trajectory>),
}

fn reason(trajectory: &Trajectory) -> String {
    trajectory.error.as_deref().map(|error| format!(" ({error})")).unwrap_or_default()
}

impl Agent {
    /// Acts in `episode` until the model answers with a `T`, through a tool named [`ANSWER`].
    ///
    /// ```
    /// # use std::sync::Arc;
    /// use entropo_agent::{Agent, CancellationToken, Conversation, ScriptedModel, Toolbox};
    /// use entropo_core::{AssistantMessage, Message, RolloutId, ToolCall};
    /// # use serde_json::json;
    ///
    /// /// A verdict on a change.
    /// #[derive(serde::Deserialize, schemars::JsonSchema)]
    /// struct Review {
    ///     /// Whether it may be merged.
    ///     merge: bool,
    ///     /// What is wrong with it.
    ///     problems: Vec<String>,
    /// }
    ///
    /// # let arguments = json!({"merge": false, "problems": ["no test"]});
    /// # let call = ToolCall { id: String::new(), name: "answer".to_owned(), arguments };
    /// # let model = ScriptedModel::new("m", vec![AssistantMessage { tool_calls: vec![call], ..AssistantMessage::default() }]);
    /// # let rt = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    /// # rt.block_on(async {
    /// let episode = Conversation::new(vec![Message::user("Review this: …")], Toolbox::new());
    /// let (id, cancel) = (RolloutId::new("review", 0), CancellationToken::new());
    /// let review = Agent::new(Arc::new(model)).run_typed::<Review>(id, 0, Box::new(episode), &cancel, &()).await?;
    /// assert_eq!((review.value.merge, review.value.problems), (false, vec!["no test".to_owned()]));
    /// # Ok::<(), entropo_agent::TypedError>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// Those of [`TypedError`]; the trajectory is in the error then.
    pub async fn run_typed<T>(
        &self,
        id: RolloutId,
        seed: u64,
        episode: Box<dyn Episode>,
        cancel: &CancellationToken,
        observer: &dyn Observer,
    ) -> Result<Typed<T>, TypedError>
    where
        T: DeserializeOwned + JsonSchema + Send + 'static,
    {
        let given = Arc::new(Mutex::new(None));
        let toolbox = episode.toolbox().clone().with(Answer(Arc::clone(&given)))?;
        let trajectory = self.run(id, seed, Box::new(Asked { episode, toolbox }), cancel, observer).await;
        let value = given.lock().unwrap_or_else(PoisonError::into_inner).take();
        match value {
            Some(value) if trajectory.exit.is_finished() => Ok(Typed { value, trajectory }),
            _ => Err(TypedError::NoAnswer(Box::new(trajectory))),
        }
    }
}

/// Keeps the answer.
struct Answer<T>(Arc<Mutex<Option<T>>>);

impl<T: DeserializeOwned + JsonSchema + Send + 'static> Tool for Answer<T> {
    const NAME: &'static str = ANSWER;
    type Args = T;

    fn description(&self) -> String {
        "Gives the final answer and ends the task.".to_owned()
    }

    async fn call(&self, answer: T, _: &CancellationToken) -> Result<ToolOutput, ToolError> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
        Ok(ToolOutput::finish("Answered."))
    }
}

/// An episode with one more tool.
struct Asked {
    episode: Box<dyn Episode>,
    toolbox: Toolbox,
}

#[async_trait]
impl Episode for Asked {
    fn messages(&self) -> Vec<Message> {
        self.episode.messages()
    }

    fn toolbox(&self) -> &Toolbox {
        &self.toolbox
    }

    async fn close(self: Box<Self>, exit: ExitReason) -> Result<Outcome, EnvironmentError> {
        self.episode.close(exit).await
    }
}
