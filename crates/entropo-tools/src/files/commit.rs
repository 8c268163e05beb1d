//! Writing the changes of several files: all of them or none.
//!
//! Every new content is first written beside its file; only when all are there do they take their places, each by a
//! rename. A file that is no longer what it was when it was read stops the whole, as does any failure, and what had
//! taken its place by then is put back.

use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::{Stored, present};
use crate::paths::Located;

/// What becomes of one file.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) place: Located,
    /// What it was when it was read; none if there was no file.
    pub(crate) before: Option<Stored>,
    /// What it is to be; none if there is to be no file.
    pub(crate) after: Option<Stored>,
}

impl Change {
    /// The change that takes this one back.
    pub(crate) fn reversed(&self) -> Self {
        Self { place: self.place.clone(), before: self.after.clone(), after: self.before.clone() }
    }

    /// Whether the file still is what this change was made for.
    pub(crate) fn fits(&self) -> bool {
        unchanged(self).is_ok()
    }
}

/// Carries out all changes, or none and says why, in words for a model.
pub(crate) fn commit(changes: &[Change]) -> Result<(), String> {
    let mut made = Vec::new();
    let outcome = stage_and_place(changes, &mut made);
    if outcome.is_err() {
        // Innermost first; one that meanwhile holds something of others stays.
        for directory in made.iter().rev() {
            let _ = fs::remove_dir(directory);
        }
    }
    outcome
}

fn stage_and_place(changes: &[Change], made: &mut Vec<PathBuf>) -> Result<(), String> {
    let mut staged = Vec::new();
    for change in changes {
        unchanged(change)?;
        staged.push(stage(change, made).map_err(|error| failed(change, &error))?);
    }
    for (at, (change, file)) in changes.iter().zip(staged).enumerate() {
        let placed = unchanged(change).and_then(|()| place(change, file).map_err(|error| failed(change, &error)));
        if let Err(reason) = placed {
            let lost: Vec<&str> = changes.iter().take(at).filter_map(|done| put_back(done).err()).collect();
            let lost = if lost.is_empty() { String::new() } else { format!(" Still changed: {}.", lost.join(", ")) };
            return Err(format!("{reason}{lost}"));
        }
    }
    Ok(())
}

/// Whether the file still is what it was when it was read.
fn unchanged(change: &Change) -> Result<(), String> {
    let now = present(&change.place.real).map_err(|error| failed(change, &error))?;
    if now.as_ref() == change.before.as_ref().map(|before| &before.bytes) {
        Ok(())
    } else {
        Err(format!("{} was changed by others meanwhile; look at it again.", change.place.shown))
    }
}

/// A temporary file with the new content in the same directory, as a rename must not cross file systems.
fn stage(change: &Change, made: &mut Vec<PathBuf>) -> io::Result<Option<NamedTempFile>> {
    let Some(after) = &change.after else { return Ok(None) };
    let directory = change.place.real.parent().ok_or(io::ErrorKind::InvalidInput)?;
    make_directories(directory, made)?;
    // The process's mask takes from these what it takes from every new file.
    let mut file = tempfile::Builder::new().permissions(Permissions::from_mode(0o666)).tempfile_in(directory)?;
    file.write_all(&after.bytes)?;
    if let Some(mode) = after.mode {
        file.as_file().set_permissions(Permissions::from_mode(mode))?;
    }
    Ok(Some(file))
}

fn make_directories(directory: &Path, made: &mut Vec<PathBuf>) -> io::Result<()> {
    let missing: Vec<&Path> = directory.ancestors().take_while(|path| !path.exists()).collect();
    for path in missing.into_iter().rev() {
        fs::create_dir(path)?;
        made.push(path.to_path_buf());
    }
    Ok(())
}

fn place(change: &Change, file: Option<NamedTempFile>) -> io::Result<()> {
    let path = &change.place.real;
    match file {
        None if change.before.is_none() => {}
        None => fs::remove_file(path)?,
        Some(file) if change.before.is_none() => drop(file.persist_noclobber(path)?),
        Some(file) => drop(file.persist(path)?),
    }
    Ok(())
}

/// Takes one change back; the error is the name of the file that stays changed.
fn put_back(change: &Change) -> Result<(), &str> {
    let back = change.reversed();
    let done = unchanged(&back).is_ok() && stage(&back, &mut Vec::new()).and_then(|file| place(&back, file)).is_ok();
    if done { Ok(()) } else { Err(&change.place.shown) }
}

fn failed(change: &Change, error: &io::Error) -> String {
    format!("{}: {}.", change.place.shown, error.kind())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(root: &Path, name: &str, before: Option<&str>, after: Option<&str>) -> Change {
        let stored = |text: &str| Stored { bytes: text.into(), mode: None };
        let place = Located { real: root.join(name), shown: name.to_owned(), exists: before.is_some() };
        Change { place, before: before.map(stored), after: after.map(stored) }
    }

    fn listing(root: &Path) -> Vec<String> {
        let entries = fs::read_dir(root).unwrap();
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_that_changed_since_it_was_read_stops_all() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        fs::write(root.join("a"), "a").unwrap();
        fs::write(root.join("b"), "other").unwrap();
        let changes = [
            change(root, "a", Some("a"), Some("A")),
            change(root, "new/deep/c", None, Some("c")),
            change(root, "b", Some("b"), Some("B")),
        ];
        assert_eq!(commit(&changes).unwrap_err(), "b was changed by others meanwhile; look at it again.");
        let missing = [change(root, "a", Some("a"), None), change(root, "gone", Some("x"), Some("y"))];
        assert!(commit(&missing).unwrap_err().starts_with("gone was changed"));
        let there = [change(root, "a", None, Some("x"))];
        assert!(commit(&there).unwrap_err().starts_with("a was changed"));
        assert_eq!(fs::read_to_string(root.join("a")).unwrap(), "a");
        assert_eq!(listing(root), ["a", "b"]);
    }

    #[test]
    fn what_had_taken_its_place_is_put_back() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        fs::write(root.join("a"), "a").unwrap();
        fs::write(root.join("gone"), "g").unwrap();
        // The last two cannot both be: a file and a directory of the same name.
        let changes = [
            change(root, "a", Some("a"), Some("A")),
            change(root, "gone", Some("g"), None),
            change(root, "new", None, Some("n")),
            change(root, "d", None, Some("d")),
            change(root, "d/x", None, Some("x")),
        ];
        assert!(commit(&changes).is_err());
        assert_eq!(listing(root), ["a", "gone"]);
        assert_eq!(fs::read_to_string(root.join("a")).unwrap(), "a");
        assert_eq!(fs::read_to_string(root.join("gone")).unwrap(), "g");
    }
}
