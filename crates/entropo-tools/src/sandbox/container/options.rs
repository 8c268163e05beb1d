//! How a container is set up.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use super::super::SandboxOptions;

/// How far the download of an image has come.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PullProgress {
    /// The layer, where it is about one.
    pub layer: Option<String>,
    /// What is being done, in the engine's words.
    pub status: String,
    /// Bytes that have come, where they are counted.
    pub current: Option<u64>,
    /// Bytes that will have come at the end, where that is known.
    pub total: Option<u64>,
}

/// What is told of [`PullProgress`].
pub(super) type Listener = Arc<dyn Fn(&PullProgress) + Send + Sync>;

/// What a container may use, and which engine makes it: by default the [default options](SandboxOptions) of every sandbox
/// and the first engine that is found.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct ContainerOptions {
    /// What commands may use beyond the root, as in every sandbox. What is made readable or writable they see under its
    /// own path.
    pub sandbox: SandboxOptions,
    /// How many processors, such as 1.5.
    pub cpus: Option<f64>,
    /// As whom commands run, as `user` or `user:group`, numbers or names of the image. By default as the owner of the
    /// embedding process, so that both can change the files in the root.
    pub user: Option<String>,
    /// Capabilities that root keeps inside, beside those to change files: none that reach out of the container are given
    /// unless named here.
    pub capabilities: Vec<String>,
    /// The engine's socket, in place of the one that is looked for.
    pub socket: Option<PathBuf>,
    pub(super) progress: Option<Listener>,
}

impl ContainerOptions {
    /// The default options.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets what commands may use beyond the root.
    #[must_use]
    pub fn sandbox(self, sandbox: SandboxOptions) -> Self {
        Self { sandbox, ..self }
    }

    /// Limits the processor time: 1.5 are one and a half processors.
    #[must_use]
    pub fn cpus(self, cpus: f64) -> Self {
        Self { cpus: Some(cpus), ..self }
    }

    /// Runs commands as this user of the image.
    #[must_use]
    pub fn user(self, user: impl Into<String>) -> Self {
        Self { user: Some(user.into()), ..self }
    }

    /// Gives root a capability, such as `NET_BIND_SERVICE`.
    #[must_use]
    pub fn capability(mut self, name: impl Into<String>) -> Self {
        self.capabilities.push(name.into());
        self
    }

    /// Uses the engine behind this socket.
    #[must_use]
    pub fn socket(self, socket: impl Into<PathBuf>) -> Self {
        Self { socket: Some(socket.into()), ..self }
    }

    /// Tells of the download of the image, if there is one.
    #[must_use]
    pub fn progress(self, listener: impl Fn(&PullProgress) + Send + Sync + 'static) -> Self {
        Self { progress: Some(Arc::new(listener)), ..self }
    }
}

impl fmt::Debug for ContainerOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ContainerOptions")
            .field("sandbox", &self.sandbox)
            .field("cpus", &self.cpus)
            .field("user", &self.user)
            .field("capabilities", &self.capabilities)
            .field("socket", &self.socket)
            .finish_non_exhaustive()
    }
}
