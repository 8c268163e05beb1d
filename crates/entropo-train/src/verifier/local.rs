//! Scores of attempts by a decoder on this machine.

use burn::tensor::{DType, Tensor};
use entropo_agent::verifier::{Answer, Judgement, MissingScore, Scored};
use entropo_core::{RolloutId, Trajectory};

use super::head::{Head, HeadError};
use super::judging::{Judged, Judging};
use crate::data::{Batch, Sequence};
use crate::decoder::Decoder;
use crate::generate::log_softmax;
use crate::logprob::states;

/// A decoder that judges attempts.
#[derive(Debug)]
pub struct LocalVerifier<'a> {
    decoder: &'a Decoder,
    judging: &'a Judging,
    head: Option<&'a Head>,
    compute: Option<DType>,
    batch: usize,
}

/// An attempt's hidden state at the place of the answer, `[hidden]`, and the logits there, `[vocabulary]`.
type State = [Vec<f32>; 2];

impl<'a> LocalVerifier<'a> {
    /// The verifier that a decoder is, with the adapter that it has.
    pub fn new(decoder: &'a Decoder, judging: &'a Judging) -> Self {
        Self { decoder, judging, head: None, compute: None, batch: 1 << 15 }
    }

    /// Lets a head judge instead of the words.
    #[must_use]
    pub fn head(self, head: &'a Head) -> Self {
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

    /// A judgement of each attempt, in their order. What prompts of one task begin with in common is computed once.
    pub fn score(&self, attempts: &[&Trajectory]) -> Vec<Scored> {
        let judge = |[hidden, logits]: State| match self.head {
            Some(head) => by_head(head, &hidden),
            None => by_words(self.judging, &logits),
        };
        let judged = self.states(attempts).into_iter().zip(attempts);
        judged
            .map(|(state, attempt)| Scored { rollout: attempt.id.clone(), judgement: state.and_then(judge) })
            .collect()
    }

    /// The hidden state of each attempt at the place of the answer, in their order: what a [`Head`] is fitted to.
    pub fn hidden(&self, attempts: &[&Trajectory]) -> Vec<(RolloutId, Result<Vec<f32>, MissingScore>)> {
        let states = self.states(attempts).into_iter().zip(attempts);
        states.map(|(state, attempt)| (attempt.id.clone(), state.map(|[hidden, _]| hidden))).collect()
    }

    /// In the order of the attempts, computed task by task.
    fn states(&self, attempts: &[&Trajectory]) -> Vec<Result<State, MissingScore>> {
        let mut order: Vec<(usize, &Trajectory)> = attempts.iter().copied().enumerate().collect();
        order.sort_by(|(_, one), (_, other)| one.id.cmp(&other.id));
        let mut found: Vec<(usize, Result<State, MissingScore>)> = Vec::with_capacity(attempts.len());
        let (mut open, mut tokens) = (Vec::new(), 0);
        for (index, attempt) in order {
            match self.sequence(attempt) {
                Ok(sequence) => {
                    if tokens + sequence.ids().len() > self.batch {
                        found.extend(self.compute_all(&std::mem::take(&mut open)));
                        tokens = 0;
                    }
                    tokens += sequence.ids().len();
                    open.push((index, sequence));
                }
                Err(reason) => found.push((index, Err(reason))),
            }
        }
        found.extend(self.compute_all(&open));
        found.sort_by_key(|(index, _)| *index);
        found.into_iter().map(|(_, state)| state).collect()
    }

    /// The prompt with a token in the place of the answer, whichever: it marks the place and is not read.
    fn sequence(&self, attempt: &Trajectory) -> Result<Sequence, MissingScore> {
        let judged: Judged = self.judging.read(attempt)?;
        let refused = |reason: String| MissingScore::Prompt { reason };
        let mut ids = judged.ids;
        ids.extend(self.judging.answer(Answer::Affirmative).first());
        let actions = (1..=ids.len()).map(|position| position == ids.len()).collect();
        let sequence =
            Sequence::new(judged.rollout.to_string(), ids, actions).map_err(|error| refused(error.to_string()))?;
        let config = self.decoder.config();
        sequence
            .check(config.vocab_size, config.max_position_embeddings)
            .map_err(|error| refused(error.to_string()))?;
        Ok(sequence)
    }

    fn compute_all(&self, open: &[(usize, Sequence)]) -> Vec<(usize, Result<State, MissingScore>)> {
        let sequences: Vec<&Sequence> = open.iter().map(|(_, sequence)| sequence).collect();
        if sequences.is_empty() {
            return Vec::new();
        }
        let batch = Batch::new(&sequences, &self.decoder.device());
        let numbers: Vec<usize> = (0..batch.actions()).collect();
        let computed = states(self.decoder, &batch, self.compute).map(rows);
        let [hidden, logits] = match computed {
            [Ok(hidden), Ok(logits)] => [hidden, logits],
            [Err(reason), _] | [_, Err(reason)] => {
                let failed =
                    |index: &(usize, Sequence)| (index.0, Err(MissingScore::Prompt { reason: reason.clone() }));
                return open.iter().map(failed).collect();
            }
        };
        let places = batch.by_sequence(&numbers);
        let of = |place: &Vec<usize>| -> State {
            let row = |rows: &Vec<Vec<f32>>| place.first().and_then(|row| rows.get(*row)).cloned().unwrap_or_default();
            [row(&hidden), row(&logits)]
        };
        open.iter().zip(&places).map(|((index, _), place)| (*index, Ok(of(place)))).collect()
    }
}

/// `[row, width]` on the host.
fn rows(tensor: Tensor<2>) -> Result<Vec<Vec<f32>>, String> {
    let [_, width] = tensor.dims();
    let data = tensor.try_into_data().map_err(|error| error.to_string())?;
    let values: Vec<f32> = data.iter::<f32>().collect();
    Ok(values.chunks(width.max(1)).map(<[f32]>::to_vec).collect())
}

/// The probabilities of all tokens that speak for either answer.
fn by_words(judging: &Judging, logits: &[f32]) -> Result<Judgement, MissingScore> {
    let logprobs = log_softmax(logits);
    let known = judging.spoken().iter().filter_map(|(answer, id)| Some((*answer, *logprobs.get(*id as usize)?)));
    Judgement::of(known, logits.len(), judging.prompt().least_mass)
}

fn by_head(head: &Head, hidden: &[f32]) -> Result<Judgement, MissingScore> {
    match head.logit(hidden) {
        Ok(logit) => Ok(Judgement::of_logit(logit)),
        Err(HeadError::NotFinite { .. }) => {
            Err(MissingScore::NotFinite { answer: Answer::Affirmative, value: f64::NAN })
        }
        Err(error) => Err(MissingScore::Prompt { reason: error.to_string() }),
    }
}
