//! The tool with which an agent finds text in its workspace: two arguments, and output that policies were trained on.

use std::io;
use std::path::Path;

use entropo_agent::{Tool, ToolError, ToolOutput};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use super::everything;
use super::query::{self, QueryError};
use super::scan::Scan;
use super::walk::Walk;
use crate::paths::Root;

/// Finds lines in the files of a workspace.
#[derive(Debug)]
pub struct Search {
    root: Root,
    hidden: bool,
    threads: usize,
}

/// What [`Search`] looks for.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(description = "")]
pub struct SearchArgs {
    /// A regular expression; taken literally if it is not a valid one.
    pub query: String,
    /// The file or directory to search, relative to the workspace; everything if left out.
    #[serde(default = "everything")]
    pub path: String,
}

impl Search {
    /// A search in the files below `root`.
    ///
    /// # Errors
    ///
    /// Where `root` does not exist.
    pub fn new(root: impl AsRef<Path>) -> io::Result<Self> {
        Ok(Self { root: Root::new(root)?, hidden: false, threads: 0 })
    }

    /// Searches hidden files too, except those of `.git`.
    #[must_use]
    pub fn with_hidden(mut self) -> Self {
        self.hidden = true;
        self
    }

    /// Searches with so many threads; zero for as many as there are processors, up to eight.
    #[must_use]
    pub fn with_threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }
}

impl Tool for Search {
    const NAME: &'static str = "search";
    type Args = SearchArgs;

    fn description(&self) -> String {
        "Find the lines that match a regular expression. Each is shown as path:line:text.".to_owned()
    }

    async fn call(&self, arguments: SearchArgs, cancel: &CancellationToken) -> Result<ToolOutput, ToolError> {
        let matcher = query::compile_leniently(&arguments.query).map_err(|error| match error {
            QueryError::NotOneLine => ToolError::new("query must be one line and not empty."),
            error => ToolError::new(format!("query {error}.")),
        })?;
        let place = self.root.existing(&arguments.path).map_err(ToolError::new)?;
        let (root, hidden, threads, cancel) = (self.root.clone(), self.hidden, self.threads, cancel.clone());
        let found = tokio::task::spawn_blocking(move || {
            let walk = Walk { root: &root, place: &place, hidden, insist: false, threads };
            let found = Scan { matcher, walk, pattern: None, files_only: false }.run(&cancel);
            found.show(&arguments.query, "lines", "narrow the query or the path")
        });
        let found = found.await.map_err(|error| ToolError::new(format!("The search failed: {error}.")))?;
        Ok(ToolOutput::text(found))
    }
}
