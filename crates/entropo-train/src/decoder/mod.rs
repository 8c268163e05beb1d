//! The policy: a pre-norm decoder on burn, its parameters named as in Hugging Face checkpoints.
//!
//! [`Decoder::hidden`] gives the final hidden states and [`Decoder::head`] turns chosen rows of them into logits, so that
//! nobody has to build `[token, vocabulary]` for positions that nothing is asked of. Sequences are padded on the right:
//! with causal attention no real token sees padding, and no padding mask is needed.

pub mod attention;
pub mod block;
pub mod config;
mod init;
pub(crate) mod place;
pub(crate) mod rope;

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::{Bool, Device, Int, Tensor, module::embedding};

pub use config::{ConfigError, DecoderConfig};

use block::{Block, Norm};
use init::Init;
use rope::Rotary;

/// A causal language model.
#[derive(Module, Debug)]
pub struct Decoder {
    model: Body,
    /// Absent where the embedding serves as head.
    lm_head: Option<Linear>,
    #[module(skip)]
    config: DecoderConfig,
}

#[derive(Module, Debug)]
struct Body {
    embed_tokens: Embedding,
    layers: Vec<Block>,
    norm: Norm,
}

#[derive(Module, Debug)]
struct Embedding {
    weight: Param<Tensor<2>>, // [vocabulary, hidden]
}

impl Decoder {
    /// A decoder with random weights; the same seed gives the same weights on every device.
    pub fn new(config: &DecoderConfig, seed: u64, device: &Device) -> Self {
        let mut init = Init::new(seed, config, device);
        let embed_tokens = Embedding { weight: init.embedding(config.vocab_size, config.hidden_size) };
        let layers = (0..config.num_hidden_layers).map(|_| Block::new(config, &mut init)).collect();
        let norm = Norm::new(config, &mut init);
        let lm_head = (!config.tie_word_embeddings).then(|| init.linear(config.hidden_size, config.vocab_size, false));
        Self { model: Body { embed_tokens, layers, norm }, lm_head, config: config.clone() }
    }

    /// The decoder's shape.
    pub fn config(&self) -> &DecoderConfig {
        &self.config
    }

    /// Where the weights are.
    pub fn device(&self) -> Device {
        self.model.embed_tokens.weight.device()
    }

    /// Final hidden states after the last norm: `ids` `[batch, token]` to `[batch, token, hidden]`.
    pub fn hidden(&self, ids: Tensor<2, Int>) -> Tensor<3> {
        let [_, tokens] = ids.dims();
        let device = ids.device();
        let rotary = Rotary::new(tokens, self.config.head_dim(), self.config.rope_theta, &device);
        // burn's tril_mask is true above the diagonal: exactly the keys that come after the query.
        let future = Tensor::<2, Bool>::tril_mask([tokens, tokens], 0, &device).unsqueeze::<5>();
        let mut x = embedding(self.model.embed_tokens.weight.val(), ids);
        for block in &self.model.layers {
            x = block.forward(x, &rotary, &future);
        }
        self.model.norm.forward(x)
    }

    /// Logits of chosen rows of the final hidden states: `[row, hidden]` to `[row, vocabulary]`.
    pub fn head(&self, hidden: Tensor<2>) -> Tensor<2> {
        match &self.lm_head {
            Some(head) => head.forward(hidden),
            None => hidden.matmul(self.model.embed_tokens.weight.val().transpose()),
        }
    }

    /// Logits at every position: `ids` `[batch, token]` to `[batch, token, vocabulary]`. For tests and small inputs.
    pub fn logits(&self, ids: Tensor<2, Int>) -> Tensor<3> {
        let [batch, tokens] = ids.dims();
        let hidden = self.hidden(ids).reshape([batch * tokens, self.config.hidden_size]);
        self.head(hidden).reshape([batch, tokens, self.config.vocab_size])
    }
}
