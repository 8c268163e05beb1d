//! What is run in a sandbox, and what comes of it.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use super::output::{Output, OutputLimit};

/// A command, its limits and its environment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Command {
    /// What is started.
    pub program: Program,
    /// Where it starts, relative to the sandbox's root.
    pub directory: PathBuf,
    /// Variables set beside those of the sandbox; later ones win.
    pub environment: Vec<(OsString, OsString)>,
    /// How long it may run.
    pub timeout: Duration,
    /// How long it may print nothing.
    pub idle_timeout: Option<Duration>,
    /// How much of its output is kept.
    pub output: OutputLimit,
}

/// What a [`Command`] starts.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Program {
    /// A script for `sh -c`.
    Script(String),
    /// A program, looked up in the sandbox's `PATH`, and its arguments.
    Direct {
        /// Its name or path.
        name: OsString,
        /// What follows the name.
        arguments: Vec<OsString>,
    },
}

impl Command {
    /// How long a command may run unless told otherwise.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);

    /// A script for `sh -c`.
    pub fn script(script: impl Into<String>) -> Self {
        Self::new(Program::Script(script.into()))
    }

    /// A program with its arguments, without a shell between.
    pub fn program<A: Into<OsString>>(name: impl Into<OsString>, arguments: impl IntoIterator<Item = A>) -> Self {
        let arguments = arguments.into_iter().map(Into::into).collect();
        Self::new(Program::Direct { name: name.into(), arguments })
    }

    fn new(program: Program) -> Self {
        Self {
            program,
            directory: PathBuf::new(),
            environment: Vec::new(),
            timeout: Self::DEFAULT_TIMEOUT,
            idle_timeout: None,
            output: OutputLimit::default(),
        }
    }

    /// Starts it in a directory below the root.
    #[must_use]
    pub fn directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = directory.into();
        self
    }

    /// Sets a variable.
    #[must_use]
    pub fn env(mut self, key: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.push((key.into(), value.into()));
        self
    }

    /// Limits how long it may run.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Limits how long it may print nothing, as a program does that waits for what never comes.
    #[must_use]
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeout = Some(timeout);
        self
    }

    /// Limits how much of its output is kept.
    #[must_use]
    pub fn output(mut self, limit: OutputLimit) -> Self {
        self.output = limit;
        self
    }
}

/// What came of a [`Command`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExecResult {
    /// How it ended.
    pub status: Status,
    /// What it printed until then.
    pub output: Output,
    /// How long it took, from its start until nothing of it ran.
    pub duration: Duration,
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Status {
    /// By itself, with this exit code.
    Exited(i32),
    /// By this signal, which the sandbox did not send.
    Signalled(i32),
    /// Killed, as its time was up.
    TimedOut,
    /// Killed, as it printed nothing for [`Command::idle_timeout`].
    Idle,
    /// Killed, as the disk was about to be full: less was free than [`Limits::free_disk`](super::Limits::free_disk).
    DiskFull,
    /// Killed, as the caller cancelled.
    Cancelled,
}

impl Status {
    /// Whether it exited with code 0.
    pub fn is_success(self) -> bool {
        self == Self::Exited(0)
    }

    /// The same as a process's own parent would have seen it: one that watches over a command by standing between tells
    /// of signal `n` by the exit code `128 + n`, as shells do. A program that exits with such a code by itself is taken for
    /// killed.
    pub(super) fn seen_through_monitor(self) -> Self {
        /// Those that end a process which does not handle them.
        const DEADLY: [i32; 15] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 13, 14, 15, 24, 31];
        match self {
            Self::Exited(code) if DEADLY.contains(&(code - 128)) => Self::Signalled(code - 128),
            other => other,
        }
    }
}
