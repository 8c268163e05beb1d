//! What one unit of a batch is made of.

use super::sequence::Sequence;

/// One unit that an objective takes: it is never cut across batches.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Example {
    /// To be imitated.
    Demonstration(Sequence),
    /// Two attempts at one task, one better than the other.
    Preference {
        /// The better one.
        chosen: Sequence,
        /// The worse one.
        rejected: Sequence,
    },
    /// An attempt and whether it is wanted.
    Labelled {
        /// The attempt.
        sequence: Sequence,
        /// Whether it is wanted.
        desirable: bool,
    },
}

impl Example {
    /// The sequences in the order in which objectives take them: the chosen one first.
    pub fn sequences(&self) -> impl Iterator<Item = &Sequence> {
        let (first, second) = match self {
            Self::Demonstration(sequence) | Self::Labelled { sequence, .. } => (sequence, None),
            Self::Preference { chosen, rejected } => (chosen, Some(rejected)),
        };
        std::iter::once(first).chain(second)
    }

    /// Tokens of all its sequences.
    pub fn tokens(&self) -> usize {
        self.sequences().map(|sequence| sequence.ids().len()).sum()
    }
}
