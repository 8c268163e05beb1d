//! Angular frequencies of rotary positions, scaled as checkpoints ask.

use std::f64::consts::TAU;

use super::config::{RopeConfig, RopeScaling};

/// How fast each pair of dimensions turns.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Frequencies {
    /// `[dims / 2]`: angle per position.
    pub(crate) per_pair: Vec<f64>,
    /// What cosine and sine are multiplied by.
    pub(crate) amplitude: f64,
}

impl Frequencies {
    /// The frequencies of `theta^(-2i/dims)` for pair `i`, after scaling.
    pub(crate) fn new(rope: &RopeConfig) -> Self {
        let exponent = |pair: usize| 2.0 * pair as f64 / rope.dims.max(1) as f64;
        let plain = (0..rope.dims / 2).map(|pair| rope.theta.powf(-exponent(pair)));
        let (per_pair, amplitude) = match rope.scaling {
            RopeScaling::Default => (plain.collect(), 1.0),
            RopeScaling::Linear { factor } => (plain.map(|frequency| frequency / factor).collect(), 1.0),
            RopeScaling::Llama3 {
                factor,
                low_frequency_factor: low,
                high_frequency_factor: high,
                original_context,
            } => {
                let scale = |frequency: f64| {
                    let turns = original_context * frequency / TAU;
                    let kept = ((turns - low) / (high - low)).clamp(0.0, 1.0);
                    (1.0 - kept) * frequency / factor + kept * frequency
                };
                (plain.map(scale).collect(), 1.0)
            }
            RopeScaling::Yarn { factor, beta_fast, beta_slow, original_context, attention_factor, truncate } => {
                // The pair that turns `turns` times within the original context.
                let pair =
                    |turns: f64| rope.dims as f64 * (original_context / (turns * TAU)).ln() / (2.0 * rope.theta.ln());
                let (low, high) = (pair(beta_fast), pair(beta_slow));
                let (low, high) = if truncate { (low.floor(), high.ceil()) } else { (low, high) };
                let (low, high) = (low.max(0.0), high.min(rope.dims as f64 - 1.0));
                let width = if high > low { high - low } else { 0.001 };
                let scale = |(pair, frequency): (usize, f64)| {
                    let divided = ((pair as f64 - low) / width).clamp(0.0, 1.0);
                    divided * frequency / factor + (1.0 - divided) * frequency
                };
                (plain.enumerate().map(scale).collect(), attention_factor)
            }
        };
        Self { per_pair, amplitude }
    }
}
