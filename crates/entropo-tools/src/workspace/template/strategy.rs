//! How workspaces come to share what they do not change.

use std::fmt;
use std::path::Path;

use super::{copy, overlay, subvolume};

/// How a workspace is made from a template, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Strategy {
    /// A snapshot of a btrfs subvolume: made at once, and a plain directory in all respects.
    Subvolume,
    /// An overlay mount, which root alone may make: made at once, and only what changes takes space.
    Overlay,
    /// A copy of each file that shares its blocks with the original: takes a moment for each file, and space for its name.
    Reflink,
    /// A copy of each file: takes time and space.
    Copy,
}

impl Strategy {
    /// All of them, the best first.
    pub const ALL: [Self; 4] = [Self::Subvolume, Self::Overlay, Self::Reflink, Self::Copy];

    /// Tries it in a directory, and says why it does not work there.
    pub(super) fn attempt(self, directory: &Path) -> Result<(), String> {
        let scratch = tempfile::tempdir_in(directory).map_err(|error| error.to_string())?;
        match self {
            Self::Subvolume => subvolume::attempt(scratch.path()),
            Self::Overlay => overlay::attempt(scratch.path()),
            Self::Reflink => copy::attempt_reflink(scratch.path()),
            Self::Copy => Ok(()),
        }
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Subvolume => "btrfs snapshots",
            Self::Overlay => "overlay mounts",
            Self::Reflink => "reflinks",
            Self::Copy => "plain copies",
        })
    }
}
