//! Keeping paths that a model wrote inside the workspace.
//!
//! A path is taken apart here and never handed to the system as it was written: absolute paths and those that climb out
//! are refused, and symbolic links are followed and refused if they lead out.

use std::io;
use std::path::{Component, Path, PathBuf};

/// Why a path was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
    /// It is absolute, climbs out by `..`, or follows a link that leads out.
    #[error("{0}: path leaves the workspace.")]
    Outside(String),
    /// There is nothing there.
    #[error("{0} does not exist.")]
    Missing(String),
    /// It cannot be looked at.
    #[error("{path}: {}.", source.kind())]
    Io {
        /// The path as it was written.
        path: String,
        /// What the system said.
        source: io::Error,
    },
}

/// A path that was found to lie in the workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Located {
    /// The path on this machine, links resolved.
    pub(crate) real: PathBuf,
    /// The path relative to the workspace, as it is shown: `lib/x.sh`, or `.` for the root itself.
    pub(crate) shown: String,
    /// Whether something is there.
    pub(crate) exists: bool,
}

/// Finds what `path` names below `root`, which must be canonical. It need not exist.
pub(crate) fn locate(root: &Path, path: &str) -> Result<Located, PathError> {
    let outside = || PathError::Outside(path.to_owned());
    let mut parts: Vec<&str> = Vec::new();
    for component in Path::new(path).components() {
        match component {
            Component::CurDir => {}
            Component::Normal(part) => parts.push(part.to_str().ok_or_else(outside)?),
            Component::ParentDir => drop(parts.pop().ok_or_else(outside)?),
            Component::RootDir | Component::Prefix(_) => return Err(outside()),
        }
    }
    let mut real = root.to_path_buf();
    let mut exists = true;
    for part in &parts {
        real.push(part);
        if !exists {
            continue;
        }
        match real.canonicalize() {
            Ok(resolved) if resolved.starts_with(root) => real = resolved,
            Ok(_) => return Err(outside()),
            Err(error) if is_absent(&error) && real.symlink_metadata().is_err() => exists = false,
            Err(source) => return Err(PathError::Io { path: path.to_owned(), source }),
        }
    }
    let shown = if parts.is_empty() { ".".to_owned() } else { parts.join("/") };
    Ok(Located { real, shown, exists })
}

/// As [`locate`], for what must be there.
pub(crate) fn locate_existing(root: &Path, path: &str) -> Result<Located, PathError> {
    let located = locate(root, path)?;
    if located.exists { Ok(located) } else { Err(PathError::Missing(located.shown)) }
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_inside_is_found_and_what_leaves_is_refused() {
        let outer = tempfile::tempdir().unwrap();
        let outer = outer.path().canonicalize().unwrap();
        let root = outer.join("root");
        std::fs::create_dir_all(root.join("lib")).unwrap();
        std::fs::write(root.join("lib/x"), "").unwrap();
        std::fs::write(outer.join("secret"), "").unwrap();
        for (link, target) in [("out", ".."), ("file", "../secret"), ("dangling", "../absent"), ("in", "lib")] {
            std::os::unix::fs::symlink(target, root.join(link)).unwrap();
        }

        for (path, shown, exists) in [
            (".", ".", true),
            ("", ".", true),
            ("./lib//x", "lib/x", true),
            ("lib/../lib/x", "lib/x", true),
            ("in/x", "in/x", true),
            ("new/deep/file", "new/deep/file", false),
            ("lib/x/below-a-file", "lib/x/below-a-file", false),
        ] {
            let located = locate(&root, path).unwrap();
            assert_eq!((located.shown.as_str(), located.exists), (shown, exists), "{path}");
            assert!(located.real.starts_with(&root));
        }
        for path in ["/etc/passwd", "..", "../secret", "lib/../../secret", "out/secret", "out", "file", "out/new"] {
            assert!(matches!(locate(&root, path), Err(PathError::Outside(_))), "{path}");
        }
        assert!(locate(&root, "dangling").is_err());
        assert!(locate(&root, "dangling/new").is_err());
        assert_eq!(locate_existing(&root, "absent").unwrap_err().to_string(), "absent does not exist.");
    }
}
