//! Keeping the disk from filling up.

use std::path::PathBuf;
use std::time::Duration;

/// Files that can still be made when a disk counts as full. A disk can run out of them long before it runs out of bytes.
const FREE_FILES: u64 = 1000;

/// Watches the disks that a sandbox's commands can write to.
#[derive(Clone, Debug)]
pub struct DiskGuard {
    directories: Vec<PathBuf>,
    /// Bytes that stay free.
    free: u64,
}

impl DiskGuard {
    /// How often whoever runs a command is to look at [`DiskGuard::is_low`].
    pub const INTERVAL: Duration = Duration::from_millis(100);

    /// Keeps `free` bytes free on the disks of these directories, and room for a thousand files more. 0 turns it off.
    pub fn new(directories: impl IntoIterator<Item = PathBuf>, free: u64) -> Self {
        Self { directories: directories.into_iter().collect(), free }
    }

    /// Whether less is free on one of them. What cannot be looked at is taken for free, and so is the number of files where
    /// a file system does not count them.
    pub fn is_low(&self) -> bool {
        self.free > 0
            && self.directories.iter().any(|directory| {
                rustix::fs::statvfs(directory).is_ok_and(|disk| {
                    disk.f_bavail.saturating_mul(disk.f_frsize) < self.free
                        || (disk.f_files > 0 && disk.f_favail < FREE_FILES)
                })
            })
    }
}
