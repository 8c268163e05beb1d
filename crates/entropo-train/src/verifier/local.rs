//! Scores of attempts by a decoder on this machine.

use std::sync::Arc;

use async_trait::async_trait;
use burn::tensor::{DType, Tensor};
use entropo_agent::CancellationToken;
use entropo_agent::select::scorer::Scorer;
use entropo_agent::verifier::{Answer, Judgement, MissingScore, Scored, VERIFIER};
use entropo_core::stats::Temperature;
use entropo_core::{RolloutId, Trajectory};

use super::head::{Head, HeadError};
use super::judging::Judging;
use crate::data::{Batch, Sequence};
use crate::decoder::Decoder;
use crate::logprob::{of_tokens, states};

/// A decoder that judges attempts. It shares the decoder's weights.
#[derive(Clone, Debug)]
pub struct LocalVerifier {
    decoder: Decoder,
    judging: Arc<Judging>,
    head: Option<Head>,
    compute: Option<DType>,
    batch: usize,
    temperature: Temperature,
}

/// What was read at the place of an attempt's answer, or why there is nothing.
type Read = Result<Vec<f32>, MissingScore>;

impl LocalVerifier {
    /// The verifier that a decoder is, with the adapter that it has.
    pub fn new(decoder: &Decoder, judging: &Arc<Judging>) -> Self {
        let (decoder, judging) = (decoder.clone(), Arc::clone(judging));
        Self { decoder, judging, head: None, compute: None, batch: 1 << 15, temperature: Temperature::ONE }
    }

    /// Lets a head judge instead of the words.
    #[must_use]
    pub fn head(self, head: Head) -> Self {
        Self { head: Some(head), ..self }
    }

    /// Sets in which type blocks compute. Default: that of the weights.
    #[must_use]
    pub fn compute(self, dtype: DType) -> Self {
        Self { compute: Some(dtype), ..self }
    }

    /// Sets how many tokens are computed at a time; an attempt that is longer is computed alone. Default 32,768.
    #[must_use]
    pub fn batch_tokens(self, tokens: usize) -> Self {
        Self { batch: tokens, ..self }
    }

    /// Sets the temperature of the probabilities that it gives as a [`Scorer`]; judgements stay as they are read. Default 1.
    #[must_use]
    pub fn calibrated(self, temperature: Temperature) -> Self {
        Self { temperature, ..self }
    }

    /// A judgement of each attempt, in their order. What prompts of one task begin with in common is computed once in a
    /// batch.
    pub fn score(&self, attempts: &[&Trajectory]) -> Vec<Scored> {
        let judge = |attempt: &Trajectory, judgement| Scored { rollout: attempt.id.clone(), judgement };
        if let Some(head) = &self.head {
            let states = self.read(attempts, rows).into_iter().zip(attempts);
            return states
                .map(|(state, attempt)| judge(attempt, state.and_then(|state| by_head(head, &state))))
                .collect();
        }
        let spoken = self.spoken();
        let tokens: Vec<u32> = spoken.iter().map(|(_, id)| *id).collect();
        let words =
            self.read(attempts, |states| Ok(of_tokens(&self.decoder, &states, &tokens))).into_iter().zip(attempts);
        words
            .map(|(word, attempt)| judge(attempt, word.and_then(|logprobs| self.by_words(&spoken, &logprobs))))
            .collect()
    }

    /// The hidden state of each attempt at the place of the answer, in their order: what a [`Head`] is fitted to.
    pub fn hidden(&self, attempts: &[&Trajectory]) -> Vec<(RolloutId, Result<Vec<f32>, MissingScore>)> {
        self.read(attempts, rows)
            .into_iter()
            .zip(attempts)
            .map(|(state, attempt)| (attempt.id.clone(), state))
            .collect()
    }

    /// What `reader` makes of each attempt's hidden state at the place of the answer, `[attempt, hidden]` for a batch of
    /// them: in the order of the attempts, computed task by task.
    fn read(&self, attempts: &[&Trajectory], reader: impl Fn(Tensor<2>) -> Result<Vec<Vec<f32>>, String>) -> Vec<Read> {
        let mut order: Vec<(usize, &Trajectory)> = attempts.iter().copied().enumerate().collect();
        order.sort_by(|(_, one), (_, other)| one.id.cmp(&other.id));
        let mut found: Vec<(usize, Read)> = Vec::with_capacity(attempts.len());
        let (mut open, mut tokens) = (Vec::new(), 0);
        for (index, attempt) in order {
            match self.sequence(attempt) {
                Ok(sequence) => {
                    if tokens + sequence.ids().len() > self.batch {
                        found.extend(self.compute_all(&std::mem::take(&mut open), &reader));
                        tokens = 0;
                    }
                    tokens += sequence.ids().len();
                    open.push((index, sequence));
                }
                Err(reason) => found.push((index, Err(reason))),
            }
        }
        found.extend(self.compute_all(&open, &reader));
        found.sort_by_key(|(index, _)| *index);
        found.into_iter().map(|(_, read)| read).collect()
    }

    /// The prompt with a token in the place of the answer, whichever: it marks the place and is not read.
    fn sequence(&self, attempt: &Trajectory) -> Result<Sequence, MissingScore> {
        let judged = self.judging.read(attempt)?;
        let mut ids = judged.ids;
        ids.extend(self.judging.answer(Answer::Affirmative).first());
        let actions = (1..=ids.len()).map(|position| position == ids.len()).collect();
        let sequence = Sequence::new(judged.rollout.to_string(), ids, actions)
            .map_err(|error| MissingScore::Prompt { reason: error.to_string() })?;
        let config = self.decoder.config();
        sequence
            .check(config.vocab_size, config.max_position_embeddings)
            .map_err(|error| MissingScore::Failed { reason: error.to_string() })?;
        Ok(sequence)
    }

    fn compute_all(
        &self,
        open: &[(usize, Sequence)],
        reader: impl Fn(Tensor<2>) -> Result<Vec<Vec<f32>>, String>,
    ) -> Vec<(usize, Read)> {
        let sequences: Vec<&Sequence> = open.iter().map(|(_, sequence)| sequence).collect();
        if sequences.is_empty() {
            return Vec::new();
        }
        let batch = Batch::new(&sequences, &self.decoder.device());
        let failed = |reason: &str| Err(MissingScore::Failed { reason: reason.to_owned() });
        let read = match reader(states(&self.decoder, &batch, self.compute)) {
            Ok(read) => read,
            Err(reason) => return open.iter().map(|(index, _)| (*index, failed(&reason))).collect(),
        };
        // A sequence has one action; those that are the same share its row.
        let places = batch.by_sequence(&(0..batch.actions()).collect::<Vec<usize>>());
        let of = |place: &Vec<usize>| read.get(*place.first()?).cloned();
        let found = places.iter().map(|place| of(place).map_or_else(|| failed("it has no state for the answer"), Ok));
        open.iter().zip(found).map(|((index, _), read)| (*index, read)).collect()
    }

    /// The tokens that speak for an answer and that the decoder knows.
    fn spoken(&self) -> Vec<(Answer, u32)> {
        let size = self.decoder.config().vocab_size;
        self.judging.spoken().iter().copied().filter(|(_, id)| (*id as usize) < size).collect()
    }

    /// The probabilities of all tokens that speak for either answer.
    fn by_words(&self, spoken: &[(Answer, u32)], logprobs: &[f32]) -> Result<Judgement, MissingScore> {
        let known = spoken.iter().zip(logprobs).map(|((answer, _), logprob)| (*answer, f64::from(*logprob)));
        Judgement::of(known, self.decoder.config().vocab_size, self.judging.prompt().least_mass)
    }
}

/// The probability that an attempt is right, under the name `verifier`. Each attempt is computed alone:
/// [`score`](LocalVerifier::score) and [`record`](entropo_agent::verifier::record) share what attempts have in common.
#[async_trait]
impl Scorer for LocalVerifier {
    fn name(&self) -> &str {
        VERIFIER
    }

    async fn score(
        &self,
        candidate: &Trajectory,
        _: &CancellationToken,
    ) -> Result<Option<f64>, Box<dyn std::error::Error + Send + Sync>> {
        let (verifier, candidate) = (self.clone(), candidate.clone());
        let judge = move || Self::score(&verifier, &[&candidate]).pop();
        let Some(scored) = tokio::task::spawn_blocking(judge).await? else { return Ok(None) };
        Ok(Some(self.temperature.probability(scored.judgement?.logit())))
    }
}

/// `[row, width]` on the host.
fn rows(tensor: Tensor<2>) -> Result<Vec<Vec<f32>>, String> {
    let [_, width] = tensor.dims();
    let data = tensor.cast(DType::F32).try_into_data().map_err(|error| error.to_string())?;
    let values: Vec<f32> = data.iter::<f32>().collect();
    Ok(values.chunks(width.max(1)).map(<[f32]>::to_vec).collect())
}

fn by_head(head: &Head, hidden: &[f32]) -> Result<Judgement, MissingScore> {
    match head.logit(hidden) {
        Ok(logit) => Ok(Judgement::of_logit(logit)),
        Err(HeadError::NotFinite { .. }) => {
            Err(MissingScore::NotFinite { answer: Answer::Affirmative, value: f64::NAN })
        }
        Err(error) => Err(MissingScore::Failed { reason: error.to_string() }),
    }
}
