//! What was read, and what became of it.

use std::collections::BTreeMap;
use std::fmt;

use entropo_core::DropReason;
use serde::{Deserialize, Serialize};

use super::super::example::Example;

/// Names that are kept of rows that were dropped for one reason.
const FIRST: usize = 5;

/// What was read, and what became of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Report {
    /// What was made: [`Kind::name`](super::Kind::name).
    pub kind: String,
    /// Rows that were read.
    pub rows: usize,
    /// Examples that were made; a row may give several.
    pub examples: usize,
    /// Examples that another one equals token for token.
    pub duplicates: usize,
    /// Rows, or examples, that were dropped, by reason.
    pub dropped: BTreeMap<String, Dropped>,
    /// Trajectories, and pairs of trajectories, that pairing left out.
    pub unpaired: BTreeMap<DropReason, usize>,
    /// Sequences that lost turns at their end.
    pub cut: usize,
    /// Their turns that were lost.
    pub cut_turns: usize,
    /// Attempts that are wanted, and those that are not, where there are labels.
    pub labels: (usize, usize),
    /// Sequences in the examples.
    pub sequences: usize,
    /// Their tokens.
    pub tokens: u64,
    /// Those of them that are learned.
    pub action_tokens: u64,
    /// Tokens of a sequence.
    pub lengths: Lengths,
}

/// How long sequences are, in tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Lengths {
    /// The shortest.
    pub min: usize,
    /// Half are at most so long.
    pub median: usize,
    /// Nine of ten are at most so long.
    pub p90: usize,
    /// 99 of 100 are at most so long.
    pub p99: usize,
    /// The longest.
    pub max: usize,
}

/// What was dropped for one reason.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Dropped {
    /// How many.
    pub count: usize,
    /// Of the first five: where, and why exactly.
    pub first: Vec<String>,
}

impl Report {
    /// Share of tokens that are learned, in `[0, 1]`.
    pub fn action_share(&self) -> f64 {
        self.action_tokens as f64 / self.tokens.max(1) as f64
    }

    /// What was dropped, whatever the reason.
    pub fn dropped(&self) -> usize {
        self.dropped.values().map(|dropped| dropped.count).sum()
    }

    pub(super) fn drop(&mut self, reason: &str, detail: impl fmt::Display) {
        let dropped = self.dropped.entry(reason.to_owned()).or_default();
        dropped.count += 1;
        if dropped.first.len() < FIRST {
            dropped.first.push(detail.to_string());
        }
    }

    /// Counts an example, whose sequences' lengths go to `lengths`.
    pub(super) fn keep(&mut self, example: &Example, lengths: &mut Vec<usize>) {
        self.examples += 1;
        for sequence in example.sequences() {
            self.sequences += 1;
            self.tokens += sequence.ids().len() as u64;
            self.action_tokens += sequence.action_tokens() as u64;
            lengths.push(sequence.ids().len());
        }
        match example {
            Example::Labelled { desirable: true, .. } => self.labels.0 += 1,
            Example::Labelled { desirable: false, .. } => self.labels.1 += 1,
            _ => {}
        }
    }
}

impl Lengths {
    pub(super) fn of(mut lengths: Vec<usize>) -> Self {
        lengths.sort_unstable();
        let last = lengths.len().saturating_sub(1);
        let at = |share: f64| lengths.get((share * last as f64).ceil() as usize).copied().unwrap_or(0);
        Self { min: at(0.0), median: at(0.5), p90: at(0.9), p99: at(0.99), max: at(1.0) }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, rows, examples, sequences, tokens, lengths, .. } = self;
        writeln!(f, "{rows} rows: {examples} {kind} of {sequences} sequences, {} dropped", self.dropped())?;
        for (reason, Dropped { count, first }) in &self.dropped {
            writeln!(f, "  {count} {reason}")?;
            for detail in first {
                writeln!(f, "    {detail}")?;
            }
        }
        for (reason, count) in &self.unpaired {
            let what = if reason.is_about_pairs() { "pairs" } else { "trajectories" };
            writeln!(f, "  {count} {what} {reason}")?;
        }
        if self.cut > 0 {
            writeln!(f, "  {} sequences lost {} turns at their end", self.cut, self.cut_turns)?;
        }
        if self.duplicates > 0 {
            writeln!(f, "  {} are equal to another one", self.duplicates)?;
        }
        if self.labels != (0, 0) {
            writeln!(f, "  {} wanted, {} not", self.labels.0, self.labels.1)?;
        }
        let Lengths { min, median, p90, p99, max } = lengths;
        write!(f, "{tokens} tokens, {:.1} % of them learned; ", 100.0 * self.action_share())?;
        write!(f, "lengths {min} to {max}, median {median}, 90 % up to {p90}, 99 % up to {p99}")
    }
}
