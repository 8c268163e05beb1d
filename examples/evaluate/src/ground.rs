//! Where an instance is worked on: its files, laid down once, and sandboxes around copies of them.

use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use async_trait::async_trait;
use clap::{Args, ValueEnum};
use entropo_core::format::swe_bench::{Instance, LocalInstance};
use entropo_tools::check::Sandboxes;
use entropo_tools::sandbox::{ContainerOptions, ContainerSandbox, SandboxKind, SandboxOptions, image_files};
use entropo_tools::{Command, Sandbox, SandboxError, Source, Template, Workspace};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::failure::Failure;
use crate::{dataset, hidden};

/// Where SWE-bench's images, SWE-smith's and R2E-Gym's have their repositories.
pub(crate) const TESTBED: &str = "/testbed";

/// How commands are confined. What is written of it is what an agent works with.
#[derive(Clone, Debug, Args, Serialize)]
pub(crate) struct Confinement {
    /// Where commands run, for rows of our own format; all others run in a container of their image.
    #[arg(long, value_enum, default_value_t = Kind::Local)]
    sandbox: Kind,
    /// The image for --sandbox container, for rows that name none.
    #[arg(long, value_name = "NAME")]
    image: Option<String>,
    /// Lets commands read and run what is below this path, such as a virtual environment; may be given several times.
    #[arg(long, value_name = "PATH")]
    readable: Vec<PathBuf>,
    /// Whether commands may use the network. Default: in the containers in which rows of SWE-bench, SWE-smith and R2E-Gym
    /// are judged, as in their own programs, and nowhere else.
    #[arg(long, value_enum)]
    network: Option<Network>,
    /// Seconds that tests may take.
    #[arg(long, value_name = "SECONDS", default_value_t = 1800)]
    #[serde(skip)]
    pub(crate) test_seconds: u64,
}

/// A kind of sandbox; `docs/sandboxes.md` says what each holds back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    /// Plain processes with your search path: tidy, and no prison.
    Local,
    /// Linux's Landlock.
    Landlock,
    /// The program bwrap; the workspace is /workspace.
    Bubblewrap,
    /// Docker or Podman; the workspace is /workspace.
    Container,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
enum Network {
    On,
    Off,
}

impl Confinement {
    /// What of it the judgement on an instance's patches rests on: in images little is asked for.
    pub(crate) fn basis(&self, instance: &Instance) -> Result<String, Failure> {
        let asked = match instance {
            Instance::Local(_) => serde_json::to_string(self),
            _ => serde_json::to_string(&(self.network == Some(Network::Off))),
        };
        asked.map_err(Failure::json(Path::new("the settings")))
    }
}

/// Lays files down and opens sandboxes.
pub(crate) struct Grounds {
    confinement: Confinement,
    /// What relative paths start from.
    directory: PathBuf,
    places: Mutex<HashMap<String, Arc<tokio::sync::Mutex<Weak<Template>>>>>,
    /// The last few are kept, as the next rollout is likely to be of the same task.
    recent: Mutex<VecDeque<Arc<Template>>>,
    at_once: usize,
}

impl Grounds {
    pub(crate) fn new(confinement: Confinement, directory: &Path, at_once: usize) -> Self {
        let (places, recent) = (Mutex::default(), Mutex::default());
        Self { confinement, directory: directory.to_owned(), places, recent, at_once }
    }

    pub(crate) fn test_time(&self) -> Duration {
        Duration::from_secs(self.confinement.test_seconds)
    }

    /// The files of an instance, laid down and made ready, once for all who want them at the same time.
    pub(crate) async fn files(&self, instance: &Instance) -> Result<Arc<Template>, Failure> {
        let place = {
            let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(places.entry(instance.id().to_owned()).or_default())
        };
        let mut place = place.lock().await;
        if let Some(template) = place.upgrade() {
            return Ok(template);
        }
        let template = Arc::new(match instance {
            Instance::Local(row) => self.ready(instance, self.lay_down(row).await?, &row.setup).await?,
            _ => {
                let files = from_image(&dataset::image(instance)).await?;
                match dataset::fault(instance) {
                    None if !hidden::is_any(instance) => files,
                    fault => as_posed(files, instance, fault.unwrap_or_default()).await?,
                }
            }
        });
        *place = Arc::downgrade(&template);
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.push_back(Arc::clone(&template));
        if recent.len() > self.at_once {
            recent.pop_front();
        }
        Ok(template)
    }

    async fn lay_down(&self, row: &LocalInstance) -> Result<Template, Failure> {
        let cloned = tempfile::tempdir().map_err(Failure::file(Path::new("a temporary directory")))?;
        let mut path = self.directory.join(&row.repository);
        if row.repository.contains("://") || row.repository.starts_with("git@") {
            path = cloned.path().join("repository");
            let mut clone = tokio::process::Command::new("git");
            clone.args(["clone", "--quiet", "--bare", "--", &row.repository]).arg(&path).kill_on_drop(true);
            let output = clone.output().await.map_err(Failure::file(Path::new("git")))?;
            if !output.status.success() {
                let words = String::from_utf8_lossy(&output.stderr);
                return Err(Failure::task(&row.id, format!("{} cannot be cloned: {}", row.repository, words.trim())));
            }
            let revision = row.commit.as_deref().unwrap_or("HEAD");
            return Ok(Template::of(Source::commit(path, revision)).make().await?);
        }
        if let Some(commit) = &row.commit {
            return Ok(Template::of(Source::commit(path, commit)).make().await?);
        }
        if path.is_dir() {
            return Ok(Template::of(path).make().await?);
        }
        let template = Template::of(Source::archive(&path)).make().await?;
        match only_directory(template.files()).map_err(Failure::file(&path))? {
            Some(inner) => Ok(Template::of(inner).make().await?),
            None => Ok(template),
        }
    }

    /// The files after the setup commands.
    async fn ready(&self, instance: &Instance, files: Template, setup: &[String]) -> Result<Template, Failure> {
        if setup.is_empty() {
            return Ok(files);
        }
        let workspace = Workspace::of(files).await?;
        let sandbox = self.open(instance, workspace.root()).await?;
        for command in setup {
            let result =
                sandbox.exec(Command::script(command).timeout(self.test_time()), &CancellationToken::new()).await?;
            if !result.status.is_success() {
                let said: String = result.output.head.chars().take(2000).collect();
                let reason = format!("the setup command `{command}` ended with {:?}: {said}", result.status);
                return Err(Failure::task(instance.id(), reason));
            }
        }
        Ok(Template::of(workspace.root().to_owned()).make().await?)
    }

    /// A sandbox around a copy of an instance's files.
    pub(crate) async fn open(&self, instance: &Instance, root: &Path) -> Result<Box<dyn Sandbox>, SandboxError> {
        let Confinement { sandbox, image, readable, network, .. } = &self.confinement;
        let mut options = SandboxOptions::new();
        options.readable.clone_from(readable);
        options.network = *network == Some(Network::On);
        let kind = match (instance, sandbox) {
            (Instance::Local(row), Kind::Container) => {
                return match row.image.as_ref().or(image.as_ref()) {
                    Some(image) => {
                        let options = ContainerOptions::new().sandbox(options);
                        Ok(Box::new(ContainerSandbox::start(image, root, options).await?))
                    }
                    None => SandboxKind::Container.open(root, options).await,
                };
            }
            (Instance::Local(_), Kind::Local) => SandboxKind::Local,
            (Instance::Local(_), Kind::Landlock) => SandboxKind::Landlock,
            (Instance::Local(_), Kind::Bubblewrap) => SandboxKind::Bubblewrap,
            _ => return container(&dataset::image(instance), root, options, Some(TESTBED)).await,
        };
        if let Some(path) = std::env::var_os("PATH") {
            options = options.search_path(path);
        }
        kind.open(root, options).await
    }

    /// A container as SWE-bench's harness starts one: as root, with the network unless it is off, the image's own files in
    /// their place.
    pub(crate) async fn harness(&self, instance: &Instance, root: &Path) -> Result<Box<dyn Sandbox>, SandboxError> {
        let options = match self.confinement.network {
            Some(Network::Off) => SandboxOptions::new(),
            Some(Network::On) | None => SandboxOptions::new().network(),
        };
        container(&dataset::image(instance), root, options, None).await
    }
}

/// Sandboxes as an instance's rollouts have them.
pub(crate) struct Places {
    pub(crate) grounds: Arc<Grounds>,
    pub(crate) instance: Arc<Instance>,
}

#[async_trait]
impl Sandboxes for Places {
    async fn open(&self, root: &Path) -> Result<Box<dyn Sandbox>, SandboxError> {
        self.grounds.open(&self.instance, root).await
    }
}

/// A container as root. What is at `testbed` in the image goes, as its history can tell the solution, and the root is put in
/// its place, as projects are installed in their images from there. R2E-Gym's hidden tests go, too.
async fn container(
    image: &str,
    root: &Path,
    options: SandboxOptions,
    testbed: Option<&str>,
) -> Result<Box<dyn Sandbox>, SandboxError> {
    let mut options = ContainerOptions::new().sandbox(options).user("0:0");
    for name in ["SETUID", "SETGID", "KILL", "NET_BIND_SERVICE", "FSETID", "SYS_CHROOT"] {
        options = options.capability(name);
    }
    let sandbox = ContainerSandbox::start(image, root, options).await?;
    if let Some(testbed) = testbed {
        let place = format!("rm -rf {testbed} {} && ln -s /workspace {testbed}", hidden::R2E_TESTS);
        let moved = sandbox.exec(Command::script(place), &CancellationToken::new()).await?;
        if !moved.status.is_success() {
            let reason = format!("{testbed} of the image {image} cannot be replaced: {}", moved.output.head.trim());
            return Err(SandboxError::Unavailable { kind: SandboxKind::Container, reason });
        }
    }
    Ok(Box::new(sandbox))
}

/// The repository in an image.
async fn from_image(image: &str) -> Result<Template, Failure> {
    let archive = tempfile::NamedTempFile::new().map_err(Failure::file(Path::new("a temporary file")))?;
    let mut files = image_files(image, TESTBED, None).await?;
    let copied = async {
        let mut to = tokio::fs::File::create(archive.path()).await?;
        tokio::io::copy(&mut files, &mut to).await?;
        to.sync_all().await
    };
    copied.await.map_err(Failure::file(archive.path()))?;
    Ok(Template::of(Source::Archive { path: archive.path().to_owned(), strip: 1 }).make().await?)
}

/// The files after the patch that breaks them, without what an agent must not see.
async fn as_posed(files: Template, instance: &Instance, fault: &str) -> Result<Template, Failure> {
    let workspace = Workspace::of(files).await?;
    workspace.apply(fault).await?;
    hidden::remove(workspace.root(), instance).map_err(Failure::file(workspace.root()))?;
    Ok(Template::of(workspace.root().to_owned()).make().await?)
}

/// The directory that is all there is, as in the archives of releases.
fn only_directory(files: &Path) -> std::io::Result<Option<PathBuf>> {
    let mut entries = std::fs::read_dir(files)?;
    let (Some(first), None) = (entries.next().transpose()?, entries.next()) else { return Ok(None) };
    Ok(first.file_type()?.is_dir().then(|| first.path()))
}
