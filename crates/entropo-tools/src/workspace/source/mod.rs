//! Where the files of a [`Template`](super::Template) come from.
//!
//! All sources but directories go through one [`Writer`], which refuses what would land anywhere else. A source yields
//! entries, so that another kind is a function that feeds the writer.

mod archive;
mod git;
#[cfg(feature = "container")]
mod image;
mod tar;
mod writer;
mod zip;

use std::path::{Path, PathBuf};

use super::WorkspaceError;
use super::template::{Note, copy_in};
use super::tree::Tree;
use writer::Writer;

/// What a template is made from. What is called `.git`, and all below it, is left out of each.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Source {
    /// The files of a directory, hidden and ignored ones too. Links are taken as links; pipes, sockets and devices are
    /// left out.
    Directory(PathBuf),
    /// A commit of a git repository, bare or not, whose working tree is neither read nor changed. The contents are those
    /// of the commit to the byte: no filters and no line endings are applied. Submodules are left out.
    Commit {
        /// The repository's directory.
        repository: PathBuf,
        /// The commit, by any name that git knows it by.
        revision: String,
    },
    /// An archive: tar, also compressed by gzip, xz or zstd, or zip. Which it is, is told by its content.
    Archive {
        /// The file.
        path: PathBuf,
        /// How many of each path's first directories are cut off; files of fewer are left out.
        strip: usize,
    },
    /// A directory of a container's image, such as the repository that a benchmark ships in it. Docker or Podman fetches
    /// the image if it is missing; nothing of it is run.
    #[cfg(feature = "container")]
    Image {
        /// The image's name.
        image: String,
        /// The directory's absolute path, not `/` itself.
        path: String,
        /// The engine's socket, in place of the one that is looked for.
        socket: Option<PathBuf>,
    },
}

impl Source {
    /// A commit of a git repository.
    pub fn commit(repository: impl Into<PathBuf>, revision: impl Into<String>) -> Self {
        Self::Commit { repository: repository.into(), revision: revision.into() }
    }

    /// An archive, with its paths as they are.
    pub fn archive(path: impl Into<PathBuf>) -> Self {
        Self::Archive { path: path.into(), strip: 0 }
    }

    /// A directory of a container's image, from the engine that is found.
    #[cfg(feature = "container")]
    pub fn image(image: impl Into<String>, path: impl Into<String>) -> Self {
        Self::Image { image: image.into(), path: path.into(), socket: None }
    }
}

impl From<&Path> for Source {
    fn from(directory: &Path) -> Self {
        Self::Directory(directory.into())
    }
}

impl From<&PathBuf> for Source {
    fn from(directory: &PathBuf) -> Self {
        Self::Directory(directory.clone())
    }
}

impl From<PathBuf> for Source {
    fn from(directory: PathBuf) -> Self {
        Self::Directory(directory)
    }
}

/// How much is taken from a source, counted as it is written: what an archive says of itself is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Files, links and directories.
    pub entries: u64,
    /// Bytes of content.
    pub bytes: u64,
}

impl Default for Limits {
    /// Two million entries, 32 GiB.
    fn default() -> Self {
        Self { entries: 2_000_000, bytes: 32 << 30 }
    }
}

/// Writes the files of a source into an empty directory.
pub(super) fn lay_down(
    source: &Source,
    to: &Path,
    limits: Limits,
    notes: &mut Vec<Note>,
) -> Result<(), WorkspaceError> {
    match source {
        Source::Directory(directory) => copy(directory, to, limits, notes),
        Source::Commit { repository, revision } => {
            let mut writer = Writer::new(repository, to, limits)?;
            git::export(repository, revision, &mut writer, notes)
        }
        Source::Archive { path, strip } => {
            let mut writer = Writer::new(path, to, limits)?;
            archive::unpack(path, *strip, &mut writer)
        }
        #[cfg(feature = "container")]
        Source::Image { image, path, socket } => {
            let mut writer = Writer::new(Path::new(&format!("{image}:{path}")), to, limits)?;
            image::unpack(image, path, socket.as_deref(), &mut writer)
        }
    }
}

fn copy(from: &Path, to: &Path, limits: Limits, notes: &mut Vec<Note>) -> Result<(), WorkspaceError> {
    let real = from.canonicalize().map_err(WorkspaceError::io("find", from))?;
    if to.starts_with(&real) {
        return Err(WorkspaceError::refused(from, "the template would lie in it; give it another place"));
    }
    let tree = Tree::open(&real)?;
    let listing = tree.walk(Path::new(""))?;
    let entries = (listing.files.len() + listing.directories.len()) as u64;
    let bytes = listing.files.iter().map(|(_, stamp)| stamp.size()).fold(0, u64::saturating_add);
    writer::check(from, limits, entries, bytes)?;
    notes.extend(listing.special.iter().map(|(path, _)| Note::Special(path.clone())));
    copy_in(&tree, &listing, to)
}
