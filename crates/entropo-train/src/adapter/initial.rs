//! An adapter before anything is learned.

use std::collections::BTreeMap;

use burn::tensor::{Device, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::config::{LoraConfig, Selected};
use super::error::AdapterError;
use super::{Adapter, LowRank};
use crate::decoder::{Decoder, DecoderConfig};

impl LoraConfig {
    /// Numbers that an adapter of these settings has for decoders of a shape, known without any weights.
    ///
    /// # Errors
    /// Those of [`Adapter::new`].
    pub fn parameters(&self, shape: &DecoderConfig) -> Result<usize, AdapterError> {
        // A clone would make the weights; linear layers of a blank decoder know their shapes without.
        let mut blank = Decoder::blank(shape, &Device::default());
        let shapes = blank.linears_mut().into_iter().map(|(name, linear)| (name, linear.shape())).collect();
        let layers = selected(self, shapes)?;
        Ok(layers.iter().map(|layer| layer.rank * layer.shape.iter().sum::<usize>()).sum())
    }
}

impl Adapter {
    /// A new adapter for the layers of `decoder` that the configuration selects. It changes nothing yet: A is uniform
    /// within `±1 / sqrt(input)` and B is 0, as PEFT starts. The same seed gives the same adapter for every device.
    ///
    /// # Errors
    /// Settings outside their ranges, a name or pattern that matches no linear layer, and a rank that is more than a
    /// layer's matrix has.
    pub fn new(config: &LoraConfig, decoder: &Decoder, seed: u64) -> Result<Self, AdapterError> {
        let selected = selected(config, decoder.linear_shapes())?;
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let start = |Selected { name, shape: [output, input], rank, scale }| {
            let bound = 1.0 / (input as f32).sqrt();
            let a: Vec<f32> = (0..rank * input).map(|_| random.random_range(-bound..bound)).collect();
            let (a, b) =
                (TensorData::new(a, [rank, input]), TensorData::new(vec![0f32; output * rank], [output, rank]));
            (name, LowRank { a, b, scale })
        };
        let layers: BTreeMap<String, LowRank> = selected.into_iter().map(start).collect();
        Ok(Self { config: config.clone(), layers })
    }
}

/// The layers that are changed.
fn selected(config: &LoraConfig, layers: Vec<(String, [usize; 2])>) -> Result<Vec<Selected>, AdapterError> {
    config.validate()?;
    config.check_names(&layers)?;
    let selected = config.select(&layers)?;
    match selected.iter().find(|layer| layer.shape.iter().any(|size| layer.rank > *size)) {
        Some(Selected { name, shape: [output, input], rank, .. }) => {
            let (layer, rank, output, input) = (name.clone(), *rank, *output, *input);
            Err(AdapterError::Rank { layer, rank, output, input })
        }
        None => Ok(selected),
    }
}
