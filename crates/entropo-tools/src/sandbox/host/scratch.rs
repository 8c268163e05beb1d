//! Directories that only one sandbox's commands use.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;

use crate::sandbox::SandboxError;
use crate::sandbox::output::SpillDirectory;

/// A home and a directory for temporary files, outside the root; removed when this is dropped.
#[derive(Debug)]
pub(in crate::sandbox) struct Scratch {
    home: PathBuf,
    temporary: Arc<SpillDirectory>,
    directory: TempDir,
}

impl Scratch {
    pub(in crate::sandbox) fn new() -> Result<Self, SandboxError> {
        let directory = tempfile::Builder::new().prefix("entropo-").tempdir().map_err(SandboxError::Scratch)?;
        let path = directory.path().canonicalize().map_err(SandboxError::Scratch)?;
        let (home, temporary) = (path.join("home"), path.join("tmp"));
        for directory in [&home, &temporary] {
            std::fs::create_dir(directory).map_err(SandboxError::Scratch)?;
        }
        Ok(Self { home, temporary: Arc::new(SpillDirectory::new(temporary)), directory })
    }

    /// What commands know as `HOME`.
    pub(in crate::sandbox) fn home(&self) -> &Path {
        &self.home
    }

    /// What commands know as `TMPDIR`.
    pub(in crate::sandbox) fn temporary(&self) -> &Arc<SpillDirectory> {
        &self.temporary
    }

    /// Where both are; commands need not see it.
    pub(in crate::sandbox) fn path(&self) -> &Path {
        self.directory.path()
    }
}

impl Drop for Scratch {
    /// Removes what commands have closed to their own user, too.
    fn drop(&mut self) {
        if let Err(error) = crate::workspace::remove(self.directory.path()) {
            tracing::warn!(%error, directory = %self.directory.path().display(), "a sandbox's directories are left");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_was_closed_is_removed_too() {
        let scratch = Scratch::new().unwrap();
        let path = scratch.path().to_path_buf();
        let closed = scratch.home().join("a/b");
        fs::create_dir_all(&closed).unwrap();
        fs::write(closed.join("file"), "").unwrap();
        for directory in [closed.as_path(), closed.parent().unwrap()] {
            fs::set_permissions(directory, Permissions::from_mode(0o500)).unwrap();
        }
        drop(scratch);
        assert!(!path.exists());
    }
}
