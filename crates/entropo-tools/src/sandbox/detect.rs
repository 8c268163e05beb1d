//! Which sandboxes work on this machine.

use std::fmt;
use std::path::Path;

use super::{LocalSandbox, Promises, Sandbox, SandboxError, SandboxOptions};

/// The image of containers that are opened by their kind alone: this variable's, else a small one with a shell.
#[cfg(feature = "container")]
const IMAGE: &str = "ENTROPO_IMAGE";
#[cfg(feature = "container")]
const DEFAULT_IMAGE: &str = "docker.io/library/debian:stable-slim";

/// The kinds of sandboxes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SandboxKind {
    /// Plain processes.
    Local,
    /// Processes that Linux's Landlock and seccomp confine.
    Landlock,
    /// Processes in namespaces of their own, made by `bwrap`.
    Bubblewrap,
    /// A container of Docker or Podman.
    Container,
    /// A pod of a Kubernetes cluster.
    Kubernetes,
    /// One that this crate does not know.
    Other,
}

impl fmt::Display for SandboxKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Local => "local",
            Self::Landlock => "landlock",
            Self::Bubblewrap => "bubblewrap",
            Self::Container => "container",
            Self::Kubernetes => "kubernetes",
            Self::Other => "other",
        })
    }
}

impl SandboxKind {
    /// Opens a sandbox of this kind around `root`.
    ///
    /// # Errors
    ///
    /// Where it cannot be had here, or the options ask for what it cannot do. [`SandboxKind::Local`] confines nothing, so that
    /// what else should be readable or writable is so anyway; the network is open whatever is asked. A
    /// [`SandboxKind::Container`] is made of the image that the variable `ENTROPO_IMAGE` names, else of Debian's.
    pub async fn open(self, root: &Path, options: SandboxOptions) -> Result<Box<dyn Sandbox>, SandboxError> {
        match self {
            Self::Local => Ok(Box::new(LocalSandbox::with(root, options)?)),
            #[cfg(target_os = "linux")]
            Self::Landlock => Ok(Box::new(super::LandlockSandbox::with(root, options)?)),
            #[cfg(target_os = "linux")]
            Self::Bubblewrap => Ok(Box::new(super::BubblewrapSandbox::with(root, options)?)),
            #[cfg(feature = "container")]
            Self::Container => {
                let image = std::env::var(IMAGE).unwrap_or_else(|_| DEFAULT_IMAGE.to_owned());
                let options = super::ContainerOptions::new().sandbox(options);
                Ok(Box::new(super::ContainerSandbox::start(&image, root, options).await?))
            }
            kind => Err(SandboxError::Unavailable { kind, reason: "it is not opened by its kind alone".to_owned() }),
        }
    }
}

/// Whether a kind of sandbox works here.
#[derive(Debug)]
#[non_exhaustive]
pub struct Detected {
    /// The kind.
    pub kind: SandboxKind,
    /// What it holds back without limits, or why it does not work.
    pub promises: Result<Promises, SandboxError>,
}

/// Tries each kind: a sandbox is made, and a command run in it. Takes some milliseconds for each, and for a container, with
/// the feature, a second; it is tried where `ENTROPO_IMAGE` names an image, so that nothing is downloaded unasked.
pub async fn detect() -> Vec<Detected> {
    let mut detected = Vec::new();
    for kind in KINDS.iter().copied() {
        detected.push(Detected { kind, promises: tried(kind).await });
    }
    detected
}

const KINDS: &[SandboxKind] = &[
    SandboxKind::Local,
    #[cfg(target_os = "linux")]
    SandboxKind::Landlock,
    #[cfg(target_os = "linux")]
    SandboxKind::Bubblewrap,
    #[cfg(feature = "container")]
    SandboxKind::Container,
];

async fn tried(kind: SandboxKind) -> Result<Promises, SandboxError> {
    #[cfg(feature = "container")]
    if kind == SandboxKind::Container && std::env::var_os(IMAGE).is_none() {
        let reason = format!("not tried; set {IMAGE} to the name of an image to have it tried");
        return Err(SandboxError::Unavailable { kind, reason });
    }
    let root = tempfile::tempdir().map_err(SandboxError::Scratch)?;
    let sandbox = kind.open(root.path(), SandboxOptions::new()).await?;
    let result =
        sandbox.exec(super::Command::script("echo works"), &tokio_util::sync::CancellationToken::new()).await?;
    if result.status.is_success() && result.output.head == "works\n" {
        return Ok(sandbox.promises());
    }
    let reason =
        format!("a trial command ended with {:?} and printed `{}`", result.status, result.output.head.trim_end());
    Err(SandboxError::Unavailable { kind, reason })
}

/// The kind among those detected that holds back all that is `needed`, and the most beyond it.
///
/// # Errors
///
/// Where none does: what each lacks, in words.
pub fn strongest(detected: &[Detected], needed: &Promises) -> Result<SandboxKind, String> {
    let works = detected.iter().filter_map(|one| Some((one.kind, one.promises.as_ref().ok()?)));
    let fitting = works.filter(|(_, promises)| promises.is_superset(needed)).max_by_key(|(_, promises)| promises.len());
    fitting.map(|(kind, _)| kind).ok_or_else(|| {
        let lacks = |one: &Detected| match &one.promises {
            Err(error) => error.to_string(),
            Ok(promises) => {
                let lacking: Vec<&str> = needed.difference(promises).map(|promise| promise.what()).collect();
                format!("{} does not stop commands that {}", one.kind, lacking.join(", "))
            }
        };
        let each: Vec<String> = detected.iter().map(lacks).collect();
        format!("no sandbox here holds back what is asked: {}", each.join("; "))
    })
}
