//! The tool with which an agent finds text in its workspace.
//!
//! It searches in this process with ripgrep's own libraries: in linear time whatever the pattern, past binary files and
//! past what `.gitignore` names. Output is sorted, so that the same call gives the same answer.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use entropo_agent::{Tool, ToolError, ToolOutput};
use grep_regex::{RegexMatcher, RegexMatcherBuilder};
use grep_searcher::{BinaryDetection, Searcher, SearcherBuilder, Sink, SinkFinish, SinkMatch};
use ignore::WalkBuilder;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use crate::paths::{Kind, Located, Root};

/// Lines shown at most.
const MAX_LINES: usize = 100;
/// Characters of a line shown at most.
const MAX_CHARS: usize = 200;
/// Memory for one line, in bytes; files with longer lines are left out.
const HEAP_LIMIT: usize = 16 << 20;

/// Finds lines in the files of a workspace.
#[derive(Debug)]
pub struct Search {
    root: Root,
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

fn everything() -> String {
    ".".to_owned()
}

impl Search {
    /// A search in the files below `root`.
    ///
    /// # Errors
    ///
    /// Where `root` does not exist.
    pub fn new(root: impl AsRef<Path>) -> io::Result<Self> {
        Ok(Self { root: Root::new(root)? })
    }
}

impl Tool for Search {
    const NAME: &'static str = "search";
    type Args = SearchArgs;

    fn description(&self) -> String {
        "Find the lines that match a regular expression. Each is shown as path:line:text.".to_owned()
    }

    async fn call(&self, arguments: SearchArgs, cancel: &CancellationToken) -> Result<ToolOutput, ToolError> {
        if arguments.query.is_empty() || arguments.query.contains('\n') {
            return Err(ToolError::new("query must be one line and not empty."));
        }
        let place = self.root.existing(&arguments.path).map_err(ToolError::new)?;
        let (root, cancel) = (self.root.clone(), cancel.clone());
        let found = tokio::task::spawn_blocking(move || {
            let matcher = matcher(&arguments.query).map_err(|error| ToolError::new(format!("query: {error}.")))?;
            let found = find(&matcher, &root, &place, &cancel);
            Ok(found.show(&arguments.query))
        });
        found.await.map_err(|error| ToolError::new(format!("The search failed: {error}.")))?.map(ToolOutput::text)
    }
}

/// The query as a regular expression, else as literal text.
fn matcher(query: &str) -> Result<RegexMatcher, grep_regex::Error> {
    let mut builder = RegexMatcherBuilder::new();
    builder.line_terminator(Some(b'\n'));
    builder.build(query).or_else(|_| builder.fixed_strings(true).build(query))
}

/// Matching lines: the first ones, and how many there are beyond.
#[derive(Default)]
struct Found {
    lines: Vec<String>,
    more: usize,
}

impl Found {
    fn add(&mut self, lines: Vec<String>) {
        let room = MAX_LINES - self.lines.len();
        self.more += lines.len().saturating_sub(room);
        self.lines.extend(lines.into_iter().take(room));
    }

    fn show(mut self, query: &str) -> String {
        if self.lines.is_empty() {
            return format!("No match for \"{query}\".");
        }
        if self.more > 0 {
            self.lines.push(format!("[{} more lines; narrow the query or the path]", self.more));
        }
        self.lines.join("\n")
    }
}

fn find(matcher: &RegexMatcher, root: &Root, place: &Located, cancel: &CancellationToken) -> Found {
    let mut searcher = SearcherBuilder::new()
        .binary_detection(BinaryDetection::quit(b'\0'))
        .heap_limit(Some(HEAP_LIMIT))
        .line_number(true)
        .build();
    let mut found = Found::default();
    for path in files(root, place) {
        if cancel.is_cancelled() {
            break;
        }
        let name = path.strip_prefix(root.path()).unwrap_or(&path).to_string_lossy();
        let mut lines = Lines { name: &name, lines: Vec::new(), binary: false };
        let searched = open(root, &path).and_then(|file| searcher.search_file(matcher, &file, &mut lines));
        match searched {
            Ok(()) if !lines.binary => found.add(lines.lines),
            Ok(()) => {}
            Err(error) => tracing::debug!(path = %path.display(), %error, "left out of a search"),
        }
    }
    found
}

/// Opens a file that the walk came by. By now a link could be in its place or above it, so that it is found anew.
fn open(root: &Root, path: &Path) -> io::Result<File> {
    let file = root.found(path).ok_or(io::ErrorKind::NotFound)?.open()?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::ErrorKind::InvalidInput.into()) }
}

/// The files to search, sorted by path. Ignore files count even where there is no repository, those above the workspace
/// do not.
fn files(root: &Root, place: &Located) -> Vec<PathBuf> {
    let walk = WalkBuilder::new(root.path())
        .parents(false)
        .ignore(false)
        .git_global(false)
        .git_exclude(false)
        .require_git(false)
        .build();
    let entries = walk.flatten().filter(|entry| entry.file_type().is_some_and(|kind| kind.is_file()));
    let mut files: Vec<PathBuf> = entries.map(ignore::DirEntry::into_path).collect();
    files.retain(|path| path.starts_with(&place.real));
    if place.kind == Kind::File && files.is_empty() {
        files.push(place.real.clone());
    }
    files.sort_unstable_by(|a, b| a.as_os_str().cmp(b.as_os_str()));
    files
}

/// The matching lines of one file.
struct Lines<'a> {
    name: &'a str,
    lines: Vec<String>,
    binary: bool,
}

impl Sink for Lines<'_> {
    type Error = io::Error;

    fn matched(&mut self, _: &Searcher, found: &SinkMatch<'_>) -> io::Result<bool> {
        for (line, number) in found.lines().zip(found.line_number().unwrap_or_default()..) {
            let line = String::from_utf8_lossy(line);
            let line = line.trim_end_matches(['\n', '\r']);
            let (shown, rest) = line.split_at(line.char_indices().nth(MAX_CHARS).map_or(line.len(), |(end, _)| end));
            let mark = if rest.is_empty() { "" } else { "…" };
            self.lines.push(format!("{}:{number}:{shown}{mark}", self.name));
        }
        Ok(true)
    }

    fn finish(&mut self, _: &Searcher, end: &SinkFinish) -> io::Result<()> {
        self.binary = end.binary_byte_offset().is_some();
        Ok(())
    }
}
