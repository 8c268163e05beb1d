//! The thread from which a sandbox starts its commands.
//!
//! On Linux much of what confines a process is a property of the thread that starts it and is inherited: Landlock's
//! domain, seccomp's filter, capabilities. A thread that confines itself and then starts commands confines them without a
//! line of code between `fork` and `exec`. It lives as long as the sandbox, since a command that is to die with its parent
//! dies with the thread that started it.

use std::io;
use std::sync::mpsc;
use std::thread;

use tokio::process::{Child, Command};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::sandbox::SandboxError;

/// Starts commands from a thread of its own.
#[derive(Debug)]
pub(in crate::sandbox) struct Launcher {
    requests: mpsc::Sender<Request>,
}

struct Request {
    command: Command,
    runtime: Handle,
    reply: oneshot::Sender<io::Result<Child>>,
}

impl Launcher {
    /// A thread that runs `confine` first, whose error it gives back.
    pub(in crate::sandbox) fn start(
        confine: impl FnOnce() -> Result<(), SandboxError> + Send + 'static,
    ) -> Result<Self, SandboxError> {
        let (requests, received) = mpsc::channel::<Request>();
        let (confined, is_confined) = mpsc::sync_channel(1);
        let thread = thread::Builder::new().name("entropo-sandbox".to_owned());
        let started = thread.spawn(move || {
            let result = confine();
            let failed = result.is_err();
            if confined.send(result).is_err() || failed {
                return;
            }
            for Request { mut command, runtime, reply } in received {
                let _runtime = runtime.enter();
                // Nobody waits any more: what was started is killed as it is dropped.
                drop(reply.send(command.spawn()));
            }
        });
        started.map_err(SandboxError::Launcher)?;
        is_confined.recv().map_err(|_| SandboxError::Launcher(gone()))??;
        Ok(Self { requests })
    }

    /// Starts a command.
    pub(in crate::sandbox) async fn spawn(&self, command: Command) -> io::Result<Child> {
        let (reply, started) = oneshot::channel();
        let request = Request { command, runtime: Handle::current(), reply };
        self.requests.send(request).map_err(|_| gone())?;
        started.await.map_err(|_| gone())?
    }
}

fn gone() -> io::Error {
    io::Error::other("the thread that starts the sandbox's commands has ended")
}
