//! Several sequences on a device, padded on the right.

use burn::tensor::{Device, Int, Tensor, TensorData};

use super::sequence::Sequence;

/// Sequences side by side, with the places where actions are predicted.
///
/// Padding needs no mask: attention is causal, so no real token sees it, and nothing is asked of it.
#[derive(Clone, Debug)]
pub struct Batch {
    /// `[sequence, token]`.
    pub ids: Tensor<2, Int>,
    /// `[action]`: the row of `[sequence * token]` from which each action token is predicted.
    pub rows: Tensor<1, Int>,
    /// `[action]`: the action tokens.
    pub targets: Tensor<1, Int>,
    /// Action tokens of each sequence; `rows` and `targets` hold the sequences one after the other.
    pub action_tokens: Vec<usize>,
    /// Real tokens, padding left out.
    pub tokens: usize,
}

impl Batch {
    /// Puts sequences on a device.
    pub fn new(sequences: &[&Sequence], device: &Device) -> Self {
        let width = sequences.iter().map(|sequence| sequence.ids().len()).max().unwrap_or(0);
        let mut ids = Vec::with_capacity(sequences.len() * width);
        let (mut rows, mut targets) = (Vec::new(), Vec::new());
        for (index, sequence) in sequences.iter().enumerate() {
            ids.extend(sequence.ids().iter().map(|&id| i64::from(id)));
            ids.resize((index + 1) * width, 0);
            for position in sequence.action_positions() {
                rows.push((index * width + position - 1) as i64);
                targets.extend(sequence.ids().get(position).map(|&id| i64::from(id)));
            }
        }
        let vector = |values: Vec<i64>| {
            let length = values.len();
            Tensor::<1, Int>::from_data(TensorData::new(values, [length]), device)
        };
        Self {
            ids: vector(ids).reshape([sequences.len(), width]),
            rows: vector(rows),
            targets: vector(targets),
            action_tokens: sequences.iter().map(|sequence| sequence.action_tokens()).collect(),
            tokens: sequences.iter().map(|sequence| sequence.ids().len()).sum(),
        }
    }

    /// Splits values per action token, `[action]`, by sequence.
    pub fn by_sequence<'a, T>(&self, values: &'a [T]) -> Vec<&'a [T]> {
        let mut rest = values;
        let mut take = |count: usize| {
            let (taken, left) = rest.split_at(count.min(rest.len()));
            rest = left;
            taken
        };
        self.action_tokens.iter().map(|&count| take(count)).collect()
    }
}
