//! How much of the machine commands may use.

/// How much of the machine the commands of one sandbox may use. What cannot be enforced on a machine is refused when the
/// sandbox is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Memory of all commands together, in bytes. Needs cgroups, or a container.
    pub memory: Option<u64>,
    /// Address space of each process, in bytes. It stops most memory bombs everywhere, but runtimes that reserve more than
    /// they use, such as those of Java and JavaScript, do not start under a small one.
    pub address_space: Option<u64>,
    /// Processes and threads at the same time. Needs cgroups, or a container.
    pub processes: Option<u64>,
    /// Size of each file that is written, in bytes.
    pub file_size: Option<u64>,
    /// Bytes that stay free on the disks of the root and of the temporary directory: a command that leaves less, or room for
    /// less than a thousand more files, is killed. It is looked at ten times a second. 0 turns it off.
    pub free_disk: u64,
}

impl Default for Limits {
    /// Files of at most 8 GiB, 128 MiB of the disk stay free; the rest is not limited.
    fn default() -> Self {
        Self { memory: None, address_space: None, processes: None, file_size: Some(8 << 30), free_disk: 128 << 20 }
    }
}

impl Limits {
    /// For commands that nobody trusts: 4 GiB of memory, 512 processes, files of at most 1 GiB.
    pub fn strict() -> Self {
        Self { memory: Some(4 << 30), processes: Some(512), file_size: Some(1 << 30), ..Self::default() }
    }

    /// Limits the memory of all commands together, in bytes.
    #[must_use]
    pub fn memory(self, bytes: u64) -> Self {
        Self { memory: Some(bytes), ..self }
    }

    /// Limits the address space of each process, in bytes.
    #[must_use]
    pub fn address_space(self, bytes: u64) -> Self {
        Self { address_space: Some(bytes), ..self }
    }

    /// Limits how many processes and threads run at the same time.
    #[must_use]
    pub fn processes(self, number: u64) -> Self {
        Self { processes: Some(number), ..self }
    }

    /// Limits the size of each file that is written, in bytes.
    #[must_use]
    pub fn file_size(self, bytes: u64) -> Self {
        Self { file_size: Some(bytes), ..self }
    }

    /// Keeps so many bytes of the disk free.
    #[must_use]
    pub fn free_disk(self, bytes: u64) -> Self {
        Self { free_disk: bytes, ..self }
    }

    /// What is limited that only a control group can, if anything is.
    pub(super) fn needs_group(&self) -> Option<&'static str> {
        let asked = [("memory", self.memory), ("the number of processes", self.processes)];
        asked.into_iter().find_map(|(what, limit)| limit.map(|_| what))
    }

    /// Commands for `sh` that set what each process inherits. POSIX gives the units: blocks of 512 bytes for files, and
    /// everywhere KiB for memory.
    pub(super) fn as_script(&self) -> String {
        let mut script = "ulimit -c 0".to_owned();
        if let Some(bytes) = self.file_size {
            script.push_str(&format!(" && ulimit -f {}", bytes.div_ceil(512)));
        }
        if let Some(bytes) = self.address_space {
            script.push_str(&format!(" && ulimit -v {}", bytes.div_ceil(1024)));
        }
        script
    }
}
