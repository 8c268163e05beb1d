//! Where commands run.
//!
//! A [`Sandbox`] is a place with a root directory in which a [`Command`] can be run to an [`ExecResult`], or started as a
//! [`Process`] to be talked to. The trait is object-safe, because which kind of sandbox is used is decided at run time.
//! Each command is a fresh process: nothing but files persists from one to the next, so that an episode can be replayed
//! from its calls alone.
//!
//! The kinds differ in what they hold back ([`Promise`]) and in what they need ([`detect`]):
//!
//! - [`LocalSandbox`] is tidy, quick and no prison; it works everywhere;
//! - [`LandlockSandbox`] confines without any other program, on Linux 6.2 or newer;
//! - [`BubblewrapSandbox`] shows commands a file system, a process table and a network of their own, by the program `bwrap`;
//! - `ContainerSandbox` (feature `container`) runs them in a container of Docker or Podman, made from an image;
//! - `KubernetesSandbox` (feature `kubernetes`) runs them in a pod of a cluster.
//!
//! None is ever weaker than it says: what cannot be had on a machine is an error when the sandbox is made.

#[cfg(target_os = "linux")]
mod bubblewrap;
mod command;
#[cfg(feature = "container")]
mod container;
mod detect;
mod error;
mod exec;
mod guard;
mod host;
#[cfg(feature = "kubernetes-any")]
pub mod kubernetes;
#[cfg(target_os = "linux")]
mod landlock;
mod limits;
mod local;
mod options;
mod output;
mod process;
mod promise;
#[cfg(target_os = "linux")]
mod seccomp;
#[cfg(target_os = "linux")]
mod system;

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

#[cfg(target_os = "linux")]
pub use bubblewrap::BubblewrapSandbox;
pub use command::{Command, ExecResult, Program, Status};
#[cfg(feature = "container")]
pub use container::{ContainerOptions, ContainerSandbox, PullProgress, image_files};
pub use detect::{Detected, SandboxKind, detect, detect_with, strongest};
pub use error::SandboxError;
pub use guard::DiskGuard;
#[cfg(feature = "kubernetes-any")]
pub use kubernetes::KubernetesSandbox;
#[cfg(target_os = "linux")]
pub use landlock::LandlockSandbox;
pub use limits::Limits;
pub use local::LocalSandbox;
pub use options::SandboxOptions;
pub use output::{Capture, Output, OutputLimit, Spill, SpillDirectory};
pub use process::{Control, Input, Process, Signal};
pub use promise::{Promise, Promises};

/// A place in which commands run.
#[async_trait]
pub trait Sandbox: Send + Sync + 'static {
    /// Which kind it is.
    fn kind(&self) -> SandboxKind;

    /// The directory in which commands start, as they see it.
    fn root(&self) -> &Path;

    /// What commands cannot do here.
    fn promises(&self) -> Promises;

    /// Starts a command, and holds it to nothing but what the sandbox itself confines. Its time limits, its output limit and
    /// [`disk_guard`](Self::disk_guard) are the caller's to keep, as long as the command runs: [`exec`](Self::exec) keeps
    /// them for a command that is run to its end, and [`Terminal`](crate::Terminal) for its shell and its jobs, also between
    /// calls. Without somebody who does, [`Promise::Disk`] does not hold for the command.
    ///
    /// # Errors
    ///
    /// Where the command could not be started.
    async fn spawn(&self, command: &Command, input: Input) -> Result<Process, SandboxError>;

    /// Where outputs go that are too long to be kept, if there is such a place that commands can read.
    fn spills(&self) -> Option<Arc<SpillDirectory>> {
        None
    }

    /// What watches the disks that commands can write to. It only looks; see [`spawn`](Self::spawn) for who acts on it.
    fn disk_guard(&self) -> Option<&DiskGuard> {
        None
    }

    /// Runs a command without input until it exits, its time is up or `cancel` fires. Afterwards neither it nor its
    /// children run, also when the future is dropped half-way.
    ///
    /// # Errors
    ///
    /// Only where the command could not be started or watched; a command that fails is a result.
    async fn exec(&self, command: Command, cancel: &CancellationToken) -> Result<ExecResult, SandboxError> {
        exec::run(self, command, cancel).await
    }
}
