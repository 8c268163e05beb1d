//! What the workspaces of one task share on disk.
//!
//! Sixty-four rollouts of one repository of fifty thousand files must not copy it sixty-four times. So its files are laid
//! down once, as a [`Template`], and workspaces are made from it by whatever the file system offers. What was chosen, and
//! why nothing better, is said in [`Template::notes`].

mod copy;
mod lease;
pub(super) mod overlay;
mod strategy;
mod subvolume;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub use strategy::Strategy;

use super::changes::Tracking;
use super::index::Index;
use super::source::{self, Limits, Source};
use super::tree::{Listing, Tree};
use super::{WorkspaceError, blocking};
use copy::Content;
pub(super) use copy::finish;
use lease::Lease;

/// The files of a task on disk, from which workspaces are made. It is removed when the last of them is gone, and its clones.
///
/// ```
/// use entropo_tools::{Template, Workspace};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let project = tempfile::tempdir()?;
/// std::fs::write(project.path().join("greet.sh"), "echo helo\n")?;
///
/// let template = Template::of(project.path()).make().await?;
/// let (first, second) = (Workspace::of(template.clone()).await?, Workspace::of(template).await?);
/// std::fs::write(first.root().join("greet.sh"), "echo hello\n")?;
/// assert!(first.patch().await?.contains("-echo helo\n+echo hello\n"));
/// assert_eq!(second.patch().await?, "");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Template {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    files: PathBuf,
    strategy: Strategy,
    notes: Vec<Note>,
    /// Of the template's own files, where snapshots of them have the same stamps.
    index: Option<Arc<Index>>,
    made: AtomicU64,
    lease: Lease,
}

/// What was found worth saying when a template was made.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Note {
    /// A better way to make workspaces does not work here.
    Declined {
        /// The way.
        strategy: Strategy,
        /// Why not.
        reason: String,
    },
    /// A submodule is left out; its files are no part of the repository.
    Submodule(PathBuf),
    /// A pipe, socket or device is left out.
    Special(PathBuf),
    /// Directories that killed processes had left were removed: this many.
    Swept(usize),
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Declined { strategy, reason } => write!(f, "no {strategy}: {reason}"),
            Self::Submodule(path) => write!(f, "{} is a submodule and is left out", path.display()),
            Self::Special(path) => write!(f, "{} is no file and is left out", path.display()),
            Self::Swept(count) => write!(f, "{count} directories of killed processes were removed"),
        }
    }
}

/// How a [`Template`] is to be made.
#[derive(Clone, Debug)]
pub struct TemplateBuilder {
    source: Source,
    place: Option<PathBuf>,
    strategy: Option<Strategy>,
    limits: Limits,
}

impl TemplateBuilder {
    /// Sets the directory in which the files are kept, instead of the system's for temporary files. What it lies on decides
    /// how workspaces can be made.
    #[must_use]
    pub fn place(mut self, directory: impl Into<PathBuf>) -> Self {
        self.place = Some(directory.into());
        self
    }

    /// Sets how workspaces are made, instead of the best way that works.
    #[must_use]
    pub fn strategy(mut self, strategy: Strategy) -> Self {
        self.strategy = Some(strategy);
        self
    }

    /// Sets how much is taken from the source.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Lays the files down. What killed processes left in the place is removed first.
    ///
    /// # Errors
    ///
    /// Where the source cannot be read or is refused, the place cannot be written or is full, or the strategy does not work
    /// there. Nothing is left then.
    pub async fn make(self) -> Result<Template, WorkspaceError> {
        blocking(move || self.make_now()).await
    }

    fn make_now(self) -> Result<Template, WorkspaceError> {
        let place = self.place.unwrap_or_else(std::env::temp_dir);
        let mut notes = Vec::new();
        match lease::sweep(&place)? {
            0 => {}
            count => notes.push(Note::Swept(count)),
        }
        let lease = Lease::take(&place)?;
        let strategy = choose(self.strategy, lease.directory(), &mut notes)?;
        let files = lease.directory().join("files");
        match strategy {
            Strategy::Subvolume => subvolume::create(&files)?,
            _ => fs::create_dir(&files).map_err(WorkspaceError::io("make", &files))?,
        }
        source::lay_down(&self.source, &files, self.limits, &mut notes)?;
        let index = match strategy {
            Strategy::Subvolume => Some(Arc::new(Index::take(&files, lease.directory())?)),
            _ => None,
        };
        for note in &notes {
            tracing::info!(%strategy, %note, "a template was made");
        }
        Ok(Template { shared: Arc::new(Shared { files, strategy, notes, index, made: AtomicU64::new(0), lease }) })
    }
}

/// The best strategy that works in a directory, or the one that was asked for.
fn choose(wanted: Option<Strategy>, directory: &Path, notes: &mut Vec<Note>) -> Result<Strategy, WorkspaceError> {
    if let Some(strategy) = wanted {
        let attempt = strategy.attempt(directory).map(|()| strategy);
        return attempt.map_err(|reason| WorkspaceError::Strategy { strategy, reason });
    }
    for strategy in Strategy::ALL {
        match strategy.attempt(directory) {
            Ok(()) => return Ok(strategy),
            Err(reason) => notes.push(Note::Declined { strategy, reason }),
        }
    }
    Ok(Strategy::Copy)
}

impl Template {
    /// A template of what is in a source; a path is taken for that of a directory.
    pub fn of(source: impl Into<Source>) -> TemplateBuilder {
        TemplateBuilder { source: source.into(), place: None, strategy: None, limits: Limits::default() }
    }

    /// Removes what killed processes of this user left in a directory, and says how many templates that were. Making a
    /// template in the directory does so too.
    ///
    /// # Errors
    ///
    /// Where the directory cannot be read.
    pub async fn sweep(place: impl Into<PathBuf>) -> Result<usize, WorkspaceError> {
        let place = place.into();
        blocking(move || lease::sweep(&place)).await
    }

    /// How workspaces are made.
    pub fn strategy(&self) -> Strategy {
        self.shared.strategy
    }

    /// Why nothing better was chosen, and what was left out.
    pub fn notes(&self) -> &[Note] {
        &self.shared.notes
    }

    /// Where the files lie. They must not be changed.
    pub fn files(&self) -> &Path {
        &self.shared.files
    }

    /// Makes the files of a workspace.
    pub(super) fn build(&self) -> Result<(Home, Tracking), WorkspaceError> {
        let shared = &*self.shared;
        let number = shared.made.fetch_add(1, Ordering::Relaxed);
        let directory = shared.lease.directory().join(number.to_string());
        fs::create_dir(&directory).map_err(WorkspaceError::io("make", &directory))?;
        let label = format!("{}{number}/", shared.lease.label());
        let home = Home { directory, label };
        let root = home.root();
        let tracking = match shared.strategy {
            Strategy::Overlay => {
                let layers = overlay::Layers::below(&home.directory);
                layers.mount(&shared.files, &home.label)?;
                Tracking::Layer(layers.upper)
            }
            Strategy::Subvolume => {
                subvolume::snapshot(&shared.files, &root)?;
                match &shared.index {
                    Some(index) => Tracking::Index(Arc::clone(index)),
                    None => Tracking::Index(Arc::new(Index::take(&root, &home.directory)?)),
                }
            }
            Strategy::Reflink | Strategy::Copy => {
                let shares = shared.strategy == Strategy::Reflink;
                fs::create_dir(&root).map_err(WorkspaceError::io("make", &root))?;
                let files = Tree::open_ours(&shared.files)?;
                let content = if shares { Content::Shared } else { Content::Written };
                copy::copy(&files, &files.walk(Path::new(""))?, &root, content)?;
                Tracking::Index(Arc::new(Index::take(&root, &home.directory)?))
            }
        };
        Ok((home, tracking))
    }
}

/// Copies a directory's files, sharing their blocks where that works.
pub(super) fn copy_in(from: &Tree, listing: &Listing, to: &Path) -> Result<(), WorkspaceError> {
    // On file systems that share blocks, writing a file from another does so without being asked.
    copy::copy(from, listing, to, Content::Written)
}

/// The directory of one workspace, taken away when it is dropped.
#[derive(Debug)]
pub(super) struct Home {
    pub(super) directory: PathBuf,
    pub(super) label: String,
}

impl Home {
    /// A directory among the system's temporary ones.
    pub(super) fn temporary() -> Result<Self, WorkspaceError> {
        let temporary = std::env::temp_dir();
        let made = tempfile::Builder::new().prefix("entropo-").tempdir();
        let directory = made.map_err(WorkspaceError::io("make a directory in", &temporary))?.keep();
        let label = format!("{}/", directory.file_name().unwrap_or_default().to_string_lossy());
        Ok(Self { directory, label })
    }

    /// Where the files are.
    pub(super) fn root(&self) -> PathBuf {
        self.directory.join("work")
    }
}

impl Drop for Home {
    /// Removes the files, also where the agent took permissions away or still runs in them.
    fn drop(&mut self) {
        if let Err(error) = lease::clear(&self.directory, &self.label) {
            tracing::warn!(path = %self.directory.display(), %error, "a workspace could not be removed");
        }
    }
}
