//! In which order examples are trained on.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// How many batches are sorted by length together: enough for little padding, few enough for random batches.
const BUCKET: usize = 16;

/// The batches of one epoch as indices of examples: shuffled, each batch of similar lengths, every example once. A last
/// batch may be smaller. The same lengths, epoch and seed give the same order.
pub(crate) fn batches(lengths: &[usize], batch_size: usize, epoch: usize, seed: u64) -> Vec<Vec<usize>> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(epoch as u64);
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.shuffle(&mut random);
    let batch_size = batch_size.max(1);
    let mut batches = Vec::with_capacity(lengths.len().div_ceil(batch_size));
    for bucket in order.chunks_mut(BUCKET * batch_size) {
        bucket.sort_by_key(|&index| lengths.get(index));
        batches.extend(bucket.chunks(batch_size).map(<[usize]>::to_vec));
    }
    batches.shuffle(&mut random);
    batches
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_example_once(lengths in prop::collection::vec(1usize..50, 0..200), size in 1usize..9, seed: u64) {
            let mut seen: Vec<usize> = batches(&lengths, size, 0, seed).concat();
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..lengths.len()).collect::<Vec<_>>());
        }
    }

    #[test]
    fn epochs_differ_and_repeat() {
        let lengths: Vec<usize> = (0..100).collect();
        assert_ne!(batches(&lengths, 4, 0, 7), batches(&lengths, 4, 1, 7));
        assert_eq!(batches(&lengths, 4, 1, 7), batches(&lengths, 4, 1, 7));
    }
}
