//! An adapter before anything is learned.

use std::collections::BTreeMap;

use burn::tensor::TensorData;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::config::{LoraConfig, Selected};
use super::error::AdapterError;
use super::{Adapter, LowRank};
use crate::decoder::Decoder;

impl Adapter {
    /// A new adapter for the layers of `decoder` that the configuration selects. It changes nothing yet: A is uniform
    /// within `±1 / sqrt(input)` and B is 0, as PEFT starts. The same seed gives the same adapter for every device.
    ///
    /// # Errors
    /// Settings outside their ranges, a name or pattern that matches no linear layer, and a rank that is more than a
    /// layer's matrix has.
    pub fn new(config: &LoraConfig, decoder: &Decoder, seed: u64) -> Result<Self, AdapterError> {
        config.validate()?;
        let layers = decoder.linear_shapes();
        config.check_names(&layers)?;
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let start = |Selected { name, shape: [output, input], rank, scale }| {
            let bound = 1.0 / (input as f32).sqrt();
            let a: Vec<f32> = (0..rank * input).map(|_| random.random_range(-bound..bound)).collect();
            let (a, b) =
                (TensorData::new(a, [rank, input]), TensorData::new(vec![0f32; output * rank], [output, rank]));
            (name, LowRank { a, b, scale })
        };
        let selected = config.select(&layers)?;
        if let Some(Selected { name, shape: [output, input], rank, .. }) =
            selected.iter().find(|layer| layer.shape.iter().any(|size| layer.rank > *size))
        {
            let (layer, rank, output, input) = (name.clone(), *rank, *output, *input);
            return Err(AdapterError::Rank { layer, rank, output, input });
        }
        let layers: BTreeMap<String, LowRank> = selected.into_iter().map(start).collect();
        Ok(Self { config: config.clone(), layers })
    }
}
