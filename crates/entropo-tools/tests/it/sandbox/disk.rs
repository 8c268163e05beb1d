//! Commands that fill the disk: a small one, which only root can make.

use std::path::PathBuf;
use std::time::Duration;

use entropo_tools::Command;
use entropo_tools::sandbox::{Limits, SandboxKind, SandboxOptions, Status};
use tokio_util::sync::CancellationToken;

use super::{for_each_kind, sandbox_around, skip};

for_each_kind! { a_filler_is_stopped, a_maker_of_many_empty_files_is_stopped, no_file_grows_beyond_its_limit }

/// Writes a megabyte at a time, and no faster than can be watched.
pub(crate) const FILLER: &str = "i=0; while :; do head -c 1000000 /dev/zero > file-$i; i=$((i+1)); sleep 0.01; done";

/// A file system in memory; unmounted when it is dropped.
pub(crate) struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// With these options of `mount`.
    pub(crate) fn new(options: &str) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "none"])
            .arg(directory.path())
            .output();
        if mounted.is_ok_and(|mounted| mounted.status.success()) {
            return Some(Self(directory));
        }
        eprintln!("skipped: only root can mount a small disk");
        None
    }

    /// A directory on it.
    pub(crate) fn root(&self) -> PathBuf {
        let root = self.0.path().join("root");
        std::fs::create_dir_all(&root).unwrap();
        root
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = std::process::Command::new("umount").arg("-l").arg(self.0.path()).status();
        assert!(unmounted.is_ok_and(|status| status.success()));
    }
}

async fn a_filler_is_stopped(kind: SandboxKind) {
    let limits = Limits::default().free_disk(192 << 20);
    it_is_stopped(kind, "size=256m", limits, FILLER).await;
}

async fn a_maker_of_many_empty_files_is_stopped(kind: SandboxKind) {
    let limits = Limits::default().free_disk(1 << 20);
    let script = "i=0; while :; do : > file-$i; i=$((i+1)); [ $((i % 50)) != 0 ] || sleep 0.02; done 2>/dev/null";
    it_is_stopped(kind, "size=64m,nr_inodes=5k", limits, script).await;
}

async fn it_is_stopped(kind: SandboxKind, disk: &str, limits: Limits, script: &str) {
    let Some(disk) = SmallDisk::new(disk) else { return };
    let sandbox = match sandbox_around(&disk.root(), kind, SandboxOptions::new().limits(limits)).await {
        Ok(sandbox) => sandbox,
        Err(error) => return skip(&error),
    };
    let filler = Command::script(script).timeout(Duration::from_secs(60));
    let result = sandbox.exec(filler, &CancellationToken::new()).await.unwrap();
    assert_eq!(result.status, Status::DiskFull);
    let left = sandbox.exec(Command::script("rm -f file-*; echo free"), &CancellationToken::new()).await.unwrap();
    assert!(matches!(left.status, Status::Exited(0) | Status::DiskFull), "{:?}", left.status);
}

async fn no_file_grows_beyond_its_limit(kind: SandboxKind) {
    let options = SandboxOptions::new().limits(Limits::default().file_size(1 << 20));
    let Some(place) = super::open(kind, options).await else { return };
    let result = place.run("head -c 5000000 /dev/zero > file; echo $?").await;
    assert!(result.status.is_success());
    let size = std::fs::metadata(place.root.join("file")).unwrap().len();
    assert_eq!(size, 1 << 20, "{}", result.output.head);
}
