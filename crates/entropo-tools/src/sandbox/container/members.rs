//! The processes of one command, wherever they can be seen.
//!
//! Engines end a container, not a command in it. A container's processes are processes of this machine, so a command's
//! [`Family`] can be found by its mark as everywhere, if this process may look at them. It may not where the engine runs
//! in a machine of its own or under another user; there a shell in the container does the same.

use std::io;
use std::time::Duration;

use bollard::exec::{StartExecOptions, StartExecResults};
use bollard::models::ExecConfig;
use futures::StreamExt;
use nix::sys::signal::Signal;

use super::super::host::Family;
use super::super::{SandboxError, SandboxKind};
use super::engine::{Engine, failed};
use super::setup::SHELL;

/// How long killed processes may take to end.
const END_TIME: Duration = Duration::from_secs(5);

/// A container as its commands know it.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) engine: Engine,
    pub(super) container: String,
    /// Whether its processes can be seen from here.
    pub(super) visible: bool,
}

/// The processes of a command; killed when this is dropped.
#[derive(Debug)]
pub(super) struct Members {
    family: Family,
    place: Place,
    gone: bool,
}

impl Members {
    pub(super) fn new(place: Place) -> Self {
        Self { family: Family::new(), place, gone: false }
    }

    /// A command for the container's shell that makes it a member.
    pub(super) fn as_script(&self) -> String {
        self.family.as_script()
    }

    pub(super) async fn signal(&self, signal: Signal) -> io::Result<()> {
        if self.place.visible {
            return self.family.signal(signal).map_err(io::Error::from);
        }
        self.place.signal(self.family.bytes(), signal, 1).await.map(|_| ()).map_err(io::Error::other)
    }

    /// Kills all and returns when they are gone.
    pub(super) async fn kill(&mut self) -> io::Result<()> {
        if self.gone {
            return Ok(());
        }
        let killed = async {
            if !self.place.visible {
                while !self.place.kill(self.family.bytes()).await.map_err(io::Error::other)? {}
                return Ok::<_, io::Error>(());
            }
            self.family.kill();
            while !self.family.is_gone() {
                tokio::time::sleep(Duration::from_millis(1)).await;
                self.family.kill();
            }
            Ok(())
        };
        let stuck = || io::Error::other("a process of the command could not be killed within 5 s");
        tokio::time::timeout(END_TIME, killed).await.map_err(|_| stuck())??;
        self.gone = true;
        Ok(())
    }
}

impl Drop for Members {
    fn drop(&mut self) {
        // Where they can be seen, the family kills them as it is dropped.
        if !self.gone && !self.place.visible {
            let (place, bytes) = (self.place.clone(), self.family.bytes());
            super::in_background(async move {
                if let Err(error) = place.kill(bytes).await {
                    tracing::debug!(%error, "the processes of a dropped command could not be killed");
                }
            });
        }
    }
}

impl Place {
    /// Kills whoever has the mark; whether all are gone.
    async fn kill(&self, bytes: u64) -> Result<bool, SandboxError> {
        self.signal(bytes, Signal::SIGKILL, 100).await
    }

    /// Sends a signal to whoever has the mark, until nobody is left or so many times; whether nobody is left.
    async fn signal(&self, bytes: u64, signal: Signal, times: u32) -> Result<bool, SandboxError> {
        let answer = tokio::time::timeout(END_TIME, self.ask(bytes, signal, times)).await;
        answer.unwrap_or_else(|late| {
            let action = "signal the processes of a command".to_owned();
            Err(SandboxError::Engine { kind: SandboxKind::Container, action, source: late.into() })
        })
    }

    async fn ask(&self, bytes: u64, signal: Signal, times: u32) -> Result<bool, SandboxError> {
        let script = sweep(bytes, signal, times);
        let config = ExecConfig {
            cmd: Some(vec![SHELL.to_owned(), "-c".to_owned(), script]),
            attach_stdout: Some(true),
            ..Default::default()
        };
        let failed = |error| failed("signal the processes of a command", error);
        let docker = &self.engine.docker;
        let exec = docker.create_exec(&self.container, config).await.map_err(failed)?.id;
        let mut said = Vec::new();
        if let StartExecResults::Attached { mut output, .. } =
            docker.start_exec(&exec, None::<StartExecOptions>).await.map_err(failed)?
        {
            while let Some(piece) = output.next().await {
                said.extend_from_slice(&piece.map_err(failed)?.into_bytes());
                // One word is awaited, and what stands for the shell may be a command's.
                if said.len() > 64 {
                    break;
                }
            }
        }
        match said.trim_ascii() {
            b"none" => Ok(true),
            b"some" => Ok(false),
            other => Err(SandboxError::Engine {
                kind: SandboxKind::Container,
                action: "signal the processes of a command".to_owned(),
                source: format!("the container's shell said `{}`", String::from_utf8_lossy(other)).into(),
            }),
        }
    }
}

/// A script that reads the marks of all processes in the container, and says whether somebody with this one was left.
fn sweep(bytes: u64, signal: Signal, times: u32) -> String {
    format!(
        "n=0 left=some
        while [ $n -lt {times} ] && [ $left = some ]; do
            n=$((n + 1)) left=none
            for d in /proc/[0-9]*; do
                state= threads=; while read -r key value _; do
                    case $key in State:) state=$value ;; Threads:) threads=$value; break ;; esac
                done 2>/dev/null <$d/status
                case $state$threads in Z[01] | X[01] | '') continue ;; esac
                while read -r a b c _ hard _; do
                    if [ \"$a $b $c\" = 'Max resident set' ]; then
                        [ \"$hard\" = {bytes} ] && left=some && kill -{signal} ${{d#/proc/}} 2>/dev/null
                        break
                    fi
                done 2>/dev/null <$d/limits
            done
        done
        echo $left",
        signal = signal as i32
    )
}
