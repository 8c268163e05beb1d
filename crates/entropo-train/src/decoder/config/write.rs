//! Writing a `config.json`.
//!
//! The keys are those of transformers 5. Where it renamed a key, the name before is written too: a program that knows
//! only that one would otherwise go on with a default, and compute something else without a word.

use std::iter;

use serde_json::{Value, json};

use super::{DecoderConfig, ExpertsConfig, Family, FeedForward, LayerConfig, RopeConfig, RopeScaling, Router};

/// Keys and their values.
type Entries = Vec<(&'static str, Value)>;

impl DecoderConfig {
    /// The same configuration as a `config.json`; [`from_json`](Self::from_json) reads it as equal.
    ///
    /// That holds for every configuration that was read. One put together by hand may have parts that its family does
    /// not combine and so cannot write. `dtype` is float32; who stores weights in another type says so there.
    pub fn to_json(&self) -> Value {
        let parts = [self.shape(), self.attention(), self.windows(), self.rotation(), self.feed_forward()];
        parts.into_iter().flatten().collect()
    }

    fn shape(&self) -> Entries {
        let eos = match self.eos_token_ids.as_slice() {
            [] => Value::Null,
            [one] => json!(one),
            several => json!(several),
        };
        let activation = if self.family == Family::Gemma3Text { "hidden_activation" } else { "hidden_act" };
        vec![
            ("architectures", json!([self.family.architecture()])),
            ("model_type", json!(self.family.model_type())),
            ("dtype", json!("float32")),
            ("vocab_size", json!(self.vocab_size)),
            ("hidden_size", json!(self.hidden_size)),
            ("num_hidden_layers", json!(self.layers.len())),
            ("num_attention_heads", json!(self.num_attention_heads)),
            ("num_key_value_heads", json!(self.num_key_value_heads)),
            ("head_dim", json!(self.head_dim)),
            (activation, json!(self.activation.name())),
            ("rms_norm_eps", json!(self.rms_norm_eps)),
            ("max_position_embeddings", json!(self.max_position_embeddings)),
            ("tie_word_embeddings", json!(self.tie_word_embeddings)),
            ("bos_token_id", Value::Null),
            ("eos_token_id", eos),
            ("attention_dropout", json!(0.0)),
            ("initializer_range", json!(0.02)),
            ("use_cache", json!(true)),
        ]
    }

    fn attention(&self) -> Entries {
        let bias = ("attention_bias", json!(self.query_key_value_bias));
        match self.family {
            Family::Qwen2 => Vec::new(),
            Family::Qwen3 | Family::Qwen3Moe => vec![bias],
            Family::Llama => vec![bias, ("mlp_bias", json!(false))],
            Family::Gemma3Text => {
                let scale = ("query_pre_attn_scalar", json!(self.attention_scale.powi(-2).round() as u64));
                vec![bias, scale, ("final_logit_softcapping", json!(self.logit_cap))]
            }
            Family::Glm4Moe => vec![bias, ("use_qk_norm", json!(self.query_key_norm))],
        }
    }

    fn windows(&self) -> Entries {
        let first = self.layers.iter().position(|layer| layer.window.is_some());
        let used = ("use_sliding_window", json!(first.is_some()));
        let window = ("sliding_window", json!(self.layers.iter().find_map(|layer| layer.window)));
        let kind = |layer: &LayerConfig| if layer.window.is_some() { "sliding_attention" } else { "full_attention" };
        let kinds = ("layer_types", self.layers.iter().map(kind).collect());
        match self.family {
            Family::Qwen2 | Family::Qwen3 => {
                vec![used, window, kinds, ("max_window_layers", json!(first.unwrap_or(self.layers.len())))]
            }
            Family::Qwen3Moe => vec![used, window],
            Family::Gemma3Text => vec![window, kinds],
            Family::Llama | Family::Glm4Moe => Vec::new(),
        }
    }

    fn rotation(&self) -> Entries {
        let of = |slides: bool| self.layers.iter().find(|layer| layer.window.is_some() == slides);
        let (full, sliding) = (of(false).map(|layer| layer.rope), of(true).map(|layer| layer.rope));
        if self.family == Family::Gemma3Text {
            let kinds = [("full_attention", full), ("sliding_attention", sliding)];
            let kinds = kinds.into_iter().filter_map(|(name, rope)| Some((name, Value::from_iter(rotary(&rope?)))));
            let local = sliding.map(|rope| ("rope_local_base_freq", json!(rope.theta)));
            let before = full.into_iter().flat_map(|rope| before_version_5(&rope));
            return iter::once(("rope_parameters", kinds.collect())).chain(before).chain(local).collect();
        }
        let Some(rope) = full.or(sliding) else { return Vec::new() };
        let part = (self.family == Family::Glm4Moe).then(|| ("partial_rotary_factor", self.rotated_part(&rope)));
        let parameters = rotary(&rope).into_iter().chain(part.clone()).collect();
        iter::once(("rope_parameters", parameters)).chain(before_version_5(&rope)).chain(part).collect()
    }

    /// The factor that gives back the rotated dimensions when its product with `head_dim` is rounded down.
    fn rotated_part(&self, rope: &RopeConfig) -> Value {
        let width = self.head_dim as f64;
        let factor = rope.dims as f64 / width;
        json!(if ((factor * width) as usize) < rope.dims { factor.next_up() } else { factor })
    }

    fn feed_forward(&self) -> Entries {
        let dense = self.layers.iter().find_map(|layer| match layer.feed_forward {
            FeedForward::Dense(width) => Some(("intermediate_size", json!(width))),
            FeedForward::Sparse(_) => None,
        });
        let experts = self.layers.iter().find_map(|layer| match &layer.feed_forward {
            FeedForward::Dense(_) => None,
            FeedForward::Sparse(experts) => Some(experts),
        });
        let sparse = match self.family {
            Family::Qwen3Moe => self.qwen_experts(experts),
            Family::Glm4Moe => self.glm_experts(experts),
            Family::Qwen2 | Family::Qwen3 | Family::Llama | Family::Gemma3Text => Vec::new(),
        };
        dense.into_iter().chain(sparse).collect()
    }

    fn qwen_experts(&self, experts: Option<&ExpertsConfig>) -> Entries {
        let dense = |(index, layer): (usize, &LayerConfig)| {
            matches!(layer.feed_forward, FeedForward::Dense(_)).then_some(index)
        };
        let places = [
            ("decoder_sparse_step", json!(1)),
            ("mlp_only_layers", self.layers.iter().enumerate().filter_map(dense).collect()),
        ];
        let experts = experts.into_iter().flat_map(|experts| {
            let counts = [("num_experts", json!(experts.experts)), ("num_local_experts", json!(experts.experts))];
            counts.into_iter().chain(choice(experts))
        });
        places.into_iter().chain(experts).collect()
    }

    fn glm_experts(&self, experts: Option<&ExpertsConfig>) -> Entries {
        let dense = self.layers.iter().take_while(|layer| matches!(layer.feed_forward, FeedForward::Dense(_)));
        let places =
            [("first_k_dense_replace", json!(dense.count())), ("num_nextn_predict_layers", json!(self.ignored_layers))];
        let experts = experts.into_iter().flat_map(|experts| {
            let (groups, chosen_groups) = match experts.router {
                Router::Sigmoid { groups, chosen_groups } => (groups, chosen_groups),
                Router::Softmax => (1, 1),
            };
            let shared = experts.shared_size.unwrap_or(0) / experts.intermediate_size.max(1);
            let own = [
                ("n_routed_experts", json!(experts.experts)),
                ("n_shared_experts", json!(shared)),
                ("n_group", json!(groups)),
                ("topk_group", json!(chosen_groups)),
                ("routed_scaling_factor", json!(experts.scale)),
            ];
            own.into_iter().chain(choice(experts))
        });
        places.into_iter().chain(experts).collect()
    }
}

/// What families with experts have in common.
fn choice(experts: &ExpertsConfig) -> [(&'static str, Value); 3] {
    [
        ("num_experts_per_tok", json!(experts.chosen)),
        ("moe_intermediate_size", json!(experts.intermediate_size)),
        ("norm_topk_prob", json!(experts.normalise)),
    ]
}

/// A rotation without the part of the head that is rotated.
fn rotary(rope: &RopeConfig) -> Entries {
    iter::once(("rope_theta", json!(rope.theta))).chain(scaling(rope.scaling)).collect()
}

/// A rotation in the keys of files from before transformers 5.
fn before_version_5(rope: &RopeConfig) -> Entries {
    let scaled = (rope.scaling != RopeScaling::Default).then(|| Value::from_iter(scaling(rope.scaling)));
    vec![("rope_theta", json!(rope.theta)), ("rope_scaling", scaled.unwrap_or_default())]
}

fn scaling(scaling: RopeScaling) -> Entries {
    const ORIGINAL: &str = "original_max_position_embeddings";
    match scaling {
        RopeScaling::Default => vec![("rope_type", json!("default"))],
        RopeScaling::Linear { factor } => vec![("rope_type", json!("linear")), ("factor", json!(factor))],
        RopeScaling::Llama3 { factor, low_frequency_factor, high_frequency_factor, original_context } => vec![
            ("rope_type", json!("llama3")),
            ("factor", json!(factor)),
            ("low_freq_factor", json!(low_frequency_factor)),
            ("high_freq_factor", json!(high_frequency_factor)),
            (ORIGINAL, json!(original_context as u64)),
        ],
        RopeScaling::Yarn { factor, beta_fast, beta_slow, original_context, attention_factor, truncate } => vec![
            ("rope_type", json!("yarn")),
            ("factor", json!(factor)),
            ("beta_fast", json!(beta_fast)),
            ("beta_slow", json!(beta_slow)),
            (ORIGINAL, json!(original_context as u64)),
            ("attention_factor", json!(attention_factor)),
            ("truncate", json!(truncate)),
        ],
    }
}
