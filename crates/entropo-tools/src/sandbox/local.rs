//! Commands as plain processes on this machine.
//!
//! It is quick and tidy, but no prison: a command can read and write whatever its user can, and one that takes pains to
//! can leave a process behind. Use it for code that is trusted as much as the user's own.

use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;

use super::host::{Launcher, Site};
use super::{
    Command, DiskGuard, Input, Process, Promises, Sandbox, SandboxError, SandboxKind, SandboxOptions, SpillDirectory,
};

/// Runs commands as processes of the current user, in a root directory and with an environment of their own.
///
/// Commands see four variables: `PATH` (the system's directories), `HOME` and `TMPDIR` (private directories outside the
/// root that vanish with the sandbox) and `LANG=C.UTF-8`. Nothing of the parent's environment reaches them.
#[derive(Debug)]
pub struct LocalSandbox {
    site: Site,
}

impl LocalSandbox {
    /// A sandbox whose commands start in `root`, with the [default limits](super::Limits::default).
    ///
    /// # Errors
    ///
    /// Where `root` is no directory, no private directory can be made, or there is no `sh`.
    pub fn new(root: impl AsRef<Path>) -> Result<Self, SandboxError> {
        Self::with(root, SandboxOptions::new())
    }

    /// A sandbox with options of one's own. Commands can read and change what their user can and use the network, whatever
    /// the options say of these.
    ///
    /// # Errors
    ///
    /// As [`LocalSandbox::new`], and where a limit cannot be enforced.
    pub fn with(root: impl AsRef<Path>, options: SandboxOptions) -> Result<Self, SandboxError> {
        let site = Site::new(SandboxKind::Local, root.as_ref(), options, |_, _| Launcher::standing())?;
        Ok(Self { site })
    }

    /// Looks programs up in these directories, separated by colons, in place of the system's.
    ///
    /// # Errors
    ///
    /// Where there is no `sh` in them.
    pub fn with_path(mut self, search_path: impl Into<OsString>) -> Result<Self, SandboxError> {
        self.site.look_in(search_path.into())?;
        Ok(self)
    }
}

#[async_trait]
impl Sandbox for LocalSandbox {
    fn kind(&self) -> SandboxKind {
        SandboxKind::Local
    }

    fn root(&self) -> &Path {
        self.site.root()
    }

    fn promises(&self) -> Promises {
        self.site.promises()
    }

    async fn spawn(&self, command: &Command, input: Input) -> Result<Process, SandboxError> {
        self.site.spawn(command, input).await
    }

    fn spills(&self) -> Option<Arc<SpillDirectory>> {
        Some(self.site.spills())
    }

    fn disk_guard(&self) -> Option<&DiskGuard> {
        Some(self.site.disk_guard())
    }
}
