//! What every tool that reads and changes files goes through.
//!
//! It holds a tool's paths to the workspace, its changes to what the model has seen, and has each change checked before
//! it is kept.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::{Change, Encoding, MAX_FILE, Stored, read};
use crate::edit_check::{EditCheck, ProposedEdit};
use crate::history::History;
use crate::paths::{Located, PathError, Root};

/// The files of a workspace, as one tool has them.
#[derive(Debug)]
pub(crate) struct Files {
    root: Root,
    pub(crate) history: History,
    pub(crate) check: Option<Arc<dyn EditCheck>>,
}

impl Files {
    pub(crate) fn new(root: impl AsRef<Path>, history: &History) -> io::Result<Self> {
        Ok(Self { root: Root::new(root)?, history: history.clone(), check: None })
    }

    pub(crate) fn locate(&self, path: &str) -> Result<Located, PathError> {
        self.root.locate(path)
    }

    pub(crate) fn existing(&self, path: &str) -> Result<Located, PathError> {
        self.root.existing(path)
    }

    /// Reads a file to change it; refuses one that changed since the model saw it.
    pub(crate) fn read(&self, place: &Located) -> Result<Stored, String> {
        let stored = read(place)?;
        self.history.expect(place, &stored)?;
        Ok(stored)
    }

    /// Gives the text of a file to `change` and keeps what that makes of it; answers the file's name.
    pub(crate) fn edit<E: fmt::Display>(
        &self,
        path: &str,
        change: impl FnOnce(&str, &str) -> Result<String, E>,
    ) -> Result<String, String> {
        let place = self.existing(path).map_err(|error| error.to_string())?;
        let before = self.read(&place)?;
        let name = place.shown.clone();
        let named = |reason: &str| format!("{name}: {reason}.");
        let (text, encoding) = Encoding::decode(&before.bytes).map_err(named)?;
        let after = change(&name, &text).map_err(|error| error.to_string())?;
        let after = before.with(encoding.write(after).map_err(|reason| named(&reason))?);
        self.keep(vec![Change { place, before: Some(before), after: Some(after) }])?;
        Ok(name)
    }

    /// Carries out all changes, or none and says why, in words for a model.
    pub(crate) fn keep(&self, changes: Vec<Change>) -> Result<(), String> {
        for Change { place, before, after } in &changes {
            let Some(after) = after else { continue };
            if after.bytes.len() as u64 > MAX_FILE {
                let (name, size) = (&place.shown, after.bytes.len());
                return Err(format!("{name} would be too large: {size} bytes of at most {MAX_FILE}."));
            }
            if let Some(check) = &self.check {
                let before = before.as_ref().map(|before| before.bytes.as_slice());
                let edit = ProposedEdit { path: &place.shown, before, after: &after.bytes };
                check.check(&edit).map_err(|reason| format!("{}: {reason}", place.shown))?;
            }
        }
        self.history.keep(changes)
    }
}
