//! The learning rate over a run.

use serde::{Deserialize, Serialize};

/// How the learning rate changes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Schedule {
    /// Always the same.
    Constant,
    /// Rises linearly over the first `warmup` of all steps, then falls along half a cosine to 0.
    Cosine {
        /// Share of all steps, in `[0, 1)`.
        warmup: f64,
    },
}

impl Default for Schedule {
    /// A cosine after a tenth of warm-up: the paper's setting.
    fn default() -> Self {
        Self::Cosine { warmup: 0.1 }
    }
}

impl Schedule {
    /// What the highest rate is multiplied with in `step` of `steps`, counted from 0.
    pub fn factor(self, step: usize, steps: usize) -> f64 {
        match self {
            Self::Constant => 1.0,
            Self::Cosine { warmup } => cosine(step, steps, warmup),
        }
    }
}

fn cosine(step: usize, steps: usize, warmup: f64) -> f64 {
    let warm = (steps as f64 * warmup.clamp(0.0, 1.0)).round();
    let step = step as f64;
    if step < warm {
        return (step + 1.0) / warm;
    }
    let progress = (step - warm) / (steps as f64 - warm).max(1.0);
    0.5 * (1.0 + (std::f64::consts::PI * progress.min(1.0)).cos())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rises_then_falls() {
        let factors: Vec<f64> = (0..10).map(|step| Schedule::Cosine { warmup: 0.2 }.factor(step, 10)).collect();
        assert_eq!(factors[..3], [0.5, 1.0, 1.0]);
        assert!(factors[2..].windows(2).all(|pair| pair[0] > pair[1]) && factors[9] > 0.0);
        assert_eq!(Schedule::Constant.factor(3, 10), 1.0);
    }
}
