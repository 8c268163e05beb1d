//! Keeping the disk from filling up.

use std::path::PathBuf;

/// Watches the disks that a sandbox's commands can write to.
#[derive(Clone, Debug)]
pub struct DiskGuard {
    directories: Vec<PathBuf>,
    /// Bytes that stay free.
    free: u64,
}

impl DiskGuard {
    /// Keeps `free` bytes free on the disks of these directories. 0 turns it off.
    pub fn new(directories: impl IntoIterator<Item = PathBuf>, free: u64) -> Self {
        Self { directories: directories.into_iter().collect(), free }
    }

    /// Whether less is free on one of them. What cannot be looked at is taken for free.
    pub fn is_low(&self) -> bool {
        self.free > 0
            && self.directories.iter().any(|directory| {
                rustix::fs::statvfs(directory).is_ok_and(|disk| disk.f_bavail.saturating_mul(disk.f_frsize) < self.free)
            })
    }
}
