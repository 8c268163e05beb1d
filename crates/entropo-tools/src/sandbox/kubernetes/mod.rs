//! Commands in a pod of a Kubernetes cluster.
//!
//! Each sandbox is one pod: an image, its limits, no rights in the cluster, and a first process that does nothing.
//! Commands are started in it through the cluster's API (`exec` over a WebSocket). Deleting the pod ends them all.
//!
//! # Files
//!
//! The workspace has two copies: here, for tools such as the editor, and in the pod, for commands. [`start`] copies it in.
//! [`Sandbox::spawn`] first sends what changed here; [`Sandbox::exec`] also takes the pod's copy back afterwards. After
//! commands that were started by `spawn`, call [`sync_out`] yourself. Where both changed the same file, the copy here wins.
//!
//! - Taking it back costs an archive of the whole workspace each time, so keep what need not come back, such as what is
//!   built, outside it: in `$TMPDIR` or `$HOME`.
//! - Change no files here while a command is being started or taken back from: these changes may be lost. Commands that
//!   write while another's files are being packed may fail that one.
//! - Modes of directories, times, owners, sockets and devices do not come back.
//! - A file in the pod that its own user cannot read fails the call.
//!
//! # What is held back, and what is not
//!
//! A pod shares no files, processes or variables with this machine. Beyond [`promises`](Sandbox::promises):
//!
//! - The network is the cluster's. Hold it back by a network policy that selects the pod's labels.
//! - Processes of a command are found by a mark that they inherit, and are killed when the command ends. One that lowers
//!   its own limit of resident memory loses the mark and lives until the pod is deleted.
//! - A pod outlives its owner until [`PodOptions::lifetime`] is over, and its record until [`remove_left_overs`].
//! - A cluster limits disk and processes by its own means: the pod is evicted, or the node's limit holds.
//! - Where the connection breaks, the end of a command is not known; it is killed as soon as the cluster can be reached,
//!   which is tried once.
//!
//! Programs are looked up in the pod, so one that is missing is a command that exits with 127. A command travels in the
//! address of a request: keep it under some 100 KiB. The end of a command's input is told only by Kubernetes 1.30 or newer;
//! older ones take it for the end of the connection.
//!
//! It was never tried with a real cluster. Its tests talk to an API server of their own, which runs commands on the same
//! machine.
//!
//! The features `kubernetes` and `kubernetes-any` differ in who chooses the version of [`k8s_openapi`].
//!
//! [`start`]: KubernetesSandbox::start
//! [`sync_out`]: KubernetesSandbox::sync_out

mod cleanup;
mod error;
mod options;
mod pod;
mod process;
mod remote;
mod scripts;
mod start;
mod sync;

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use async_trait::async_trait;
use kube::Client;
use tokio_util::sync::CancellationToken;

pub use cleanup::remove_left_overs;
pub use error::PodError;
pub use options::{PodOptions, PodResources};
/// The crates whose types are part of this module's interface.
pub use {k8s_openapi, kube};

use super::{
    Command, ExecResult, Input, Process, Program, Promise, Promises, Sandbox, SandboxError, SandboxKind, exec, host,
};
use process::PodControl;
use remote::{Remote, Streams};
use sync::Mirrored;

/// Runs commands in a pod of its own, which is deleted by [`close`](Self::close), or, as well as that can be done, when
/// this is dropped.
#[derive(Debug)]
pub struct KubernetesSandbox {
    remote: Arc<Remote>,
    files: Mirrored,
    root: PathBuf,
    limits_memory: bool,
}

impl KubernetesSandbox {
    /// Makes a pod, waits until it runs and copies the directory `root` into it.
    ///
    /// # Errors
    ///
    /// Where `root` is no directory, the cluster refuses the pod or cannot be reached, the pod does not start (with the
    /// reason from its status), or the files cannot be copied. The pod is deleted then.
    pub async fn start(client: Client, root: impl AsRef<Path>, options: PodOptions) -> Result<Self, SandboxError> {
        let local = host::canonical_directory(root.as_ref())?;
        let name = format!("entropo-{:016x}{:016x}", rand::random::<u64>(), rand::random::<u64>());
        let pods = cleanup::namespaced(client, options.namespace.as_deref());
        let (request_timeout, transfer_timeout) = (options.request_timeout, options.transfer_timeout);
        let closed = AtomicBool::new(false);
        let remote = Arc::new(Remote { pods, name, request_timeout, transfer_timeout, closed });
        let sandbox = Self {
            remote: Arc::clone(&remote),
            files: Mirrored::new(local, &options.root, options.archive_limit),
            limits_memory: options.resources.memory.is_some(),
            root: options.root.clone(),
        };
        match sandbox.begin(&options).await {
            Ok(()) => Ok(sandbox),
            Err(error) => {
                if let Err(error) = remote.delete().await {
                    tracing::warn!(pod = remote.name, %error, "a pod that did not start may be left until its deadline");
                }
                Err(error)
            }
        }
    }

    async fn begin(&self, options: &PodOptions) -> Result<(), SandboxError> {
        let (pods, name) = (&self.remote.pods, &self.remote.name);
        let pod = pod::manifest(name, options);
        start::create(pods, &pod, options.request_timeout).await.map_err(|error| error.when("create a pod"))?;
        let running = start::until_running(pods, name, options.start_timeout).await;
        running.map_err(|error| error.when(format!("start a pod of the image {}", options.image)))?;
        self.sync_in().await
    }

    /// The name of the pod.
    pub fn pod(&self) -> &str {
        &self.remote.name
    }

    /// Sends what changed in the directory here. Commands do so by themselves before they start.
    ///
    /// # Errors
    ///
    /// Where files cannot be read here or written there.
    pub async fn sync_in(&self) -> Result<(), SandboxError> {
        self.files.send(&self.remote).await.map_err(|error| error.when("copy files into the pod"))
    }

    /// Makes the directory here like the one in the pod, after what changed here was sent. [`Sandbox::exec`] does so by
    /// itself.
    ///
    /// # Errors
    ///
    /// Where files cannot be read there or written here, or are more than [`PodOptions::archive_limit`].
    pub async fn sync_out(&self) -> Result<(), SandboxError> {
        self.files.take(&self.remote).await.map_err(|error| error.when("copy files out of the pod"))
    }

    /// Deletes the pod and all that runs in it. To do so again does nothing.
    ///
    /// # Errors
    ///
    /// Where the cluster refuses or cannot be reached.
    pub async fn close(&self) -> Result<(), SandboxError> {
        self.remote.delete().await.map_err(|error| error.when("delete the pod"))
    }
}

#[async_trait]
impl Sandbox for KubernetesSandbox {
    fn kind(&self) -> SandboxKind {
        SandboxKind::Kubernetes
    }

    fn root(&self) -> &Path {
        &self.root
    }

    fn promises(&self) -> Promises {
        let mut promises = Promises::from([
            Promise::Environment,
            Promise::Files,
            Promise::Attributes,
            Promise::Secrets,
            Promise::Signals,
        ]);
        promises.extend(self.limits_memory.then_some(Promise::Memory));
        promises
    }

    async fn spawn(&self, command: &Command, input: Input) -> Result<Process, SandboxError> {
        self.sync_in().await?;
        let directory = host::directory(self.files.local(), &command.directory)?;
        let mark = host::next_mark();
        let directory = self.root.join(directory.shown).into_os_string();
        let mut program = ["sh", "-c", &scripts::run(), "sh", &mark.to_string()].map(OsString::from).to_vec();
        program.push(directory);
        program.extend(for_env(command)?);
        let unspeakable = |part: OsString| unusable(&part, "is not UTF-8, which the cluster's API demands");
        let program = program.into_iter().map(|part| part.into_string().map_err(unspeakable));
        let program = program.collect::<Result<Vec<_>, _>>()?;
        let streams = Streams { input: input == Input::Piped, errors: false };
        let connection = self.remote.start(program, streams).await.map_err(|error| error.when("start a command"))?;
        Ok(PodControl::process(Arc::clone(&self.remote), mark, connection))
    }

    async fn exec(&self, command: Command, cancel: &CancellationToken) -> Result<ExecResult, SandboxError> {
        let result = exec::run(self, command, cancel).await?;
        self.sync_out().await?;
        Ok(result)
    }
}

/// A command as the program `env` takes it.
fn for_env(command: &Command) -> Result<Vec<OsString>, SandboxError> {
    let mut all = Vec::new();
    for (key, value) in &command.environment {
        if key.is_empty()
            || key.as_encoded_bytes().starts_with(b"-")
            || key.as_encoded_bytes().iter().any(|byte| matches!(byte, b'=' | b'\0'))
        {
            return Err(unusable(key, "is no name of a variable"));
        }
        all.push([key.as_os_str(), OsStr::new("="), value.as_os_str()].into_iter().collect());
    }
    match &command.program {
        Program::Script(script) => all.extend(["sh", "-c", script].map(OsString::from)),
        Program::Direct { name, arguments } => {
            if name.is_empty() || name.as_encoded_bytes().starts_with(b"-") || name.as_encoded_bytes().contains(&b'=') {
                return Err(unusable(name, "cannot be the name of a program here"));
            }
            all.push(name.clone());
            all.extend(arguments.iter().cloned());
        }
    }
    Ok(all)
}

fn unusable(what: &OsStr, why: &str) -> SandboxError {
    let what = what.to_string_lossy();
    SandboxError::Spawn {
        program: PathBuf::from(what.as_ref()),
        source: io::Error::new(io::ErrorKind::InvalidInput, format!("`{what}` {why}")),
    }
}
