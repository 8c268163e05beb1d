//! Defaults, meanings and refusals of keys, family by family.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::{
    Activation, ConfigError, DecoderConfig, ExpertsConfig, Family, FeedForward, LayerConfig, RopeScaling, Router,
};

/// A small configuration of a family that reads without error.
fn tiny(family: Family) -> Value {
    json!({
        "model_type": family.model_type(), "vocab_size": 10, "hidden_size": 16, "intermediate_size": 12,
        "num_hidden_layers": 4, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 4,
        "max_position_embeddings": 64, "eos_token_id": 3, "moe_intermediate_size": 6, "num_experts_per_tok": 2,
    })
}

fn read(family: Family, changes: Value) -> Result<DecoderConfig, ConfigError> {
    let mut keys = tiny(family);
    keys.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    DecoderConfig::from_json(&keys.to_string(), "config.json")
}

fn scaling(family: Family, changes: Value) -> RopeScaling {
    read(family, changes).unwrap().layers[0].rope.scaling
}

fn windows(config: &DecoderConfig) -> Vec<Option<usize>> {
    config.layers.iter().map(|layer| layer.window).collect()
}

fn sparse(config: &DecoderConfig) -> Vec<bool> {
    config.layers.iter().map(|layer| matches!(layer.feed_forward, FeedForward::Sparse(_))).collect()
}

fn experts(config: &DecoderConfig) -> &ExpertsConfig {
    let experts = config.layers.iter().find_map(|layer| match &layer.feed_forward {
        FeedForward::Sparse(experts) => Some(experts),
        FeedForward::Dense(_) => None,
    });
    experts.unwrap()
}

#[test]
fn what_is_absent_has_the_default_of_transformers() {
    for (family, hidden, layers, heads, groups, head_dim, context, epsilon, tied, eos) in [
        (Family::Qwen2, 4096, 32, 32, 32, 128, 32_768, 1e-6, false, vec![]),
        (Family::Qwen3, 4096, 32, 32, 32, 128, 32_768, 1e-6, false, vec![]),
        (Family::Qwen3Moe, 2048, 24, 32, 4, 64, 32_768, 1e-6, false, vec![]),
        (Family::Llama, 4096, 32, 32, 32, 128, 2048, 1e-6, false, vec![2]),
        (Family::Gemma3Text, 2304, 26, 8, 4, 256, 131_072, 1e-6, true, vec![1]),
    ] {
        let text = json!({ "model_type": family.model_type() }).to_string();
        let config = DecoderConfig::from_json(&text, "config.json").unwrap();
        let found = (config.hidden_size, config.layers.len(), config.num_attention_heads, config.num_key_value_heads);
        assert_eq!(found, (hidden, layers, heads, groups), "{family:?}");
        assert_eq!((config.head_dim, config.max_position_embeddings), (head_dim, context), "{family:?}");
        assert_eq!((config.rms_norm_eps, config.tie_word_embeddings), (epsilon, tied), "{family:?}");
        assert_eq!(config.eos_token_ids, eos, "{family:?}");
        let theta = config.layers.iter().find(|layer| layer.window.is_none()).unwrap().rope.theta;
        assert_eq!(theta, if family == Family::Gemma3Text { 1e6 } else { 1e4 }, "{family:?}");
    }
    // 96 heads do not divide a width of 4096: GLM's defaults need the width of a head beside them.
    let glm = |keys: Value| DecoderConfig::from_json(&keys.to_string(), "config.json");
    assert!(matches!(glm(json!({ "model_type": "glm4_moe" })), Err(ConfigError::Value { .. })));
    let glm = glm(json!({ "model_type": "glm4_moe", "head_dim": 128 })).unwrap();
    assert_eq!((glm.layers.len(), glm.rms_norm_eps, glm.layers[0].rope.dims), (46, 1e-5, 64));
    assert_eq!((glm.ignored_layers, experts(&glm).experts, experts(&glm).normalise), (1, 128, true));
}

#[test]
fn each_family_has_its_parts() {
    let parts = |family, bias: bool| {
        let config = read(family, json!({ "attention_bias": bias, "use_qk_norm": bias })).unwrap();
        (config.query_key_value_bias, config.output_bias, config.query_key_norm)
    };
    for bias in [false, true] {
        assert_eq!(parts(Family::Qwen2, bias), (true, false, false));
        assert_eq!(parts(Family::Qwen3, bias), (bias, bias, true));
        assert_eq!(parts(Family::Qwen3Moe, bias), (bias, bias, true));
        assert_eq!(parts(Family::Llama, bias), (bias, bias, false));
        assert_eq!(parts(Family::Gemma3Text, bias), (bias, bias, true));
        assert_eq!(parts(Family::Glm4Moe, bias), (bias, false, bias));
    }
    let gemma = read(Family::Gemma3Text, json!({ "query_pre_attn_scalar": 64, "vocab_size": 11 })).unwrap();
    assert_eq!((gemma.attention_scale, gemma.embedding_scale), (0.125, 4.0));
    assert_eq!((gemma.norm_offset, gemma.norm_results, gemma.activation), (true, true, Activation::GeluTanh));
    let llama = read(Family::Llama, json!({})).unwrap();
    assert_eq!((llama.attention_scale, llama.embedding_scale), (0.5, 1.0));
    assert_eq!((llama.norm_offset, llama.norm_results, llama.activation), (false, false, Activation::Silu));
}

#[test]
fn windows_in_each_family() {
    let window = json!({ "use_sliding_window": true, "sliding_window": 7, "max_window_layers": 1 });
    let some = Some(7);
    for family in [Family::Qwen2, Family::Qwen3] {
        assert_eq!(windows(&read(family, window.clone()).unwrap()), [None, some, some, some]);
        let unused = json!({ "use_sliding_window": false, "sliding_window": 7, "max_window_layers": 0 });
        assert_eq!(windows(&read(family, unused).unwrap()), [None; 4]);
    }
    assert_eq!(windows(&read(Family::Qwen3Moe, window).unwrap()), [some; 4]);
    let pattern = json!({ "sliding_window": 7, "sliding_window_pattern": 2, "_sliding_window_pattern": 3 });
    assert_eq!(windows(&read(Family::Gemma3Text, pattern).unwrap()), [some, None, some, None]);
    let (full, slides) = ("full_attention", "sliding_attention");
    let listed = json!({ "sliding_window": 7, "sliding_window_pattern": 2, "layer_types": [full, full, slides, full] });
    assert_eq!(windows(&read(Family::Gemma3Text, listed).unwrap()), [None, None, some, None]);
    let agreeing = json!({ "layer_types": [full, full, full, full] });
    assert_eq!(windows(&read(Family::Llama, agreeing).unwrap()), [None; 4]);
}

#[test]
fn rotary_parameters_in_both_spellings() {
    let linear = RopeScaling::Linear { factor: 4.0 };
    for keys in [
        json!({ "rope_theta": 5e5, "rope_scaling": { "type": "linear", "factor": 4 } }),
        json!({ "rope_theta": 5e5, "rope_scaling": { "rope_type": "linear", "factor": 4.0 } }),
        json!({ "rope_parameters": { "rope_type": "linear", "factor": 4.0, "rope_theta": 5e5 } }),
        json!({ "rope_theta": 1e3, "rope_parameters": { "rope_type": "linear", "factor": 4.0, "rope_theta": 5e5 } }),
        json!({
            "rope_theta": 5e5, "rope_scaling": { "rope_type": "linear", "factor": 4.0 },
            "rope_parameters": { "rope_type": "default", "rope_theta": 1e3 },
        }),
    ] {
        let rope = read(Family::Llama, keys).unwrap().layers[0].rope;
        assert_eq!((rope.theta, rope.dims, rope.scaling), (5e5, 4, linear));
    }
    let gemma = json!({
        "rope_scaling": { "rope_type": "linear", "factor": 4.0 }, "rope_theta": 5e5, "rope_local_base_freq": 2e3,
        "sliding_window_pattern": 2,
    });
    let ropes: Vec<_> = read(Family::Gemma3Text, gemma).unwrap().layers.iter().map(|layer| layer.rope).collect();
    assert_eq!((ropes[0].theta, ropes[0].scaling), (2e3, RopeScaling::Default));
    assert_eq!((ropes[1].theta, ropes[1].scaling), (5e5, linear));
    let inside = json!({ "rope_type": "linear", "factor": 4.0, "rope_theta": 5e5 });
    let inside =
        read(Family::Gemma3Text, json!({ "sliding_window_pattern": 1, "rope_theta": 1e3, "rope_scaling": inside }));
    assert_eq!(inside.unwrap().layers[0].rope.theta, 5e5);
    let dims = |keys| read(Family::Glm4Moe, keys).unwrap().layers[0].rope.dims;
    assert_eq!(dims(json!({})), 2);
    assert_eq!(dims(json!({ "partial_rotary_factor": 1.0 })), 4);
    assert_eq!(dims(json!({ "head_dim": 8, "rope_parameters": { "partial_rotary_factor": 0.25 } })), 2);
}

#[test]
fn scaling_has_the_defaults_of_transformers() {
    let llama3 = json!({ "rope_type": "llama3", "factor": 8, "low_freq_factor": 1, "high_freq_factor": 4 });
    assert_eq!(
        scaling(Family::Llama, json!({ "rope_scaling": llama3 })),
        RopeScaling::Llama3 {
            factor: 8.0,
            low_frequency_factor: 1.0,
            high_frequency_factor: 4.0,
            original_context: 64.0
        }
    );
    let yarn = |more: Value| {
        let mut keys = json!({ "type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32 });
        keys.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        scaling(Family::Qwen2, json!({ "rope_scaling": keys }))
    };
    let expected = |attention_factor| RopeScaling::Yarn {
        factor: 4.0,
        beta_fast: 32.0,
        beta_slow: 1.0,
        original_context: 32.0,
        attention_factor,
        truncate: true,
    };
    // What transformers' `_compute_yarn_parameters` returns.
    assert_eq!(yarn(json!({})), expected(1.138_629_436_111_989));
    assert_eq!(yarn(json!({ "attention_factor": 1.25 })), expected(1.25));
    assert_eq!(yarn(json!({ "mscale": 1.0, "mscale_all_dim": 0 })), expected(1.138_629_436_111_989));
    assert_eq!(yarn(json!({ "mscale": 2.0, "mscale_all_dim": 2.0 })), expected(1.0));
    let RopeScaling::Yarn { attention_factor, .. } = yarn(json!({ "mscale": 2.0, "mscale_all_dim": 1.0 })) else {
        panic!("no yarn");
    };
    assert!((attention_factor - 1.121_751_1).abs() < 1e-6, "{attention_factor}");
}

#[test]
fn experts_and_the_layers_that_have_them() {
    let qwen = read(Family::Qwen3Moe, json!({ "num_experts": 5, "decoder_sparse_step": 2 })).unwrap();
    assert_eq!(sparse(&qwen), [false, true, false, true]);
    assert_eq!(
        *experts(&qwen),
        ExpertsConfig {
            experts: 5,
            chosen: 2,
            intermediate_size: 6,
            shared_size: None,
            router: Router::Softmax,
            normalise: false,
            scale: 1.0
        }
    );
    let listed = read(Family::Qwen3Moe, json!({ "num_local_experts": 5, "mlp_only_layers": [0, 2] })).unwrap();
    assert_eq!((sparse(&listed), experts(&listed).experts), (vec![false, true, false, true], 5));
    assert_eq!(sparse(&read(Family::Qwen3Moe, json!({ "num_experts": 0 })).unwrap()), [false; 4]);

    let keys = json!({
        "n_routed_experts": 8, "n_shared_experts": 2, "n_group": 4, "topk_group": 2, "routed_scaling_factor": 2.5,
        "norm_topk_prob": false, "first_k_dense_replace": 3, "num_mtp_layers": 2,
    });
    let glm = read(Family::Glm4Moe, keys).unwrap();
    assert_eq!((sparse(&glm), glm.ignored_layers), (vec![false, false, false, true], 2));
    assert_eq!(
        *experts(&glm),
        ExpertsConfig {
            experts: 8,
            chosen: 2,
            intermediate_size: 6,
            shared_size: Some(12),
            router: Router::Sigmoid { groups: 4, chosen_groups: 2 },
            normalise: false,
            scale: 2.5
        }
    );
    let alone = read(Family::Glm4Moe, json!({ "n_shared_experts": 0 })).unwrap();
    assert_eq!(experts(&alone).shared_size, None);
}

#[test]
fn what_is_not_done_is_refused_by_name() {
    let nested = json!({ "full_attention": { "rope_type": "default" } });
    for (family, key, value, named) in [
        (Family::Llama, "model_type", json!("mamba"), "model_type"),
        (Family::Gemma3Text, "model_type", json!("gemma3"), "text model"),
        (Family::Llama, "hidden_act", json!("gelu"), "hidden_act"),
        (Family::Gemma3Text, "hidden_activation", json!("relu"), "hidden_activation"),
        (Family::Llama, "mlp_bias", json!(true), "mlp_bias"),
        (Family::Qwen2, "quantization_config", json!({ "quant_method": "fp8" }), "quantization_config"),
        (Family::Qwen2, "is_causal", json!(false), "is_causal"),
        (Family::Gemma3Text, "use_bidirectional_attention", json!(true), "use_bidirectional_attention"),
        (Family::Gemma3Text, "attn_logit_softcapping", json!(50.0), "attn_logit_softcapping"),
        (Family::Llama, "final_logit_softcapping", json!(30.0), "final_logit_softcapping"),
        (Family::Qwen2, "rope_scaling", json!({ "type": "dynamic", "factor": 2 }), "rope_scaling.type"),
        (Family::Qwen3, "rope_parameters", json!({ "rope_type": "longrope" }), "rope_parameters.rope_type"),
        (Family::Qwen3, "rope_parameters", nested.clone(), "rope_parameters"),
        (Family::Qwen3, "partial_rotary_factor", json!(0.5), "partial_rotary_factor"),
        (Family::Llama, "sliding_window", json!(4), "sliding_window"),
        (Family::Llama, "layer_types", json!(vec!["sliding_attention"; 4]), "layer_types"),
        (Family::Qwen2, "layer_types", json!(vec!["chunked_attention"; 4]), "layer_types"),
    ] {
        let error = read(family, json!({ key: value })).unwrap_err();
        assert!(matches!(error, ConfigError::Unsupported { .. }), "{key}: {error}");
        let text = error.to_string();
        assert!(text.starts_with("config.json: `") && text.contains(named), "{text}");
    }
}

#[test]
fn contradictions_are_refused_by_name() {
    let yarn = json!({ "rope_type": "yarn", "original_max_position_embeddings": 32 });
    let llama3 = json!({ "rope_type": "llama3", "factor": 8, "low_freq_factor": 4, "high_freq_factor": 4 });
    for (family, changes, named) in [
        (Family::Llama, json!({ "model_type": null }), "model_type"),
        (Family::Llama, json!({ "num_key_value_heads": 3 }), "num_key_value_heads"),
        (Family::Llama, json!({ "head_dim": null, "hidden_size": 18 }), "num_attention_heads"),
        (Family::Llama, json!({ "head_dim": null, "hidden_size": 20 }), "hidden_size"),
        (Family::Llama, json!({ "head_dim": 3 }), "head_dim"),
        (Family::Llama, json!({ "vocab_size": 0 }), "vocab_size"),
        (Family::Llama, json!({ "vocab_size": -4 }), "vocab_size"),
        (Family::Llama, json!({ "hidden_size": "8" }), "hidden_size"),
        (Family::Llama, json!({ "hidden_size": 1_u64 << 40 }), "hidden_size"),
        (Family::Llama, json!({ "eos_token_id": [1, -1] }), "eos_token_id"),
        (Family::Llama, json!({ "rms_norm_eps": 0 }), "rms_norm_eps"),
        (Family::Llama, json!({ "hidden_act": 1 }), "hidden_act"),
        (Family::Llama, json!({ "num_hidden_layers": null }), "num_hidden_layers"),
        (Family::Llama, json!({ "num_hidden_layers": 1_000_000_000 }), "num_hidden_layers"),
        (Family::Llama, json!({ "rope_scaling": 3 }), "rope_scaling"),
        (Family::Llama, json!({ "rope_scaling": yarn }), "rope_scaling.factor"),
        (Family::Llama, json!({ "rope_parameters": llama3 }), "rope_parameters.high_freq_factor"),
        (Family::Qwen2, json!({ "layer_types": ["full_attention"] }), "layer_types"),
        (Family::Qwen2, json!({ "layer_types": vec!["sliding_attention"; 4] }), "sliding_window"),
        (Family::Gemma3Text, json!({ "sliding_window": null }), "sliding_window"),
        (Family::Gemma3Text, json!({ "sliding_window_pattern": 0 }), "sliding_window_pattern"),
        (Family::Gemma3Text, json!({ "rope_parameters": { "rope_theta": 1e6 } }), "rope_parameters"),
        (Family::Qwen3Moe, json!({ "num_experts": 1 }), "num_experts_per_tok"),
        (Family::Qwen3Moe, json!({ "num_experts": 4, "num_local_experts": 5 }), "num_experts"),
        (Family::Qwen3Moe, json!({ "num_experts": 1_u64 << 20 }), "num_experts"),
        (Family::Qwen3Moe, json!({ "mlp_only_layers": ["first"] }), "mlp_only_layers"),
        (Family::Qwen3Moe, json!({ "decoder_sparse_step": 0 }), "decoder_sparse_step"),
        (Family::Glm4Moe, json!({ "n_group": 3 }), "n_group"),
        (Family::Glm4Moe, json!({ "n_routed_experts": 4, "n_group": 4 }), "n_group"),
        (Family::Glm4Moe, json!({ "topk_group": 2 }), "topk_group"),
        (
            Family::Glm4Moe,
            json!({ "n_routed_experts": 4, "n_group": 2, "num_experts_per_tok": 3 }),
            "num_experts_per_tok",
        ),
        (Family::Glm4Moe, json!({ "head_dim": 6 }), "partial_rotary_factor"),
        (Family::Glm4Moe, json!({ "partial_rotary_factor": 1.5 }), "partial_rotary_factor"),
    ] {
        let error = read(family, changes).unwrap_err();
        assert!(matches!(error, ConfigError::Value { .. }), "{named}: {error}");
        assert!(error.to_string().starts_with(&format!("config.json: `{named}` is ")), "{error}");
    }
    assert!(matches!(DecoderConfig::from_json("[]", "config.json"), Err(ConfigError::Json { .. })));
}

#[test]
fn a_long_wrong_value_is_cut() {
    let error = read(Family::Llama, json!({ "vocab_size": "ü".repeat(1000) })).unwrap_err().to_string();
    assert!(error.contains("…") && error.chars().count() < 200, "{error}");
}

/// Keys that mean something to some family, each with values that may or may not be possible there.
fn change() -> impl Strategy<Value = (&'static str, Value)> {
    let full_then_sliding = json!(["full_attention", "sliding_attention", "full_attention", "sliding_attention"]);
    let yarn = json!({ "rope_type": "yarn", "factor": 2.5, "beta_fast": 16, "mscale": 0.7, "mscale_all_dim": 1 });
    let llama3 = json!({ "rope_type": "llama3", "factor": 8, "low_freq_factor": 1, "high_freq_factor": 4.5 });
    let by_type = json!({ "full_attention": yarn, "sliding_attention": { "rope_theta": 7e3 } });
    let anything = [
        json!(null),
        json!(0),
        json!(1),
        json!(3),
        json!(6),
        json!(0.3),
        json!(1e300),
        json!(true),
        json!("silu"),
        json!([0, 2]),
        json!({}),
    ];
    let odd = prop::sample::select(anything.to_vec());
    let number = prop::sample::select(
        [
            "vocab_size",
            "hidden_size",
            "intermediate_size",
            "num_hidden_layers",
            "num_attention_heads",
            "num_key_value_heads",
            "head_dim",
            "max_position_embeddings",
            "eos_token_id",
            "rms_norm_eps",
            "rope_theta",
            "rope_scaling",
            "rope_parameters",
            "partial_rotary_factor",
            "rope_local_base_freq",
            "sliding_window",
            "sliding_window_pattern",
            "use_sliding_window",
            "max_window_layers",
            "layer_types",
            "attention_bias",
            "hidden_act",
            "query_pre_attn_scalar",
            "num_experts",
            "num_local_experts",
            "num_experts_per_tok",
            "mlp_only_layers",
            "decoder_sparse_step",
            "norm_topk_prob",
            "first_k_dense_replace",
            "n_shared_experts",
            "n_group",
            "topk_group",
            "routed_scaling_factor",
            "num_nextn_predict_layers",
            "tie_word_embeddings",
        ]
        .to_vec(),
    );
    let fitting = prop::sample::select(vec![
        ("layer_types", full_then_sliding),
        ("rope_scaling", yarn.clone()),
        ("rope_scaling", json!({ "type": "linear", "factor": 3 })),
        ("rope_parameters", llama3),
        ("rope_parameters", by_type),
        ("partial_rotary_factor", json!(0.5)),
        ("hidden_activation", json!("silu")),
        ("num_hidden_layers", json!(4)),
        ("head_dim", json!(98)),
        ("n_group", json!(4)),
    ]);
    prop_oneof![2 => (number, odd), 1 => fitting]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn what_is_read_is_consistent_and_written_as_equal(
        family in prop::sample::select(Family::ALL.to_vec()),
        changes in prop::collection::vec(change(), 0..4),
    ) {
        let changes: Value = changes.into_iter().collect();
        let Ok(config) = read(family, changes) else { return Ok(()) };
        prop_assert!(config.num_attention_heads.is_multiple_of(config.num_key_value_heads));
        prop_assert!(config.head_dim.is_multiple_of(2) && !config.layers.is_empty());
        for LayerConfig { rope, feed_forward, .. } in &config.layers {
            prop_assert!(rope.dims.is_multiple_of(2) && (2..=config.head_dim).contains(&rope.dims));
            if let FeedForward::Sparse(experts) = feed_forward {
                prop_assert!((1..=experts.experts).contains(&experts.chosen));
            }
        }
        let written = config.to_json().to_string();
        prop_assert_eq!(DecoderConfig::from_json(&written, "again").unwrap(), config, "{}", written);
    }

    #[test]
    fn the_rotated_part_of_a_head_is_written_exactly(half_width in 1_usize..400, part in 0.0..1.0) {
        let half = 1 + (part * half_width as f64) as usize;
        let (head_dim, dims) = (2 * half_width, 2 * half.min(half_width));
        let mut config = read(Family::Glm4Moe, json!({ "head_dim": head_dim, "partial_rotary_factor": 1 })).unwrap();
        config.layers.iter_mut().for_each(|layer| layer.rope.dims = dims);
        prop_assert_eq!(DecoderConfig::from_json(&config.to_json().to_string(), "again").unwrap(), config);
    }
}
