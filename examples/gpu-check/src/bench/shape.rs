//! Shapes of decoders.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A decoder's shape by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
pub(crate) enum ShapeName {
    /// 0.1 million parameters, for trying the program.
    #[value(name = "tiny")]
    #[serde(rename = "tiny")]
    Tiny,
    /// As Qwen2.5-Coder-0.5B; all weights are trained.
    #[value(name = "0.5b")]
    #[serde(rename = "0.5b")]
    HalfB,
    /// As Qwen2.5-Coder-7B; an adapter is trained, since all weights with their moments do not fit one card.
    #[value(name = "7b")]
    #[serde(rename = "7b")]
    SevenB,
}

/// The numbers that decide about memory and arithmetic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) vocabulary: u64,
    pub(crate) hidden: u64,
    pub(crate) intermediate: u64,
    pub(crate) layers: u64,
    pub(crate) heads: u64,
    pub(crate) key_value_heads: u64,
    pub(crate) tied: bool,
    /// Rank of the adapter, where one is trained.
    pub(crate) rank: Option<usize>,
}

impl ShapeName {
    pub(crate) fn shape(self) -> Shape {
        let [vocabulary, hidden, intermediate, layers, heads, key_value_heads] = match self {
            Self::Tiny => [512, 64, 128, 2, 4, 2],
            Self::HalfB => [151_936, 896, 4864, 24, 14, 2],
            Self::SevenB => [152_064, 3584, 18_944, 28, 28, 4],
        };
        let large = self == Self::SevenB;
        let rank = large.then_some(16);
        Shape { vocabulary, hidden, intermediate, layers, heads, key_value_heads, tied: !large, rank }
    }
}

impl Shape {
    /// Width of a head.
    pub(crate) fn head(&self) -> u64 {
        self.hidden / self.heads.max(1)
    }

    /// Width of keys, and of values.
    pub(crate) fn keys(&self) -> u64 {
        self.key_value_heads * self.head()
    }

    /// As in a checkpoint's `config.json`.
    pub(crate) fn json(&self) -> Value {
        json!({
            "model_type": "qwen2",
            "vocab_size": self.vocabulary,
            "hidden_size": self.hidden,
            "intermediate_size": self.intermediate,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.key_value_heads,
            "max_position_embeddings": 1 << 20,
            "rope_theta": 1e6,
            "rms_norm_eps": 1e-6,
            "tie_word_embeddings": self.tied,
        })
    }

    /// Every tensor of the checkpoint: its name and shape.
    pub(crate) fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        let size = |value: u64| value as usize;
        let (hidden, keys, wide) = (size(self.hidden), size(self.keys()), size(self.intermediate));
        let vocabulary = size(self.vocabulary);
        let mut tensors = vec![
            ("model.embed_tokens.weight".to_owned(), vec![vocabulary, hidden]),
            ("model.norm.weight".to_owned(), vec![hidden]),
        ];
        if !self.tied {
            tensors.push(("lm_head.weight".to_owned(), vec![vocabulary, hidden]));
        }
        for layer in 0..self.layers {
            let of_layer = [
                ("input_layernorm.weight", vec![hidden]),
                ("post_attention_layernorm.weight", vec![hidden]),
                ("self_attn.q_proj.weight", vec![hidden, hidden]),
                ("self_attn.q_proj.bias", vec![hidden]),
                ("self_attn.k_proj.weight", vec![keys, hidden]),
                ("self_attn.k_proj.bias", vec![keys]),
                ("self_attn.v_proj.weight", vec![keys, hidden]),
                ("self_attn.v_proj.bias", vec![keys]),
                ("self_attn.o_proj.weight", vec![hidden, hidden]),
                ("mlp.gate_proj.weight", vec![wide, hidden]),
                ("mlp.up_proj.weight", vec![wide, hidden]),
                ("mlp.down_proj.weight", vec![hidden, wide]),
            ];
            tensors.extend(of_layer.map(|(name, shape)| (format!("model.layers.{layer}.{name}"), shape)));
        }
        tensors
    }

    /// Numbers in all weights.
    pub(crate) fn parameters(&self) -> u64 {
        self.tensors().iter().map(|(_, shape)| shape.iter().map(|&size| size as u64).product::<u64>()).sum()
    }
}

#[cfg(test)]
mod tests {
    use entropo_train::decoder::DecoderConfig;

    use super::*;

    #[test]
    fn the_shapes_are_those_of_the_models() {
        // As the models' cards count them.
        assert_eq!(ShapeName::HalfB.shape().parameters(), 494_032_768);
        assert_eq!(ShapeName::SevenB.shape().parameters(), 7_615_616_512);
        for name in [ShapeName::Tiny, ShapeName::HalfB, ShapeName::SevenB] {
            let config = DecoderConfig::from_json(&name.shape().json().to_string(), "a test").unwrap();
            assert_eq!(config.head_dim as u64, name.shape().head());
            assert_eq!(config.tie_word_embeddings, name.shape().tied);
        }
    }
}
