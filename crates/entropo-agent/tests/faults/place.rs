//! Where the rollouts act.

use std::process::Stdio;
use std::sync::Arc;

use async_trait::async_trait;
use entropo_agent::{
    CallError, CancellationToken, DynTool, Environment, EnvironmentError, Episode, ToolOutput, Toolbox,
};
use entropo_core::{ExitReason, Message, Outcome, RolloutId, Task, ToolSpec};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::support::toolbox;

/// Opens any task.
pub(crate) struct Places;

struct Place {
    task: String,
    toolbox: Toolbox,
}

#[async_trait]
impl Environment for Places {
    async fn open(&self, task: &Task, _: &RolloutId, _: u64) -> Result<Box<dyn Episode>, EnvironmentError> {
        let mut toolbox = toolbox();
        let (name, description) = ("sleep".to_owned(), String::new());
        toolbox.push(Arc::new(Sleep(ToolSpec { name, description, parameters: json!({}) }))).unwrap();
        Ok(Box::new(Place { task: task.id.clone(), toolbox }))
    }
}

#[async_trait]
impl Episode for Place {
    fn messages(&self) -> Vec<Message> {
        vec![Message::system("Work."), Message::user(&self.task)]
    }

    fn toolbox(&self) -> &Toolbox {
        &self.toolbox
    }

    async fn close(self: Box<Self>, exit: ExitReason) -> Result<Outcome, EnvironmentError> {
        Ok(Outcome { patch: format!("{exit:?}"), ..Outcome::default() })
    }
}

/// Waits for a child that would outlive the test.
struct Sleep(ToolSpec);

#[async_trait]
impl DynTool for Sleep {
    fn spec(&self) -> &ToolSpec {
        &self.0
    }

    async fn call(&self, _: &Value, _: &CancellationToken) -> Result<ToolOutput, CallError> {
        let status = Command::new("sleep").arg("600").stdout(Stdio::null()).kill_on_drop(true).status().await.unwrap();
        Ok(ToolOutput::text(status.to_string()))
    }
}
