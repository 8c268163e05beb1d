//! The tool with which an agent finds text, for models that know `grep`.
//!
//! It does what [`Search`](super::Search) does and more: names of files, hidden files, any case, literal text. What is
//! no regular expression is refused, since there is an argument by which to say that none was meant.

use std::io;
use std::path::Path;

use entropo_agent::{Tool, ToolError, ToolOutput};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use super::everything;
use super::glob::Pattern;
use super::query::{self, Reading};
use super::scan::Scan;
use super::walk::Walk;
use crate::paths::Root;

/// Finds lines in the files of a workspace, or the files that have them.
#[derive(Debug)]
pub struct Grep {
    root: Root,
    threads: usize,
}

/// What [`Grep`] looks for.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(description = "")]
pub struct GrepArgs {
    /// A regular expression.
    pub pattern: String,
    /// The file or directory to search, relative to the workspace; everything if left out.
    #[serde(default = "everything")]
    pub path: String,
    /// Only files that match, such as *.rs or src/**/*.rs.
    pub glob: Option<String>,
    /// Whether the pattern is plain text.
    #[serde(default)]
    pub literal: bool,
    /// Whether case is ignored.
    #[serde(default)]
    pub ignore_case: bool,
    /// Whether to include hidden files.
    #[serde(default)]
    pub hidden: bool,
    /// The lines, or the files with the number of their lines.
    #[serde(default)]
    pub show: Show,
}

/// What [`Grep`] shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it, and documentation here would lengthen the schema the model reads")]
pub enum Show {
    #[default]
    Lines,
    Files,
}

impl Grep {
    /// A search in the files below `root`.
    ///
    /// # Errors
    ///
    /// Where `root` does not exist.
    pub fn new(root: impl AsRef<Path>) -> io::Result<Self> {
        Ok(Self { root: Root::new(root)?, threads: 0 })
    }

    /// Searches with so many threads; zero for as many as there are processors, up to eight.
    #[must_use]
    pub fn with_threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }
}

impl Tool for Grep {
    const NAME: &'static str = "grep";
    type Args = GrepArgs;

    fn description(&self) -> String {
        "Find the lines that match a regular expression, shown as path:line:text, or the files, shown as path:count."
            .to_owned()
    }

    async fn call(&self, arguments: GrepArgs, cancel: &CancellationToken) -> Result<ToolOutput, ToolError> {
        let reading = Reading { literal: arguments.literal, ignore_case: arguments.ignore_case };
        let refused = |error| ToolError::new(format!("pattern {error}."));
        let matcher = query::compile(&arguments.pattern, reading).map_err(refused)?;
        let pattern = arguments.glob.as_deref().map(Pattern::new).transpose();
        let pattern = pattern.map_err(|error| ToolError::new(format!("glob {error}.")))?;
        let place = self.root.existing(&arguments.path).map_err(ToolError::new)?;
        let (root, threads, cancel) = (self.root.clone(), self.threads, cancel.clone());
        let found = tokio::task::spawn_blocking(move || {
            let walk = Walk { root: &root, place: &place, hidden: arguments.hidden, insist: true, threads };
            let files_only = arguments.show == Show::Files;
            let found = Scan { matcher, walk, pattern, files_only }.run(&cancel);
            let things = if files_only { "files" } else { "lines" };
            found.show(&arguments.pattern, things, "narrow the pattern, the path or the glob")
        });
        let found = found.await.map_err(|error| ToolError::new(format!("The search failed: {error}.")))?;
        Ok(ToolOutput::text(found))
    }
}
