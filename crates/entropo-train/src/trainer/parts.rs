//! A batch in parts.

use crate::data::Sequence;

/// Tokens that a sequence may have to count for one of a micro-batch; a longer one counts for several.
pub const MICRO_TOKENS: usize = 512;

/// Cuts a batch into parts of at most `micro_batch` sequences and `micro_batch * MICRO_TOKENS` tokens, or of one group of
/// sequences that belong together if that is more.
pub(super) fn parts<'a, 'b>(
    sequences: &'a [&'b Sequence],
    micro_batch: usize,
    together: usize,
) -> Vec<&'a [&'b Sequence]> {
    let (micro_batch, together) = (micro_batch.max(1), together.max(1));
    let mut parts = Vec::new();
    let mut rest = sequences;
    while !rest.is_empty() {
        let (mut count, mut tokens) = (0, 0);
        for group in rest.chunks(together) {
            tokens += group.iter().map(|sequence| sequence.ids().len()).sum::<usize>();
            if count > 0 && (count + group.len() > micro_batch || tokens > micro_batch * MICRO_TOKENS) {
                break;
            }
            count += group.len();
        }
        let (part, left) = rest.split_at(count.min(rest.len()));
        parts.push(part);
        rest = left;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_sequences_make_smaller_parts() {
        let of_length = |tokens: usize| Sequence::new("x", vec![0; tokens], vec![true; tokens]).unwrap();
        let sequences = [10, 500, 512, 1024, 1025, 4000].map(of_length);
        let lengths = |micro_batch: usize| -> Vec<usize> {
            parts(&sequences.iter().collect::<Vec<_>>(), micro_batch, 1).iter().map(|part| part.len()).collect()
        };
        assert_eq!(lengths(1), [1, 1, 1, 1, 1, 1]);
        assert_eq!(lengths(4), [4, 1, 1]);
        assert_eq!(lengths(64), [6]);
        assert!(parts(&[], 4, 1).is_empty());
        let pairs =
            parts(&sequences.iter().collect::<Vec<_>>(), 1, 2).iter().map(|part| part.len()).collect::<Vec<_>>();
        assert_eq!(pairs, [2, 2, 2]);
    }
}
