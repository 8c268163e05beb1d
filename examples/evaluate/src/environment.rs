//! Instances as an agent meets them.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use entropo_agent::{Environment, EnvironmentError, Episode};
use entropo_core::format::swe_bench::Instance;
use entropo_core::{RolloutId, Task};
use entropo_tools::{CodingEpisode, Sandbox, Workspace, coding_tools};

use crate::failure::Failure;
use crate::ground::Grounds;

/// Opens instances. Nothing of a row but its problem reaches the agent: no solution, no tests, no history.
pub(crate) struct Instances {
    grounds: Grounds,
    instances: HashMap<String, Arc<Instance>>,
}

impl Instances {
    pub(crate) fn new(grounds: Grounds, instances: &[Arc<Instance>]) -> Self {
        let instances = instances.iter().map(|one| (one.id().to_owned(), Arc::clone(one))).collect();
        Self { grounds, instances }
    }

    async fn place(&self, task: &Task) -> Result<CodingEpisode, Box<dyn std::error::Error + Send + Sync>> {
        let instance = self.instances.get(&task.id).ok_or_else(|| Failure::task(&task.id, "there is no such row"))?;
        let files = self.grounds.files(instance).await?;
        let workspace = Workspace::of((*files).clone()).await?;
        let sandbox: Arc<dyn Sandbox> = Arc::from(self.grounds.open(instance, workspace.root()).await?);
        let tools = coding_tools(sandbox, workspace.root())?;
        Ok(CodingEpisode::new(workspace, &task.problem)?.tools(tools))
    }
}

#[async_trait]
impl Environment for Instances {
    async fn open(&self, task: &Task, _: &RolloutId, _: u64) -> Result<Box<dyn Episode>, EnvironmentError> {
        match self.place(task).await {
            Ok(episode) => Ok(Box::new(episode)),
            Err(source) => Err(EnvironmentError { task: task.id.clone(), source }),
        }
    }
}
