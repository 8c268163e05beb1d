//! How a sandbox that confines is set up.

use std::ffi::OsString;
use std::path::PathBuf;

use super::{Limits, SandboxError};

/// What commands of a sandbox may use beyond its root: by default the system's programs and settings, and no network.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct SandboxOptions {
    /// How much of the machine.
    pub limits: Limits,
    /// What they may read and run besides.
    pub readable: Vec<PathBuf>,
    /// What they may change besides.
    pub writable: Vec<PathBuf>,
    /// Whether they may use the network.
    pub network: bool,
    /// Where programs are looked up, in place of the system's directories: paths separated by colons.
    pub search_path: Option<OsString>,
    /// Variables for all commands.
    pub environment: Vec<(OsString, OsString)>,
}

impl SandboxOptions {
    /// The system's programs and settings, no network, the [default limits](Limits::default).
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the limits.
    #[must_use]
    pub fn limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Lets commands read and run what is below this path, such as a toolchain in the user's home.
    #[must_use]
    pub fn readable(mut self, path: impl Into<PathBuf>) -> Self {
        self.readable.push(path.into());
        self
    }

    /// Lets commands change what is below this path, such as a cache of downloads.
    #[must_use]
    pub fn writable(mut self, path: impl Into<PathBuf>) -> Self {
        self.writable.push(path.into());
        self
    }

    /// Lets commands use the network.
    #[must_use]
    pub fn network(self) -> Self {
        Self { network: true, ..self }
    }

    /// Looks programs up in these directories, separated by colons, in place of the system's.
    #[must_use]
    pub fn search_path(self, path: impl Into<OsString>) -> Self {
        Self { search_path: Some(path.into()), ..self }
    }

    /// Sets a variable for all commands; a command's own win.
    #[must_use]
    pub fn env(mut self, key: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.push((key.into(), value.into()));
        self
    }

    /// Makes sure that what commands are to share is there, so that its lack is not found out by a command.
    pub(super) fn check(&self) -> Result<(), SandboxError> {
        self.readable.iter().chain(&self.writable).try_for_each(|path| match path.metadata() {
            Ok(_) => Ok(()),
            Err(source) => Err(SandboxError::Shared { path: path.clone(), source }),
        })
    }
}
