//! Configurations of published models, and of the reference models in the keys of two generations.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use entropo_train::decoder::DecoderConfig;
use entropo_train::decoder::config::{Activation, ExpertsConfig, Family, FeedForward, RopeScaling, Router};

use crate::fixtures::{entries, root};

/// The configurations under `tests/configs` by name, each read, written and read again.
fn published() -> BTreeMap<String, DecoderConfig> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/configs");
    let files = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let read = files.map(|path| {
        let config = DecoderConfig::from_file(&path).unwrap();
        let again = DecoderConfig::from_json(&config.to_json().to_string(), "again").unwrap();
        assert_eq!(again, config, "{}", path.display());
        (path.file_stem().unwrap().to_str().unwrap().to_owned(), config)
    });
    read.collect()
}

/// Hidden width, blocks, query heads, key heads, width of a head, vocabulary, context.
fn sizes(config: &DecoderConfig) -> [usize; 7] {
    [
        config.hidden_size,
        config.layers.len(),
        config.num_attention_heads,
        config.num_key_value_heads,
        config.head_dim,
        config.vocab_size,
        config.max_position_embeddings,
    ]
}

#[test]
fn published_configurations_are_read_as_what_they_are() {
    let published = published();
    let expected = [
        ("Qwen2.5-0.5B-Instruct", Family::Qwen2, [896, 24, 14, 2, 64, 151_936, 32_768], true, vec![151_645]),
        ("Qwen2.5-Coder-7B", Family::Qwen2, [3584, 28, 28, 4, 128, 152_064, 32_768], false, vec![151_643]),
        ("Qwen3-0.6B", Family::Qwen3, [1024, 28, 16, 8, 128, 151_936, 40_960], true, vec![151_645]),
        (
            "Qwen3-Coder-30B-A3B-Instruct",
            Family::Qwen3Moe,
            [2048, 48, 32, 4, 128, 151_936, 262_144],
            false,
            vec![151_645],
        ),
        ("Llama-3.2-1B", Family::Llama, [2048, 16, 32, 8, 64, 128_256, 131_072], true, vec![128_001]),
        ("gemma-3-1b-it", Family::Gemma3Text, [1152, 26, 4, 1, 256, 262_144, 32_768], true, vec![1, 106]),
        (
            "GLM-4.5-Air",
            Family::Glm4Moe,
            [4096, 46, 96, 8, 128, 151_552, 131_072],
            false,
            vec![151_329, 151_336, 151_338],
        ),
    ];
    assert_eq!(published.len(), expected.len(), "{:?}", published.keys());
    for (name, family, wanted, tied, eos) in expected {
        let config = &published[name];
        assert_eq!((config.family, sizes(config)), (family, wanted), "{name}");
        assert_eq!((config.tie_word_embeddings, &config.eos_token_ids), (tied, &eos), "{name}");
    }
}

#[test]
fn parts_of_published_dense_models() {
    let published = published();
    let qwen2 = &published["Qwen2.5-0.5B-Instruct"];
    assert_eq!((qwen2.query_key_value_bias, qwen2.output_bias, qwen2.query_key_norm), (true, false, false));
    assert!(qwen2.layers.iter().all(|layer| layer.window.is_none() && layer.rope.theta == 1e6));
    assert!(qwen2.layers.iter().all(|layer| layer.feed_forward == FeedForward::Dense(4864)));
    let qwen3 = &published["Qwen3-0.6B"];
    assert_eq!((qwen3.query_key_value_bias, qwen3.output_bias, qwen3.query_key_norm), (false, false, true));
    assert_eq!((qwen3.query_size(), qwen3.key_size(), qwen3.group_size()), (2048, 1024, 2));
    let llama = &published["Llama-3.2-1B"];
    let scaling = RopeScaling::Llama3 {
        factor: 32.0,
        low_frequency_factor: 1.0,
        high_frequency_factor: 4.0,
        original_context: 8192.0,
    };
    assert!(llama.layers.iter().all(|layer| layer.rope.scaling == scaling && layer.rope.theta == 5e5));
    let gemma = &published["gemma-3-1b-it"];
    for (index, layer) in gemma.layers.iter().enumerate() {
        let (window, theta) = if index % 6 == 5 { (None, 1e6) } else { (Some(512), 1e4) };
        assert_eq!((layer.window, layer.rope.theta), (window, theta), "layer {index}");
    }
    assert_eq!((gemma.attention_scale, gemma.activation), (0.0625, Activation::GeluTanh));
    assert_eq!(gemma.embedding_scale, 1152_f64.sqrt());
}

#[test]
fn parts_of_published_models_with_experts() {
    let published = published();
    let qwen = &published["Qwen3-Coder-30B-A3B-Instruct"];
    let sparse = FeedForward::Sparse(ExpertsConfig {
        experts: 128,
        chosen: 8,
        intermediate_size: 768,
        shared_size: None,
        router: Router::Softmax,
        normalise: true,
        scale: 1.0,
    });
    assert!(qwen.layers.iter().all(|layer| layer.feed_forward == sparse && layer.rope.theta == 1e7));
    assert!(qwen.query_key_norm && !qwen.query_key_value_bias && !qwen.output_bias);

    let glm = &published["GLM-4.5-Air"];
    let sparse = FeedForward::Sparse(ExpertsConfig {
        experts: 128,
        chosen: 8,
        intermediate_size: 1408,
        shared_size: Some(1408),
        router: Router::Sigmoid { groups: 1, chosen_groups: 1 },
        normalise: true,
        scale: 1.0,
    });
    assert_eq!(glm.layers[0].feed_forward, FeedForward::Dense(10_944));
    assert!(glm.layers[1..].iter().all(|layer| layer.feed_forward == sparse));
    assert!(glm.layers.iter().all(|layer| layer.rope.dims == 64 && layer.rope.theta == 1e6));
    assert_eq!((glm.query_key_value_bias, glm.output_bias, glm.query_key_norm), (true, false, false));
    assert_eq!(glm.ignored_layers, 1);
}

#[test]
fn both_generations_of_keys_say_the_same() {
    let mut families = Vec::new();
    for name in entries("models") {
        let folder = root().join("models").join(&name);
        let legacy = folder.join("legacy_config.json");
        if !legacy.exists() {
            continue;
        }
        let config = DecoderConfig::from_file(&folder.join("checkpoint/config.json")).unwrap();
        assert_eq!(DecoderConfig::from_file(&legacy).unwrap(), config, "{name}");
        let again = DecoderConfig::from_json(&config.to_json().to_string(), "again").unwrap();
        assert_eq!(again, config, "{name}");
        families.push(config.family);
    }
    for family in Family::ALL {
        assert!(families.contains(&family), "no reference model of {family:?}");
    }
}
