//! The policy: a pre-norm decoder on burn, its parameters named as in Hugging Face checkpoints.
//!
//! One decoder serves all families: [`DecoderConfig`] says of which parts it is composed. [`Decoder::hidden`] gives the
//! final hidden states and [`Decoder::head`] turns chosen rows of them into logits, so that nobody has to build
//! `[token, vocabulary]` for positions that nothing is asked of.
//!
//! All tokens of a batch are rows one after the other, without padding, and a [`Layout`] says which of them see each other.
//! `trace` goes through the blocks forward and backward; the gradients are written out by hand in each layer's file.

pub mod attention;
pub mod block;
pub mod config;
pub mod experts;
pub mod feed_forward;
pub(crate) mod frequencies;
pub(crate) mod gradients;
mod init;
pub(crate) mod layout;
pub mod linear;
pub(crate) mod lora;
pub mod mlp;
pub mod norm;
pub(crate) mod place;
pub(crate) mod routing;
pub(crate) mod trace;
pub(crate) mod weight;

use burn::module::{Module, Param};
use burn::tensor::{DType, Device, Int, Tensor};

pub use config::{ConfigError, DecoderConfig};
pub use gradients::Gradients;
pub use layout::Layout;
pub use trace::Keep;

use crate::adapter::LoraConfig;
use block::Block;
use init::Init;
use linear::Linear;
use norm::Norm;

/// A causal language model.
#[derive(Module, Debug)]
pub struct Decoder {
    model: Body,
    /// Absent where the embedding serves as head.
    lm_head: Option<Linear>,
    #[module(skip)]
    config: DecoderConfig,
    /// What the low-rank changes of its linear layers were made by, if there are any.
    #[module(skip)]
    pub(crate) adapter: Option<LoraConfig>,
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
        Self::build(config, Init::random(seed, config.layers.len(), device))
    }

    /// A decoder whose parameters are about to be replaced: they take no memory until they are looked at, and are 0 then.
    pub(crate) fn blank(config: &DecoderConfig, device: &Device) -> Self {
        Self::build(config, Init::blank(config.layers.len(), device))
    }

    fn build(config: &DecoderConfig, mut init: Init<'_>) -> Self {
        let embed_tokens = Embedding { weight: init.embedding(config.vocab_size, config.hidden_size) };
        let layers = config.layers.iter().map(|layer| Block::new(layer, config, &mut init)).collect();
        let norm = Norm::new(config.hidden_size, config, &mut init);
        let lm_head = (!config.tie_word_embeddings).then(|| init.linear(config.hidden_size, config.vocab_size, false));
        Self { model: Body { embed_tokens, layers, norm }, lm_head, config: config.clone(), adapter: None }
    }

    /// Every linear layer with its name in a checkpoint, such as `model.layers.0.self_attn.q_proj`.
    pub(crate) fn linears_mut(&mut self) -> Vec<(String, &mut Linear)> {
        let blocks = block_linears(&mut self.model.layers);
        blocks.chain(self.lm_head.iter_mut().map(|head| ("lm_head".to_owned(), head))).collect()
    }

    /// The same without the head.
    pub(crate) fn block_linears_mut(&mut self) -> Vec<(String, &mut Linear)> {
        block_linears(&mut self.model.layers).collect()
    }

    /// The decoder's shape.
    pub fn config(&self) -> &DecoderConfig {
        &self.config
    }

    /// Where the weights are.
    pub fn device(&self) -> Device {
        self.model.embed_tokens.weight.device()
    }

    /// The embedding's precision, in which most of the computation runs unless it is told another.
    pub fn dtype(&self) -> DType {
        self.model.embed_tokens.weight.val().dtype()
    }

    /// Final hidden states after the last norm: `ids` `[batch, token]` to `[batch, token, hidden]`.
    pub fn hidden(&self, ids: Tensor<2, Int>) -> Tensor<3> {
        let [batch, tokens] = ids.dims();
        let layout = Layout::of_lengths(&vec![tokens; batch]);
        let hidden = self.forward(ids.reshape([batch * tokens]), &layout, None);
        hidden.reshape([batch, tokens, self.config.hidden_size])
    }

    /// Logits of chosen rows of the final hidden states: `[row, hidden]` to `[row, vocabulary]`.
    pub fn head(&self, hidden: Tensor<2>) -> Tensor<2> {
        let logits = match &self.lm_head {
            Some(head) => head.forward(&hidden),
            None => hidden.matmul(self.model.embed_tokens.weight.val().transpose()),
        };
        match self.config.logit_cap {
            Some(cap) => logits.div_scalar(cap).tanh().mul_scalar(cap),
            None => logits,
        }
    }

    /// Logits at every position: `ids` `[batch, token]` to `[batch, token, vocabulary]`. For tests and small inputs.
    pub fn logits(&self, ids: Tensor<2, Int>) -> Tensor<3> {
        let [batch, tokens] = ids.dims();
        let hidden = self.hidden(ids).reshape([batch * tokens, self.config.hidden_size]);
        self.head(hidden).reshape([batch, tokens, self.config.vocab_size])
    }
}

fn block_linears(blocks: &mut [Block]) -> impl Iterator<Item = (String, &mut Linear)> {
    blocks.iter_mut().enumerate().flat_map(|(index, block)| {
        let linears = block.linears_mut().into_iter();
        linears.map(move |(name, linear)| (format!("model.layers.{index}.{name}"), linear))
    })
}
