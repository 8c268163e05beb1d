//! What lies in a directory, and whether it changed.
//!
//! A file that was written has another time of change, which no program can set back.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use ignore::WalkBuilder;

/// Files, directories and links below a directory, by their path from there. Sockets and the like are left out.
#[derive(Debug, Default)]
pub(super) struct Manifest(BTreeMap<PathBuf, Stamp>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stamp {
    Directory,
    File(Version),
    Link(Version),
}

/// Inode, size, mode, and the time of change in seconds and nanoseconds.
type Version = (u64, u64, u32, i64, i64);

/// What must be done to have the same elsewhere, in this order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    pub(super) removed: Vec<PathBuf>,
    /// Directories before what is in them.
    pub(super) written: Vec<PathBuf>,
}

impl Manifest {
    /// Looks at all that is below `root`.
    pub(super) fn of(root: &Path) -> io::Result<Self> {
        let mut all = BTreeMap::new();
        for entry in WalkBuilder::new(root).standard_filters(false).follow_links(false).build() {
            let entry = entry.map_err(io::Error::other)?;
            let Ok(path) = entry.path().strip_prefix(root) else { continue };
            // What vanished meanwhile is not there.
            if !path.as_os_str().is_empty()
                && let Ok(metadata) = entry.path().symlink_metadata()
                && let Some(stamp) = Stamp::of(&metadata)
            {
                all.insert(path.to_path_buf(), stamp);
            }
        }
        Ok(Self(all))
    }

    /// What changed since another was made.
    pub(super) fn since(&self, before: &Self) -> Changes {
        let gone = |(path, stamp): (&PathBuf, &Stamp)| {
            let same_kind =
                self.0.get(path).is_some_and(|new| std::mem::discriminant(new) == std::mem::discriminant(stamp));
            (!same_kind).then(|| path.clone())
        };
        let new = |(path, stamp): (&PathBuf, &Stamp)| (before.0.get(path) != Some(stamp)).then(|| path.clone());
        Changes {
            removed: before.0.iter().filter_map(gone).collect(),
            written: self.0.iter().filter_map(new).collect(),
        }
    }
}

impl Stamp {
    fn of(metadata: &Metadata) -> Option<Self> {
        let version = (metadata.ino(), metadata.size(), metadata.mode(), metadata.ctime(), metadata.ctime_nsec());
        match metadata.file_type() {
            kind if kind.is_dir() => Some(Self::Directory),
            kind if kind.is_file() => Some(Self::File(version)),
            kind if kind.is_symlink() => Some(Self::Link(version)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_changed_is_found_and_nothing_else() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        fs::create_dir_all(at("a/.hidden")).unwrap();
        for name in ["a/.hidden/same", "a/changed", "gone", "turned"] {
            fs::write(at(name), "1").unwrap();
        }
        let before = Manifest::of(root.path()).unwrap();
        assert_eq!(before.since(&before), Changes::default());
        std::thread::sleep(std::time::Duration::from_millis(20));
        fs::write(at("a/changed"), "2").unwrap();
        fs::remove_file(at("gone")).unwrap();
        fs::remove_file(at("turned")).unwrap();
        fs::create_dir(at("turned")).unwrap();
        std::os::unix::fs::symlink("nowhere", at("link")).unwrap();
        let changes = Manifest::of(root.path()).unwrap().since(&before);
        let paths = |names: &[&str]| names.iter().map(PathBuf::from).collect::<Vec<_>>();
        assert_eq!(changes.removed, paths(&["gone", "turned"]));
        assert_eq!(changes.written, paths(&["a/changed", "link", "turned"]));
    }
}
