//! Commands that fill the disk: a small one, which only root can make.

use std::time::Duration;

use entropo_tools::Command;
use entropo_tools::sandbox::{Limits, SandboxKind, SandboxOptions, Status};
use tokio_util::sync::CancellationToken;

use super::{for_each_kind, sandbox_around, skip};

for_each_kind! { a_filler_is_stopped, no_file_grows_beyond_its_limit }

/// A file system in memory; unmounted when it is dropped.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn new(megabytes: u32) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let size = format!("size={megabytes}m");
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "none"])
            .arg(directory.path())
            .output();
        if mounted.is_ok_and(|mounted| mounted.status.success()) {
            return Some(Self(directory));
        }
        eprintln!("skipped: only root can mount a small disk");
        None
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = std::process::Command::new("umount").arg("-l").arg(self.0.path()).status();
        assert!(unmounted.is_ok_and(|status| status.success()));
    }
}

async fn a_filler_is_stopped(kind: SandboxKind) {
    let Some(disk) = SmallDisk::new(256) else { return };
    let root = disk.0.path().join("root");
    std::fs::create_dir(&root).unwrap();
    let options = SandboxOptions::new().limits(Limits::default().free_disk(192 << 20));
    let sandbox = match sandbox_around(&root, kind, options).await {
        Ok(sandbox) => sandbox,
        Err(error) => return skip(&error),
    };
    let filler = "i=0; while :; do head -c 1000000 /dev/zero > file-$i; i=$((i+1)); sleep 0.01; done";
    let result =
        sandbox.exec(Command::script(filler).timeout(Duration::from_secs(60)), &CancellationToken::new()).await;
    assert_eq!(result.unwrap().status, Status::DiskFull);
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
