//! The names that configurations use: of families and of activations.

use super::Activation;

/// A family of published decoders: how a configuration calls itself, and which of its keys mean what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Family {
    /// Qwen 2 and 2.5: biases on queries, keys and values.
    Qwen2,
    /// Qwen 3: norms on queries and keys.
    Qwen3,
    /// Qwen 3 with experts.
    Qwen3Moe,
    /// Llama, and what has its shape.
    Llama,
    /// The text model of Gemma 3: windowed and full attention in turn, norms on results.
    Gemma3Text,
    /// GLM 4.5 and later: experts chosen by corrected sigmoid scores, beside one that every token sees.
    Glm4Moe,
}

impl Family {
    /// Every family.
    pub const ALL: [Self; 6] = [Self::Qwen2, Self::Qwen3, Self::Qwen3Moe, Self::Llama, Self::Gemma3Text, Self::Glm4Moe];

    /// The value of `model_type`.
    pub const fn model_type(self) -> &'static str {
        match self {
            Self::Qwen2 => "qwen2",
            Self::Qwen3 => "qwen3",
            Self::Qwen3Moe => "qwen3_moe",
            Self::Llama => "llama",
            Self::Gemma3Text => "gemma3_text",
            Self::Glm4Moe => "glm4_moe",
        }
    }

    /// The one entry of `architectures`.
    pub const fn architecture(self) -> &'static str {
        match self {
            Self::Qwen2 => "Qwen2ForCausalLM",
            Self::Qwen3 => "Qwen3ForCausalLM",
            Self::Qwen3Moe => "Qwen3MoeForCausalLM",
            Self::Llama => "LlamaForCausalLM",
            Self::Gemma3Text => "Gemma3ForCausalLM",
            Self::Glm4Moe => "Glm4MoeForCausalLM",
        }
    }
}

impl Activation {
    /// Every activation.
    pub(super) const ALL: [Self; 2] = [Self::Silu, Self::GeluTanh];

    /// The value of `hidden_act` or `hidden_activation`.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Silu => "silu",
            Self::GeluTanh => "gelu_pytorch_tanh",
        }
    }
}
