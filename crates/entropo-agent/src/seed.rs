//! Seeds that depend on names only.
//!
//! A rollout's seed follows from the experiment's seed and the rollout's id, a turn's from the rollout's seed and the
//! turn's number: neither the order nor the number of parallel rollouts, nor a resumption, changes what is sampled. The
//! hashes are written out here because they are part of what makes old results repeatable; `std`'s may change.

use entropo_core::RolloutId;

const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// The seed of the reply in `turn`: output number `turn` (from 0) of a SplitMix64 generator (Steele, Lea and Flood
/// 2014) started at `seed`.
pub fn turn_seed(seed: u64, turn: usize) -> u64 {
    mix(seed.wrapping_add(GAMMA.wrapping_mul((turn as u64).wrapping_add(1))))
}

/// The seed of a rollout: the 64-bit FNV-1a hash of the task's UTF-8 bytes followed by the rollout's number in 8
/// little-endian bytes, xor-ed with `turn_seed(base, 0)` and finished with SplitMix64's mixing function.
pub fn rollout_seed(base: u64, id: &RolloutId) -> u64 {
    let number = (id.rollout as u64).to_le_bytes();
    let hash = id
        .task
        .bytes()
        .chain(number)
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    mix(turn_seed(base, 0) ^ hash)
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn turns_follow_the_published_generator() {
        // First outputs of the reference splitmix64.c, seed 1234567.
        let published = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431];
        assert_eq!([0, 1, 2, 3].map(|turn| turn_seed(1234567, turn)), published);
    }

    #[test]
    fn every_part_of_the_name_counts() {
        let seeds: BTreeSet<_> = (0..4)
            .flat_map(|base| ["a", "b"].map(|task| (base, task)))
            .flat_map(|(base, task)| (0..50).map(move |number| rollout_seed(base, &RolloutId::new(task, number))))
            .collect();
        assert_eq!(seeds.len(), 4 * 2 * 50);
    }
}
