//! Which examples are held out.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

/// Cuts examples, given by their groups, in two: those to train on, and about `share` of the groups, at least one of
/// several, to evaluate on. Examples of one group stay together, so that no task is on both sides. Which ones are held
/// out depends on the groups' names and the seed only: more data does not move a group from one side to the other unless
/// the share's border passes it.
pub(super) fn split<'a>(groups: impl Iterator<Item = &'a str>, share: f64, seed: u64) -> [Vec<usize>; 2] {
    let mut by_draw: BTreeMap<[u8; 32], Vec<usize>> = BTreeMap::new();
    for (index, group) in groups.enumerate() {
        let draw = Sha256::new().chain_update(seed.to_le_bytes()).chain_update(group).finalize();
        by_draw.entry(draw.into()).or_default().push(index);
    }
    let count = by_draw.len();
    let held_out = match count {
        0 | 1 => 0,
        _ if share <= 0.0 => 0,
        _ => ((share * count as f64).round() as usize).clamp(1, count - 1),
    };
    let mut groups = by_draw.into_values();
    let mut evaluate: Vec<usize> = groups.by_ref().take(held_out).flatten().collect();
    let mut train: Vec<usize> = groups.flatten().collect();
    evaluate.sort_unstable();
    train.sort_unstable();
    [train, evaluate]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn groups_stay_together(groups in prop::collection::vec("[a-d]", 0..30), share in 0.0f64..1.0, seed: u64) {
            let [train, evaluate] = split(groups.iter().map(String::as_str), share, seed);
            let mut all = [train.clone(), evaluate.clone()].concat();
            all.sort_unstable();
            prop_assert_eq!(all, (0..groups.len()).collect::<Vec<_>>());
            prop_assert!(evaluate.iter().all(|held| train.iter().all(|other| groups[*held] != groups[*other])));
            prop_assert!(!train.is_empty() || groups.is_empty());
        }
    }

    #[test]
    fn the_share_is_of_groups_and_the_seed_decides() {
        let names: Vec<String> = (0..100).map(|index| format!("task {index}")).collect();
        let held = |share, seed| split(names.iter().map(String::as_str), share, seed)[1].clone();
        assert_eq!((held(0.1, 0).len(), held(0.0, 0).len(), held(0.001, 0).len(), held(1.0, 0).len()), (10, 0, 1, 99));
        assert_eq!(held(0.1, 7), held(0.1, 7));
        assert_ne!(held(0.1, 7), held(0.1, 8));
        assert!(held(0.1, 7).iter().all(|index| held(0.2, 7).contains(index)));
    }
}
