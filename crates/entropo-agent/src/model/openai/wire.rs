//! What servers write, field by field. Whatever may be missing, or null, is optional.

use entropo_core::Usage;
use serde::Deserialize;
use serde_json::Value;

/// Counts beyond this are taken for it.
const MAX_COUNT: u64 = u32::MAX as u64;

#[derive(Deserialize)]
pub(super) struct Piece {
    #[serde(default)]
    pub(super) id: Option<String>,
    #[serde(default)]
    pub(super) model: Option<String>,
    #[serde(default)]
    pub(super) choices: Option<Vec<Choice>>,
    #[serde(default)]
    pub(super) usage: Option<Counts>,
    #[serde(default)]
    pub(super) prompt_token_ids: Option<Vec<u32>>,
    /// What llama.cpp adds when it is asked to be verbose; of any form, for no other server promises one.
    #[serde(default, rename = "__verbose")]
    pub(super) verbose: Option<Value>,
}

#[derive(Deserialize)]
pub(super) struct Choice {
    #[serde(default)]
    pub(super) index: Option<u64>,
    #[serde(default)]
    pub(super) message: Option<Words>,
    #[serde(default)]
    pub(super) delta: Option<Words>,
    #[serde(default)]
    pub(super) finish_reason: Option<String>,
    #[serde(default)]
    pub(super) logprobs: Option<Logprobs>,
    #[serde(default)]
    pub(super) token_ids: Option<Vec<u32>>,
    #[serde(default)]
    pub(super) prompt_token_ids: Option<Vec<u32>>,
}

#[derive(Deserialize)]
pub(super) struct Words {
    #[serde(default)]
    pub(super) content: Option<Content>,
    #[serde(default)]
    pub(super) refusal: Option<String>,
    /// The name by DeepSeek, vLLM, SGLang and llama.cpp.
    #[serde(default)]
    pub(super) reasoning_content: Option<String>,
    /// The name by OpenRouter, Ollama and newer versions of vLLM.
    #[serde(default)]
    pub(super) reasoning: Option<String>,
    #[serde(default)]
    pub(super) tool_calls: Option<Vec<CallPiece>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Content {
    Text(String),
    Parts(Vec<Part>),
}

#[derive(Deserialize)]
pub(super) struct Part {
    #[serde(default)]
    pub(super) text: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct CallPiece {
    #[serde(default)]
    pub(super) index: Option<u64>,
    #[serde(default)]
    pub(super) id: Option<String>,
    #[serde(default)]
    pub(super) function: Option<Function>,
}

#[derive(Deserialize)]
pub(super) struct Function {
    #[serde(default)]
    pub(super) name: Option<String>,
    /// JSON text; some servers send the object itself.
    #[serde(default)]
    pub(super) arguments: Value,
}

#[derive(Deserialize)]
pub(super) struct Logprobs {
    #[serde(default)]
    pub(super) content: Option<Vec<Logprob>>,
}

#[derive(Deserialize)]
pub(super) struct Logprob {
    #[serde(default)]
    pub(super) token: Option<String>,
    pub(super) logprob: f32,
    #[serde(default)]
    pub(super) top_logprobs: Option<Vec<Alternative>>,
}

#[derive(Deserialize)]
pub(super) struct Alternative {
    #[serde(default)]
    pub(super) token: Option<String>,
    /// Some servers write null for what they do not know.
    #[serde(default)]
    pub(super) logprob: Option<f64>,
}

#[derive(Deserialize)]
pub(super) struct Counts {
    #[serde(default)]
    pub(super) prompt_tokens: Option<u64>,
    #[serde(default)]
    pub(super) completion_tokens: Option<u64>,
    #[serde(default)]
    pub(super) prompt_tokens_details: Option<PromptCounts>,
}

#[derive(Deserialize)]
pub(super) struct PromptCounts {
    #[serde(default)]
    pub(super) cached_tokens: Option<u64>,
}

impl Counts {
    pub(super) fn usage(&self) -> Usage {
        let count = |count: Option<u64>| usize::try_from(count.unwrap_or(0).min(MAX_COUNT)).unwrap_or(usize::MAX);
        Usage {
            prompt_tokens: count(self.prompt_tokens),
            completion_tokens: count(self.completion_tokens),
            cached_tokens: count(self.prompt_tokens_details.as_ref().and_then(|details| details.cached_tokens)),
            ..Usage::default()
        }
    }
}
