//! The tool that shows what is defined where, so that an agent need not read a file to find its way in it.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use entropo_agent::{Tool, ToolError, ToolOutput};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use super::shown;
use super::walk::{Visitor, Walk};
use crate::files;
use crate::paths::{Kind, Located, Root};
use crate::syntax::{self, Definition, Language, Limits};

/// Definitions shown at most.
const MAX_DEFINITIONS: usize = 200;
/// Files looked into at most.
const MAX_FILES: usize = 200;

/// Shows the definitions of a file, or of the files of a directory.
#[derive(Debug)]
pub struct Outline {
    root: Root,
}

/// What [`Outline`] shows.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(description = "")]
pub struct OutlineArgs {
    /// The file or directory, relative to the workspace.
    pub path: String,
}

impl Outline {
    /// Outlines of the files below `root`.
    ///
    /// # Errors
    ///
    /// Where `root` does not exist.
    pub fn new(root: impl AsRef<Path>) -> io::Result<Self> {
        Ok(Self { root: Root::new(root)? })
    }
}

impl Tool for Outline {
    const NAME: &'static str = "outline";
    type Args = OutlineArgs;

    fn description(&self) -> String {
        "List the definitions of a source file, or of all in a directory, with their lines.".to_owned()
    }

    async fn call(&self, arguments: OutlineArgs, cancel: &CancellationToken) -> Result<ToolOutput, ToolError> {
        let place = self.root.existing(&arguments.path).map_err(ToolError::new)?;
        let (root, cancel) = (self.root.clone(), cancel.clone());
        let shown = tokio::task::spawn_blocking(move || {
            if place.kind == Kind::Directory { Ok(directory(&root, &place, &cancel)) } else { file(&place) }
        });
        let shown = shown.await.map_err(|error| ToolError::new(format!("The outline failed: {error}.")))?;
        shown.map(ToolOutput::text).map_err(ToolError::new)
    }
}

fn file(place: &Located) -> Result<String, String> {
    let found = definitions(place)?;
    if found.is_empty() {
        return Ok(format!("No definitions in {}.", place.shown));
    }
    let mut lines: Vec<String> = found.iter().take(MAX_DEFINITIONS).map(|found| line(found, 0)).collect();
    match found.len() - lines.len() {
        0 => {}
        more => lines.push(format!("[{more} more definitions]")),
    }
    Ok(lines.join("\n"))
}

fn directory(root: &Root, place: &Located, cancel: &CancellationToken) -> String {
    let sources = Mutex::new(Sources::default());
    let walk = Walk { root, place, hidden: false, insist: true, threads: 0 };
    walk.run(cancel, || Collector { sources: &sources });
    let sources = sources.into_inner().unwrap_or_else(PoisonError::into_inner);

    let (mut lines, mut room, mut looked_into, mut more) = (Vec::new(), MAX_DEFINITIONS, 0, 0);
    for name in &sources.first {
        if room == 0 || cancel.is_cancelled() {
            break;
        }
        looked_into += 1;
        let Some(place) = root.found(&root.path().join(name)) else { continue };
        let Ok(found) = definitions(&place) else { continue };
        if found.is_empty() {
            continue;
        }
        lines.push(shown(&place.shown));
        lines.extend(found.iter().take(room).map(|found| line(found, 1)));
        more = found.len().saturating_sub(room);
        room = room.saturating_sub(found.len());
    }
    if lines.is_empty() {
        lines.push(if place.shown == "." {
            "No definitions.".to_owned()
        } else {
            format!("No definitions in {}.", place.shown)
        });
    }
    let files = sources.number - looked_into;
    if more > 0 || files > 0 {
        let definitions = if more > 0 { format!("{more} more definitions in the last file, ") } else { String::new() };
        let things = if files == 1 { "file" } else { "files" };
        lines.push(format!("[{definitions}{files} more {things}; narrow the path]"));
    }
    lines.join("\n")
}

fn definitions(place: &Located) -> Result<Vec<Definition>, String> {
    let language = Language::of(&place.real).ok_or_else(|| format!("{}: the language is not known.", place.shown))?;
    let stored = files::read(place)?;
    let text = String::from_utf8(stored.bytes.to_vec()).map_err(|_| format!("{} is not UTF-8 text.", place.shown))?;
    let found = syntax::definitions(language, &text, Limits::default());
    found.map_err(|error| format!("{}: {error}.", place.shown))
}

fn line(found: &Definition, indent: usize) -> String {
    let Definition { kind, name, first_line, last_line, depth } = found;
    let lines = if first_line == last_line { first_line.to_string() } else { format!("{first_line}-{last_line}") };
    format!("{}{lines} {kind} {name}", "  ".repeat(depth + indent))
}

/// The first source files in the order of their paths, and how many there are.
#[derive(Debug, Default)]
struct Sources {
    first: BTreeSet<OsString>,
    number: usize,
}

/// One thread's part in finding source files.
struct Collector<'a> {
    sources: &'a Mutex<Sources>,
}

impl Visitor for Collector<'_> {
    fn file(&mut self, path: &Path, name: &OsStr) {
        if Language::of(path).is_none() {
            return;
        }
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        sources.number += 1;
        if sources.first.len() < MAX_FILES || sources.first.last().is_some_and(|last| name < last) {
            sources.first.insert(name.to_owned());
            if sources.first.len() > MAX_FILES {
                sources.first.pop_last();
            }
        }
    }
}
