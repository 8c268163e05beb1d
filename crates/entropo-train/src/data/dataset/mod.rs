//! Data sets on disk: rows of any format in, tokenised examples out.
//!
//! A [`DatasetBuilder`] reads files row by row, tokenises what is words, checks everything that a run would stumble over,
//! and writes the examples to a cache directory; only a few rows are in memory at a time. What was dropped, and why, is in
//! the [`Report`]. The next run finds the cache under the hash of everything it was made of.
//!
//! A [`Dataset`] is a [`Source`]: the files are mapped, and an example is in memory while it is used.

mod build;
mod config;
mod cut;
mod encode;
mod judgement;
mod key;
mod report;
mod rows;
mod split;
mod store;

use std::borrow::Cow;
use std::sync::Arc;

use super::error::DataError;
use super::example::Example;
use super::source::Source;
use store::Stored;

pub use build::DatasetBuilder;
pub use config::{BadRows, DataConfig, Kind, Question, TooLong};
pub use report::{Dropped, Lengths, Report};

/// Examples on disk, or some of them.
#[derive(Clone, Debug)]
pub struct Dataset {
    stored: Arc<Stored>,
    /// The examples that count, in order.
    selected: Arc<[usize]>,
}

impl Dataset {
    fn new(stored: Stored) -> Self {
        let selected = (0..stored.places.len()).collect();
        Self { stored: Arc::new(stored), selected }
    }

    /// What was read to make it, and what became of it.
    pub fn report(&self) -> &Report {
        &self.stored.report
    }

    /// A hash of everything that it was made of: files, settings, tokenizer and template.
    pub fn key(&self) -> &str {
        &self.stored.key
    }

    /// Two data sets: one to train on, and one to evaluate on with about `share`, in `[0, 1)`, of the groups (tasks, or
    /// whatever answers the same prompt; at least one of several groups). No group is on both sides. The same seed gives
    /// the same split.
    pub fn split(&self, share: f64, seed: u64) -> [Self; 2] {
        let groups = self.selected.iter().filter_map(|&index| self.stored.places.get(index));
        split::split(groups.map(|place| place.group.as_str()), share, seed).map(|chosen| {
            let selected = chosen.iter().filter_map(|&index| self.selected.get(index)).copied().collect();
            Self { stored: self.stored.clone(), selected }
        })
    }
}

impl Source for Dataset {
    fn len(&self) -> usize {
        self.selected.len()
    }

    fn tokens(&self, index: usize) -> usize {
        self.selected.get(index).map_or(0, |&index| self.stored.tokens(index))
    }

    fn get(&self, index: usize) -> Result<Cow<'_, Example>, DataError> {
        let found = self.selected.get(index).and_then(|&index| self.stored.get(index));
        found.map(Cow::Owned).ok_or(DataError::Index { index, examples: self.selected.len() })
    }
}
