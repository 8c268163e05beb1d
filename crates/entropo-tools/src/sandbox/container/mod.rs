//! Commands in a container of Docker or Podman.
//!
//! The engine makes one container of an image for each sandbox, in which each command is one more process. Commands see
//! the files of the image, the root as `/workspace`, and private directories as `/home/agent` and `/tmp`; they have no
//! network unless asked for, no capabilities but those to change files, and no way to more.
//!
//! # The engine
//!
//! It is the one behind the socket that `DOCKER_HOST` or `CONTAINER_HOST` names, else the first to answer of
//! `/var/run/docker.sock`, `/run/podman/podman.sock` and `$XDG_RUNTIME_DIR/podman/podman.sock`. Podman serves the same
//! interface as Docker, by `podman system service --time=0` or a socket of systemd. It must be on this machine, as it
//! mounts this machine's directories. Whoever may talk to an engine that root runs may do all that root may; commands in
//! the sandbox cannot talk to it.
//!
//! # Images
//!
//! An image must have a shell at `/bin/sh`, which marks each command and sets its limits, and `cat`. One that is missing
//! is pulled ([`ContainerOptions::progress`] tells how far it is). What commands change in the image's files lasts as long
//! as the sandbox. [`image_files`] takes files out of an image, such as the repository that a benchmark ships in it.
//!
//! # What ends what
//!
//! A command ends with all its children, by the mark that every sandbox uses, sought in `/proc` of this machine, or in the
//! container's own where this process may not see it, as with an engine in a virtual machine. The container ends when its
//! first process finds the end of its input, and that is a connection which this process holds: it ends also when this
//! process is killed, and the engine then removes it. Should it be left all the same, then the next sandbox to start
//! removes it, as its owner has ended. If the engine ends, commands end with an error that says so.
//!
//! # Podman in a container
//!
//! On CI machines, which are containers themselves, limits of resources cannot be raised beyond those of the machine, and
//! Podman's defaults are beyond them. This sandbox asks for those of its own process. `scripts/container-test-setup.sh`
//! shows settings with which Podman works there.

mod engine;
mod image;
mod input;
mod members;
mod options;
mod owner;
mod process;
mod running;
mod setup;

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;

use super::host::{self, Family, Scratch};
use super::{
    Command, DiskGuard, Input, Limits, Process, Program, Promise, Promises, Sandbox, SandboxError, SandboxKind,
    SandboxOptions, SpillDirectory,
};
use engine::{Engine, failed};
use running::Container;

pub use image::image_files;
pub use options::{ContainerOptions, PullProgress};

/// Runs commands in a container of its own.
#[derive(Debug)]
pub struct ContainerSandbox {
    // Ended before its directories vanish.
    container: Container,
    root: PathBuf,
    environment: Vec<(OsString, OsString)>,
    limits: Limits,
    promises: Promises,
    guard: DiskGuard,
    scratch: Scratch,
}

impl ContainerSandbox {
    /// Starts a container of `image` whose commands start in `root`, which they see as `/workspace`. Pulls the image if it
    /// is missing, and removes containers that processes left which have ended.
    ///
    /// # Errors
    ///
    /// Where no engine answers, the image cannot be pulled or has no shell, a limit cannot be enforced, or a directory
    /// cannot be used.
    pub async fn start(image: &str, root: impl AsRef<Path>, options: ContainerOptions) -> Result<Self, SandboxError> {
        let root = host::canonical_directory(root.as_ref())?;
        options.sandbox.check()?;
        let engine = Engine::connect(options.socket.as_deref()).await?;
        owner::sweep(&engine).await;
        image::ensure(&engine, image, options.progress.as_ref()).await?;
        let about = engine.docker.info().await.map_err(|error| failed("ask the engine about itself", error))?;
        let rootless = about.security_options.iter().flatten().any(|option| option.contains("rootless"));
        let scratch = Scratch::new()?;
        if options.user.is_some() {
            open_to_all(&scratch).map_err(SandboxError::Scratch)?;
        }
        let user = options.user.clone().unwrap_or_else(|| own_user(rootless));
        let first = Family::new();
        let body = setup::body(image, &root, &scratch, &options, user, &first)?;
        let limits = options.sandbox.limits;
        let container = Container::start(engine, image, body, first, &limits).await?;
        let storage = about.docker_root_dir.map(PathBuf::from).filter(|storage| storage.exists());
        let promises = promises(&options, storage.is_some());
        let own = [root.clone(), scratch.path().to_path_buf()];
        let disks = own.into_iter().chain(storage).chain(options.sandbox.writable);
        let guard = DiskGuard::new(disks, limits.free_disk);
        let mut environment = setup::environment(options.sandbox.search_path);
        environment.extend(options.sandbox.environment);
        Ok(Self { container, root, environment, limits, promises, guard, scratch })
    }

    /// The engine's name for the container.
    pub fn container(&self) -> &str {
        &self.container.place.container
    }

    /// Ends all commands and removes the container, which happens in the background when the sandbox is dropped. To do so
    /// again does nothing.
    ///
    /// # Errors
    ///
    /// Where the engine does not answer.
    pub async fn close(&self) -> Result<(), SandboxError> {
        self.container.place.remove().await
    }
}

#[async_trait]
impl Sandbox for ContainerSandbox {
    fn kind(&self) -> SandboxKind {
        SandboxKind::Container
    }

    fn root(&self) -> &Path {
        Path::new(setup::ROOT)
    }

    fn promises(&self) -> Promises {
        self.promises.clone()
    }

    async fn spawn(&self, command: &Command, input: Input) -> Result<Process, SandboxError> {
        let directory = host::directory(&self.root, &command.directory)?;
        let arguments = match &command.program {
            Program::Script(script) => vec![setup::SHELL.into(), "-c".into(), script.into()],
            Program::Direct { name, arguments } => {
                std::iter::once(name.clone()).chain(arguments.iter().cloned()).collect()
            }
        };
        let launch = process::Launch {
            place: self.container.place.clone(),
            limits: self.limits,
            arguments,
            directory: Path::new(setup::ROOT).join(&directory.shown),
            environment: self.environment.iter().chain(&command.environment).cloned().collect(),
            input,
        };
        launch.start().await
    }

    fn spills(&self) -> Option<Arc<SpillDirectory>> {
        Some(Arc::clone(self.scratch.temporary()))
    }

    fn disk_guard(&self) -> Option<&DiskGuard> {
        Some(&self.guard)
    }
}

/// As whom commands run unless told otherwise: whoever owns the root, here and inside. An engine without rights shows its
/// user to the container as root.
fn own_user(rootless: bool) -> String {
    if rootless {
        return "0:0".to_owned();
    }
    format!("{}:{}", nix::unistd::geteuid(), nix::unistd::getegid())
}

/// Lets a user of the image, who has no name here, write to the private directories.
fn open_to_all(scratch: &Scratch) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    for directory in [scratch.home(), scratch.temporary().path()] {
        std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o1777))?;
    }
    Ok(())
}

fn promises(options: &ContainerOptions, storage_is_watched: bool) -> Promises {
    let SandboxOptions { limits, network, .. } = &options.sandbox;
    let mut promises =
        Promises::from([Promise::Environment, Promise::Files, Promise::Attributes, Promise::Secrets, Promise::Signals]);
    let more = [
        (Promise::Network, !network),
        (Promise::Memory, limits.memory.is_some()),
        (Promise::Processes, limits.processes.is_some()),
        // Commands can also write to the files of the image.
        (Promise::Disk, limits.free_disk > 0 && storage_is_watched),
    ];
    promises.extend(more.into_iter().filter_map(|(promise, holds)| holds.then_some(promise)));
    promises
}

/// Runs to its end whatever becomes of the runtime that this thread is in.
fn in_background(work: impl Future<Output = ()> + Send + 'static) {
    let thread = std::thread::Builder::new().name("entropo-container".to_owned());
    let started = thread.spawn(move || {
        if let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() {
            runtime.block_on(work);
        }
    });
    if let Err(error) = started {
        tracing::warn!(%error, "no thread to clean up behind a container");
    }
}
