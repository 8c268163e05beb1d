//! Choosing the next token.
//!
//! A vocabulary has 150,000 tokens, and the choice must not cost what a small model's forward pass costs. So nothing is
//! sorted: one pass computes the mass of the unchanged distribution in vectors of single precision, chunk by chunk; a
//! filter looks only at chunks whose largest logit can pass it; and a token is drawn by walking over chunks first.

use std::borrow::Cow;
use std::collections::BTreeSet;

use entropo_agent::Sampling;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::filter::{Candidate, Peaks, nucleus};
use super::mass::{Mass, highest};
use super::request::{GenerateRequest, SampledToken};

/// A stream of choices that depends on its seed and the logits only.
#[derive(Debug)]
pub(super) struct Sampler {
    random: ChaCha8Rng,
    sampling: Sampling,
    top: usize,
    /// Tokens of the prompt and the reply; kept only if repetition counts.
    seen: BTreeSet<u32>,
}

/// Natural log-probabilities of one row of logits, summed in f64.
pub fn log_softmax(logits: &[f32]) -> Vec<f64> {
    let highest = f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let total: f64 = logits.iter().map(|&logit| (f64::from(logit) - highest).exp()).sum();
    let normaliser = highest + total.ln();
    logits.iter().map(|&logit| f64::from(logit) - normaliser).collect()
}

impl Sampler {
    pub(super) fn new(request: &GenerateRequest) -> Self {
        let sampling = request.sampling.clone();
        let seen = if sampling.repetition_penalty == 1.0 { &[][..] } else { &request.prompt };
        let seen = seen.iter().copied().collect();
        Self { random: ChaCha8Rng::seed_from_u64(request.seed), sampling, top: request.top_logprobs, seen }
    }

    /// The next token after `logits` `[vocabulary]`. `None` if one is no number or infinite, or if all are minus infinity.
    pub(super) fn sample(&mut self, logits: &[f32]) -> Option<SampledToken> {
        let mass = Mass::new(logits, highest(logits)?, 1.0);
        let changed = self.penalise(logits);
        let draw = self.random.random::<f64>();
        let chosen = if self.sampling.temperature <= 0.0 {
            first_of_likeliest(&changed)
        } else {
            self.draw(&changed, &mass, draw)
        }?;
        let (id, logprob) = (u32::try_from(chosen).ok()?, mass.logprob(*logits.get(chosen)?));
        let top = Peaks::new(logits).likeliest(self.top).into_iter().map(|(token, logit)| (token, mass.logprob(logit)));
        let token = SampledToken { id, logprob, entropy: mass.entropy(), top: top.collect() };
        if self.sampling.repetition_penalty != 1.0 {
            self.seen.insert(id);
        }
        Some(token)
    }

    /// The logits after the repetition penalty.
    fn penalise<'a>(&self, logits: &'a [f32]) -> Cow<'a, [f32]> {
        let mut logits = Cow::Borrowed(logits);
        let penalty = self.sampling.repetition_penalty;
        for &token in &self.seen {
            if let Some(logit) = logits.to_mut().get_mut(token as usize) {
                *logit = if *logit < 0.0 { *logit * penalty } else { *logit / penalty };
            }
        }
        logits
    }

    /// The token at `draw`, in [0, 1), of what temperature and filters leave, tokens in the order of their ids.
    /// `unchanged` is the mass of the logits before the penalty, at temperature 1.
    fn draw(&self, logits: &[f32], unchanged: &Mass, draw: f64) -> Option<usize> {
        let Some(candidates) = self.filter(logits)? else {
            return if self.sampling.temperature == 1.0 && self.seen.is_empty() {
                unchanged.draw(logits, draw)
            } else {
                Mass::new(logits, highest(logits)?, self.inverse_temperature()).draw(logits, draw)
            };
        };
        let mut rest = draw * total(&candidates);
        let chosen = candidates.iter().find(|candidate| {
            rest -= candidate.weight;
            rest < 0.0
        });
        chosen.or(candidates.last()).map(|candidate| candidate.token as usize)
    }

    /// What the filters leave, by token; the inner `None` without filters.
    fn filter(&self, logits: &[f32]) -> Option<Option<Vec<Candidate>>> {
        let Sampling { temperature, top_p, top_k, min_p, .. } = self.sampling;
        if top_k.is_none() && top_p >= 1.0 && min_p <= 0.0 {
            return Some(None);
        }
        let highest = highest(logits)?;
        let weight = |logit: f32| (f64::from(logit - highest) / f64::from(temperature)).exp();
        let peaks = Peaks::new(logits);
        let mut candidates = top_k.map(|count| peaks.top(count, weight));
        if top_p < 1.0 {
            candidates = Some(match candidates {
                Some(candidates) => {
                    let enough = f64::from(top_p) * total(&candidates);
                    nucleus(candidates, enough)
                }
                None => {
                    let enough = f64::from(top_p) * Mass::new(logits, highest, self.inverse_temperature()).total();
                    nucleus(peaks.heaviest(enough, weight), enough)
                }
            });
        }
        if min_p > 0.0 {
            // The likeliest token's weight is 1. What is left out below would not pass by far.
            let bound = highest + temperature * (min_p.ln() - 0.01);
            let mut kept = candidates.unwrap_or_else(|| peaks.reaching(bound, weight));
            kept.retain(|candidate| candidate.weight >= f64::from(min_p));
            candidates = Some(kept);
        }
        Some(candidates)
    }

    fn inverse_temperature(&self) -> f32 {
        (1.0 / self.sampling.temperature).min(f32::MAX)
    }
}

fn total(candidates: &[Candidate]) -> f64 {
    candidates.iter().map(|candidate| candidate.weight).sum()
}

/// The likeliest token, the first of equals.
fn first_of_likeliest(logits: &[f32]) -> Option<usize> {
    let best = highest(logits)?;
    logits.iter().position(|&logit| logit == best)
}

#[cfg(test)]
mod tests;
