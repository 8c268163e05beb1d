//! Why a command could not be run.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;

use super::SandboxKind;

/// Why a sandbox could not be made, or a command not be run in it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SandboxError {
    /// This kind of sandbox does not work on this machine.
    #[error("{kind} does not work here: {reason}")]
    Unavailable {
        /// The kind.
        kind: SandboxKind,
        /// What is missing, and what would help.
        reason: String,
    },
    /// A limit was asked for that cannot be enforced here.
    #[error("{kind} cannot limit {what} here: {reason}")]
    Unenforceable {
        /// The kind.
        kind: SandboxKind,
        /// What should have been limited.
        what: &'static str,
        /// Why it cannot be, and what would help.
        reason: String,
    },
    /// The root is no directory that can be used.
    #[error("cannot use {} as the root of a sandbox: {source}", root.display())]
    Root {
        /// The directory that was asked for.
        root: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// What should be readable or writable is not there.
    #[error("cannot give commands {}: {source}", path.display())]
    Shared {
        /// The path of [`SandboxOptions`](super::SandboxOptions).
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The sandbox's own directory for temporary files could not be made.
    #[error("cannot make the sandbox's directory for temporary files: {0}")]
    Scratch(#[source] io::Error),
    /// The thread that starts the commands could not be started.
    #[error("cannot start the thread that starts the sandbox's commands: {0}")]
    Launcher(#[source] io::Error),
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
    /// The engine that runs the sandbox, such as a container daemon, refused or could not be reached.
    #[error("{kind}: cannot {action}: {source}")]
    Engine {
        /// The kind of sandbox.
        kind: SandboxKind,
        /// What was tried.
        action: String,
        /// What the engine said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl SandboxError {
    /// What went wrong while a command ran: the sandbox's own error, where [`Control`](super::Control) or the output carry
    /// one.
    pub(super) fn watch(error: io::Error) -> Self {
        error.downcast::<Self>().unwrap_or_else(Self::Watch)
    }
}
