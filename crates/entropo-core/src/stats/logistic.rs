//! The logistic function, its inverse and its logarithm, without overflow or cancellation, however far out.

/// `1 / (1 + e^-x)`, in `[0, 1]` for every finite `x`, precise at both ends.
pub fn sigmoid(x: f64) -> f64 {
    let small = (-x.abs()).exp();
    if x >= 0.0 { 1.0 / (1.0 + small) } else { small / (1.0 + small) }
}

/// `-ln(sigmoid(x))`, finite and at least 0 for every finite `x`. Its derivative is `-sigmoid(-x)`.
pub fn negative_log_sigmoid(x: f64) -> f64 {
    (-x).max(0.0) + (-x.abs()).exp().ln_1p()
}

/// `ln(p / (1 - p))`; infinite for 0 and 1.
pub fn logit(probability: f64) -> f64 {
    probability.ln() - (-probability).ln_1p()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_close(actual: f64, expected: f64, tolerance: f64) {
        assert!((actual - expected).abs() <= tolerance, "{actual} is not within {tolerance} of {expected}");
    }

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
        let difference = 1.3 - -0.4; // of YES minus of NO
        assert_close(sigmoid(difference), 0.8455347349, 1e-10);
        assert_close(negative_log_sigmoid(difference), 0.1677860294, 1e-10);
        assert_close(logit(sigmoid(difference)), difference, 1e-12);
    }
}
