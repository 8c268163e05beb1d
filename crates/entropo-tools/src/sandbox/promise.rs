//! What a sandbox holds back.

use std::collections::BTreeSet;
use std::fmt;

/// Something that commands cannot do, whatever they try.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Promise {
    /// See a variable of the embedding process's environment.
    Environment,
    /// Change a file outside the root, the sandbox's own directories and what was made writable: what is in it, and whether
    /// and where there is one. Under [`SandboxKind::Landlock`](super::SandboxKind::Landlock) a command that runs as the owner
    /// of a file can change its mode, times and extended attributes.
    Files,
    /// Read a file that is neither in these places, nor the system's, nor was made readable.
    Secrets,
    /// Open a connection, or reach a service of this machine.
    Network,
    /// Signal a process outside the sandbox.
    Signals,
    /// Leave a process behind after the call.
    Survivors,
    /// Outlive the embedding process, also when that is killed.
    Orphans,
    /// Use more memory together than [`Limits::memory`](super::Limits::memory).
    Memory,
    /// Be more than [`Limits::processes`](super::Limits::processes).
    Processes,
    /// Fill the disk: less than [`Limits::free_disk`](super::Limits::free_disk) for more than a moment.
    Disk,
}

impl Promise {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Environment,
        Self::Files,
        Self::Secrets,
        Self::Network,
        Self::Signals,
        Self::Survivors,
        Self::Orphans,
        Self::Memory,
        Self::Processes,
        Self::Disk,
    ];

    /// What is held back, in a few words.
    pub fn what(self) -> &'static str {
        match self {
            Self::Environment => "read the embedding process's environment",
            Self::Files => "change files outside",
            Self::Secrets => "read the user's files",
            Self::Network => "use the network or this machine's services",
            Self::Signals => "signal processes outside",
            Self::Survivors => "leave a process behind after the call",
            Self::Orphans => "outlive the embedding process",
            Self::Memory => "use more memory than allowed",
            Self::Processes => "start more processes than allowed",
            Self::Disk => "fill the disk",
        }
    }
}

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what())
    }
}

/// What one sandbox holds back, on this machine and with its limits.
pub type Promises = BTreeSet<Promise>;
