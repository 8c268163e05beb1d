//! Applying patches, wholly or not at all.
//!
//! git checks all of a patch before it writes anything, and refuses what leads out of the directory or through a link, but for
//! the source of a copy, which is looked at here. What is left to fail is the writing, on a full disk for example, after which git leaves what it has done. So the files that a patch
//! names are read before, and put back.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};
use std::process::Output;

use tempfile::TempDir;

use super::original::Original;
use super::reset::reset;
use super::snapshot::{File, Snapshot};
use super::tree::Tree;
use super::{WorkspaceError, git};

const ACTION: &str = "apply";

/// Applies a patch to the files under `root`, wholly or not at all.
pub(super) fn apply(root: &Path, patch: &str) -> Result<(), WorkspaceError> {
    if patch.trim().is_empty() {
        return Ok(());
    }
    let git = Git { root, patch, repository: empty_repository()? };
    let mut names = git.inside(&["--reverse"])?;
    names.extend(git.inside(&["--check"])?);
    let tree = Tree::open(root)?;
    let before = Before::read(&tree, root, names)?;
    let output = git.apply(&[])?;
    if output.status.success() {
        return Ok(());
    }
    let mut message = message(&output);
    if let Err(error) = before.put_back() {
        message.push_str(&format!("; and what it had changed could not be put back: {error}"));
    }
    Err(WorkspaceError::Git { action: ACTION, message })
}

/// Applies a patch to files as they were in the original: those that it names are put back first.
pub(super) fn apply_to_original(root: &Path, original: &Original, patch: &str) -> Result<(), WorkspaceError> {
    if patch.trim().is_empty() {
        return Ok(());
    }
    let git = Git { root, patch, repository: empty_repository()? };
    let mut names = git.inside(&["--reverse"])?;
    names.extend(git.inside(&[])?);
    reset(root, original, &names)?;
    apply(root, patch)
}

struct Git<'a> {
    root: &'a Path,
    patch: &'a str,
    repository: TempDir,
}

impl Git<'_> {
    fn apply(&self, arguments: &[&str]) -> Result<Output, WorkspaceError> {
        let mut git = git::command(self.root)?;
        git.env("GIT_DIR", self.repository.path()).env("GIT_WORK_TREE", self.root);
        git.args(["apply", "--whitespace=nowarn"]).args(arguments).arg("-");
        git::run(ACTION, git, self.patch.as_bytes())
    }

    /// The names after the patch, or those before it with `--reverse`. Of what is copied git does not look where it comes from.
    fn inside(&self, arguments: &[&str]) -> Result<BTreeSet<PathBuf>, WorkspaceError> {
        let names = names(&self.checked(&[&["--numstat", "-z"], arguments].concat())?);
        match names.iter().find(|name| !is_inside(name)) {
            Some(outside) => {
                Err(WorkspaceError::Rejected(format!("{} is no file of the workspace", outside.display())))
            }
            None => Ok(names),
        }
    }

    /// What git prints of a patch that fits; nothing is written.
    fn checked(&self, arguments: &[&str]) -> Result<Vec<u8>, WorkspaceError> {
        let output = self.apply(arguments)?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        Err(match output.status.code() {
            Some(1 | 128) => WorkspaceError::Rejected(explained(self.root, self.patch, message(&output))),
            _ => WorkspaceError::Git { action: ACTION, message: message(&output) },
        })
    }
}

fn message(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ")
}

/// git names files and lines; what is there instead is found by the reader that the agents' own patches have.
fn explained(root: &Path, patch: &str, message: String) -> String {
    let conflicts = crate::patch::conflicts(root, patch);
    if conflicts.is_empty() { message } else { format!("{message}\n{}", conflicts.join("\n")) }
}

/// The names in what `--numstat -z` prints: two numbers, a name and a NUL for each file.
fn names(printed: &[u8]) -> BTreeSet<PathBuf> {
    let entries = printed.split(|byte| *byte == 0).filter_map(|entry| entry.splitn(3, |byte| *byte == b'\t').nth(2));
    entries.map(|name| OsString::from_vec(name.to_vec()).into()).collect()
}

fn is_inside(name: &Path) -> bool {
    name.components().all(|part| matches!(part, Component::Normal(name) if name != ".git"))
}

/// The files that a patch names, as they were.
struct Before<'a> {
    tree: &'a Tree,
    root: &'a Path,
    files: Vec<(PathBuf, Option<File>)>,
    /// Directories above them that were not there, parents first.
    absent: BTreeSet<PathBuf>,
}

impl<'a> Before<'a> {
    fn read(tree: &'a Tree, root: &'a Path, names: BTreeSet<PathBuf>) -> Result<Self, WorkspaceError> {
        let mut left = Snapshot::LIMIT;
        let full = || WorkspaceError::ChangesTooLarge { limit: Snapshot::LIMIT };
        let (mut files, mut absent) = (Vec::new(), BTreeSet::new());
        for path in names {
            for above in path.ancestors().skip(1).filter(|above| !above.as_os_str().is_empty()) {
                if !tree.has_directory(above)? {
                    absent.insert(above.to_path_buf());
                }
            }
            let file = tree.read(&path, &mut left, full)?;
            files.push((path, file));
        }
        Ok(Self { tree, root, files, absent })
    }

    /// Takes away what is new first, so that there is room for what was there.
    fn put_back(&self) -> Result<(), WorkspaceError> {
        let mut changed = Vec::new();
        for (path, file) in &self.files {
            let (at, mut left) = (self.root.join(path), u64::MAX - 1);
            let full = || WorkspaceError::ChangesTooLarge { limit: Snapshot::LIMIT };
            let now = self.tree.read(path, &mut left, full)?;
            if now == *file {
                continue;
            }
            if now.is_some() {
                fs::remove_file(&at).map_err(WorkspaceError::io("remove", &at))?;
            }
            changed.extend(file.as_ref().map(|file| (at, file)));
        }
        for directory in self.absent.iter().rev() {
            match fs::remove_dir(self.root.join(directory)) {
                Err(error) if !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                    return Err(WorkspaceError::io("remove", &self.root.join(directory))(error));
                }
                _ => {}
            }
        }
        for (at, file) in changed {
            let parent = at.parent().unwrap_or(self.root);
            fs::create_dir_all(parent).map_err(WorkspaceError::io("make", parent))?;
            file.write(&at)?;
        }
        Ok(())
    }
}

/// A repository without anything, whose attributes come before those of the files: else a `.gitattributes` of the agent's, or a
/// `.git` with settings, would say what is written.
fn empty_repository() -> Result<TempDir, WorkspaceError> {
    let temporary = std::env::temp_dir();
    let repository = tempfile::tempdir().map_err(WorkspaceError::io("make a directory in", &temporary))?;
    for directory in ["objects", "refs", "info"] {
        let path = repository.path().join(directory);
        std::fs::create_dir(&path).map_err(WorkspaceError::io("make", &path))?;
    }
    let attributes = "* -text -eol -ident -filter -working-tree-encoding -whitespace\n";
    for (name, content) in [("HEAD", "ref: refs/heads/main\n"), ("info/attributes", attributes), ("config", "")] {
        let path = repository.path().join(name);
        std::fs::write(&path, content).map_err(WorkspaceError::io("write", &path))?;
    }
    Ok(repository)
}
