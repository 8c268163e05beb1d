//! The lab's tasks as an environment: real directories, real processes, entropo's own tools.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use entropo::agent::{CancellationToken, Environment, EnvironmentError, Episode, Toolbox};
use entropo::core::{ExitReason, Message, Outcome, RolloutId, Task};
use entropo::tools::{Command, LocalSandbox, Sandbox, Snapshot, Workspace, coding_tools};

use crate::task::LabTask;

/// What every agent in the lab is told first.
pub const SYSTEM: &str = "You repair sh code. Find the bug, edit it, run `sh test.sh`, then finish.";

/// How long the tests of an attempt may take. They take milliseconds unless the agent wrote an endless loop.
const TEST_TIMEOUT: Duration = Duration::from_secs(5);

/// A set of lab tasks that can be opened.
#[derive(Clone, Debug, Default)]
pub struct Lab {
    places: Arc<BTreeMap<String, Place>>,
}

#[derive(Debug)]
struct Place {
    task: Arc<LabTask>,
    snapshot: Arc<Snapshot>,
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl Lab {
    /// A lab with these tasks.
    pub fn new(tasks: &[Arc<LabTask>]) -> Result<Self, EnvironmentError> {
        let place = |task: &Arc<LabTask>| {
            let files = task.files.iter().map(|(path, text)| (path.clone(), text.clone(), false));
            let snapshot = Snapshot::from_files(files)
                .map_err(|source| EnvironmentError { task: task.id.clone(), source: source.into() })?;
            Ok((task.id.clone(), Place { task: Arc::clone(task), snapshot: Arc::new(snapshot) }))
        };
        Ok(Self { places: Arc::new(tasks.iter().map(place).collect::<Result<_, _>>()?) })
    }

    /// What an agent may know of a lab task.
    pub fn task(task: &LabTask) -> Arc<Task> {
        Arc::new(Task::new(&task.id, &task.issue))
    }

    async fn attempt(&self, task: &Task) -> Result<Attempt, BoxError> {
        let place = self.places.get(&task.id).ok_or("the lab has no such task")?;
        let workspace = Workspace::of(Arc::clone(&place.snapshot)).await?;
        let sandbox = Arc::new(LocalSandbox::new(workspace.root())?);
        let toolbox = coding_tools(Arc::clone(&sandbox) as Arc<dyn Sandbox>, workspace.root())?;
        Ok(Attempt { task: Arc::clone(&place.task), workspace, sandbox, toolbox })
    }
}

#[async_trait]
impl Environment for Lab {
    async fn open(&self, task: &Task, _: &RolloutId, _: u64) -> Result<Box<dyn Episode>, EnvironmentError> {
        match self.attempt(task).await {
            Ok(attempt) => Ok(Box::new(attempt)),
            Err(source) => Err(EnvironmentError { task: task.id.clone(), source }),
        }
    }
}

/// One attempt at one task.
struct Attempt {
    task: Arc<LabTask>,
    workspace: Workspace,
    sandbox: Arc<LocalSandbox>,
    toolbox: Toolbox,
}

impl Attempt {
    /// The attempt's changes and what the tests say of them. The tests are those of the task, whatever the agent did to
    /// its own copy, and the hidden ones never lie in the workspace.
    async fn judge(&self) -> Result<Outcome, BoxError> {
        let patch = self.workspace.patch().await?;
        let visible = self.task.files.get("test.sh").map(String::as_str).unwrap_or_default();
        let visible = self.run(visible).await?;
        let (reproduction, regression) = (visible.first().copied(), visible.get(1..).unwrap_or_default());
        let hidden = self.run(&self.task.hidden).await?;
        let solved = !hidden.is_empty() && hidden.iter().all(|&passed| passed);
        let scores = [
            ("reproduction".to_owned(), f64::from(reproduction == Some(true))),
            ("regression".to_owned(), regression.iter().filter(|&&passed| passed).count() as f64),
        ];
        Ok(Outcome { patch, reward: Some(f64::from(solved)), scores: scores.into_iter().collect() })
    }

    /// Which checks of a script pass, in order.
    async fn run(&self, script: &str) -> Result<Vec<bool>, BoxError> {
        let command = Command::script(script).timeout(TEST_TIMEOUT);
        let result = self.sandbox.exec(command, &CancellationToken::new()).await?;
        let lines = result.output.head.lines();
        Ok(lines
            .filter(|line| line.starts_with("ok ") || line.starts_with("not ok "))
            .map(|line| line.starts_with("ok "))
            .collect())
    }
}

#[async_trait]
impl Episode for Attempt {
    fn messages(&self) -> Vec<Message> {
        vec![Message::system(SYSTEM), Message::user(&self.task.issue)]
    }

    fn toolbox(&self) -> &Toolbox {
        &self.toolbox
    }

    async fn close(self: Box<Self>, _: ExitReason) -> Result<Outcome, EnvironmentError> {
        self.judge().await.map_err(|source| EnvironmentError { task: self.task.id.clone(), source })
    }
}
