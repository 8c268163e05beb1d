//! A command and all that descends from it.
//!
//! A process group is what a command and its children have in common, until one of them starts a group or session of its
//! own, as every daemon does. So each command carries a mark that is inherited through all that, that it does not see in
//! its environment and that changes nothing: the limit of its resident memory, which Linux has ignored since 2.4.30. Each
//! family has a limit of its own, beyond four pebibytes. Elsewhere the process group must do.

use std::collections::HashSet;
use std::io;
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

/// Sweeps after which killing is given up: each takes whoever was started while the last one went on.
const SWEEPS: usize = 1000;

/// The processes of one command.
#[derive(Debug)]
pub(in crate::sandbox) struct Family {
    /// KiB of resident memory.
    mark: u64,
    group: Option<Pid>,
    /// One that passes signals on by itself, or must not get any but the last.
    pub(super) monitor: Option<Pid>,
}

impl Family {
    /// A family without members, its mark given to no other on this machine.
    pub(in crate::sandbox) fn new() -> Self {
        Self { mark: next_mark(), group: None, monitor: None }
    }

    /// A command for `sh` that makes it and what it starts a member.
    pub(in crate::sandbox) fn as_script(&self) -> String {
        if cfg!(target_os = "linux") { format!("ulimit -m {}", self.mark) } else { ":".to_owned() }
    }

    /// Makes a process and what it will start a member.
    pub(super) fn mark(&self, pid: u32) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        rlimit::prlimit(pid.cast_signed(), rlimit::Resource::RSS, Some((self.mark << 10, self.mark << 10)), None)?;
        Ok(())
    }

    /// What `/proc/[pid]/limits` shows as the hard limit of each member's resident set.
    #[cfg(feature = "container")]
    pub(in crate::sandbox) fn bytes(&self) -> u64 {
        self.mark << 10
    }

    /// Counts the processes of this group too.
    pub(super) fn lead_by(&mut self, leader: Option<u32>) {
        self.group = leader.and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
    }

    /// Sends a signal to all members but the monitor.
    pub(in crate::sandbox) fn signal(&self, signal: Signal) -> Result<(), Errno> {
        let members = self.members();
        if members.is_empty() && self.monitor.is_none() {
            return self.group.map_or(Ok(()), |group| forgiving(killpg(group, signal)));
        }
        members
            .into_iter()
            .filter(|member| Some(*member) != self.monitor)
            .try_for_each(|pid| forgiving(kill(pid, signal)))
    }

    /// Kills all members, and those that they start meanwhile. They may take a moment to be gone.
    ///
    /// The first may have been reaped by now. Its number is not given to a new process while children remain in its
    /// group, and if none do, it would have to come round again within microseconds to name another group.
    pub(in crate::sandbox) fn kill(&mut self) {
        if let Some(group) = self.group.take() {
            // An error says that the group is empty already.
            let _ = killpg(group, Signal::SIGKILL);
        }
        let mut killed = HashSet::new();
        for _ in 0..SWEEPS {
            let new: Vec<Pid> = self.members().into_iter().filter(|member| killed.insert(*member)).collect();
            if new.is_empty() {
                return;
            }
            for member in new {
                let _ = kill(member, Signal::SIGKILL);
            }
        }
    }

    /// Whether nobody is left.
    pub(in crate::sandbox) fn is_gone(&self) -> bool {
        self.members().is_empty()
    }

    #[cfg(target_os = "linux")]
    fn members(&self) -> Vec<Pid> {
        use rlimit::{Resource, prlimit};

        let Ok(processes) = std::fs::read_dir("/proc") else { return Vec::new() };
        let pids = processes.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        let is_member = |pid: &i32| {
            let (mut soft, mut hard) = (0, 0);
            match prlimit(*pid, Resource::RSS, None, Some((&mut soft, &mut hard))) {
                Ok(()) => hard == self.mark << 10,
                // Root that became another user may not be asked about by a root with few powers, but may be looked at.
                Err(error) if error.raw_os_error() == Some(Errno::EPERM as i32) => shown(*pid) == Some(self.mark << 10),
                Err(_) => false,
            }
        };
        pids.filter(is_member).filter(|pid| !is_zombie(*pid)).map(Pid::from_raw).collect()
    }

    #[cfg(not(target_os = "linux"))]
    fn members(&self) -> Vec<Pid> {
        Vec::new()
    }
}

impl Drop for Family {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A limit of resident memory, in KiB, that no other family started by this process has.
pub(in crate::sandbox) fn next_mark() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed) & ((1 << 30) - 1);
    (1 << 52) | (u64::from(process::id()) << 30) | number
}

/// A signal to one that is gone is no error.
fn forgiving(sent: Result<(), Errno>) -> Result<(), Errno> {
    if sent == Err(Errno::ESRCH) { Ok(()) } else { sent }
}

/// The mark as the system shows it to everyone.
#[cfg(target_os = "linux")]
fn shown(pid: i32) -> Option<u64> {
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).ok()?;
    limits.lines().find(|line| line.starts_with("Max resident set"))?.split_whitespace().nth(4)?.parse().ok()
}

/// Whether it has ended, and only its parent has not asked yet how. One whose first thread has ended looks the same while
/// its others run on.
#[cfg(target_os = "linux")]
fn is_zombie(pid: i32) -> bool {
    let ended = |stat: String| {
        let mut fields = stat.rsplit_once(") ")?.1.split(' ');
        let state = fields.next()?;
        let threads: u32 = fields.nth(16)?.parse().ok()?;
        Some(state.starts_with(['Z', 'X']) && threads <= 1)
    };
    std::fs::read_to_string(format!("/proc/{pid}/stat")).ok().and_then(ended).unwrap_or(true)
}
