//! What a run takes its examples from.

use std::borrow::Cow;

use crate::data::{DataError, Example, Source};

/// A slice, or whatever else holds examples.
#[derive(Clone, Copy)]
pub struct Examples<'a>(Held<'a>);

#[derive(Clone, Copy)]
enum Held<'a> {
    Slice(Slice<'a>),
    Source(&'a dyn Source),
}

#[derive(Clone, Copy)]
struct Slice<'a>(&'a [Example]);

impl Source for Slice<'_> {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn tokens(&self, index: usize) -> usize {
        Source::tokens(self.0, index)
    }

    fn get(&self, index: usize) -> Result<Cow<'_, Example>, DataError> {
        Source::get(self.0, index)
    }
}

impl Examples<'_> {
    pub(super) fn source(&self) -> &dyn Source {
        match &self.0 {
            Held::Slice(slice) => slice,
            Held::Source(source) => *source,
        }
    }
}

impl<'a> From<&'a [Example]> for Examples<'a> {
    fn from(examples: &'a [Example]) -> Self {
        Self(Held::Slice(Slice(examples)))
    }
}

impl<'a> From<&'a Vec<Example>> for Examples<'a> {
    fn from(examples: &'a Vec<Example>) -> Self {
        Self(Held::Slice(Slice(examples)))
    }
}

impl<'a> From<&'a dyn Source> for Examples<'a> {
    fn from(source: &'a dyn Source) -> Self {
        Self(Held::Source(source))
    }
}
