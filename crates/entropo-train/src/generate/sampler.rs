//! Choosing the next token.

use entropo_agent::Sampling;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A stream of choices that depends on its seed and the logits only.
#[derive(Debug)]
pub(super) struct Sampler {
    random: ChaCha8Rng,
    sampling: Sampling,
}

/// Natural log-probabilities of one row of logits, summed in f64.
pub fn log_softmax(logits: &[f32]) -> Vec<f64> {
    let highest = f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let total: f64 = logits.iter().map(|&logit| (f64::from(logit) - highest).exp()).sum();
    let normaliser = highest + total.ln();
    logits.iter().map(|&logit| f64::from(logit) - normaliser).collect()
}

impl Sampler {
    pub(super) fn new(sampling: Sampling, seed: u64) -> Self {
        Self { random: ChaCha8Rng::seed_from_u64(seed), sampling }
    }

    /// A token and its log-probability under the unchanged distribution. `None` if a logit is not a number.
    pub(super) fn sample(&mut self, logits: &[f32]) -> Option<(u32, f32)> {
        let logprobs = log_softmax(logits);
        if logprobs.iter().any(|logprob| logprob.is_nan()) {
            return None;
        }
        let draw = self.random.random::<f64>();
        let chosen = if self.sampling.temperature <= 0.0 { likeliest(&logprobs) } else { self.draw(&logprobs, draw) }?;
        Some((u32::try_from(chosen).ok()?, *logprobs.get(chosen)? as f32))
    }

    fn draw(&self, logprobs: &[f64], draw: f64) -> Option<usize> {
        let temperature = f64::from(self.sampling.temperature);
        // Relative to the likeliest, or a low temperature would leave no weight at all.
        let highest = logprobs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let weight = |logprob: &f64| ((logprob - highest) / temperature).exp();
        let mut weights: Vec<(usize, f64)> = logprobs.iter().map(weight).enumerate().collect();
        let filtered = self.sampling.top_k.is_some() || self.sampling.top_p < 1.0;
        if filtered {
            weights.sort_by(|a, b| b.1.total_cmp(&a.1)); // stable: equals stay in the order of their ids
            weights.truncate(self.sampling.top_k.unwrap_or(usize::MAX).max(1));
            let total: f64 = weights.iter().map(|(_, weight)| weight).sum();
            let enough = f64::from(self.sampling.top_p) * total;
            let mut reached = 0.0;
            let kept = weights.iter().take_while(|(_, weight)| {
                let needed = reached < enough;
                reached += weight;
                needed
            });
            let kept = kept.count().max(1);
            weights.truncate(kept);
        }
        let mut rest = draw * weights.iter().map(|(_, weight)| weight).sum::<f64>();
        let last = weights.iter().rfind(|(_, weight)| *weight > 0.0).map(|&(token, _)| token);
        let chosen = weights.iter().find(|(_, weight)| {
            rest -= weight;
            rest < 0.0
        });
        chosen.map(|&(token, _)| token).or(last)
    }
}

/// The likeliest token, the first of equals.
fn likeliest(logprobs: &[f64]) -> Option<usize> {
    let best = logprobs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    logprobs.iter().position(|&logprob| logprob == best)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(sampling: &Sampling, logits: &[f32]) -> Vec<usize> {
        let mut counts = vec![0; logits.len()];
        for seed in 0..4000 {
            let (token, logprob) = Sampler::new(sampling.clone(), seed).sample(logits).unwrap();
            assert!((f64::from(logprob) - log_softmax(logits)[token as usize]).abs() < 1e-6);
            counts[token as usize] += 1;
        }
        counts
    }

    #[test]
    fn frequencies_follow_the_distribution() {
        let counts = counts(&Sampling::default(), &[0.0, 1.0, 2.0, f32::NEG_INFINITY]);
        let expected: Vec<f64> = log_softmax(&[0.0, 1.0, 2.0]).iter().map(|l| l.exp() * 4000.0).collect();
        assert_eq!(counts[3], 0);
        counts.iter().zip(expected).for_each(|(&count, expected)| assert!((count as f64 - expected).abs() < 110.0));
    }

    #[test]
    fn filters_leave_the_likeliest() {
        let logits = [0.0, 3.0, 2.0, 1.0];
        assert_eq!(counts(&Sampling { temperature: 0.0, ..Sampling::default() }, &logits), [0, 4000, 0, 0]);
        let top_k = counts(&Sampling { top_k: Some(2), ..Sampling::default() }, &logits);
        assert!(top_k[0] == 0 && top_k[3] == 0 && top_k[2] > 500);
        let top_p = counts(&Sampling { top_p: 0.5, ..Sampling::default() }, &logits);
        assert_eq!(top_p, [0, 4000, 0, 0]);
    }

    #[test]
    fn what_is_not_a_number_is_not_sampled() {
        assert_eq!(Sampler::new(Sampling::default(), 0).sample(&[0.0, f32::NAN]), None);
    }
}
