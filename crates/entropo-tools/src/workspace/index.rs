//! Knowing without reading which files were not touched.

use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Stat};

use super::WorkspaceError;
use super::tree::Tree;

/// What changes with every change of a file: nobody can set the time of a file's last change back but by setting the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    mode: u32,
    node: u64,
    size: i64,
    modified: (i64, u64),
    changed: (i64, u64),
}

impl Stamp {
    pub(super) fn of(stat: &Stat) -> Self {
        Self {
            mode: stat.st_mode,
            node: stat.st_ino,
            size: stat.st_size,
            modified: (stat.st_mtime, stat.st_mtime_nsec),
            changed: (stat.st_ctime, stat.st_ctime_nsec),
        }
    }

    pub(super) fn kind(&self) -> FileType {
        FileType::from_raw_mode(self.mode)
    }

    pub(super) fn mode(&self) -> u32 {
        self.mode & 0o777
    }

    pub(super) fn size(&self) -> u64 {
        u64::try_from(self.size).unwrap_or_default()
    }

    pub(super) fn modified(&self) -> (i64, u64) {
        self.modified
    }
}

/// The stamps of all files of a directory at one moment.
#[derive(Debug)]
pub(super) struct Index {
    files: Vec<(PathBuf, Stamp)>,
    taken: (i64, u64),
}

impl Index {
    /// Looks at all files below `root`. `beside` is a directory of the same file system, whose clock is asked for the time.
    pub(super) fn take(root: &Path, beside: &Path) -> Result<Self, WorkspaceError> {
        // The clock is read first: what is written while the files are looked at counts as written since.
        let taken = now(beside)?;
        Ok(Self { files: Tree::open_ours(root)?.walk(Path::new(""))?.files, taken })
    }

    /// The files' paths, sorted.
    pub(super) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(|(path, _)| path.as_path())
    }

    /// Whether a file is certainly what it was. One that was written in the very tick of the clock in which the index was
    /// taken may have been written again in it; such a file is not certain and has to be read.
    pub(super) fn is_unchanged(&self, path: &Path, now: &Stamp) -> bool {
        let found = self.files.binary_search_by(|(known, _)| known.as_path().cmp(path)).ok();
        let known = found.and_then(|at| self.files.get(at)).map(|(_, stamp)| stamp);
        known == Some(now) && now.changed < self.taken
    }
}

/// The time by which a file system marks files.
fn now(directory: &Path) -> Result<(i64, u64), WorkspaceError> {
    let file = tempfile::tempfile_in(directory).map_err(WorkspaceError::io("make a file in", directory))?;
    let stat = rustix::fs::fstat(&file).map_err(WorkspaceError::io("look at a file in", directory))?;
    Ok((stat.st_ctime, stat.st_ctime_nsec))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_written_in_the_tick_of_the_index_is_not_trusted() {
        let directory = tempfile::tempdir().unwrap();
        let (root, path) = (directory.path().join("root"), Path::new("x"));
        std::fs::create_dir(&root).unwrap();
        std::fs::write(root.join(path), "1").unwrap();
        let stamp = Tree::open(&root).unwrap().walk(Path::new("")).unwrap().files[0].1;
        let index = |taken| Index { files: vec![(path.into(), stamp)], taken };
        let (seconds, nanoseconds) = stamp.changed;
        assert!(!index((seconds, nanoseconds)).is_unchanged(path, &stamp), "the same tick");
        assert!(index((seconds, nanoseconds + 1)).is_unchanged(path, &stamp), "a later one");
        assert!(index((seconds + 1, 0)).is_unchanged(path, &stamp));
        for other in [
            Stamp { size: 2, ..stamp },
            Stamp { node: 0, ..stamp },
            Stamp { mode: 0, ..stamp },
            Stamp { changed: (seconds, nanoseconds + 1), ..stamp },
        ] {
            assert!(!index((seconds + 1, 0)).is_unchanged(path, &other));
        }
        assert!(!index((seconds + 1, 0)).is_unchanged(Path::new("y"), &stamp));
    }

    #[test]
    fn times_set_back_do_not_hide_a_change() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("root");
        std::fs::create_dir(&root).unwrap();
        let file = root.join("x");
        std::fs::write(&file, "1").unwrap();
        let before = std::fs::metadata(&file).unwrap().modified().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(20));
        let index = Index::take(&root, directory.path()).unwrap();
        let unchanged = || {
            let listing = Tree::open(&root).unwrap().walk(Path::new("")).unwrap();
            index.is_unchanged(Path::new("x"), &listing.files[0].1)
        };
        assert!(unchanged());
        std::fs::write(&file, "2").unwrap();
        std::fs::File::options().write(true).open(&file).unwrap().set_modified(before).unwrap();
        assert!(!unchanged());
    }
}
