//! Whether the tensors of a checkpoint are those of its configuration, no more and no less.

use super::error::{CheckpointError, Problem, Problems};
use super::weights::Weights;
use crate::decoder::DecoderConfig;
use crate::decoder::config::FeedForward;

impl Weights<'_> {
    /// To be asked before anything is built.
    pub(crate) fn check_claims(&self, config: &DecoderConfig) -> Result<(), CheckpointError> {
        let problems = exaggerations(config, self);
        if problems.is_empty() { Ok(()) } else { Err(self.mismatch(problems)) }
    }

    /// What came of reading, unless there were problems or tensors are left over.
    pub(crate) fn check_read<T>(
        &self,
        config: &DecoderConfig,
        read: Result<T, Problems>,
    ) -> Result<T, CheckpointError> {
        let unexpected = self.unexpected(|name| is_left(config, name));
        match read {
            Ok(value) if unexpected.is_empty() => Ok(value),
            read => {
                let problems = read.err().into_iter().flat_map(|problems| problems.0);
                Err(self.mismatch(problems.chain(unexpected).collect()))
            }
        }
    }

    fn mismatch(&self, problems: Vec<Problem>) -> CheckpointError {
        CheckpointError::Mismatch { origin: self.origin().to_owned(), problems: Problems(problems) }
    }
}

/// Whether a tensor may be there and is not read: a head that is the embedding, layers that only predict further tokens
/// ahead, and the frequencies that old versions of transformers stored.
pub(super) fn is_left(config: &DecoderConfig, name: &str) -> bool {
    let layers = config.layers.len();
    let ignored = layers..layers.saturating_add(config.ignored_layers);
    let layer = name.strip_prefix("model.layers.").and_then(|rest| rest.split('.').next()?.parse().ok());
    let tied = config.tie_word_embeddings && name == "lm_head.weight";
    layer.is_some_and(|layer: usize| ignored.contains(&layer)) || tied || name.ends_with(".rotary_emb.inv_freq")
}

/// A configuration that claims more than the files hold must not make anybody allocate it: a decoder with blank
/// parameters takes memory for its layers and experts alone, so the last of them must be there.
fn exaggerations(config: &DecoderConfig, weights: &Weights<'_>) -> Vec<Problem> {
    let mut asked = vec![("model.embed_tokens.weight".to_owned(), [config.vocab_size, config.hidden_size])];
    asked.extend(config.layers.iter().enumerate().map(|(layer, of_layer)| match &of_layer.feed_forward {
        FeedForward::Dense(wide) => (format!("model.layers.{layer}.mlp.gate_proj.weight"), [*wide, config.hidden_size]),
        FeedForward::Sparse(sparse) => {
            let last = sparse.experts.saturating_sub(1);
            let name = format!("model.layers.{layer}.mlp.experts.{last}.gate_proj.weight");
            (name, [sparse.intermediate_size, config.hidden_size])
        }
    }));
    asked.into_iter().filter_map(|(name, shape)| weights.check(&name, &shape).err()).collect()
}
