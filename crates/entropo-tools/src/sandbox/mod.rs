//! Where commands run.
//!
//! A [`Sandbox`] is a place with a root directory in which a [`Command`] can be run to an [`ExecResult`]. The trait is
//! object-safe, because which kind of sandbox is used is decided at run time. Each command is a fresh process: nothing
//! but files persists from one to the next, so that an episode can be replayed from its calls alone.

mod local;
mod output;

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

pub use local::LocalSandbox;
pub use output::{Output, OutputLimit, Spill};

/// A place in which commands run.
#[async_trait]
pub trait Sandbox: Send + Sync + 'static {
    /// The directory in which commands start, as they see it.
    fn root(&self) -> &Path;

    /// Runs a command until it exits, its time is up or `cancel` fires. Afterwards neither it nor its children run, also
    /// when the future is dropped half-way.
    ///
    /// # Errors
    ///
    /// Only where the command could not be started or watched; a command that fails is a result.
    async fn exec(&self, command: Command, cancel: &CancellationToken) -> Result<ExecResult, SandboxError>;
}

/// A command, its limits and its environment. Its standard input is closed.
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

    /// Limits how much of its output is kept.
    #[must_use]
    pub fn output(mut self, limit: OutputLimit) -> Self {
        self.output = limit;
        self
    }
}

/// What came of a [`Command`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecResult {
    /// How it ended.
    pub status: Status,
    /// What it printed until then.
    pub output: Output,
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
    /// Killed, as the caller cancelled.
    Cancelled,
}

impl Status {
    /// Whether it exited with code 0.
    pub fn is_success(self) -> bool {
        self == Self::Exited(0)
    }
}

/// Why a command could not be run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SandboxError {
    /// The root is no directory that can be used.
    #[error("cannot use {} as the root of a sandbox: {source}", root.display())]
    Root {
        /// The directory that was asked for.
        root: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The sandbox's own directory for temporary files could not be made.
    #[error("cannot make the sandbox's directory for temporary files: {0}")]
    Scratch(#[source] io::Error),
    /// The command's directory is missing or leaves the root.
    #[error("cannot start a command in {}: {source}", directory.display())]
    Directory {
        /// The directory that was asked for.
        directory: PathBuf,
        /// What is wrong with it.
        source: crate::PathError,
    },
    /// No such program.
    #[error("the program {} is not in the sandbox's PATH: {source}", program.to_string_lossy())]
    Missing {
        /// The program that was asked for.
        program: OsString,
        /// What the look-up said.
        source: which::Error,
    },
    /// The process could not be started.
    #[error("cannot start {}: {source}", program.display())]
    Spawn {
        /// The program's full path.
        program: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Its output or its end could not be read.
    #[error("lost track of a running command: {0}")]
    Watch(#[source] io::Error),
}
