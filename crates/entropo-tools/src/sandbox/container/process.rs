//! Commands in a running container.
//!
//! A command is started by the container's shell, which marks it, sets its limits, says that it is there and becomes it.
//! Only then is it known to run: engines answer before the process exists. Standard output and error are one pipe, as
//! engines keep no order between two.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bollard::exec::{StartExecOptions, StartExecResults};
use bollard::models::ExecConfig;
use futures::{StreamExt, TryStreamExt, stream};
use nix::sys::signal::Signal;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;
use tokio_util::io::StreamReader;

use super::super::process::{Control, Input, Process};
use super::super::{Limits, SandboxError, SandboxKind, Status};
use super::engine::{Engine, failed};
use super::input::ClosingInput;
use super::members::{Members, Place};
use super::setup::SHELL;

/// How much output is read at once.
const PIECE: usize = 64 << 10;

/// How long the shell may take to say that it is there.
const START_TIME: Duration = Duration::from_secs(60);

/// How often it is looked whether a command has ended: first, and at most while that means to ask the engine, or only to
/// look.
const FIRST_LOOK: Duration = Duration::from_millis(2);
const ASK: Duration = Duration::from_millis(250);
const LOOK: Duration = Duration::from_millis(20);

/// What is started.
pub(super) struct Launch {
    pub(super) place: Place,
    pub(super) limits: Limits,
    /// The program and its arguments.
    pub(super) arguments: Vec<OsString>,
    /// As commands see it.
    pub(super) directory: PathBuf,
    pub(super) environment: Vec<(OsString, OsString)>,
    pub(super) input: Input,
}

impl Launch {
    /// Starts it, in a task of its own: who stops waiting half-way leaves no process behind that nobody knows of.
    pub(super) async fn start(self) -> Result<Process, SandboxError> {
        tokio::spawn(self.start_here()).await.map_err(|error| SandboxError::Watch(io::Error::other(error)))?
    }

    async fn start_here(self) -> Result<Process, SandboxError> {
        let engine = self.place.engine.clone();
        let members = Members::new(self.place.clone());
        let config = self.config(&members)?;
        let failed = |error| failed("start a command", error);
        let exec = engine.docker.create_exec(&self.place.container, config).await.map_err(failed)?.id;
        let options = StartExecOptions { output_capacity: Some(PIECE), ..Default::default() };
        let started = engine.docker.start_exec(&exec, Some(options)).await.map_err(failed)?;
        let StartExecResults::Attached { output, input } = started else {
            return Err(strange("start a command", "it gave back no connection to the command"));
        };
        let closed = Arc::new(Notify::new());
        let closing = Arc::clone(&closed);
        let pieces = output
            .map_ok(|piece| piece.into_bytes())
            .map_err(|error| io::Error::other(super::engine::failed("read the output of a command", error)));
        let end = stream::once(async move {
            closing.notify_one();
            Ok(Default::default())
        });
        let mut output = StreamReader::new(Box::pin(pieces.chain(end)));
        self.greeted(&mut output).await?;
        let piped = self.input == Input::Piped;
        let input = piped.then(|| Box::new(ClosingInput::new(input)) as _);
        let control = ContainerControl::new(members, engine, exec, self.place.visible, closed);
        Ok(Process { input, output: Box::new(output), control: Box::new(control) })
    }

    fn config(&self, members: &Members) -> Result<ExecConfig, SandboxError> {
        let closed = if self.input == Input::Piped { "" } else { " </dev/null" };
        let script = format!(
            "{{ {} && {}; }} 2>/dev/null || {{ echo limits; exit 125; }}
            command -v \"$1\" >/dev/null 2>&1 || {{ echo missing; exit 127; }}
            unset PWD OLDPWD SHLVL; echo started; exec \"$@\"{closed} 2>&1",
            members.as_script(),
            self.limits.as_script()
        );
        let mut command = vec![SHELL.to_owned(), "-c".to_owned(), script, "sh".to_owned()];
        for argument in &self.arguments {
            command.push(self.text(argument)?);
        }
        let mut environment = Vec::new();
        for (key, value) in &self.environment {
            environment.push(format!("{}={}", self.text(key)?, self.text(value)?));
        }
        Ok(ExecConfig {
            attach_stdin: Some(self.input == Input::Piped),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            env: Some(environment),
            cmd: Some(command),
            working_dir: Some(self.directory.to_string_lossy().into_owned()),
            ..Default::default()
        })
    }

    fn text(&self, part: &OsString) -> Result<String, SandboxError> {
        part.to_str().map(str::to_owned).ok_or_else(|| SandboxError::Spawn {
            program: self.program().into(),
            source: io::Error::new(io::ErrorKind::InvalidInput, "engines take only arguments and variables of UTF-8"),
        })
    }

    fn program(&self) -> OsString {
        self.arguments.first().cloned().unwrap_or_default()
    }

    /// Waits for the word of the shell.
    async fn greeted(&self, output: &mut (impl AsyncRead + Unpin)) -> Result<(), SandboxError> {
        let line = tokio::time::timeout(START_TIME, line(output)).await;
        let line = line.map_err(|_| strange("start a command", "nothing ran within a minute"))?;
        match line.map_err(SandboxError::watch)?.as_str() {
            "started" => Ok(()),
            "missing" => {
                Err(SandboxError::Missing { program: self.program(), source: which::Error::CannotFindBinaryPath })
            }
            "limits" => Err(SandboxError::Spawn {
                program: self.program().into(),
                source: io::Error::other("the container's shell could not set the limits"),
            }),
            other => Err(strange("start a command", &format!("instead of the command came `{other}`"))),
        }
    }
}

/// The first line, and no byte more.
pub(super) async fn line(output: &mut (impl AsyncRead + Unpin)) -> io::Result<String> {
    const LONGEST: usize = 1000;
    let mut line = Vec::new();
    let mut byte = [0];
    while line.len() < LONGEST && output.read(&mut byte).await? > 0 && byte != *b"\n" {
        line.extend(byte);
    }
    Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
}

fn strange(action: &str, what: &str) -> SandboxError {
    SandboxError::Engine { kind: SandboxKind::Container, action: action.to_owned(), source: what.into() }
}

/// A command in a container.
struct ContainerControl {
    members: Members,
    /// How it ended, or why that is not known.
    ended: watch::Receiver<Option<Result<Status, String>>>,
    watcher: AbortHandle,
}

impl ContainerControl {
    fn new(members: Members, engine: Engine, exec: String, visible: bool, closed: Arc<Notify>) -> Self {
        let (sender, ended) = watch::channel(None);
        let watcher = tokio::spawn(async move {
            let status = watch_over(&engine, &exec, visible, &closed).await;
            drop(sender.send(Some(status)));
        });
        Self { members, ended, watcher: watcher.abort_handle() }
    }
}

/// Waits until a command has ended. There is nothing to be told by, so it is looked, soon after its output was closed.
async fn watch_over(engine: &Engine, exec: &str, visible: bool, closed: &Notify) -> Result<Status, String> {
    let mut pause = FIRST_LOOK;
    let mut pid = None;
    loop {
        tokio::select! {
            () = closed.notified() => pause = FIRST_LOOK,
            () = tokio::time::sleep(pause) => {}
        }
        pause = (pause * 2).min(if pid.is_some() { LOOK } else { ASK });
        if pid.is_some_and(runs) {
            continue;
        }
        let state =
            engine.docker.inspect_exec(exec).await.map_err(|error| failed("watch a command", error).to_string())?;
        if state.running == Some(false) {
            let code =
                state.exit_code.and_then(|code| i32::try_from(code).ok()).ok_or("the engine tells no exit code")?;
            return Ok(Status::Exited(code).seen_through_monitor());
        }
        pid = state.pid.filter(|pid| visible && *pid > 0);
    }
}

/// Whether a process of this machine has not ended.
fn runs(pid: i64) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.is_ok_and(|stat| stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X'])))
}

#[async_trait]
impl Control for ContainerControl {
    async fn wait(&mut self) -> io::Result<Status> {
        let ended = self.ended.wait_for(Option::is_some).await.map(|ended| ended.clone());
        match ended {
            Ok(Some(Ok(status))) => Ok(status),
            Ok(Some(Err(error))) => Err(io::Error::other(strange("watch a command", &error))),
            Ok(None) | Err(_) => Err(io::Error::other("the command is not watched any more")),
        }
    }

    async fn signal(&mut self, signal: Signal) -> io::Result<()> {
        self.members.signal(signal).await
    }

    async fn kill(&mut self) -> io::Result<()> {
        self.members.kill().await
    }
}

impl Drop for ContainerControl {
    fn drop(&mut self) {
        self.watcher.abort();
    }
}
