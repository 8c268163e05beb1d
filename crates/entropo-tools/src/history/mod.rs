//! Taking changes of files back, and knowing what of them a model has seen.
//!
//! A [`History`] is given to the tools whose changes it shall know, and [`Undo`] takes them back, the last of a file
//! first. A file that was changed underneath is left alone, since taking back an older change would destroy a newer one.
//!
//! For the same reason a file that an [`Editor`](crate::Editor) has shown, and that others changed since, is not edited
//! before it was viewed again. Tools that share no history with an editor have no way to view a file, and edit it as it
//! is.

mod past;

use std::collections::{HashMap, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use entropo_agent::{Tool, ToolError, ToolOutput};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use crate::files::{self, Change, Stored, commit};
use crate::paths::{Kind, Located, Root};
use past::{Fingerprint, Past};

/// Changes of a file that can be taken back.
const KEPT: usize = 100;
/// Bytes that are kept of all changes together.
const KEPT_BYTES: usize = 128 << 20;
/// Bytes that each change takes beside those it replaced, or so.
const OVERHEAD: usize = 256;

/// The last hundred changes of each file, of at most 128 MiB together. Clones share what they know.
#[derive(Clone, Debug, Default)]
pub struct History(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    past: VecDeque<Past>,
    /// How a file was when it was last shown or changed; only kept if there is a tool that shows files.
    seen: HashMap<PathBuf, Fingerprint>,
    shows: bool,
}

impl History {
    /// One that knows of no change yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says that one of its tools can show files.
    pub(crate) fn shows(&self) {
        self.known().shows = true;
    }

    /// Remembers how a file was that is shown.
    pub(crate) fn saw(&self, place: &Located, stored: &Stored) {
        self.known().seen.insert(place.real.clone(), Fingerprint::of(stored));
    }

    /// Refuses a file that is no longer as it was last shown or left.
    pub(crate) fn expect(&self, place: &Located, stored: &Stored) -> Result<(), String> {
        let seen = self.known().seen.get(&place.real).copied();
        if seen.is_none_or(|seen| seen == Fingerprint::of(stored)) {
            return Ok(());
        }
        Err(format!("{} has changed since it was last viewed or edited here; view it again first.", place.shown))
    }

    /// Carries out changes, all or none, and remembers them; the error is in words for a model.
    pub(crate) fn keep(&self, changes: Vec<Change>) -> Result<(), String> {
        // Tools that share this history wait for each other, so that none overwrites what another just wrote.
        let mut known = self.known();
        commit(&changes)?;
        for change in changes {
            let past = Past::new(&change);
            known.look(&past.file, past.after.map(|(_, fingerprint)| fingerprint));
            known.record(past);
        }
        Ok(())
    }

    /// Takes back the last change of the file at `place`; answers in words for a model.
    pub(crate) fn undo(&self, place: &Located) -> Result<String, String> {
        let mut known = self.known();
        let Some((at, last)) = known.past.iter().enumerate().rfind(|(_, past)| past.file == place.real) else {
            return Err(format!("No edit of {} to undo.", place.shown));
        };
        let now = if place.kind == Kind::Nothing { Ok(None) } else { files::read(place).map(Some) };
        let now = now.ok().filter(|now| last.left(now.as_ref()));
        let Some(now) = now else {
            return Err(format!("{} has changed since its last edit; nothing undone.", place.shown));
        };
        let before = last.undone(now.as_ref());
        let fingerprint = before.as_ref().map(Fingerprint::of);
        commit(&[Change { place: place.clone(), before: now, after: before }])?;
        known.past.remove(at);
        known.look(&place.real, fingerprint);
        Ok(format!("Undid the last edit of {}.", place.shown))
    }
}

impl Known {
    fn look(&mut self, file: &Path, fingerprint: Option<Fingerprint>) {
        match fingerprint {
            Some(fingerprint) if self.shows => drop(self.seen.insert(file.to_owned(), fingerprint)),
            _ => drop(self.seen.remove(file)),
        }
    }

    fn record(&mut self, past: Past) {
        if self.past.iter().filter(|other| other.file == past.file).count() == KEPT {
            let oldest = self.past.iter().position(|other| other.file == past.file);
            oldest.and_then(|oldest| self.past.remove(oldest));
        }
        self.past.push_back(past);
        let size = |past: &Past| past.size() + OVERHEAD;
        let mut bytes: usize = self.past.iter().map(size).sum();
        // The last change can always be taken back.
        while bytes > KEPT_BYTES && self.past.len() > 1 {
            bytes -= self.past.pop_front().as_ref().map_or(0, size);
        }
    }
}

/// Takes back the last change of a file.
#[derive(Debug)]
pub struct Undo {
    root: Root,
    history: History,
}

/// What [`Undo`] is asked to do.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(description = "")]
pub struct UndoArgs {
    /// The file, relative to the workspace.
    pub path: String,
}

impl Undo {
    /// Takes back what `history` knows, below `root`.
    ///
    /// # Errors
    ///
    /// Where `root` does not exist.
    pub fn new(root: impl AsRef<Path>, history: &History) -> io::Result<Self> {
        Ok(Self { root: Root::new(root)?, history: history.clone() })
    }
}

impl Tool for Undo {
    const NAME: &'static str = "undo";
    type Args = UndoArgs;

    fn description(&self) -> String {
        "Take back the last change of a file, up to a hundred. A file that was created is removed, a deleted one comes \
         back."
            .to_owned()
    }

    async fn call(&self, arguments: UndoArgs, _cancel: &CancellationToken) -> Result<ToolOutput, ToolError> {
        let place = self.root.locate(&arguments.path).map_err(ToolError::new)?;
        self.history.undo(&place).map(ToolOutput::text).map_err(ToolError::new)
    }
}
