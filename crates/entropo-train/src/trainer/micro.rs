//! What is done with one part of a batch after the other.

use std::sync::{Mutex, PoisonError};

use super::error::TrainError;
use super::judge::{Judge, Judgement, checked};
use crate::data::{Batch, Sequence};
use crate::decoder::lora::Pass;
use crate::decoder::trace::Keep;
use crate::decoder::{Decoder, Gradients};
use crate::logprob::{Scored, Scores, score};
use crate::objective::Metrics;

/// One part of a batch.
#[derive(Clone, Copy)]
pub(super) struct Part<'a> {
    /// Which one.
    index: usize,
    /// How many sequences are before it.
    first: usize,
    sequences: &'a [&'a Sequence],
}

/// How parts are computed in one step.
#[derive(Clone, Copy)]
pub(super) struct Micro {
    pub(super) keep: Keep,
    pub(super) seed: u64,
    pub(super) step: u64,
}

/// What a first pass over some parts found.
pub(super) struct Found<'a> {
    /// In the order of the parts.
    pub(super) parts: Vec<(usize, Looked)>,
    /// Of the parts whose weights were known.
    gradients: Gradients,
    /// The others.
    later: Vec<Part<'a>>,
    /// Of the whole batch, if it was the only part.
    pub(super) judgement: Option<Judgement>,
}

/// What was seen of sequences.
#[derive(Clone, Default)]
pub(super) struct Looked {
    /// `[sequence]`
    pub(super) sums: Vec<f64>,
    entropy: f64,
    hits: usize,
    actions: usize,
    pub(super) computed: usize,
}

/// Parts with their numbers.
pub(super) fn numbered<'a>(parts: Vec<&'a [&'a Sequence]>) -> Vec<Part<'a>> {
    let mut first = 0;
    let number = |(index, sequences): (usize, &'a [&'a Sequence])| {
        let part = Part { index, first, sequences };
        first += sequences.len();
        part
    };
    parts.into_iter().enumerate().map(number).collect()
}

impl Micro {
    /// Looks at parts, and differentiates those whose weights are known from themselves. Where the first one's are not,
    /// the others are not asked for.
    pub(super) fn first_pass<'a, J: Judge>(
        &self,
        decoder: &Decoder,
        parts: Vec<Part<'a>>,
        judge: &Mutex<&mut J>,
        only: bool,
    ) -> Result<Found<'a>, TrainError> {
        let judge = || judge.lock().unwrap_or_else(PoisonError::into_inner);
        let gradients = Gradients::of(decoder);
        let mut found = Found { parts: Vec::new(), gradients, later: Vec::new(), judgement: None };
        for part in parts {
            let batch = Batch::new(part.sequences, &decoder.device());
            let decoder = self.under_dropout(decoder, part.index);
            if !found.later.is_empty() {
                let looked = Looked::at(&batch, &score(&decoder, &batch, 1.0, self.keep.compute));
                found.parts.push((part.index, looked));
                found.later.push(part);
                continue;
            }
            let scored = Scored::new(&decoder, &batch, self.keep);
            let looked = Looked::at(&batch, &scored.scores());
            let weights = if only {
                let judgement = checked(judge().judge(&looked.sums)?)?;
                Some(found.judgement.insert(judgement).weights.clone())
            } else {
                judge().weights(part.first, &looked.sums).transpose()?
            };
            found.parts.push((part.index, looked));
            match weights {
                Some(weights) => scored.backward(&batch.spread(&weights), &mut found.gradients),
                None => found.later.push(part),
            }
        }
        Ok(found)
    }

    /// Differentiates what the first pass has left.
    pub(super) fn second_pass(&self, decoder: &Decoder, found: Found<'_>, judgement: &Judgement) -> Gradients {
        let Found { mut gradients, later, .. } = found;
        for part in later {
            let weights = judgement.weights.get(part.first..part.first + part.sequences.len()).unwrap_or_default();
            let batch = Batch::new(part.sequences, &decoder.device());
            let decoder = self.under_dropout(decoder, part.index);
            Scored::new(&decoder, &batch, self.keep).backward(&batch.spread(weights), &mut gradients);
        }
        gradients
    }

    /// The decoder as it computes in this step for one part of the batch.
    fn under_dropout(&self, decoder: &Decoder, part: usize) -> Decoder {
        decoder.with_dropout(Pass { seed: self.seed, step: self.step, part: part as u64 })
    }
}

impl Looked {
    fn at(batch: &Batch, scores: &Scores) -> Self {
        Self {
            sums: batch.sums(&scores.logprobs),
            entropy: scores.entropies.iter().copied().map(f64::from).sum(),
            hits: scores.hits.iter().filter(|hit| **hit).count(),
            actions: batch.actions(),
            computed: batch.tokens(),
        }
    }

    /// Adds what was seen of numbered parts, in their order.
    pub(super) fn extend(&mut self, parts: impl Iterator<Item = (usize, Self)>) {
        let mut parts: Vec<_> = parts.collect();
        parts.sort_by_key(|(index, _)| *index);
        for (_, part) in parts {
            self.sums.extend(part.sums);
            self.entropy += part.entropy;
            self.hits += part.hits;
            self.actions += part.actions;
            self.computed += part.computed;
        }
    }

    pub(super) fn metrics(&self) -> Metrics {
        let count = self.actions.max(1) as f64;
        Metrics::from([("entropy", self.entropy / count), ("mean_token_accuracy", self.hits as f64 / count)])
    }
}
