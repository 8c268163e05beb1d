//! The repository, and the copy that the agent works on.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use entropo::tools::Workspace;
use repair_lab::task::LabTask;

use crate::Failure;

/// A copy of the files that git knows, as they lie there now; changes that are not committed are in it.
pub(crate) async fn copy(repository: &Path) -> Result<Workspace, Failure> {
    let tracked = git(repository, &["ls-files", "-z"])?;
    let copy = tempfile::tempdir()?;
    for path in tracked.split(|&byte| byte == 0).filter(|path| !path.is_empty()) {
        let path = Path::new(OsStr::from_bytes(path));
        let (from, to) = (repository.join(path), copy.path().join(path));
        let copied = to.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| copy_one(&from, &to));
        copied.map_err(|error| format!("cannot copy {}: {error}", from.display()))?;
    }
    Ok(Workspace::copy_of(copy.path()).await?)
}

/// What was deleted without git knowing is not there to be copied, and neither is what a submodule holds.
fn copy_one(from: &Path, to: &Path) -> io::Result<()> {
    match from.symlink_metadata() {
        Ok(file) if file.is_symlink() => symlink(from.read_link()?, to),
        Ok(file) if file.is_file() => std::fs::copy(from, to).map(drop),
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Makes a repository of a task of the repair lab.
pub(crate) fn make(directory: &Path, task: &LabTask) -> Result<(), Failure> {
    for (path, text) in &task.files {
        let path = directory.join(path);
        let parent = path.parent().unwrap_or(directory);
        std::fs::create_dir_all(parent).and_then(|()| std::fs::write(&path, text))?;
    }
    git(directory, &["init", "--quiet"])?;
    git(directory, &["add", "."])?;
    Ok(())
}

fn git(directory: &Path, arguments: &[&str]) -> Result<Vec<u8>, Failure> {
    let output = Command::new("git").arg("-C").arg(directory).args(arguments).output();
    let output = output.map_err(|error| format!("cannot run git: {error}; it must be on the PATH"))?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        let path = directory.display();
        return Err(format!("{}\n(--repo must be a git repository; is {path} one?)", words.trim()).into());
    }
    Ok(output.stdout)
}
