//! A patch carried out on copies in memory, so that nothing is written before all of it is known to fit.

use std::borrow::Cow;

use super::apply::{Applied, apply};
use super::model::{Action, FilePatch};
use crate::files::{Change, Encoding, Files, Stored};
use crate::paths::{Kind, Located};

/// The files that a patch touches, in the order in which it does.
pub(super) struct Plan<'a> {
    files: &'a Files,
    drafts: Vec<Draft>,
}

struct Draft {
    place: Located,
    before: Option<Stored>,
    now: Option<Stored>,
}

impl<'a> Plan<'a> {
    pub(super) fn new(files: &'a Files) -> Self {
        Self { files, drafts: Vec::new() }
    }

    /// Carries out what a patch says of one file, and answers what was done; both in words for a model.
    pub(super) fn follow(&mut self, patch: &FilePatch) -> Result<String, String> {
        let place = self.draft(&patch.path)?.place.clone();
        let name = &place.shown;
        let (done, notes) = match &patch.action {
            Action::Update => {
                let (after, notes) = changed(name, self.present(&patch.path)?, patch)?;
                self.draft(&patch.path)?.now = Some(after);
                (format!("Edited {name}"), notes)
            }
            Action::Create => {
                let (file, notes) = changed(name, Stored::new(Vec::new()), patch)?;
                self.put(&patch.path, file)?;
                (format!("Created {name}"), notes)
            }
            Action::Delete => {
                no_link(&place)?;
                let before = self.present(&patch.path)?;
                // Forms without the file's lines trust that the right file is named.
                if !patch.hunks.is_empty() && !changed(name, before, patch)?.0.bytes.is_empty() {
                    return Err(format!("{name}: the patch deletes the file, but not all of its lines."));
                }
                self.draft(&patch.path)?.now = None;
                (format!("Deleted {name}"), Vec::new())
            }
            Action::Move(to) => {
                no_link(&place)?;
                let (file, notes) = changed(name, self.present(&patch.path)?, patch)?;
                self.draft(&patch.path)?.now = None;
                (format!("Moved {name} to {}", self.put(to, file)?), notes)
            }
            Action::Copy(to) => {
                let (file, notes) = changed(name, self.present(&patch.path)?, patch)?;
                (format!("Copied {name} to {}", self.put(to, file)?), notes)
            }
        };
        let notes: String = notes.iter().map(|note| format!("; {note}")).collect();
        Ok(format!("{done}{notes}."))
    }

    /// What there is to write.
    pub(super) fn changes(self) -> Vec<Change> {
        let changed = self.drafts.into_iter().filter(|draft| draft.before != draft.now);
        changed.map(|Draft { place, before, now }| Change { place, before, after: now }).collect()
    }

    fn draft(&mut self, path: &str) -> Result<&mut Draft, String> {
        let place = self.files.locate(path).map_err(|error| error.to_string())?;
        let known = self.drafts.iter().position(|draft| draft.place.real == place.real);
        if known.is_none() {
            let before = if place.kind == Kind::Nothing { None } else { Some(self.files.read(&place)?) };
            self.drafts.push(Draft { place, now: before.clone(), before });
        }
        let at = known.unwrap_or(self.drafts.len().saturating_sub(1));
        self.drafts.get_mut(at).ok_or_else(|| format!("{path} does not exist."))
    }

    fn present(&mut self, path: &str) -> Result<Stored, String> {
        let draft = self.draft(path)?;
        draft.now.clone().ok_or_else(|| format!("{} does not exist.", draft.place.shown))
    }

    /// Puts a file where there is none.
    fn put(&mut self, path: &str, file: Stored) -> Result<String, String> {
        let draft = self.draft(path)?;
        if draft.now.is_some() {
            return Err(format!("{} already exists.", draft.place.shown));
        }
        draft.now = Some(file);
        Ok(draft.place.shown.clone())
    }
}

/// Refuses a link, since what it leads to would be gone and the link not.
fn no_link(place: &Located) -> Result<(), String> {
    if place.link { Err(format!("{} is a symbolic link; name the file itself.", place.shown)) } else { Ok(()) }
}

/// A file's new content, and what to say of its hunks.
fn changed(name: &str, file: Stored, patch: &FilePatch) -> Result<(Stored, Vec<String>), String> {
    let named = |reason: String| format!("{name}: {reason}.");
    let mode = match (file.mode, patch.executable) {
        // As many may execute it as may read it.
        (Some(mode), Some(true)) => Some(mode | (mode & 0o444) >> 2),
        (Some(mode), Some(false)) => Some(mode & !0o111),
        (None, Some(true)) => Some(0o755),
        (mode, _) => mode,
    };
    if patch.hunks.is_empty() {
        return Ok((Stored { mode, ..file }, Vec::new()));
    }
    let (text, encoding) = if file.bytes.is_empty() {
        (Cow::Borrowed(""), Encoding::UTF_8)
    } else {
        Encoding::decode(&file.bytes).map_err(|reason| named(reason.to_owned()))?
    };
    let Applied { text, notes } = apply(&text, &patch.hunks).map_err(named)?;
    let bytes = encoding.write(text).map_err(named)?;
    Ok((Stored { mode, ..file.with(bytes) }, notes))
}
