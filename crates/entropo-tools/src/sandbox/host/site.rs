//! What every sandbox of processes on this machine has.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::programs::{self, Programs};
use super::{Host, Launch, Launcher, Scratch};
use crate::paths::Located;
use crate::sandbox::{
    Command, DiskGuard, Input, Process, Promises, SandboxError, SandboxKind, SandboxOptions, SpillDirectory,
};

/// A root, private directories, programs, and a way to start them.
#[derive(Debug)]
pub(in crate::sandbox) struct Site {
    root: PathBuf,
    programs: Programs,
    environment: Vec<(OsString, OsString)>,
    host: Host,
    guard: DiskGuard,
    scratch: Scratch,
}

impl Site {
    /// Starts commands from what `launcher` gives, which is shown the root, links resolved, and the private directories.
    pub(in crate::sandbox) fn new(
        kind: SandboxKind,
        root: &Path,
        options: SandboxOptions,
        launcher: impl FnOnce(&Path, &Scratch) -> Result<Launcher, SandboxError>,
    ) -> Result<Self, SandboxError> {
        let root = programs::canonical_directory(root)?;
        let scratch = Scratch::new()?;
        let programs = Programs::new(options.search_path, &root)?;
        let host = Host::new(kind, launcher(&root, &scratch)?, options.limits)?;
        let own = [root.clone(), scratch.path().to_path_buf()];
        let guard = DiskGuard::new(own.into_iter().chain(options.writable), options.limits.free_disk);
        Ok(Self { root, programs, environment: options.environment, host, guard, scratch })
    }

    /// Looks programs up in these directories, separated by colons.
    pub(in crate::sandbox) fn look_in(&mut self, search_path: OsString) -> Result<(), SandboxError> {
        self.programs = Programs::new(Some(search_path), &self.root)?;
        Ok(())
    }

    /// The root on this machine.
    pub(in crate::sandbox) fn root(&self) -> &Path {
        &self.root
    }

    /// What the limits alone promise.
    pub(in crate::sandbox) fn promises(&self) -> Promises {
        self.host.promises()
    }

    pub(in crate::sandbox) fn spills(&self) -> Arc<SpillDirectory> {
        Arc::clone(self.scratch.temporary())
    }

    pub(in crate::sandbox) fn disk_guard(&self) -> &DiskGuard {
        &self.guard
    }

    /// Where a command starts, and the program and arguments by which it does.
    pub(in crate::sandbox) fn find(&self, command: &Command) -> Result<(Located, Vec<OsString>), SandboxError> {
        let directory = programs::directory(&self.root, &command.directory)?;
        let arguments = self.programs.arguments(&command.program, &directory.real)?;
        Ok((directory, arguments))
    }

    /// The variables of a command that sees the private directories as these.
    pub(in crate::sandbox) fn environment(
        &self,
        command: &Command,
        home: &Path,
        temporary: &Path,
    ) -> Vec<(OsString, OsString)> {
        let mut environment = self.programs.environment(home, temporary);
        environment.extend(self.environment.iter().chain(&command.environment).cloned());
        environment
    }

    /// Starts a command that sees this machine's own paths.
    pub(in crate::sandbox) async fn spawn(&self, command: &Command, input: Input) -> Result<Process, SandboxError> {
        let (directory, arguments) = self.find(command)?;
        let environment = self.environment(command, self.scratch.home(), self.scratch.temporary().path());
        self.launch(Launch { arguments, directory: &directory.real, environment, input, monitored: false }).await
    }

    /// Starts what was made of a command.
    pub(in crate::sandbox) async fn launch(&self, launch: Launch<'_>) -> Result<Process, SandboxError> {
        self.host.spawn(launch).await
    }
}
