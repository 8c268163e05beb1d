//! What became of a workspace's files.
//!
//! Where the files may have changed is known in one of two ways: by an index of all files, or because the system kept what
//! was written apart. Only what may have changed is read, and what is the same after all does not count.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::WorkspaceError;
use super::exclude::{Exclude, Rules};
use super::index::Index;
use super::original::{Original, Reader};
use super::snapshot::{File, Snapshot};
use super::template::overlay;
use super::tree::Tree;

/// One path's file before and after; at least one of the two is there.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) path: PathBuf,
    pub(super) old: Option<File>,
    pub(super) new: Option<File>,
}

/// How it is known where files may have changed.
#[derive(Clone, Debug)]
pub(super) enum Tracking {
    /// All files are compared with what they were.
    Index(Arc<Index>),
    /// What was written lies in a directory of its own.
    Layer(PathBuf),
}

/// The paths that may have changed: whether a file was there, and whether one is.
pub(super) type Candidates = BTreeMap<PathBuf, (bool, bool)>;

/// All changes of `now`, sorted by path, those of new files after all others.
pub(super) fn find(
    now: &Tree,
    original: &Original,
    tracking: &Tracking,
    exclude: &Exclude,
) -> Result<Vec<Change>, WorkspaceError> {
    let before = Reader::open(original)?;
    let candidates = match tracking {
        Tracking::Index(index) => by_index(now, index)?,
        Tracking::Layer(layer) => overlay::candidates(now, before.tree(), layer)?,
    };
    let mut rules = Rules::new(now, exclude);
    let mut left = Snapshot::LIMIT;
    let full = || WorkspaceError::ChangesTooLarge { limit: Snapshot::LIMIT };
    let mut changes = Vec::new();
    for (path, (was, is)) in candidates {
        if !was && rules.leave_out(&path, &|directory| before.has_directory(directory))? {
            continue;
        }
        let all = left;
        let new = if is { now.read(&path, &mut left, full)? } else { None };
        let old = if was { before.read(&path, &mut left, full)? } else { None };
        if old == new {
            left = all;
        } else {
            changes.push(Change { path, old, new });
        }
    }
    // New files come last.
    changes.sort_by_key(|change| change.old.is_none());
    Ok(changes)
}

fn by_index(now: &Tree, index: &Index) -> Result<Candidates, WorkspaceError> {
    let mut candidates: Candidates = index.paths().map(|path| (path.to_path_buf(), (true, false))).collect();
    for (path, stamp) in now.walk(Path::new(""))?.files {
        if index.is_unchanged(&path, &stamp) {
            candidates.remove(&path);
        } else {
            candidates.entry(path).or_default().1 = true;
        }
    }
    Ok(candidates)
}
