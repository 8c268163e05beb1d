//! A place to work on code: a workspace, the tools that act in it, and what the agent is told.

use std::sync::Arc;

use async_trait::async_trait;
use entropo_agent::{EnvironmentError, Episode, Toolbox};
use entropo_core::{ExitReason, Message, Outcome};

use crate::{LocalSandbox, ToolsError, Workspace, coding_tools};

/// What an agent is told first, unless it is told something else.
const INSTRUCTIONS: &str = "You are a programmer at work on the repository in the current directory. Solve the issue that you \
    are given: look at the code, reproduce the problem, change what is needed and no more, and check that it works. Paths are \
    relative to the repository. When you are done, call finish.";

/// An [`Episode`] in a workspace. Closing it gives the changes as a patch; nobody judges them.
///
/// ```
/// use entropo_agent::Episode;
/// use entropo_core::ExitReason;
/// use entropo_tools::{CodingEpisode, Workspace};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let workspace = Workspace::from_files([("greet.sh", "echo helo\n", true)]).await?;
/// let episode = CodingEpisode::new(workspace, "It should say hello.")?;
/// std::fs::write(episode.workspace().root().join("greet.sh"), "echo hello\n")?; // the agent's work
/// let outcome = Box::new(episode).close(ExitReason::Agent).await?;
/// assert!(outcome.patch.contains("+echo hello"));
/// # Ok(())
/// # }
/// ```
pub struct CodingEpisode {
    workspace: Workspace,
    toolbox: Toolbox,
    messages: Vec<Message>,
}

impl CodingEpisode {
    /// An agent that is told to solve `issue` in `workspace`, with the [`coding_tools`] in a [`LocalSandbox`].
    ///
    /// # Errors
    /// Those of [`coding_tools`].
    pub fn new(workspace: Workspace, issue: impl Into<String>) -> Result<Self, ToolsError> {
        let sandbox = Arc::new(LocalSandbox::new(workspace.root())?);
        let toolbox = coding_tools(sandbox, workspace.root())?;
        Ok(Self { workspace, toolbox, messages: vec![Message::system(INSTRUCTIONS), Message::user(issue)] })
    }

    /// Sets what it is told before the issue.
    #[must_use]
    pub fn instructions(mut self, instructions: impl Into<String>) -> Self {
        if let Some(first) = self.messages.first_mut() {
            *first = Message::system(instructions);
        }
        self
    }

    /// Sets the tools, which should act in the workspace.
    #[must_use]
    pub fn tools(self, toolbox: Toolbox) -> Self {
        Self { toolbox, ..self }
    }

    /// Where it works.
    pub fn workspace(&self) -> &Workspace {
        &self.workspace
    }
}

#[async_trait]
impl Episode for CodingEpisode {
    fn messages(&self) -> Vec<Message> {
        self.messages.clone()
    }

    fn toolbox(&self) -> &Toolbox {
        &self.toolbox
    }

    async fn close(self: Box<Self>, _: ExitReason) -> Result<Outcome, EnvironmentError> {
        let task = || self.workspace.root().display().to_string();
        let patch = self.workspace.patch().await;
        let patch = patch.map_err(|source| EnvironmentError { task: task(), source: source.into() })?;
        Ok(Outcome { patch, ..Outcome::default() })
    }
}
