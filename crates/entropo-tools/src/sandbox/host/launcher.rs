//! The threads from which a sandbox starts its commands.
//!
//! On Linux much of what confines a process is a property of the thread that starts it and is inherited: Landlock's
//! domain, seccomp's filter, capabilities. A thread that confines itself and then starts a command confines it without a
//! line of code between `fork` and `exec`. But within one domain processes may look into each other, and the memory of a
//! confined thread is that of its whole process. So such a thread starts one command, which waits, and is gone before that
//! is let go.

use std::fmt;
use std::io;
use std::sync::{Arc, mpsc};
use std::thread;

use tokio::process::{Child, Command};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::sandbox::SandboxError;

/// What a thread does to itself before it starts a command.
pub(in crate::sandbox) type Confine = Arc<dyn Fn() -> Result<(), SandboxError> + Send + Sync>;

/// Starts commands.
pub(in crate::sandbox) enum Launcher {
    /// From one thread that lives as long as the sandbox: a command that is to die with its parent dies with the thread that
    /// started it.
    Standing(mpsc::Sender<Request>),
    /// From a thread for each, which confines itself first. It has ended when the command is given back.
    Confined(Confine),
}

pub(in crate::sandbox) struct Request {
    command: Command,
    runtime: Handle,
    reply: oneshot::Sender<io::Result<Child>>,
}

impl Launcher {
    /// A thread that starts commands as this process would.
    pub(in crate::sandbox) fn standing() -> Result<Self, SandboxError> {
        let (requests, received) = mpsc::channel::<Request>();
        let started = thread::Builder::new().name(NAME.to_owned()).spawn(move || {
            for Request { mut command, runtime, reply } in received {
                let _runtime = runtime.enter();
                // Nobody waits any more: what was started is killed as it is dropped.
                drop(reply.send(command.spawn()));
            }
        });
        started.map_err(SandboxError::Launcher)?;
        Ok(Self::Standing(requests))
    }

    /// Threads that confine themselves. Whether they can is tried here.
    pub(in crate::sandbox) fn confined(confine: Confine) -> Result<Self, SandboxError> {
        let trial = Arc::clone(&confine);
        let trial =
            thread::Builder::new().name(NAME.to_owned()).spawn(move || trial()).map_err(SandboxError::Launcher)?;
        trial.join().map_err(|_| SandboxError::Launcher(gone()))??;
        Ok(Self::Confined(confine))
    }

    /// Starts a command.
    pub(in crate::sandbox) async fn spawn(&self, mut command: Command) -> io::Result<Child> {
        let runtime = Handle::current();
        match self {
            Self::Standing(requests) => {
                let (reply, started) = oneshot::channel();
                requests.send(Request { command, runtime, reply }).map_err(|_| gone())?;
                started.await.map_err(|_| gone())?
            }
            Self::Confined(confine) => {
                let confine = Arc::clone(confine);
                let thread = thread::Builder::new().name(NAME.to_owned()).spawn(move || {
                    confine().map_err(io::Error::other)?;
                    let _runtime = runtime.enter();
                    command.spawn()
                })?;
                // It takes a millisecond, most of it the kernel's work for `fork`.
                tokio::task::spawn_blocking(move || thread.join()).await?.map_err(|_| gone())?
            }
        }
    }
}

const NAME: &str = "entropo-sandbox";

impl fmt::Debug for Launcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Standing(_) => "Standing",
            Self::Confined(_) => "Confined",
        })
    }
}

fn gone() -> io::Error {
    io::Error::other("a thread that starts the sandbox's commands has ended")
}
