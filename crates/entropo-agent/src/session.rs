//! Runs that survive their process.
//!
//! A [`Session`] is a [`Run`] and, if it has a file, the journal of all that happened to it: the run as it began, then one
//! [`Fact`] a line, each on the disk before the next step is taken. Opening the file gives the run back as it stood, in
//! whatever process: a call that was under way when the last one died is answered as interrupted, never silently made
//! again. A [fork](Session::fork) is a copy up to some turn, to try something else from there.
//!
//! ```
//! use entropo_agent::{Limits, Run, Session};
//! use entropo_core::{Message, RolloutId};
//!
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("session.jsonl");
//! let run = Run::new(RolloutId::new("task", 0), "my-model", 1, vec![Message::user("Fix it.")], Limits::default());
//! let mut session = Session::create(&path, run)?;
//! session.say("And add a test.")?;
//! drop(session); // the process dies
//! let session = Session::open(&path)?;
//! assert_eq!(session.run().messages().len(), 2);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use entropo_core::{JsonlStore, StoreError};
use serde::{Deserialize, Serialize};

use crate::run::{Fact, Run};

/// The version of the format that this crate writes.
pub const SESSION_FORMAT: &str = "entropo-session/1";

/// A run, with the journal of what happened to it if there is one.
#[derive(Debug)]
pub struct Session {
    run: Run,
    journal: Option<JsonlStore<Line>>,
}

/// A line of the journal: the first is the run as it began, the others are facts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    format: Cow<'static, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    run: Option<Box<Run>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fact: Option<Box<Fact>>,
}

impl Line {
    fn beginning(run: &Run) -> Self {
        Self { format: SESSION_FORMAT.into(), run: Some(Box::new(run.clone())), fact: None }
    }

    fn fact(fact: &Fact) -> Self {
        Self { format: SESSION_FORMAT.into(), run: None, fact: Some(Box::new(fact.clone())) }
    }
}

/// Why a session cannot be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The file is there already.
    #[error("{} exists already; open it to go on with it, or choose another name", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The file does not begin as a session does.
    #[error("{} is no session: its first line does not hold the beginning of a run", path.display())]
    NotASession {
        /// The file.
        path: PathBuf,
    },
    /// There is nothing to fork from, for the session is not on disk.
    #[error("the session has no file to fork from; create it with one")]
    NoJournal,
    /// The file cannot be read or written, or has another version.
    #[error(transparent)]
    Store(Box<StoreError>),
}

impl From<StoreError> for SessionError {
    fn from(error: StoreError) -> Self {
        Self::Store(Box::new(error))
    }
}

impl From<Run> for Session {
    /// A session without a file.
    fn from(run: Run) -> Self {
        Self { run, journal: None }
    }
}

impl Session {
    /// Begins a session with `run` in a new file at `path`.
    ///
    /// # Errors
    /// [`SessionError::Exists`] or [`SessionError::Store`].
    pub fn create(path: impl AsRef<Path>, run: Run) -> Result<Self, SessionError> {
        let path = path.as_ref();
        if std::fs::metadata(path).is_ok_and(|file| file.len() > 0) {
            return Err(SessionError::Exists { path: path.to_owned() });
        }
        let mut journal = JsonlStore::open_versioned(path, SESSION_FORMAT)?;
        journal.append(&Line::beginning(&run))?;
        Ok(Self { run, journal: Some(journal) })
    }

    /// Takes up the session at `path`. A torn last line is cut off. Calls that were under way are answered as interrupted;
    /// if the run was done, [`say`](Self::say) something to go on.
    ///
    /// # Errors
    /// [`SessionError::NotASession`], or [`SessionError::Store`], which says the line and the version.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, SessionError> {
        let path = path.as_ref();
        let journal = JsonlStore::open_versioned(path, SESSION_FORMAT)?;
        let (run, facts) = read(path, journal.records())?;
        let mut run = run.clone();
        facts.for_each(|fact| run.apply(fact.clone()));
        let mut session = Self { run, journal: Some(journal) };
        session.apply(Fact::Interrupted)?;
        Ok(session)
    }

    /// A new session at `path` that has all of this one up to assistant turn `turn`, which is asked for again.
    ///
    /// # Errors
    /// [`SessionError::NoJournal`], or those of [`create`](Self::create).
    pub fn fork(&self, path: impl AsRef<Path>, turn: usize) -> Result<Self, SessionError> {
        let journal = self.journal.as_ref().ok_or(SessionError::NoJournal)?;
        let (run, facts) = read(journal.path(), journal.records())?;
        let mut fork = Self::create(path, run.clone())?;
        for fact in facts {
            if fork.run.turns() == turn && matches!(fact, Fact::Replied { .. } | Fact::Ended { .. }) {
                break;
            }
            fork.apply(fact.clone())?;
        }
        Ok(fork)
    }

    /// The run as it stands.
    pub fn run(&self) -> &Run {
        &self.run
    }

    /// The file, if there is one.
    pub fn path(&self) -> Option<&Path> {
        self.journal.as_ref().map(JsonlStore::path)
    }

    /// Takes in what happened: first the disk, then the run.
    ///
    /// # Errors
    /// [`SessionError::Store`]; the run is as it was then.
    pub fn apply(&mut self, fact: Fact) -> Result<(), SessionError> {
        if let Some(journal) = &mut self.journal
            && self.run.accepts(&fact)
        {
            journal.append(&Line::fact(&fact))?;
        }
        self.run.apply(fact);
        Ok(())
    }

    /// Takes in what happened though the disk does not have it.
    pub(crate) fn apply_unwritten(&mut self, fact: Fact) {
        self.run.apply(fact);
    }

    /// Somebody says something: see [`Run::say`].
    ///
    /// # Errors
    /// Those of [`apply`](Self::apply).
    pub fn say(&mut self, content: impl Into<String>) -> Result<(), SessionError> {
        self.apply(Fact::Said { content: content.into() })
    }

    /// The run, without its journal.
    pub fn into_run(self) -> Run {
        self.run
    }
}

/// The run as it began, and what happened to it.
fn read<'a>(path: &Path, lines: &'a [Line]) -> Result<(&'a Run, impl Iterator<Item = &'a Fact>), SessionError> {
    match lines.split_first() {
        Some((Line { run: Some(run), .. }, facts)) => Ok((run, facts.iter().filter_map(|line| line.fact.as_deref()))),
        _ => Err(SessionError::NotASession { path: path.to_owned() }),
    }
}
