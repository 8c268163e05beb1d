//! The files of a workspace, visited by several threads.
//!
//! A `.gitignore` counts even where there is no repository; those above the workspace do not. Symbolic links are not
//! followed, and are no files. The library that walks reads no file: what it would open by its path may have become
//! something else by then.

use std::ffi::OsStr;
use std::fs::{File, Metadata};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use ignore::{DirEntry, Match, WalkBuilder, WalkState};
use tokio_util::sync::CancellationToken;

use crate::files::Ignores;
use crate::paths::{Kind, Located, Root};

/// Threads at most, where the number was not chosen.
const MAX_THREADS: usize = 8;

/// What is visited.
#[derive(Clone, Debug)]
pub(super) struct Walk<'a> {
    pub(super) root: &'a Root,
    pub(super) place: &'a Located,
    /// Hidden files and directories too, except `.git`.
    pub(super) hidden: bool,
    /// Whether a directory that was named is visited even where it is hidden or ignored itself.
    pub(super) insist: bool,
    /// Zero for as many as there are processors.
    pub(super) threads: usize,
}

/// What one thread does with what it is shown.
pub(super) trait Visitor: Send {
    /// Takes the file at `path`, whose name in the workspace is `name`.
    fn file(&mut self, path: &Path, name: &OsStr);

    /// Whether nothing below the directory `name` is of interest.
    fn skips(&mut self, _name: &OsStr) -> bool {
        false
    }
}

impl Walk<'_> {
    /// Shows each file to one of the visitors that `make` makes, in no order.
    pub(super) fn run<V: Visitor>(&self, cancel: &CancellationToken, make: impl Fn() -> V) {
        if self.place.kind == Kind::File {
            return make().file(&self.place.real, name(self.root.path(), &self.place.real));
        }
        if !self.run_from(self.root.path(), cancel, &make) && self.insist {
            self.run_from(&self.place.real, cancel, &make);
        }
    }

    /// Walks from `start`; whether the place was come to.
    fn run_from<V: Visitor>(&self, start: &Path, cancel: &CancellationToken, make: &impl Fn() -> V) -> bool {
        let reached = AtomicBool::new(false);
        self.builder(start).build_parallel().run(|| {
            let (mut visitor, reached) = (make(), &reached);
            Box::new(move |entry| {
                if cancel.is_cancelled() {
                    return WalkState::Quit;
                }
                let entry = match entry {
                    Ok(entry) => entry,
                    Err(error) => {
                        tracing::debug!(%error, "left out of a search");
                        return WalkState::Continue;
                    }
                };
                let Some(kind) = entry.file_type() else { return WalkState::Continue };
                let name = name(self.root.path(), entry.path());
                if kind.is_file() {
                    visitor.file(entry.path(), name);
                } else if kind.is_dir() {
                    if !reached.load(Ordering::Relaxed) && entry.path() == self.place.real {
                        reached.store(true, Ordering::Relaxed);
                    }
                    if visitor.skips(name) {
                        return WalkState::Skip;
                    }
                }
                WalkState::Continue
            })
        });
        reached.into_inner()
    }

    fn builder(&self, start: &Path) -> WalkBuilder {
        let mut builder = WalkBuilder::new(start);
        let (place, root, hidden) = (self.place.real.clone(), self.root.clone(), self.hidden);
        let above = place.strip_prefix(start).map_or(0, |path| path.components().count());
        let top = name(root.path(), start).to_owned();
        let ignores = Ignores::new({
            let root = root.clone();
            move |directory| open_ignore_file(&root, directory)
        });
        builder.standard_filters(false).threads(self.threads()).filter_entry(move |entry| {
            let on_the_way = entry.depth() > above || place.starts_with(entry.path());
            let is_directory = entry.file_type().is_some_and(|kind| kind.is_dir());
            if !on_the_way || is_directory && entry.file_name() == ".git" {
                return false;
            }
            match ignores.matched(Path::new(&top), Path::new(name(root.path(), entry.path())), is_directory) {
                Match::Ignore(()) => false,
                // What a rule brings back is shown also where it is hidden.
                Match::Whitelist(()) => true,
                Match::None => hidden || !is_hidden(entry),
            }
        });
        builder
    }

    fn threads(&self) -> usize {
        match self.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from).min(MAX_THREADS),
            threads => threads,
        }
    }
}

fn is_hidden(entry: &DirEntry) -> bool {
    entry.file_name().as_encoded_bytes().starts_with(b".")
}

/// Opens a directory's `.gitignore`, if it is no link.
fn open_ignore_file(root: &Root, directory: &Path) -> Option<File> {
    let path = root.path().join(directory).join(".gitignore");
    // Most directories have none, which is quickly seen.
    path.symlink_metadata().ok().filter(Metadata::is_file)?;
    root.found(&path).filter(|place| !place.link)?.open().ok()
}

/// The name of `path` relative to the workspace.
fn name<'a>(root: &Path, path: &'a Path) -> &'a OsStr {
    path.strip_prefix(root).unwrap_or(path).as_os_str()
}
