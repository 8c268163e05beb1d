//! Which sandboxes work on this machine.

use std::fmt;
use std::path::Path;

use super::{Limits, LocalSandbox, Promises, Sandbox, SandboxError, SandboxOptions};

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
    /// What it holds back with the limits it was tried with, or why it does not work with them.
    pub promises: Result<Promises, SandboxError>,
}

impl fmt::Display for Detected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.promises {
            Ok(promises) if promises.is_empty() => write!(f, "{}: works; holds nothing back", self.kind),
            Ok(promises) => {
                let stopped: Vec<&str> = promises.iter().map(|promise| promise.what()).collect();
                write!(f, "{}: works; commands cannot {}", self.kind, stopped.join(", "))
            }
            Err(error) => write!(f, "{}: {error}", self.kind),
        }
    }
}

/// Tries each kind with the [default limits](Limits::default), under which none promises to hold memory or the number of
/// processes back; where these are needed, use [`detect_with`].
pub async fn detect() -> Vec<Detected> {
    detect_with(Limits::default()).await
}

/// Tries each kind with these limits: a sandbox is made, and a command run in it. Takes some milliseconds for each, and for a
/// container, with the feature, a second; it is tried where `ENTROPO_IMAGE` names an image, so that nothing is downloaded
/// unasked. A kind that cannot enforce the limits here counts as one that does not work.
pub async fn detect_with(limits: Limits) -> Vec<Detected> {
    let mut detected = Vec::new();
    for kind in KINDS.iter().copied() {
        detected.push(Detected { kind, promises: tried(kind, limits).await });
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

async fn tried(kind: SandboxKind, limits: Limits) -> Result<Promises, SandboxError> {
    #[cfg(feature = "container")]
    if kind == SandboxKind::Container && std::env::var_os(IMAGE).is_none() {
        let reason = format!("not tried; set {IMAGE} to the name of an image to have it tried");
        return Err(SandboxError::Unavailable { kind, reason });
    }
    let root = tempfile::tempdir().map_err(SandboxError::Scratch)?;
    let sandbox = kind.open(root.path(), SandboxOptions::new().limits(limits)).await?;
    let result =
        sandbox.exec(super::Command::script("echo works"), &tokio_util::sync::CancellationToken::new()).await?;
    if result.status.is_success() && result.output.head == "works\n" {
        return Ok(sandbox.promises());
    }
    let reason =
        format!("a trial command ended with {:?} and printed `{}`", result.status, result.output.head.trim_end());
    Err(SandboxError::Unavailable { kind, reason })
}

/// The kind among those detected that holds back all that is `needed`, and the most beyond it. Open it with the limits it was
/// tried with: without them it holds less back.
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

#[cfg(test)]
mod tests {
    use super::super::Promise::{self, Disk, Files, Memory, Network, Processes, Secrets};
    use super::*;

    fn works(kind: SandboxKind, promises: &[Promise]) -> Detected {
        Detected { kind, promises: Ok(promises.iter().copied().collect()) }
    }

    fn fails(kind: SandboxKind) -> Detected {
        Detected { kind, promises: Err(SandboxError::Unavailable { kind, reason: "no such program".to_owned() }) }
    }

    #[test]
    fn the_strongest_is_the_one_that_holds_most_back_of_those_that_hold_back_what_is_needed() {
        let detected = [
            works(SandboxKind::Local, &[Disk]),
            works(SandboxKind::Bubblewrap, &[Disk, Files, Secrets, Network]),
            works(SandboxKind::Landlock, &[Disk, Files, Network]),
            fails(SandboxKind::Container),
        ];
        let strongest = |needed: &[Promise]| strongest(&detected, &needed.iter().copied().collect());
        assert_eq!(strongest(&[]), Ok(SandboxKind::Bubblewrap));
        assert_eq!(strongest(&[Files, Network]), Ok(SandboxKind::Bubblewrap));
        assert!(strongest(&[Files, Memory]).is_err(), "most of it is not all of it");
    }

    #[test]
    fn what_is_needed_counts_before_how_much_is_held_back() {
        let detected = [
            works(SandboxKind::Bubblewrap, &[Disk, Files, Secrets, Network]),
            works(SandboxKind::Container, &[Memory, Processes]),
        ];
        assert_eq!(strongest(&detected, &[Memory].into()), Ok(SandboxKind::Container));
    }

    #[test]
    fn where_none_does_the_error_names_what_each_lacks() {
        let detected =
            [works(SandboxKind::Local, &[Disk]), works(SandboxKind::Landlock, &[Files]), fails(SandboxKind::Container)];
        let error = strongest(&detected, &[Disk, Files].into()).unwrap_err();
        for part in [
            "local does not stop commands that change files outside",
            "landlock does not stop commands that fill the disk",
            "container does not work here: no such program",
        ] {
            assert!(error.contains(part), "{part} in: {error}");
        }
        assert!(strongest(&[], &Promises::new()).unwrap_err().starts_with("no sandbox here"));
    }

    #[test]
    fn each_is_one_line() {
        let shown = [
            works(SandboxKind::Local, &[]),
            works(SandboxKind::Landlock, &[Disk, Files]),
            fails(SandboxKind::Container),
        ]
        .map(|one| one.to_string());
        assert_eq!(
            shown,
            [
                "local: works; holds nothing back",
                "landlock: works; commands cannot change files outside, fill the disk",
                "container: container does not work here: no such program",
            ]
        );
    }

    #[tokio::test]
    async fn each_kind_is_tried_once_and_with_the_limits() {
        let kinds = |detected: &[Detected]| detected.iter().map(|one| one.kind).collect::<Vec<_>>();
        let plain = detect().await;
        assert_eq!(kinds(&plain), KINDS);
        let local = plain.iter().find(|one| one.kind == SandboxKind::Local).unwrap();
        assert!(local.promises.as_ref().is_ok_and(|promises| promises.contains(&Disk)), "{local}");
        // Where there are no control groups, the reason is told.
        for one in detect_with(Limits::strict()).await {
            match &one.promises {
                Ok(promises) => assert!(promises.is_superset(&[Memory, Processes].into()), "{one}"),
                Err(SandboxError::Unenforceable { .. } | SandboxError::Unavailable { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }
}
