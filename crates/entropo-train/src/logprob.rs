//! Log-probabilities of action tokens.
//!
//! Only the rows that predict an action go through the head, so that observations cost no head work, and the vocabulary is
//! taken in tiles, so that there is no `[action, vocabulary]` either. One pass gives the log-probability, the entropy, and
//! the log-probability under scaled logits of every action.

use burn::module::Param;
use burn::tensor::{DType, IndexingUpdateOp, Tensor};

use crate::data::Batch;
use crate::decoder::lora::LoraPair;
use crate::decoder::trace::{Keep, Trace};
use crate::decoder::{Decoder, Gradients};
use crate::ops::vocabulary::{Into, Kept, Statistics, Vocabulary};

/// What a decoder says of every action token of a batch: each `[action]`, in the order of [`Batch::by_sequence`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scores {
    /// Natural log-probability.
    pub logprobs: Vec<f32>,
    /// Entropy of the distribution that the token is of, in nats.
    pub entropies: Vec<f32>,
    /// Log-probability under the distribution whose logits are multiplied by the scale that was asked for.
    pub scaled: Vec<f32>,
    /// Whether no token was likelier.
    pub hits: Vec<bool>,
}

/// Scores whose gradient can be had.
#[derive(Debug)]
pub struct Scored<'a> {
    decoder: &'a Decoder,
    batch: &'a Batch,
    trace: Trace<'a>,
    /// `[action, hidden]`: the final hidden states that predict actions, in the head's precision.
    hidden: Tensor<2>,
    statistics: Statistics,
    kept: Kept,
}

/// Scores of a batch's actions; logits are multiplied by `scale` for [`Scores::scaled`], and `compute` is as in [`Keep`].
pub fn score(decoder: &Decoder, batch: &Batch, scale: f64, compute: Option<DType>) -> Scores {
    let hidden = states(decoder, batch, compute);
    let (statistics, _) =
        decoder.vocabulary(hidden.dtype()).statistics(&decoder.widened(&hidden), &batch.targets, scale, false);
    statistics.into()
}

/// The final hidden states from which a batch's actions are predicted, `[action, hidden]`, in the head's precision.
pub(crate) fn states(decoder: &Decoder, batch: &Batch, compute: Option<DType>) -> Tensor<2> {
    let hidden = decoder.forward(batch.ids.clone(), &batch.layout, compute);
    decoder.for_head(hidden.select(0, batch.rows.clone()))
}

/// Natural log-probabilities of a few tokens in the place of each of such actions: `[action][token]`.
pub(crate) fn of_tokens(decoder: &Decoder, states: &Tensor<2>, tokens: &[u32]) -> Vec<Vec<f32>> {
    let [actions, _] = states.dims();
    let (vocabulary, rows) = (decoder.vocabulary(states.dtype()), decoder.widened(states));
    let of_token = |token: &u32| vocabulary.statistics(&rows, &vec![*token; actions], 1.0, false).0.logprobs;
    let by_token: Vec<Vec<f32>> = tokens.iter().map(of_token).collect();
    (0..actions).map(|action| by_token.iter().filter_map(|of| of.get(action).copied()).collect()).collect()
}

/// Natural log-probabilities of the actions of each sequence: `[sequence][action]`.
pub fn logprobs(decoder: &Decoder, batch: &Batch) -> Vec<Vec<f32>> {
    batch.by_sequence(&score(decoder, batch, 1.0, None).logprobs)
}

/// Gradients of `sum_i weights_i sums_i`, where `sums` are the summed log-probabilities of the sequences' actions and
/// `weights` is `[sequence]`, as objectives give them.
pub fn gradients(decoder: &Decoder, batch: &Batch, weights: &[f64], keep: Keep) -> Gradients {
    let mut gradients = Gradients::of(decoder);
    Scored::new(decoder, batch, keep).backward(&batch.spread(weights), &mut gradients);
    gradients
}

impl<'a> Scored<'a> {
    /// Scores, keeping what [`backward`](Self::backward) needs.
    pub fn new(decoder: &'a Decoder, batch: &'a Batch, keep: Keep) -> Self {
        let trace = decoder.trace(batch.ids.clone(), &batch.layout, keep);
        let hidden = decoder.for_head(trace.hidden.clone().select(0, batch.rows.clone()));
        let vocabulary = decoder.vocabulary(hidden.dtype());
        let (statistics, kept) = vocabulary.statistics(&decoder.widened(&hidden), &batch.targets, 1.0, true);
        Self { decoder, batch, trace, hidden, statistics, kept }
    }

    /// What was found.
    pub fn scores(&self) -> Scores {
        self.statistics.clone().into()
    }

    /// `[action]`
    pub fn logprobs(&self) -> &[f32] {
        &self.statistics.logprobs
    }

    /// Adds the gradients of `sum_i weights_i logprobs_i`, `weights` `[action]`.
    pub fn backward(self, weights: &[f32], gradients: &mut Gradients) {
        let Self { decoder, batch, trace, hidden, statistics, kept } = self;
        let vocabulary = decoder.vocabulary(hidden.dtype());
        let (weight, lora) = decoder.output();
        let mut into =
            Into { weight: taken(gradients, weight), extra: lora.and_then(|lora| taken(gradients, &lora.b)) };
        let rows = decoder.widened(&hidden);
        let of_rows = vocabulary.backward(&rows, &batch.targets, &statistics, kept, weights, &mut into);
        drop((rows, vocabulary, statistics));
        if let Some(of_weight) = into.weight {
            gradients.update(weight, |_| of_weight);
        }
        if let Some((lora, of_b)) = lora.zip(into.extra) {
            gradients.update(&lora.b, |_| of_b);
        }
        let of_rows = decoder.widened_backward(&hidden, of_rows, gradients).cast(trace.hidden.dtype());
        drop(hidden);
        let of_hidden = trace.hidden.zeros_like().select_assign(0, batch.rows.clone(), of_rows, IndexingUpdateOp::Add);
        decoder.backward(trace, of_hidden, gradients);
    }
}

/// The gradient that is to be added to, zeros if there is none yet; nothing for a parameter that does not learn.
fn taken(gradients: &mut Gradients, param: &Param<Tensor<2>>) -> Option<Tensor<2>> {
    let zeros = || Tensor::zeros(param.lazy_shape(), (&param.val().device(), DType::F32));
    gradients.wants(param).then(|| gradients.take(param).unwrap_or_else(zeros))
}

impl Decoder {
    /// The output matrix, which may be the embedding, and its low-rank change.
    fn output(&self) -> (&Param<Tensor<2>>, Option<&LoraPair>) {
        // A head is never quantised.
        let head = self.lm_head().and_then(|head| Some((head.weight.whole()?, head.lora.as_ref())));
        head.unwrap_or((self.embedding(), None))
    }

    /// Hidden states in the precision that the head computes in: f32 if they or its weights are.
    fn for_head(&self, hidden: Tensor<2>) -> Tensor<2> {
        let stored = self.output().0.val().dtype();
        if stored == DType::F32 { hidden.cast(DType::F32) } else { hidden }
    }

    /// What turns [`widened`](Self::widened) hidden states into logits.
    ///
    /// A low-rank change `x (W + s B A)^T = [x, s x A^T] [W, B]^T` is a few columns more.
    fn vocabulary(&self, dtype: DType) -> Vocabulary {
        let (weight, lora) = self.output();
        let weight = weight.val();
        let weight = if weight.dtype() == dtype { weight } else { weight.cast(dtype) };
        Vocabulary { weight, extra: lora.map(|lora| lora.b.val().cast(dtype)), cap: self.config().logit_cap }
    }

    /// `[action, hidden]` to `[action, hidden + rank]`.
    fn widened(&self, hidden: &Tensor<2>) -> Tensor<2> {
        match self.output().1 {
            Some(lora) => Tensor::cat(vec![hidden.clone(), lora.narrow(hidden).cast(hidden.dtype())], 1),
            None => hidden.clone(),
        }
    }

    fn widened_backward(&self, hidden: &Tensor<2>, gradient: Tensor<2>, gradients: &mut Gradients) -> Tensor<2> {
        let Some(lora) = self.output().1 else { return gradient };
        let [_, width] = hidden.dims();
        let [_, all] = gradient.dims();
        let narrowed = gradient.clone().narrow(1, width, all - width).cast(DType::F32);
        let through = lora.narrow_backward(hidden, narrowed, gradients);
        gradient.narrow(1, 0, width) + through.cast(hidden.dtype())
    }
}

impl From<Statistics> for Scores {
    fn from(statistics: Statistics) -> Self {
        let Statistics { logprobs, entropies, scaled, hits, .. } = statistics;
        Self { logprobs, entropies, scaled, hits }
    }
}
