//! Where examples come from.

use std::borrow::Cow;

use super::error::DataError;
use super::example::Example;

/// Examples by number: a slice in memory, or a data set on disk that does not fit there.
///
/// The order is fixed: the same index always gives the same example.
pub trait Source: Sync {
    /// How many examples there are.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Tokens of all sequences of an example, known without reading it; 0 for an index out of range.
    fn tokens(&self, index: usize) -> usize;

    /// One example.
    ///
    /// # Errors
    /// [`DataError`] if there is no such example or it cannot be read.
    fn get(&self, index: usize) -> Result<Cow<'_, Example>, DataError>;
}

impl Source for [Example] {
    fn len(&self) -> usize {
        self.len()
    }

    fn tokens(&self, index: usize) -> usize {
        <[Example]>::get(self, index).map_or(0, Example::tokens)
    }

    fn get(&self, index: usize) -> Result<Cow<'_, Example>, DataError> {
        let found = <[Example]>::get(self, index).map(Cow::Borrowed);
        found.ok_or(DataError::Index { index, examples: self.len() })
    }
}
