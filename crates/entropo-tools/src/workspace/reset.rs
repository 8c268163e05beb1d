//! Putting files back to what they were, whatever stands in their place.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::WorkspaceError;
use super::original::{Original, Reader};
use super::remove::remove;
use super::snapshot::Snapshot;

/// Puts the files at some names back, and takes away what was not there. Links on the way are removed, not followed.
pub(super) fn reset(root: &Path, original: &Original, names: &BTreeSet<PathBuf>) -> Result<(), WorkspaceError> {
    let reader = Reader::open(original)?;
    let (mut left, mut files) = (Snapshot::LIMIT, Vec::new());
    for name in names {
        let full = || WorkspaceError::ChangesTooLarge { limit: Snapshot::LIMIT };
        files.extend(reader.read(name, &mut left, full)?.map(|file| (name, file)));
    }
    // All of them first: a file may stand where another's directory was.
    for name in names {
        clear(root, name)?;
    }
    for (name, file) in files {
        let at = root.join(name);
        let parent = at.parent().unwrap_or(root);
        fs::create_dir_all(parent).map_err(WorkspaceError::io("make", parent))?;
        file.write(&at)?;
    }
    Ok(())
}

/// Removes what is at a name, and whatever on the way to it is no directory.
fn clear(root: &Path, name: &Path) -> Result<(), WorkspaceError> {
    let mut at = root.to_path_buf();
    for part in name.parent().unwrap_or(Path::new("")) {
        at.push(part);
        match fs::symlink_metadata(&at) {
            Ok(found) if found.is_dir() => {}
            Ok(_) => return remove(&at).map_err(WorkspaceError::io("remove", &at)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(WorkspaceError::io("look at", &at)(error)),
        }
    }
    at = root.join(name);
    remove(&at).map_err(WorkspaceError::io("remove", &at))
}
