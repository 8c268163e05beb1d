//! What the tests of several objectives share.

use super::{Pair, SequenceLogProbs};

/// The chosen side of the golden values of method §2.
pub(super) const CHOSEN: SequenceLogProbs = SequenceLogProbs { policy: -4.1, reference: -4.7, tokens: 5, turns: 2 };

/// The rejected side.
pub(super) const REJECTED: SequenceLogProbs = SequenceLogProbs { policy: -2.6, reference: -2.2, tokens: 3, turns: 1 };

/// Both.
pub(super) const PAIR: Pair = (CHOSEN, REJECTED);

/// Fails unless the two differ by at most `tolerance`.
#[track_caller]
pub(super) fn assert_close(actual: f64, expected: f64, tolerance: f64) {
    assert!((actual - expected).abs() <= tolerance, "{actual} is not within {tolerance} of {expected}");
}
