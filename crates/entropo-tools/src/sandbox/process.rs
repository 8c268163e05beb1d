//! A command while it runs.
//!
//! Sandboxes differ in how they start, signal and end a command; [`Control`] is that difference. What is made of it,
//! limits, capture, sessions and background jobs, is the same for all.

use std::io;

use async_trait::async_trait;
pub use nix::sys::signal::Signal;
use tokio::io::{AsyncRead, AsyncWrite};

use super::Status;

/// What a running command is given to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Input {
    /// Nothing: it finds the end of its input at once.
    Closed,
    /// What is written to [`Process::input`].
    Piped,
}

/// A command that runs. When it is dropped, the command is killed with all its children.
pub struct Process {
    /// Its standard input, with [`Input::Piped`].
    pub input: Option<Box<dyn AsyncWrite + Send + Unpin>>,
    /// Its standard output and error, in the order in which they were written. It may stay open after the command has
    /// ended, while a child holds it.
    pub output: Box<dyn AsyncRead + Send + Unpin>,
    /// Signals and end.
    pub control: Box<dyn Control>,
}

/// Signals and ends a running command. When it is dropped, the command is killed with all its children.
#[async_trait]
pub trait Control: Send + Sync {
    /// Waits until the command itself has ended, by itself or by a signal; its children may run on. It can be dropped and
    /// called again, also after the end.
    ///
    /// # Errors
    /// Where it is not known any more what the command does.
    async fn wait(&mut self) -> io::Result<Status>;

    /// Sends a signal to the command and all its children.
    ///
    /// # Errors
    /// Where it could not be sent. Nobody there to take it is no error.
    async fn signal(&mut self, signal: Signal) -> io::Result<()>;

    /// Kills the command and all its children, and returns when they are gone. To do so again does nothing.
    ///
    /// # Errors
    /// Where some may be left.
    async fn kill(&mut self) -> io::Result<()>;
}
