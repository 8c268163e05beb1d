//! The files of a workspace, visited by several threads.
//!
//! Ignore files count even where there is no repository; those above the workspace do not. Symbolic links are not
//! followed, and are no files. A directory whose `.gitignore` is not a small plain file is left out, since reading one
//! that never ends would never end either.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use ignore::{DirEntry, WalkBuilder, WalkState};
use tokio_util::sync::CancellationToken;

use crate::paths::{Kind, Located, Root};

/// The largest `.gitignore`, in bytes.
const MAX_IGNORE_FILE: u64 = 256 << 10;
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
        if !has_plain_ignore_file(start) {
            return false;
        }
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
        let place: PathBuf = self.place.real.clone();
        let above = place.strip_prefix(start).map_or(0, |path| path.components().count());
        builder
            .parents(false)
            .ignore(false)
            .git_global(false)
            .git_exclude(false)
            .require_git(false)
            .hidden(!self.hidden)
            .threads(self.threads())
            .filter_entry(move |entry| {
                let on_the_way = entry.depth() > above || place.starts_with(entry.path());
                on_the_way
                    && (!is_directory(entry) || entry.file_name() != ".git" && has_plain_ignore_file(entry.path()))
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

fn is_directory(entry: &DirEntry) -> bool {
    entry.file_type().is_some_and(|kind| kind.is_dir())
}

fn has_plain_ignore_file(directory: &Path) -> bool {
    match fs::metadata(directory.join(".gitignore")) {
        Ok(metadata) => metadata.is_file() && metadata.len() <= MAX_IGNORE_FILE,
        Err(_) => true,
    }
}

/// The name of `path` relative to the workspace.
fn name<'a>(root: &Path, path: &'a Path) -> &'a OsStr {
    path.strip_prefix(root).unwrap_or(path).as_os_str()
}
