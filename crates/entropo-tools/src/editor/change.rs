//! Writing files so that others see the old content or the new, never a part.

use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::NamedTempFile;

/// Makes a new file and the directories above it, with the permissions that new files get.
pub(super) fn create(path: &Path, content: &str) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    beside(path, content)?.persist_noclobber(path)?;
    Ok(())
}

/// Gives an existing file new content and keeps its permissions.
pub(super) fn overwrite(path: &Path, content: &str) -> io::Result<()> {
    let permissions = fs::metadata(path)?.permissions();
    let file = beside(path, content)?;
    file.as_file().set_permissions(permissions)?;
    file.persist(path)?;
    Ok(())
}

/// A temporary file in the same directory, as a rename must not cross file systems.
fn beside(path: &Path, content: &str) -> io::Result<NamedTempFile> {
    let directory = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    // The process's mask takes from these what it takes from every new file.
    let mut file = tempfile::Builder::new().permissions(Permissions::from_mode(0o666)).tempfile_in(directory)?;
    file.write_all(content.as_bytes())?;
    Ok(file)
}
