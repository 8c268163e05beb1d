//! Logistic loss with smoothed labels.

use entropo_core::stats::{negative_log_sigmoid, sigmoid};

/// Loss and derivative at `x` of `-(1 - e) log sigmoid(x) - e log sigmoid(-x)`, where `e` is `label_smoothing`.
pub(super) fn smoothed(x: f64, label_smoothing: f64) -> (f64, f64) {
    let (right, flipped) = (1.0 - label_smoothing, label_smoothing);
    let loss = right * negative_log_sigmoid(x) + flipped * negative_log_sigmoid(-x);
    (loss, flipped * sigmoid(x) - right * sigmoid(-x))
}
