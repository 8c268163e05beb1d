//! The logistic function and its logarithm without overflow or cancellation, however far out.

/// `1 / (1 + e^-x)`, in `[0, 1]` for every finite `x`.
pub fn sigmoid(x: f64) -> f64 {
    let small = (-x.abs()).exp();
    if x >= 0.0 { 1.0 / (1.0 + small) } else { small / (1.0 + small) }
}

/// `-log(sigmoid(x))`, finite and at least 0 for every finite `x`. Its derivative is `-sigmoid(-x)`.
pub fn negative_log_sigmoid(x: f64) -> f64 {
    (-x).max(0.0) + (-x.abs()).exp().ln_1p()
}

/// Loss and derivative at `x` of `-(1 - e) log sigmoid(x) - e log sigmoid(-x)`, where `e` is `label_smoothing`.
pub(super) fn smoothed(x: f64, label_smoothing: f64) -> (f64, f64) {
    let (right, flipped) = (1.0 - label_smoothing, label_smoothing);
    let loss = right * negative_log_sigmoid(x) + flipped * negative_log_sigmoid(-x);
    (loss, flipped * sigmoid(x) - right * sigmoid(-x))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objective::testing::assert_close;

    #[test]
    fn far_out_values_stay_finite() {
        for x in [0.0, 1e-300, 1.0, 40.0, 745.0, 746.0, 1e4, 1e30, f64::MAX] {
            for x in [x, -x] {
                assert!((0.0..=1.0).contains(&sigmoid(x)), "{x}");
                assert!(negative_log_sigmoid(x).is_finite() && negative_log_sigmoid(x) >= 0.0, "{x}");
            }
        }
        assert_eq!(negative_log_sigmoid(-1e30), 1e30);
        assert_eq!(negative_log_sigmoid(1e4), 0.0);
    }

    #[test]
    fn small_tails_keep_their_digits() {
        let tail = (-50.0_f64).exp();
        assert_close(sigmoid(-50.0), tail, 1e-15 * tail);
        assert_close(negative_log_sigmoid(50.0), tail, 1e-15 * tail);
    }

    #[test]
    fn golden_verifier_values() {
        let logit = 1.3 - -0.4; // of YES minus of NO
        assert_close(sigmoid(logit), 0.8455347349, 1e-10);
        assert_close(negative_log_sigmoid(logit), 0.1677860294, 1e-10);
    }
}
