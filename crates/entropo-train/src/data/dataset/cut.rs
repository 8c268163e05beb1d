//! Sequences that are too long lose whole turns.

use entropo_core::ActionSpan;

/// Tokens with their actions, on the way to a sequence.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Encoded {
    pub(super) ids: Vec<u32>,
    /// Ascending, disjoint and inside `ids`; those that are learned.
    pub(super) actions: Vec<ActionSpan>,
}

impl Encoded {
    /// Leaves out what follows the last action that ends within `most` tokens. Returns how many actions that cost, or
    /// `None` if none would be left.
    pub(super) fn cut(&mut self, most: usize) -> Option<usize> {
        let before = self.actions.len();
        self.actions.retain(|action| action.end <= most);
        self.ids.truncate(self.actions.last()?.end);
        Some(before - self.actions.len())
    }

    /// Tokens up to the last action, which are all that count.
    pub(super) fn needed(&self) -> usize {
        self.actions.last().map_or(0, |action| action.end)
    }

    /// `[token]`
    pub(super) fn mask(&self) -> Vec<bool> {
        let mut mask = vec![false; self.ids.len()];
        for action in &self.actions {
            mask.get_mut(action.start..action.end).into_iter().flatten().for_each(|slot| *slot = true);
        }
        mask
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn turns(lengths: &[(usize, usize)]) -> Encoded {
        let (mut ids, mut actions) = (Vec::new(), Vec::new());
        for (turn, (read, written)) in lengths.iter().enumerate() {
            let start = ids.len() + read;
            let end = start + written;
            ids.resize(end, turn as u32);
            actions.push(ActionSpan { turn, start, end });
        }
        Encoded { ids, actions }
    }

    proptest! {
        #[test]
        fn only_whole_turns_go(lengths in prop::collection::vec((0usize..5, 1usize..5), 1..8), most in 0usize..40) {
            let whole = turns(&lengths);
            let mut cut = whole.clone();
            let fits = whole.actions.iter().take_while(|action| action.end <= most).count();
            match cut.cut(most) {
                None => prop_assert_eq!(fits, 0),
                Some(lost) => {
                    prop_assert_eq!(lost, whole.actions.len() - fits);
                    prop_assert_eq!(&cut.actions, &whole.actions[..fits]);
                    prop_assert!(cut.ids.len() <= most && whole.ids.starts_with(&cut.ids));
                    prop_assert_eq!(cut.needed(), cut.ids.len());
                    prop_assert_eq!(cut.mask(), &whole.mask()[..cut.ids.len()]);
                }
            }
        }
    }
}
