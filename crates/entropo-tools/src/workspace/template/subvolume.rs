//! Snapshots of btrfs subvolumes, through the `btrfs` program.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};

use super::super::WorkspaceError;

/// What statfs calls a btrfs.
const BTRFS: i128 = 0x9123_683e;
/// Where the program is where it is not on the path.
const PLACES: &str = "/usr/sbin:/sbin:/usr/local/sbin";

pub(super) fn create(path: &Path) -> Result<(), WorkspaceError> {
    run("make a subvolume at", path, ["subvolume", "create"].map(OsStr::new), &[path])
}

pub(super) fn snapshot(from: &Path, to: &Path) -> Result<(), WorkspaceError> {
    run("make a snapshot at", to, ["subvolume", "snapshot"].map(OsStr::new), &[from, to])
}

/// Removes a subvolume at once; who may not do so empties it first, like any directory.
pub(super) fn delete(path: &Path) -> Result<(), WorkspaceError> {
    run("remove the subvolume", path, ["subvolume", "delete"].map(OsStr::new), &[path])
}

pub(super) fn attempt(scratch: &Path) -> Result<(), String> {
    let kind = rustix::fs::statfs(scratch).map_err(|error| error.to_string())?;
    if i128::from(kind.f_type) != BTRFS {
        return Err("the file system is no btrfs".to_owned());
    }
    let (first, second) = (scratch.join("first"), scratch.join("second"));
    let tried = create(&first).and_then(|()| snapshot(&first, &second)).map_err(|error| error.to_string());
    for path in [second, first] {
        // The directory above is removed in any case.
        let _ = delete(&path);
    }
    tried
}

/// Whether a directory is the top of a subvolume: its number is always this one.
pub(super) fn is_one(path: &Path) -> bool {
    let is_btrfs = rustix::fs::statfs(path).is_ok_and(|kind| i128::from(kind.f_type) == BTRFS);
    is_btrfs && rustix::fs::lstat(path).is_ok_and(|stat| stat.st_ino == 256)
}

fn run(action: &'static str, path: &Path, verb: [&OsStr; 2], paths: &[&Path]) -> Result<(), WorkspaceError> {
    let failed = |message: String| WorkspaceError::Io {
        action,
        path: path.to_path_buf(),
        source: std::io::Error::other(message),
    };
    let program = which::which("btrfs")
        .or_else(|_| which::which_in("btrfs", Some(PLACES), "/"))
        .map_err(|error| failed(format!("the program btrfs: {error}")))?;
    let output = Command::new(program)
        .args(verb)
        .args(paths)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    Err(failed(String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ")))
}
