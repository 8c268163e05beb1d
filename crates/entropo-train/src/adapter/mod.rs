//! LoRA: a small change of some linear layers that is trained, stored and exchanged instead of the weights themselves
//! (Hu et al. 2021, arXiv 2106.09685).
//!
//! An [`Adapter`] is a plain value on the host that holds no decoder. [`Decoder::with_adapter`] gives a decoder that has it
//! attached and shares every tensor with the one it came from. So several adapters over one base, and the reference
//! policy as [`Decoder::without_adapter`], cost no second copy of the weights. A decoder with an adapter is trained like
//! any other, but only the adapter learns; [`Decoder::adapter`] takes out what was learned.
//!
//! Files are those of PEFT: `adapter_config.json` and `adapter_model.safetensors`. A setting there that changes the
//! computation and that is not done here is an error, never left out. Experts are changed one by one and stored so, as
//! PEFT stored them before transformers 5 fused them; PEFT converts such files when it loads them. (PEFT 0.21 then loses
//! the changes of layers named like an expert's that are none: the dense blocks and shared experts of GLM-4 MoE. Exclude
//! those, or hand on [merged](Decoder::merge) weights.)
//!
//! # A quantised base
//!
//! The weights of a base that does not learn can be kept in 4 or 8 bits: [`Decoder::quantised`], or
//! [`LoadOptions::quantise`](crate::checkpoint::LoadOptions::quantise), with which the base is never there in floats. An
//! adapter attaches to it as to any other. Its products are computed in floats, forward and backward, from one weight at
//! a time.
//!
//! # Dropout
//!
//! [`LoraConfig::dropout`] acts in updates only. An objective judges the very log-probabilities that are differentiated:
//! the masks of a step are a function of the run's seed, the step, the part of the batch and the layer, so that a pass
//! that only looks and a pass that differentiates see the same, and so that a resumed run goes on bit for bit. The
//! reference and KTO's estimate of the divergence are computed without dropout. A preference objective compares the
//! policy under dropout with a reference without it, which adds noise to every margin; TRL therefore turns dropout off
//! in DPO and KTO, and so does the default here.

mod attach;
mod config;
mod error;
mod file;
mod initial;
mod peft;
mod quantisation;
mod targets;

use std::collections::BTreeMap;

use burn::tensor::TensorData;
use sha2::{Digest, Sha256};

pub use config::LoraConfig;
pub use error::AdapterError;
pub use quantisation::{Bits, QuantisationConfig};
pub use targets::Targets;

#[cfg(doc)]
use crate::decoder::Decoder;

/// Low-rank changes of linear layers, and the configuration that they were made by.
#[derive(Clone, Debug, PartialEq)]
pub struct Adapter {
    config: LoraConfig,
    /// By the layers' names in a checkpoint, such as `model.layers.0.self_attn.q_proj`.
    layers: BTreeMap<String, LowRank>,
}

/// The change of one linear layer: `scale * B A` is added to its weight `[output, input]`.
#[derive(Clone, Debug, PartialEq)]
pub struct LowRank {
    /// `[rank, input]`, f32.
    pub a: TensorData,
    /// `[output, rank]`, f32.
    pub b: TensorData,
    /// The factor, from alpha and rank.
    pub scale: f64,
}

impl Adapter {
    /// What the adapter was made by.
    pub fn config(&self) -> &LoraConfig {
        &self.config
    }

    /// The changes by the names of their layers.
    pub fn layers(&self) -> impl Iterator<Item = (&str, &LowRank)> {
        self.layers.iter().map(|(name, change)| (name.as_str(), change))
    }

    /// A hash of all changes: the same adapter has the same one wherever it is.
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        for (name, LowRank { a, b, scale }) in &self.layers {
            hash.update(format!("{name} {scale} {:?} {:?} ", a.shape(), b.shape()));
            for value in a.iter::<f32>().chain(b.iter::<f32>()) {
                hash.update(value.to_le_bytes());
            }
        }
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Numbers in all changes.
    pub fn parameters(&self) -> usize {
        self.layers.values().map(|change| change.a.num_elements() + change.b.num_elements()).sum()
    }
}
