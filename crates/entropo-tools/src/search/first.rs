//! The first of what is found, in order, and the number of the rest.

use std::collections::BTreeMap;

/// What is beyond the first is counted exactly up to here.
pub(super) const MAX_COUNT: usize = 10_000;

/// The first items by their key, of items that come in any order.
///
/// Items come in groups (the lines of a file), which are ordered by their key. No more groups are kept than are needed
/// for `room` items.
#[derive(Debug)]
pub(super) struct First<K> {
    room: usize,
    groups: BTreeMap<K, Vec<String>>,
    kept: usize,
    total: usize,
}

/// What is still of interest in a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Want {
    /// Its items: it may be among the first.
    Items,
    /// Their number: it comes after the first.
    Number,
    /// Nothing: it comes after the first, and enough are counted.
    Nothing,
}

impl<K: Ord> First<K> {
    pub(super) fn new(room: usize) -> Self {
        Self { room, groups: BTreeMap::new(), kept: 0, total: 0 }
    }

    /// What to find out about the group `key`.
    pub(super) fn want<Q: Ord + ?Sized>(&self, key: &Q) -> Want
    where
        K: std::borrow::Borrow<Q>,
    {
        match self.groups.last_key_value() {
            Some((last, _)) if self.kept >= self.room && key > last.borrow() => {
                if self.total > self.room + MAX_COUNT {
                    Want::Nothing
                } else {
                    Want::Number
                }
            }
            _ => Want::Items,
        }
    }

    /// Adds a group of `number` items, of which the first are `items`.
    pub(super) fn add(&mut self, key: K, mut items: Vec<String>, number: usize) {
        self.total += number;
        if number == 0 || self.want(&key) != Want::Items {
            return;
        }
        items.truncate(self.room);
        self.kept += items.len();
        self.groups.insert(key, items);
        while let Some(last) = self.groups.last_entry() {
            if self.kept - last.get().len() < self.room {
                break;
            }
            self.kept -= last.remove().len();
        }
    }

    /// Whether there is more than was counted.
    pub(super) fn is_open(&self) -> bool {
        self.total > self.room + MAX_COUNT
    }

    /// The items in order, and last a line about the rest, which are `things`.
    pub(super) fn show(self, things: &str, advice: &str) -> Vec<String> {
        let open = self.is_open();
        let mut lines: Vec<String> = self.groups.into_values().flatten().take(self.room).collect();
        match self.total.saturating_sub(lines.len()) {
            0 => {}
            _ if open => lines.push(format!("[more than {MAX_COUNT} more {things}; {advice}]")),
            more => lines.push(format!("[{more} more {things}; {advice}]")),
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_comes_late_is_only_counted_and_then_left() {
        let mut first = First::new(2);
        assert_eq!(first.want("b"), Want::Items);
        first.add("b".to_owned(), vec!["b1".to_owned(), "b2".to_owned()], 5);
        assert_eq!((first.want("a"), first.want("b"), first.want("c")), (Want::Items, Want::Items, Want::Number));
        first.add("c".to_owned(), Vec::new(), MAX_COUNT);
        assert_eq!((first.want("a"), first.want("c")), (Want::Items, Want::Nothing));
        first.add("a".to_owned(), vec!["a1".to_owned()], 1);
        assert_eq!(first.show("lines", "narrow"), ["a1", "b1", "[more than 10000 more lines; narrow]"]);
    }

    proptest! {
        #[test]
        fn the_order_of_arrival_changes_nothing(
            groups in proptest::collection::btree_map(0_u8..60, 0_usize..5, 0..40),
            room in 1_usize..12,
            seed in any::<u64>(),
        ) {
            let items = |(key, number): (&u8, &usize)| (0..*number).map(|item| format!("{key}:{item}")).collect::<Vec<_>>();
            let all: Vec<String> = groups.iter().flat_map(items).collect();
            let mut expected: Vec<String> = all.iter().take(room).cloned().collect();
            if all.len() > room {
                expected.push(format!("[{} more lines; narrow]", all.len() - room));
            }
            let mut order: Vec<_> = groups.iter().collect();
            order.sort_by_key(|(key, _)| (u64::from(**key) + 1).wrapping_mul(seed | 1).rotate_left(17));
            let mut first = First::new(room);
            for (key, number) in order {
                let kept = if first.want(key) == Want::Items { items((key, number)) } else { Vec::new() };
                first.add(*key, kept, *number);
                prop_assert!(first.kept < room + 5);
            }
            prop_assert_eq!(first.show("lines", "narrow"), expected);
        }
    }
}
