//! Processes on this machine, however they are confined.

mod cgroup;
mod family;
mod inherited;
mod launcher;
mod programs;
mod scratch;
mod site;

use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use async_trait::async_trait;
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe;
use tokio::process::Child;

use super::process::{Control, Input, Process};
use super::{Limits, Promise, Promises, SandboxError, SandboxKind, Status};

pub(super) use family::Family;
#[cfg(feature = "kubernetes-any")]
pub(super) use family::next_mark;
pub(super) use launcher::Launcher;
pub(super) use programs::Programs;
#[cfg(any(feature = "container", feature = "kubernetes-any"))]
pub(super) use programs::{canonical_directory, directory};
pub(super) use scratch::Scratch;
pub(super) use site::Site;

use cgroup::Cgroup;

/// How long a killed process may take to end before it is left to the runtime to reap.
const REAP_TIME: Duration = Duration::from_secs(5);

/// Starts processes on this machine under the limits of one sandbox.
#[derive(Debug)]
pub(super) struct Host {
    launcher: Launcher,
    limits: Limits,
    cgroup: Option<Cgroup>,
    shell: PathBuf,
    /// What comes before each program.
    listening: Vec<OsString>,
}

/// What is started, with everything that the system needs to know.
pub(super) struct Launch<'a> {
    /// The program's full path and its arguments.
    pub(super) arguments: Vec<OsString>,
    pub(super) directory: &'a Path,
    pub(super) environment: Vec<(OsString, OsString)>,
    pub(super) input: Input,
    /// Whether the first process is none of the command's, but watches over them.
    pub(super) monitored: bool,
}

impl Host {
    /// Starts from `launcher`, with a control group if the limits need one.
    pub(super) fn new(kind: SandboxKind, launcher: Launcher, limits: Limits) -> Result<Self, SandboxError> {
        let cgroup = limits
            .needs_group()
            .map(|what| Cgroup::create(&limits).map_err(|reason| SandboxError::Unenforceable { kind, what, reason }));
        let cgroup = cgroup.transpose()?;
        inherited::close_in_children();
        let shell = Programs::new(None, Path::new("/"))?.shell;
        Ok(Self { launcher, limits, cgroup, shell, listening: inherited::listening() })
    }

    /// What holds for every process that is started here.
    pub(super) fn promises(&self) -> Promises {
        let mut promises = Promises::new();
        let limits =
            [(Promise::Memory, self.limits.memory.is_some()), (Promise::Processes, self.limits.processes.is_some())];
        promises.extend(limits.into_iter().filter_map(|(promise, holds)| holds.then_some(promise)));
        promises.extend((self.limits.free_disk > 0).then_some(Promise::Disk));
        promises
    }

    /// Starts a program by way of a shell that sets its limits and becomes it.
    pub(super) async fn spawn(&self, launch: Launch<'_>) -> Result<Process, SandboxError> {
        let mut family = Family::new();
        let confined = matches!(self.launcher, Launcher::Confined(_));
        let gated = self.cgroup.is_some() || confined;
        let mut script = self.limits.as_script();
        if gated {
            // It waits for a line until it has its mark and its group. `read` takes not a byte more.
            script.push_str(" && read -r _");
        } else {
            script = format!("{} && {script}", family.as_script());
        }
        script.push_str(" || exit 125; unset PWD OLDPWD SHLVL; exec \"$@\"");
        let piped = launch.input == Input::Piped;
        if gated && !piped {
            script.push_str(" </dev/null");
        }

        let (reader, writer) = io::pipe().map_err(SandboxError::Watch)?;
        let output = pipe::Receiver::from_owned_fd(reader.into()).map_err(SandboxError::Watch)?;
        let mut command = tokio::process::Command::new(&self.shell);
        command
            .arg("-c")
            .arg(script)
            .arg("sh")
            .args(&self.listening)
            .args(&launch.arguments)
            .current_dir(launch.directory)
            .env_clear()
            .envs(launch.environment)
            .stdin(if gated || piped { Stdio::piped() } else { Stdio::null() })
            .stdout(writer.try_clone().map_err(SandboxError::Watch)?)
            .stderr(writer)
            .process_group(0)
            .kill_on_drop(true);
        let program = launch.arguments.first().map(PathBuf::from).unwrap_or_default();
        let mut child = self.launcher.spawn(command).await.map_err(|source| SandboxError::Spawn { program, source })?;
        family.lead_by(child.id());
        if launch.monitored {
            family.monitor = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
        }
        let mut input = child.stdin.take();
        if let (true, Some(pid), Some(gate)) = (gated, child.id(), &mut input) {
            family.mark(pid).map_err(SandboxError::Watch)?;
            self.cgroup.iter().try_for_each(|group| group.add(pid)).map_err(SandboxError::Watch)?;
            gate.write_all(b"\n").await.map_err(SandboxError::Watch)?;
        }
        let input = input.filter(|_| piped).map(|input| Box::new(input) as _);
        Ok(Process {
            input,
            output: Box::new(output),
            control: Box::new(HostControl { child, family, monitored: launch.monitored }),
        })
    }
}

/// A process on this machine and its family.
struct HostControl {
    child: Child,
    family: Family,
    monitored: bool,
}

#[async_trait]
impl Control for HostControl {
    async fn wait(&mut self) -> io::Result<Status> {
        let status = ended(self.child.wait().await?);
        Ok(if self.monitored { status.seen_through_monitor() } else { status })
    }

    async fn signal(&mut self, signal: Signal) -> io::Result<()> {
        self.family.signal(signal).map_err(io::Error::from)
    }

    async fn kill(&mut self) -> io::Result<()> {
        self.family.kill();
        let gone = async {
            self.child.wait().await?;
            while !self.family.is_gone() {
                tokio::time::sleep(Duration::from_millis(1)).await;
                self.family.kill();
            }
            Ok(())
        };
        let stuck = || io::Error::other("a process of the command could not be killed within 5 s");
        tokio::time::timeout(REAP_TIME, gone).await.map_err(|_| stuck())?
    }
}

fn ended(status: ExitStatus) -> Status {
    match status.code() {
        Some(code) => Status::Exited(code),
        None => Status::Signalled(status.signal().unwrap_or_default()),
    }
}
