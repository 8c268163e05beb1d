//! Gradients written out by hand: the same as those that burn's autodiff traces through tensor operations, and the same
//! however sequences are laid out and whatever is kept.

use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Int, Tensor, TensorData};
use entropo_train::checkpoint;
use entropo_train::data::{Batch, Sequence};
use entropo_train::decoder::{Decoder, DecoderConfig, Keep};
use entropo_train::logprob::{gradients, logprobs, score};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::json;

use crate::fixtures::{entries, root};
use crate::support::{self, Named, assert_within, config_with, host, ids, norm};

/// Prompts that repeat, so that there is something to share: groups of `each` sequences with `shared` tokens in common.
fn rollouts(groups: usize, each: usize, shared: usize, own: usize, vocabulary: u32, seed: u64) -> Vec<Sequence> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut sequences = Vec::new();
    for group in 0..groups {
        let prefix: Vec<u32> = (0..shared).map(|_| random.random_range(0..vocabulary)).collect();
        for index in 0..each {
            let own: Vec<u32> = (0..own + index).map(|_| random.random_range(0..vocabulary)).collect();
            let ids = [prefix.clone(), own].concat();
            // Turns of both, some of them in what is shared.
            let actions = (0..ids.len()).map(|position| position % 7 > 3).collect();
            sequences.push(Sequence::new(format!("{group}.{index}"), ids, actions).unwrap());
        }
    }
    sequences
}

fn weights(count: usize) -> Vec<f64> {
    (0..count).map(|index| [-0.7, 0.4, 1.1][index % 3]).collect()
}

fn by_hand(decoder: &Decoder, batch: &Batch, weights: &[f64], keep: Keep) -> Named {
    let found = gradients(decoder, batch, weights, keep).by_name(decoder);
    found.into_iter().map(|(name, data)| (name, data.iter::<f32>().collect())).collect()
}

/// Sequence by sequence, with burn's autodiff.
fn traced(decoder: &Decoder, sequences: &[&Sequence], weights: &[f64]) -> Named {
    let device = Device::default().autodiff();
    let decoder = burn::module::Module::train(burn::module::Module::to_device(decoder.clone(), &device));
    let terms = sequences.iter().zip(weights).map(|(sequence, &weight)| {
        let tokens = sequence.ids().len();
        let [_, _, vocabulary] = decoder.logits(ids(&[sequence.ids().to_vec()], &device)).dims();
        let logits = decoder.logits(ids(&[sequence.ids().to_vec()], &device)).reshape([tokens, vocabulary]);
        let (rows, targets): (Vec<i64>, Vec<i64>) =
            sequence.action_positions().map(|at| (at as i64 - 1, i64::from(sequence.ids()[at]))).unzip();
        let integers = |values: Vec<i64>| {
            let count = values.len();
            Tensor::<1, Int>::from_data(TensorData::new(values, [count]), &device)
        };
        let count = rows.len();
        let chosen = log_softmax(logits.select(0, integers(rows)), 1);
        chosen.gather(1, integers(targets).reshape([count, 1])).sum().mul_scalar(weight)
    });
    let sum = terms.reduce(|sum, term| sum + term).unwrap();
    let mut found = support::gradients(&decoder, &sum.backward());
    found.retain(|name, _| !name.ends_with(".e_score_correction_bias"));
    found
}

/// Each gradient within `allowed` of the other's norm; one that is absent is 0.
#[track_caller]
fn assert_near(what: &str, actual: &Named, expected: &Named, allowed: f64) {
    let longest = expected.values().map(|values| norm(values)).fold(0.0, f64::max);
    assert!(longest > 0.0, "{what}");
    for (name, expected) in expected {
        let zeros = vec![0.0; expected.len()];
        let actual = actual.get(name).unwrap_or(&zeros);
        let difference: Vec<f32> = actual.iter().zip(expected).map(|(actual, expected)| actual - expected).collect();
        assert_within(&format!("{what}: {name}"), norm(&difference), 0.0, allowed * (norm(expected) + 1e-3 * longest));
    }
}

#[test]
fn every_family_has_the_gradient_that_autodiff_traces() {
    for name in entries("models") {
        let options = checkpoint::LoadOptions { dtype: Some(burn::tensor::FloatDType::F32), ..Default::default() };
        let folder = root().join("models").join(&name).join("checkpoint");
        let decoder = checkpoint::load_with(&folder, &Device::default(), &options).unwrap();
        let sequences = rollouts(2, 2, 20, 9, 40, 3);
        let sequences: Vec<&Sequence> = sequences.iter().collect();
        let weights = weights(sequences.len());
        let batch = Batch::new(&sequences, &Device::default());
        assert!(batch.tokens() < sequences.iter().map(|sequence| sequence.ids().len()).sum());
        let actual = by_hand(&decoder, &batch, &weights, Keep::default());
        assert_near(&name, &actual, &traced(&decoder, &sequences, &weights), 2e-4);
    }
}

/// A decoder with grouped heads, a window in every other layer and long contexts.
fn windowed() -> Decoder {
    let config = json!({
        "model_type": "gemma3_text", "vocab_size": 40, "hidden_size": 16, "intermediate_size": 24,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8,
        "max_position_embeddings": 1024, "sliding_window": 50, "layer_types": ["sliding_attention", "full_attention"],
        "query_pre_attn_scalar": 8, "final_logit_softcapping": 2.5, "tie_word_embeddings": true, "rope_theta": 10000.0,
    });
    Decoder::new(&DecoderConfig::from_json(&config.to_string(), "a test").unwrap(), 5, &Device::default())
}

#[test]
fn the_layout_only_rounds() {
    let config = config_with(json!({"max_position_embeddings": 1024, "vocab_size": 40}));
    for decoder in [Decoder::new(&config, 5, &Device::default()), windowed()] {
        // Longer than a block of queries, branching within and at its ends.
        for (shared, own) in [(150, 140), (128, 128), (16, 3)] {
            let sequences = rollouts(2, 3, shared, own, 40, 1);
            let sequences: Vec<&Sequence> = sequences.iter().collect();
            let weights = weights(sequences.len());
            let device = Device::default();
            let (together, apart) = (Batch::new(&sequences, &device), Batch::unshared(&sequences, &device));
            assert!(together.tokens() < apart.tokens());
            let actual = logprobs(&decoder, &together);
            for (sequence, (actual, expected)) in actual.iter().zip(logprobs(&decoder, &apart)).enumerate() {
                let alone = logprobs(&decoder, &Batch::new(&sequences[sequence..=sequence], &device)).remove(0);
                support::assert_all_within("packed", &expected, &alone, 2e-5);
                support::assert_all_within("shared", actual, &expected, 2e-5);
            }
            let expected = by_hand(&decoder, &apart, &weights, Keep::default());
            assert_near("shared", &by_hand(&decoder, &together, &weights, Keep::default()), &expected, 2e-5);
        }
        let sequences = rollouts(1, 2, 60, 40, 40, 2);
        let sequences: Vec<&Sequence> = sequences.iter().collect();
        let batch = Batch::new(&sequences, &Device::default());
        let actual = by_hand(&decoder, &batch, &weights(2), Keep::default());
        assert_near("traced", &actual, &traced(&decoder, &sequences, &weights(2)), 1e-4);
    }
}

#[test]
fn what_is_computed_again_is_the_same_to_the_last_bit() {
    let sequences = rollouts(2, 2, 30, 20, 40, 4);
    let batch = Batch::new(&sequences.iter().collect::<Vec<_>>(), &Device::default());
    let decoder = windowed();
    let again = Keep { inputs_only: true, ..Keep::default() };
    let expected = by_hand(&decoder, &batch, &weights(4), Keep::default());
    assert!(by_hand(&decoder, &batch, &weights(4), again) == expected);
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let sequences = rollouts(2, 2, 150, 100, 40, 4);
    let batch = Batch::new(&sequences.iter().collect::<Vec<_>>(), &Device::default());
    let config = config_with(json!({"max_position_embeddings": 1024, "vocab_size": 9000, "hidden_size": 64,
        "intermediate_size": 200, "num_attention_heads": 4, "num_key_value_heads": 2}));
    let decoder = Decoder::new(&config, 5, &Device::default());
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| (score(&decoder, &batch, 0.7, None), by_hand(&decoder, &batch, &weights(4), Keep::default())))
    };
    let alone = on(1);
    assert!(on(2) == alone);
    assert!(on(3) == alone);
}

#[test]
fn scores_are_of_the_whole_distribution() {
    let decoder = windowed();
    let sequences = rollouts(1, 2, 20, 10, 40, 6);
    let sequence = &sequences[1];
    let device = Device::default();
    let logits = host(decoder.logits(ids(&[sequence.ids().to_vec()], &device)));
    let scores = score(&decoder, &Batch::new(&[sequence], &device), 0.6, None);
    let mut hits = 0;
    for (index, at) in sequence.action_positions().enumerate() {
        let row: Vec<f64> = logits[(at - 1) * 40..at * 40].iter().map(|&logit| logit.into()).collect();
        let target = sequence.ids()[at] as usize;
        let of = |scale: f64| {
            let total: f64 = row.iter().map(|logit| (scale * logit).exp()).sum::<f64>().ln();
            row.iter().map(|logit| scale * logit - total).collect::<Vec<f64>>()
        };
        let plain = of(1.0);
        assert_within("logprob", scores.logprobs[index].into(), plain[target], 1e-5);
        assert_within("scaled", scores.scaled[index].into(), of(0.6)[target], 1e-5);
        let entropy = -plain.iter().map(|logprob| logprob.exp() * logprob).sum::<f64>();
        assert_within("entropy", scores.entropies[index].into(), entropy, 1e-4);
        let hit = row.iter().all(|&logit| logit <= row[target]);
        assert_eq!(scores.hits[index], hit);
        hits += usize::from(hit);
    }
    assert!(hits < scores.hits.len());
}
