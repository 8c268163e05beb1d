//! Writing the changes of several files: all of them or none.
//!
//! Every new content is first written beside its file; only when all are there do they take their places, each by a
//! rename. A file that is no longer what it was when it was read stops the whole, as does any failure, and what had
//! taken its place by then is put back.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::fs::{AtFlags, Mode};
use rustix::io::Errno;

use super::temporary::Temporary;
use super::{Stored, changed_meanwhile, failed, holds};
use crate::paths::{self, Located};

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
    fn failed(&self, error: &io::Error) -> String {
        failed(&self.place.shown, error)
    }
}

/// Carries out all changes, or none and says why, in words for a model.
pub(crate) fn commit(changes: &[Change]) -> Result<(), String> {
    let mut made = Vec::new();
    let outcome = stage_and_place(changes, &mut made);
    if outcome.is_err() {
        // Innermost first; one that meanwhile holds something of others stays.
        for (above, name) in made.iter().rev() {
            let _ = rustix::fs::unlinkat(above, name, AtFlags::REMOVEDIR);
        }
    }
    outcome
}

/// Directories that were made, each by the one above it and its name.
type Made = Vec<(Arc<OwnedFd>, OsString)>;

/// A change whose new content is written.
struct Staged<'a> {
    change: &'a Change,
    /// The directory of the file, which by now exists.
    directory: Arc<OwnedFd>,
    content: Option<Temporary>,
}

fn stage_and_place(changes: &[Change], made: &mut Made) -> Result<(), String> {
    let mut staged = Vec::new();
    for change in changes {
        staged.push(stage(change, made).map_err(|error| change.failed(&error))?);
    }
    let mut done: Vec<(&Change, Arc<OwnedFd>)> = Vec::new();
    for Staged { change, directory, content } in staged {
        let placed = unchanged(&directory, change)
            .and_then(|()| place(&directory, change, content).map_err(|error| change.failed(&error)));
        if let Err(reason) = placed {
            let lost: Vec<&str> =
                done.iter().filter_map(|(change, directory)| put_back(directory, change).err()).collect();
            let lost = if lost.is_empty() { String::new() } else { format!(" Still changed: {}.", lost.join(", ")) };
            return Err(format!("{reason}{lost}"));
        }
        done.push((change, directory));
    }
    Ok(())
}

/// Whether the file still is what it was when it was read.
fn unchanged(directory: &OwnedFd, change: &Change) -> Result<(), String> {
    let same = match (paths::open(directory, &change.place.name), &change.before) {
        (Ok(file), Some(before)) => holds(file, &before.bytes).map_err(|error| change.failed(&error))?,
        (Ok(_), None) => false,
        (Err(error), before) if error.kind() == io::ErrorKind::NotFound => before.is_none(),
        (Err(error), _) => return Err(change.failed(&error)),
    };
    if same { Ok(()) } else { Err(changed_meanwhile(&change.place.shown)) }
}

fn stage<'a>(change: &'a Change, made: &mut Made) -> io::Result<Staged<'a>> {
    let mut directory = Arc::clone(&change.place.directory);
    for name in &change.place.missing {
        match rustix::fs::mkdirat(&directory, name, Mode::from_raw_mode(0o777)) {
            Ok(()) => made.push((Arc::clone(&directory), name.clone())),
            Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        directory = Arc::new(paths::open_directory(&directory, name)?);
    }
    let content = change.after.as_ref().map(|after| Temporary::write(&directory, after)).transpose()?;
    Ok(Staged { change, directory, content })
}

fn place(directory: &OwnedFd, change: &Change, content: Option<Temporary>) -> io::Result<()> {
    put(directory, &change.place.name, change.before.is_some(), content)
}

fn put(directory: &OwnedFd, name: &OsStr, is_there: bool, content: Option<Temporary>) -> io::Result<()> {
    match content {
        None if !is_there => Ok(()),
        None => Ok(rustix::fs::unlinkat(directory, name, AtFlags::empty())?),
        Some(content) if is_there => content.replace(name),
        Some(content) => content.create(name),
    }
}

/// Takes one change back; the error is the name of the file that stays changed.
fn put_back<'a>(directory: &Arc<OwnedFd>, change: &'a Change) -> Result<(), &'a str> {
    let back = Change { place: change.place.clone(), before: change.after.clone(), after: change.before.clone() };
    let write = || back.after.as_ref().map(|after| Temporary::write(directory, after)).transpose();
    let done =
        unchanged(directory, &back).is_ok() && write().and_then(|content| place(directory, &back, content)).is_ok();
    if done { Ok(()) } else { Err(&change.place.shown) }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::paths::Root;

    fn change(root: &Path, name: &str, before: Option<&str>, after: Option<&str>) -> Change {
        let stored = |text: &str| Stored::new(text.into());
        let place = Root::new(root).unwrap().locate(name).unwrap();
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
