//! What is remembered of one change: only what it replaced, so that many changes of large files stay small.

use std::hash::{BuildHasher, Hasher};
use std::path::PathBuf;
use std::sync::LazyLock;

use foldhash::quality::RandomState;

use crate::files::{Change, Stored};

static HASHER: LazyLock<RandomState> = LazyLock::new(RandomState::default);
/// Bytes that are compared at once.
const COMPARED: usize = 4096;

/// By what a file's content is known again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fingerprint {
    length: usize,
    hash: u64,
}

impl Fingerprint {
    pub(super) fn of(stored: &Stored) -> Self {
        let mut hasher = HASHER.build_hasher();
        hasher.write(&stored.bytes);
        Self { length: stored.bytes.len(), hash: hasher.finish() }
    }
}

/// A change that was made, in as few bytes as it can be taken back with.
#[derive(Debug)]
pub(super) struct Past {
    pub(super) file: PathBuf,
    /// Permissions and owner of what there was; none if there was no file.
    before: Option<Kept>,
    /// What it left; none if there is no file.
    pub(super) after: Option<(Kept, Fingerprint)>,
    /// Where the two begin to differ.
    start: usize,
    /// The bytes that are no longer there, and how many are there in their place.
    removed: Vec<u8>,
    inserted: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    mode: Option<u32>,
    owner: Option<(u32, u32)>,
}

impl Kept {
    fn of(stored: &Stored) -> Self {
        Self { mode: stored.mode, owner: stored.owner }
    }
}

impl Past {
    pub(super) fn new(change: &Change) -> Self {
        let bytes = |stored: &Option<Stored>| stored.as_ref().map(|stored| stored.bytes.clone()).unwrap_or_default();
        let (old, new) = (bytes(&change.before), bytes(&change.after));
        let start = common_start(&old, &new);
        let (old_rest, new_rest) = (old.split_at(start).1, new.split_at(start).1);
        let end = common_end(old_rest, new_rest);
        let removed = if change.after.is_some() { old_rest.split_at(old_rest.len() - end).0 } else { &old };
        Self {
            file: change.place.real.clone(),
            before: change.before.as_ref().map(Kept::of),
            after: change.after.as_ref().map(|after| (Kept::of(after), Fingerprint::of(after))),
            start,
            removed: if change.before.is_some() { removed.to_vec() } else { Vec::new() },
            inserted: new_rest.len() - end,
        }
    }

    /// The bytes it takes to remember this.
    pub(super) fn size(&self) -> usize {
        self.removed.len()
    }

    /// Whether the file is what this change left.
    pub(super) fn left(&self, now: Option<&Stored>) -> bool {
        now.map(Fingerprint::of) == self.after.map(|(_, fingerprint)| fingerprint)
    }

    /// The file before the change, from what the change left.
    pub(super) fn undone(&self, now: Option<&Stored>) -> Option<Stored> {
        let before = self.before?;
        let (Some(now), Some((after, _))) = (now, self.after) else {
            let mut stored = Stored::new(self.removed.clone());
            (stored.mode, stored.owner) = (before.mode, before.owner);
            return Some(stored);
        };
        let (head, rest) = now.bytes.split_at_checked(self.start)?;
        let (_, tail) = rest.split_at_checked(self.inserted)?;
        let mut stored = now.with([head, &self.removed, tail].concat());
        // Permissions that the change left alone are those that the file has by now.
        if before.mode != after.mode {
            stored.mode = before.mode;
        }
        Some(stored)
    }
}

/// How many bytes two files have in common at their beginning: many are compared at once, then the last of them singly.
fn common_start(a: &[u8], b: &[u8]) -> usize {
    let chunks = a.chunks_exact(COMPARED).zip(b.chunks_exact(COMPARED));
    let equal = COMPARED * chunks.take_while(|(a, b)| a == b).count();
    let rest = a.iter().skip(equal).zip(b.iter().skip(equal));
    equal + rest.take_while(|(a, b)| a == b).count()
}

/// The same at their end.
fn common_end(a: &[u8], b: &[u8]) -> usize {
    let chunks = a.rchunks_exact(COMPARED).zip(b.rchunks_exact(COMPARED));
    let equal = COMPARED * chunks.take_while(|(a, b)| a == b).count();
    let (a, b) = (a.split_at(a.len() - equal).0, b.split_at(b.len() - equal).0);
    equal + a.iter().rev().zip(b.iter().rev()).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::paths::Root;

    fn change(before: Option<Vec<u8>>, after: Option<Vec<u8>>) -> Change {
        let place = Root::new(".").unwrap().locate("x").unwrap();
        Change { place, before: before.map(Stored::new), after: after.map(Stored::new) }
    }

    fn content() -> impl Strategy<Value = Option<Vec<u8>>> {
        let part = || prop::collection::vec(0..3u8, 0..40);
        // Long enough for several chunks, and alike in most of them.
        let long = (part(), 0..3usize, part())
            .prop_map(|(head, middle, tail)| [head, vec![7; middle * COMPARED], tail].concat());
        prop::option::of(long)
    }

    proptest! {
        #[test]
        fn every_change_is_taken_back(before in content(), after in content()) {
            let change = change(before, after);
            let past = Past::new(&change);
            prop_assert!(past.left(change.after.as_ref()));
            prop_assert_eq!(past.undone(change.after.as_ref()), change.before);
        }
    }

    #[test]
    fn only_what_was_replaced_is_remembered() {
        let before = vec![b'a'; 3 * COMPARED];
        let mut after = before.clone();
        after[5000] = b'b';
        assert_eq!(Past::new(&change(Some(before.clone()), Some(after))).size(), 1);
        assert_eq!(Past::new(&change(Some(before.clone()), None)).size(), before.len());
        assert_eq!(Past::new(&change(None, Some(before))).size(), 0);
    }
}
