//! Which files of a repository make a checkpoint.
//!
//! A repository often holds the same weights several times (`.bin`, `.gguf`, `original/`), so files are chosen, never
//! taken as they come: what `checkpoint` and `text` read, and what transformers needs to open a copy.

use crate::checkpoint::{COMPANIONS, INDEX, WEIGHTS};

/// The file to read the weights from, or to find their shards by. One file wins over shards, as where it is loaded.
pub(super) fn weights(has: impl Fn(&str) -> bool) -> Option<&'static str> {
    [WEIGHTS, INDEX].into_iter().find(|name| has(name))
}

/// The files besides configuration and weights that are there.
pub(super) fn companions(has: impl Fn(&str) -> bool) -> impl Iterator<Item = &'static str> {
    COMPANIONS.into_iter().filter(move |name| has(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_file_wins_over_shards() {
        assert_eq!(weights(|_| true), Some(WEIGHTS));
        assert_eq!(weights(|name| name == INDEX), Some(INDEX));
        assert_eq!(weights(|name| name == "pytorch_model.bin"), None);
    }
}
