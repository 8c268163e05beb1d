//! Commands as plain processes on this machine.
//!
//! It is quick (a command costs one `posix_spawn`) and tidy, but no prison: a command can read and write whatever its
//! user can, and a process that starts its own session escapes the kill. Use it for code that is trusted as much as the
//! user's own.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use async_trait::async_trait;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tempfile::TempDir;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::process::Child;
use tokio_util::sync::CancellationToken;

use super::output::{Capture, SpillDirectory};
use super::{Command, ExecResult, Program, Sandbox, SandboxError, Status};
use crate::paths::Root;

const SEARCH_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A pipe is this large at most for an unprivileged user; so is what can still be in it once its writer has ended.
const MAX_PIPE: usize = 1 << 20;

/// How long a killed process may take to end before it is left to the runtime to reap.
const REAP_TIME: Duration = Duration::from_secs(5);

/// Runs commands as processes of the current user, in a root directory and with an environment of their own.
///
/// Commands see four variables: `PATH` (the system's directories), `HOME` and `TMPDIR` (private directories outside the
/// root that vanish with the sandbox) and `LANG=C.UTF-8`. Nothing of the parent's environment reaches them.
#[derive(Debug)]
pub struct LocalSandbox {
    root: PathBuf,
    home: PathBuf,
    temporary: SpillDirectory,
    search_path: OsString,
    shell: PathBuf,
    _scratch: TempDir,
}

impl LocalSandbox {
    /// A sandbox whose commands start in `root`.
    ///
    /// # Errors
    ///
    /// Where `root` is no directory, no private directory can be made, or there is no `sh`.
    pub fn new(root: impl AsRef<Path>) -> Result<Self, SandboxError> {
        let root = root.as_ref();
        let root =
            canonical_directory(root).map_err(|source| SandboxError::Root { root: root.to_path_buf(), source })?;
        let scratch = tempfile::Builder::new().prefix("entropo-").tempdir().map_err(SandboxError::Scratch)?;
        let (home, temporary) = (scratch.path().join("home"), scratch.path().join("tmp"));
        for directory in [&home, &temporary] {
            std::fs::create_dir(directory).map_err(SandboxError::Scratch)?;
        }
        let temporary = SpillDirectory::new(temporary);
        let search_path = OsString::from(SEARCH_PATH);
        let shell = find(OsStr::new("sh"), &search_path, &root)?;
        Ok(Self { root, home, temporary, search_path, shell, _scratch: scratch })
    }

    /// Looks programs up in these directories, separated by colons, in place of the system's.
    ///
    /// # Errors
    ///
    /// Where there is no `sh` in them.
    pub fn with_path(mut self, search_path: impl Into<OsString>) -> Result<Self, SandboxError> {
        self.search_path = search_path.into();
        self.shell = find(OsStr::new("sh"), &self.search_path, &self.root)?;
        Ok(self)
    }

    fn spawn(&self, command: &Command, output: io::PipeWriter) -> Result<Child, SandboxError> {
        let directory = Root::canonical(&self.root)
            .existing(&command.directory.to_string_lossy())
            .map_err(|source| SandboxError::Directory { directory: command.directory.clone(), source })?;
        let mut process = match &command.program {
            Program::Script(script) => {
                let mut process = std::process::Command::new(&self.shell);
                process.arg("-c").arg(script);
                process
            }
            Program::Direct { name, arguments } => {
                let mut process = std::process::Command::new(find(name, &self.search_path, &directory.real)?);
                process.args(arguments);
                process
            }
        };
        process
            .current_dir(&directory.real)
            .env_clear()
            .env("PATH", &self.search_path)
            .env("HOME", &self.home)
            .env("TMPDIR", self.temporary.path())
            .env("LANG", "C.UTF-8")
            .envs(command.environment.iter().map(|(key, value)| (key, value)))
            .stdin(Stdio::null())
            .stdout(output.try_clone().map_err(SandboxError::Watch)?)
            .stderr(output);
        let program = PathBuf::from(process.get_program());
        let mut process = tokio::process::Command::from(process);
        process.process_group(0).kill_on_drop(true);
        process.spawn().map_err(|source| SandboxError::Spawn { program, source })
    }
}

#[async_trait]
impl Sandbox for LocalSandbox {
    fn root(&self) -> &Path {
        &self.root
    }

    async fn exec(&self, command: Command, cancel: &CancellationToken) -> Result<ExecResult, SandboxError> {
        let (reader, writer) = io::pipe().map_err(SandboxError::Watch)?;
        let mut pipe = pipe::Receiver::from_owned_fd(reader.into()).map_err(SandboxError::Watch)?;
        let mut child = self.spawn(&command, writer)?;
        let group = Group::of(&child);
        let mut capture = Capture::new(command.output, &self.temporary);

        let status = watch(&mut child, &mut pipe, &mut capture, command.timeout, cancel).await?;
        drop(group);
        if matches!(status, Status::TimedOut | Status::Cancelled) {
            let reaped = tokio::time::timeout(REAP_TIME, child.wait()).await;
            tracing::debug!(?status, reaped = reaped.is_ok(), "killed a command");
        }
        drain(&pipe, &mut capture);
        Ok(ExecResult { status, output: capture.finish() })
    }
}

/// Reads what the command prints until it ends or must be ended.
async fn watch(
    child: &mut Child,
    pipe: &mut pipe::Receiver,
    capture: &mut Capture<'_>,
    timeout: Duration,
    cancel: &CancellationToken,
) -> Result<Status, SandboxError> {
    let time_is_up = tokio::time::sleep(timeout);
    tokio::pin!(time_is_up);
    let mut buffer = vec![0; 16 << 10];
    let mut open = true;
    loop {
        tokio::select! {
            biased;
            () = cancel.cancelled() => return Ok(Status::Cancelled),
            status = child.wait() => return status.map(ended).map_err(SandboxError::Watch),
            () = &mut time_is_up => return Ok(Status::TimedOut),
            read = pipe.read(&mut buffer), if open => {
                let read = read.map_err(SandboxError::Watch)?;
                open = read > 0;
                capture.push(buffer.get(..read).unwrap_or_default());
            }
        }
    }
}

/// Takes what is still in the pipe, without waiting for whoever may yet hold its other end.
fn drain(pipe: &pipe::Receiver, capture: &mut Capture<'_>) {
    let mut buffer = vec![0; 16 << 10];
    let mut taken = 0;
    while taken < MAX_PIPE
        && let Ok(read) = pipe.try_read(&mut buffer)
        && read > 0
    {
        capture.push(buffer.get(..read).unwrap_or_default());
        taken += read;
    }
}

fn ended(status: ExitStatus) -> Status {
    match status.code() {
        Some(code) => Status::Exited(code),
        None => Status::Signalled(status.signal().unwrap_or_default()),
    }
}

fn canonical_directory(path: &Path) -> io::Result<PathBuf> {
    let path = path.canonicalize()?;
    if path.is_dir() { Ok(path) } else { Err(io::ErrorKind::NotADirectory.into()) }
}

fn find(program: &OsStr, search_path: &OsStr, directory: &Path) -> Result<PathBuf, SandboxError> {
    which::which_in(program, Some(search_path), directory)
        .map_err(|source| SandboxError::Missing { program: program.to_owned(), source })
}

/// A command and all its children that stayed in its process group; killed when this is dropped.
///
/// The command may have been reaped by then. Its number is not given to a new process while children remain in the
/// group, and if none do, it would have to come round again within microseconds to name another group.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // An error says that the group is empty already.
            let _ = killpg(group, Signal::SIGKILL);
        }
    }
}
