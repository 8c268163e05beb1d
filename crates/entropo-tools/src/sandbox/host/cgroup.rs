//! Limits on all processes of a sandbox together.
//!
//! A process limit holds for each process, and some hold for root not at all; only a control group bounds a whole family.
//! One can be made where this process may write to its own group: as root, in many containers, and where a service
//! manager has delegated one.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::sandbox::Limits;

const PREFIX: &str = "entropo-";

/// A control group, removed with its processes when it is dropped.
#[derive(Debug)]
pub(in crate::sandbox) struct Cgroup {
    /// One directory for each hierarchy.
    directories: Vec<PathBuf>,
}

impl Cgroup {
    /// A group below this process's own with these limits.
    ///
    /// # Errors
    /// Says in words why there can be none.
    pub(in crate::sandbox) fn create(limits: &Limits) -> Result<Self, String> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!("{PREFIX}{}-{}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let mut group = Self { directories: Vec::new() };
        for (controller, asked) in [("memory", limits.memory.is_some()), ("pids", limits.processes.is_some())] {
            if asked {
                let parent = Hierarchy::of(controller)?;
                parent.clear_stale();
                group.open(&parent, &name)?;
                parent.limit(&parent.directory.join(&name), controller, limits)?;
            }
        }
        Ok(group)
    }

    fn open(&mut self, parent: &Hierarchy, name: &str) -> Result<(), String> {
        let directory = parent.directory.join(name);
        if !self.directories.contains(&directory) {
            fs::create_dir(&directory).map_err(in_words("make", &directory))?;
            self.directories.push(directory);
        }
        Ok(())
    }

    /// Moves a process into the group, where its children stay.
    pub(in crate::sandbox) fn add(&self, pid: u32) -> io::Result<()> {
        self.directories.iter().try_for_each(|directory| fs::write(directory.join("cgroup.procs"), pid.to_string()))
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        self.directories.iter().for_each(|directory| remove(directory));
    }
}

/// Kills what runs in a group and removes it.
fn remove(directory: &Path) {
    for _ in 0..100 {
        let members = fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
        // 0 stands for one of another namespace; to kill it would be to kill this process's own group.
        for pid in members.lines().filter_map(|line| line.parse().ok()).filter(|pid: &i32| *pid > 0) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        match fs::remove_dir(directory) {
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
                std::thread::sleep(std::time::Duration::from_millis(2));
            }
            _ => return,
        }
    }
    tracing::warn!(directory = %directory.display(), "a control group could not be removed");
}

/// Where groups of one controller are made.
struct Hierarchy {
    directory: PathBuf,
    unified: bool,
}

impl Hierarchy {
    /// This process's own group in the hierarchy of `controller`.
    fn of(controller: &str) -> Result<Self, String> {
        let read = |path: &str| fs::read_to_string(path).map_err(in_words("read", Path::new(path)));
        let (own, mounts) = (read("/proc/self/cgroup")?, read("/proc/self/mountinfo")?);
        let own: Vec<(&str, &str)> = own.lines().filter_map(|line| line.split_once(':')?.1.split_once(':')).collect();
        for (unified, kind) in [(false, "cgroup"), (true, "cgroup2")] {
            let Some((_, path)) = own.iter().find(|(names, _)| {
                if unified { names.is_empty() } else { names.split(',').any(|name| name == controller) }
            }) else {
                continue;
            };
            if let Some(mount) = mounts.lines().find_map(|line| mount_point(line, kind, controller, unified)) {
                let directory = mount.join(path.trim_start_matches('/'));
                // In a namespace of its own the path is relative to what is mounted.
                let directory = if directory.is_dir() { directory } else { mount };
                return Self { directory, unified }.with(controller);
            }
        }
        Err(format!("the kernel offers no control groups for {controller}"))
    }

    /// Makes sure that groups made here have the controller.
    fn with(self, controller: &str) -> Result<Self, String> {
        if self.unified {
            let file = self.directory.join("cgroup.subtree_control");
            let enabled = fs::read_to_string(&file).map_err(in_words("read", &file))?;
            if !enabled.split_whitespace().any(|name| name == controller) {
                fs::write(&file, format!("+{controller}")).map_err(in_words("write to", &file))?;
            }
        }
        Ok(self)
    }

    fn limit(&self, group: &Path, controller: &str, limits: &Limits) -> Result<(), String> {
        let set = |file: &str, value: u64| {
            let file = group.join(file);
            fs::write(&file, value.to_string()).map_err(in_words("write to", &file))
        };
        match (controller, self.unified) {
            ("pids", _) => limits.processes.map_or(Ok(()), |number| set("pids.max", number)),
            (_, false) => limits.memory.map_or(Ok(()), |bytes| {
                set("memory.limit_in_bytes", bytes)?;
                // With swap space on top the limit would be none. The file is not there where swap is not counted.
                let _ = set("memory.memsw.limit_in_bytes", bytes);
                Ok(())
            }),
            (_, true) => limits.memory.map_or(Ok(()), |bytes| {
                set("memory.max", bytes)?;
                let _ = set("memory.swap.max", 0);
                Ok(())
            }),
        }
    }

    /// Removes groups whose maker was killed before it could.
    fn clear_stale(&self) {
        for entry in fs::read_dir(&self.directory).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let maker = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.split('-').next()?.parse().ok());
            if maker.is_some_and(|pid: i32| pid > 0 && kill(Pid::from_raw(pid), None) == Err(Errno::ESRCH)) {
                remove(&entry.path());
            }
        }
    }
}

/// The directory that a line of `mountinfo` names, if it is of this hierarchy.
fn mount_point(line: &str, kind: &str, controller: &str, unified: bool) -> Option<PathBuf> {
    let (before, after) = line.split_once(" - ")?;
    let mut after = after.split(' ');
    let is_kind = after.next()? == kind;
    let has_controller = unified || after.nth(1)?.split(',').any(|option| option == controller);
    (is_kind && has_controller).then(|| before.split(' ').nth(4).map(PathBuf::from))?
}

fn in_words(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> String {
    move |error| format!("cannot {action} {}: {error}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_are_told_apart() {
        let old = "35 24 0:30 / /sys/fs/cgroup/pids rw,relatime shared:1 - cgroup cgroup rw,pids";
        let new = "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate";
        assert_eq!(mount_point(old, "cgroup", "pids", false), Some(PathBuf::from("/sys/fs/cgroup/pids")));
        assert_eq!(mount_point(old, "cgroup", "memory", false), None);
        assert_eq!(mount_point(new, "cgroup2", "memory", true), Some(PathBuf::from("/sys/fs/cgroup")));
        assert_eq!(mount_point(new, "cgroup", "memory", false), None);
    }
}
