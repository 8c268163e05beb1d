//! Every family of the reference data: what transformers computed, and the same bits however tokens are read.

use std::path::PathBuf;
use std::sync::Arc;

use burn::tensor::Device;
use safetensors::SafeTensors;
use serde_json::Value;

use super::cache::Cache;
use super::forward::Work;
use super::kernel::Workers;
use super::weights::{HostDecoder, Precision};
use crate::checkpoint::Weights;
use crate::decoder::config::FeedForward;
use crate::decoder::{Decoder, DecoderConfig};

const TOLERANCE: f32 = 1e-4;

fn models() -> PathBuf {
    let workspace = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures");
    std::env::var_os("ENTROPO_FIXTURES").map_or_else(workspace, PathBuf::from).join("models")
}

fn load(name: &str) -> HostDecoder {
    let folder = models().join(name).join("checkpoint");
    let config = DecoderConfig::from_file(&folder.join("config.json")).unwrap();
    let mut weights = Weights::open(&folder).unwrap();
    let decoder = HostDecoder::read(&config, &mut weights, Precision::Stored).unwrap();
    assert_eq!(weights.unexpected(|_| false), [], "{name}");
    decoder
}

/// One sequence's logits after the last of `tokens`.
fn read(decoder: &HostDecoder, cache: &mut Cache, tokens: &[u32]) -> Vec<f32> {
    decoder.forward(&mut [Work { cache, tokens, logits: true }]).remove(0)
}

fn check_logits(name: &str, decoder: &HostDecoder) -> (Vec<u32>, Vec<Vec<f32>>) {
    let bytes = std::fs::read(models().join(name).join("reference.safetensors")).unwrap();
    let reference = SafeTensors::deserialize(&bytes).unwrap();
    let ids = reference.tensor("alone.input_ids").unwrap();
    let ids: Vec<u32> = ids.data().as_chunks::<8>().0.iter().map(|id| i64::from_le_bytes(*id) as u32).collect();
    let expected = reference.tensor("alone.logits").unwrap();
    let expected: Vec<f32> = expected.data().as_chunks::<4>().0.iter().map(|x| f32::from_le_bytes(*x)).collect();
    let mut cache = Cache::new();
    let found: Vec<Vec<f32>> = ids.iter().map(|id| read(decoder, &mut cache, &[*id])).collect();
    assert_eq!(found.iter().map(Vec::len).sum::<usize>(), expected.len(), "{name}");
    for (index, (found, expected)) in found.iter().flatten().zip(&expected).enumerate() {
        assert!((found - expected).abs() < TOLERANCE, "{name} [{index}]: {found} instead of {expected}");
    }
    (ids, found)
}

/// In pieces of any size, beside others and after a shared beginning: the same bits as token by token.
fn check_pieces(name: &str, decoder: &HostDecoder, ids: &[u32], expected: &[Vec<f32>]) {
    for piece in [3, 7, 64] {
        let mut cache = Cache::new();
        for (part, last) in ids.chunks(piece).zip((piece - 1..).step_by(piece)) {
            assert_eq!(read(decoder, &mut cache, part), expected[last.min(ids.len() - 1)], "{name} by {piece}");
        }
    }
    let (begin, end) = ids.split_at(ids.len() / 2);
    let mut first = Cache::new();
    read(decoder, &mut first, begin);
    let mut second = Cache::from_shared(first.tokens(), first.blocks().to_vec());
    let mut other = Cache::new();
    let logits = decoder.forward(&mut [
        Work { cache: &mut other, tokens: &ids[3..9], logits: false },
        Work { cache: &mut second, tokens: end, logits: true },
        Work { cache: &mut first, tokens: &[1, 2, 3], logits: false },
    ]);
    assert_eq!(logits, expected[ids.len() - 1..], "{name} after a shared beginning");
    for (first, second) in first.blocks().iter().zip(second.blocks()).take(begin.len() / 16) {
        assert!(Arc::ptr_eq(first, second), "{name}: a full block was copied");
    }
}

fn check_greedy(name: &str, decoder: &HostDecoder) {
    let text = std::fs::read(models().join(name).join("reference.json")).unwrap();
    let reference: Value = serde_json::from_slice(&text).unwrap();
    for case in reference["greedy"].as_array().unwrap() {
        let tokens = |key: &str| -> Vec<u32> { serde_json::from_value(case[key].clone()).unwrap() };
        let (mut next, expected) = (tokens("prompt"), tokens("tokens"));
        let mut cache = Cache::new();
        for expected in expected {
            let logits = read(decoder, &mut cache, &next);
            let best = (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap();
            assert_eq!(best as u32, expected, "{name}");
            next = vec![expected];
        }
    }
}

#[test]
fn every_family_agrees_with_the_reference() {
    let families = ["qwen2", "qwen2_bf16", "qwen3", "qwen3_moe", "llama", "llama3_rope", "gemma3_text", "glm4_moe"];
    for name in families {
        let decoder = load(name);
        let (ids, logits) = check_logits(name, &decoder);
        check_pieces(name, &decoder, &ids, &logits);
        check_greedy(name, &decoder);
    }
}

/// Large enough that every part of a pass is handed to the pool; the reference models are too small for that.
#[test]
fn threads_change_no_bit_of_a_whole_pass() {
    let mut config = DecoderConfig::from_file(&models().join("llama/checkpoint/config.json")).unwrap();
    (config.hidden_size, config.vocab_size) = (256, 3000);
    (config.num_attention_heads, config.num_key_value_heads, config.head_dim) = (8, 2, 32);
    for layer in &mut config.layers {
        layer.rope.dims = 32;
        layer.feed_forward = FeedForward::Dense(600);
    }
    let decoder = Decoder::new(&config, 7, &Device::default());
    let tokens: Vec<u32> = (0..150).map(|index| index * 37 % 3000).collect();
    let pass = |decoder: &HostDecoder| {
        let [mut a, mut b] = [Cache::new(), Cache::new()];
        let first = decoder.forward(&mut [
            Work { cache: &mut a, tokens: &tokens, logits: true },
            Work { cache: &mut b, tokens: &tokens[5..90], logits: true },
        ]);
        [first, vec![read(decoder, &mut a, &tokens[..40])]].concat()
    };
    let alone = HostDecoder::new(&decoder).unwrap();
    let expected = pass(&alone);
    for threads in [2, 5] {
        let pooled = HostDecoder::new(&decoder).unwrap().with_threads(threads);
        assert!(pooled.threads.run(usize::MAX, |workers| workers == Workers::Pool));
        assert!(pass(&pooled) == expected, "{threads} threads");
    }
}
