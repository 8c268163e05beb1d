//! Rollouts to look at: one HTML file that needs nothing else, or text for a terminal.
//!
//! ```
//! use entropo_agent::view::View;
//! use entropo_core::{ExitReason, RolloutId, Trajectory};
//!
//! let rollout = Trajectory::empty(RolloutId::new("task", 0), "model", 7, ExitReason::Agent);
//! let view = View::new("One rollout", [&rollout]);
//! assert!(view.html()?.contains("Content-Security-Policy"));
//! assert!(view.text().starts_with("task#0"));
//! # Ok::<(), entropo_agent::view::ViewError>(())
//! ```
//!
//! Everything in a trajectory was written by a model or by what a model started. Characters that control a terminal or the
//! direction of writing are shown as what they are ([`visible`]); in the page all of it lies in data that no parser reads as
//! markup, becomes text nodes, and a content security policy lets no other script run than the page's own.
//!
//! `docs/viewer.md` shows the page and its keys.

mod page;
mod record;
mod text;
mod tokens;
mod visible;

use std::collections::BTreeMap;

use entropo_core::{RolloutId, Trajectory};

use crate::select::Selection;

pub use tokens::{MeasuredSegment, Measures};
pub use visible::visible;

/// Bytes of one text that are kept, unless [`View::at_most`] says otherwise.
const AT_MOST: usize = 256 * 1024;

/// Makes texts of token ids, one for each.
type Decoder<'a> = dyn Fn(&[u32]) -> Vec<String> + 'a;

/// Rollouts, and what is known about them.
pub struct View<'a> {
    title: String,
    rollouts: Vec<&'a Trajectory>,
    selections: BTreeMap<&'a str, &'a Selection>,
    decoder: Option<Box<Decoder<'a>>>,
    measures: BTreeMap<(RolloutId, usize), Measures>,
    at_most: usize,
    coloured: bool,
}

/// Why rollouts cannot be shown.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ViewError {
    /// The decoder did not give a text for each token.
    #[error(
        "segment {segment} of {rollout} has {tokens} tokens, but the decoder gave {texts} texts; give one for each"
    )]
    Texts {
        /// Whose.
        rollout: RolloutId,
        /// Which of its segments.
        segment: usize,
        /// Its tokens.
        tokens: usize,
        /// What the decoder gave.
        texts: usize,
    },
    /// Values that do not belong to the segment's actions.
    #[error(
        "segment {segment} of {rollout} has {tokens} action tokens, but {values} values of {measure}; give one for each, \
         or none"
    )]
    Values {
        /// Whose.
        rollout: RolloutId,
        /// Which of its segments.
        segment: usize,
        /// Its action tokens.
        tokens: usize,
        /// How many values there are.
        values: usize,
        /// Of what.
        measure: &'static str,
    },
    /// Something cannot be written as JSON.
    #[error("{rollout} cannot be written as JSON: {source}")]
    Json {
        /// What.
        rollout: String,
        /// Why not.
        source: serde_json::Error,
    },
}

impl<'a> View<'a> {
    /// A view of rollouts, in this order; tasks come in the order of their first rollouts.
    pub fn new(title: impl Into<String>, rollouts: impl IntoIterator<Item = &'a Trajectory>) -> Self {
        Self {
            title: title.into(),
            rollouts: rollouts.into_iter().collect(),
            selections: BTreeMap::new(),
            decoder: None,
            measures: BTreeMap::new(),
            at_most: AT_MOST,
            coloured: false,
        }
    }

    /// Adds what was selected of a task's rollouts, and why. The task is the one that the selection's ids name.
    #[must_use]
    pub fn selection(mut self, selection: &'a Selection) -> Self {
        let decided = selection.decisions.first().map(|decision| &decision.rollout);
        if let Some(id) = selection.chosen.as_ref().or(decided) {
            self.selections.insert(&id.task, selection);
        }
        self
    }

    /// Sets what makes texts of token ids: it is given a whole segment, and gives a text for each id. Without it, tokens are
    /// shown as numbers.
    #[must_use]
    pub fn decoder(mut self, decoder: impl Fn(&[u32]) -> Vec<String> + 'a) -> Self {
        self.decoder = Some(Box::new(decoder));
        self
    }

    /// Adds values of the action tokens of a rollout's segment, counted from 0.
    #[must_use]
    pub fn measures(mut self, rollout: RolloutId, segment: usize, measures: Measures) -> Self {
        self.measures.insert((rollout, segment), measures);
        self
    }

    /// Sets how many bytes are kept of each message, argument and patch; the middle of a longer one is left out, and that is
    /// said. 256 KiB if it is not set.
    #[must_use]
    pub fn at_most(self, bytes: usize) -> Self {
        Self { at_most: bytes, ..self }
    }

    /// Sets whether [`text`](Self::text) has colours, as ANSI escape sequences; it has none if it is not set.
    #[must_use]
    pub fn coloured(self, coloured: bool) -> Self {
        Self { coloured, ..self }
    }

    /// The selection of a rollout's task.
    fn selection_of(&self, rollout: &Trajectory) -> Option<&'a Selection> {
        self.selections.get(rollout.id.task.as_str()).copied()
    }

    /// A rollout's text as it may be shown.
    fn shown(&self, text: &str) -> String {
        visible(&visible::shortened(text, self.at_most)).into_owned()
    }
}
