//! What the decoder promises beside its numbers: no look at the future, no look at padding or neighbours.

use burn::tensor::Device;
use entropo_train::decoder::Decoder;
use proptest::prelude::*;
use serde_json::json;

use crate::support::{VOCABULARY, assert_all_within, config_with, decoder, host, ids, weights};

/// Logits of each position, `[batch * token][vocabulary]`.
fn logits(decoder: &Decoder, rows: &[Vec<u32>]) -> Vec<Vec<f32>> {
    host(decoder.logits(ids(rows, &Device::default()))).chunks(VOCABULARY as usize).map(<[f32]>::to_vec).collect()
}

fn tokens(length: impl Into<prop::collection::SizeRange>) -> impl Strategy<Value = Vec<u32>> {
    prop::collection::vec(0..VOCABULARY, length)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn no_position_sees_what_comes_after_it(row in tokens(12), other in tokens(12), kept in 1usize..12) {
        let decoder = decoder(2);
        let changed: Vec<u32> = row[..kept].iter().chain(&other[kept..]).copied().collect();
        let (left, right) = (logits(&decoder, &[row]), logits(&decoder, &[changed]));
        prop_assert_eq!(&left[..kept], &right[..kept]);
    }

    #[test]
    fn no_sequence_sees_its_neighbours_or_its_padding(first in tokens(1..13), second in tokens(13)) {
        let decoder = decoder(3);
        let alone = logits(&decoder, std::slice::from_ref(&first));
        let mut padded = first.clone();
        padded.resize(13, 0);
        let together = logits(&decoder, &[second, padded]);
        for (position, alone) in alone.iter().enumerate() {
            assert_all_within("logits", &together[13 + position], alone, 1e-5);
        }
    }
}

#[test]
fn every_position_reads_everything_before_it() {
    let row: Vec<u32> = (0..10).collect();
    let before = logits(&decoder(4), std::slice::from_ref(&row));
    for position in 0..row.len() {
        let mut changed = row.clone();
        changed[position] = 16;
        let after = logits(&decoder(4), &[changed]);
        assert_eq!(before[..position], after[..position]);
        assert!((position..row.len()).all(|later| before[later] != after[later]), "{position}");
    }
}

#[test]
fn chosen_rows_of_the_head_are_rows_of_all_logits() {
    for tie_word_embeddings in [true, false] {
        let config = config_with(json!({"tie_word_embeddings": tie_word_embeddings}));
        let decoder = Decoder::new(&config, 5, &Device::default());
        let prompt = ids(&[vec![1, 2, 3, 4]], &Device::default());
        let hidden = decoder.hidden(prompt.clone()).reshape([4, 8]);
        let last = host(decoder.head(hidden.narrow(0, 3, 1)));
        assert_all_within("last row", &last, &host(decoder.logits(prompt))[3 * 17..], 1e-6);
    }
}

#[test]
fn a_seed_is_a_decoder() {
    assert_eq!(weights(&decoder(9)), weights(&decoder(9)));
    assert_ne!(weights(&decoder(9)), weights(&decoder(10)));
}
