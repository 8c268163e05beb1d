//! Whether the leading answer is the one that the policy gives most often.
//!
//! Let a policy give answer i with an unknown probability p_i. After a votes for i and b for j, for the hypothesis that
//! i is *not* the more frequent one of the two, p_i <= p_j,
//!
//! M(a, b) = 2 * integral over t from 1/2 to 1 of (2t)^a (2 - 2t)^b dt = sum over s = 0..a of C(n, s) / C(n, a) / (b+1)
//!
//! with n = a + b + 1 is a supermartingale that starts at 1: a vote for i multiplies its integrand by 2t, one for j by
//! 2 - 2t, and under the hypothesis the mean factor is at most 1. By Ville's inequality M *ever* reaches 1/d with
//! probability at most d, so one may look after every vote and stop when one likes. This is the one-sided form of the
//! prior-posterior-ratio test (Waudby-Smith and Ramdas 2020; for modes Jain et al. 2022, arXiv 2109.05047).
//!
//! To be the mode, i has to win against every other answer. M falls with b, so the runner-up stands for all of them,
//! seen or not. To err, one particular answer, the true mode, must have been beaten by an i; there may be many such i,
//! so the k-th answer to appear is given the error d / (k (k + 1)), which sums to d, and its votes count from the
//! second on, since its first one is what gave it the number k. All of this holds whatever the number of answers is.

/// M(a, b): how much `ours` votes against `theirs` speak against the hypothesis that ours is not the more frequent one.
pub fn evidence(ours: usize, theirs: usize) -> f64 {
    let n = (ours + theirs + 1) as f64;
    let ratios = (1..=ours).rev().scan(1.0_f64, |term, place| {
        let place = place as f64;
        *term *= place / (n - place + 1.0);
        Some(*term)
    });
    let sum: f64 = std::iter::once(1.0).chain(ratios).sum();
    sum / (theirs + 1) as f64
}

/// Whether the `appeared`-th answer (from 1) with `votes`, its first included, against the `runner_up`'s is the mode,
/// with a chance of at most `error` ever to say so wrongly; never, where that is not above 0 and below 1.
pub fn is_mode(appeared: usize, votes: usize, runner_up: usize, error: f64) -> bool {
    let share = error / (appeared as f64 * (appeared as f64 + 1.0));
    votes > 0 && share > 0.0 && error < 1.0 && evidence(votes - 1, runner_up) >= 1.0 / share
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_is_the_integral() {
        // By hand: M(0,0) = 1, M(1,0) = 2 * [t^2] = 3/2, M(0,1) = 1/2, M(5,0) = 63/6.
        for ((ours, theirs), expected) in [((0, 0), 1.0), ((1, 0), 1.5), ((0, 1), 0.5), ((5, 0), 10.5)] {
            assert!((evidence(ours, theirs) - expected).abs() < 1e-12);
        }
        for (ours, theirs) in [(3, 2), (7, 7), (12, 1), (2, 9)] {
            let steps = 20_000;
            let integrand = |t: f64| (2.0 * t).powi(ours) * (2.0 - 2.0 * t).powi(theirs);
            let middle = |step: i32| 0.5 + (f64::from(step) + 0.5) * 0.5 / f64::from(steps);
            let sum: f64 = (0..steps).map(|step| integrand(middle(step))).sum::<f64>() / f64::from(steps);
            let found = evidence(ours as usize, theirs as usize);
            assert!((found / sum - 1.0).abs() < 1e-6, "{ours} {theirs}: {found} {sum}");
        }
    }

    #[test]
    fn evidence_grows_with_ours_and_falls_with_theirs() {
        for ours in 0..40 {
            for theirs in 0..40 {
                let here = evidence(ours, theirs);
                assert!(evidence(ours + 1, theirs) >= here && evidence(ours, theirs + 1) <= here);
            }
        }
        assert!(evidence(5_000, 0).is_infinite() && evidence(0, 5_000) > 0.0);
    }

    #[test]
    fn how_many_equal_votes_are_enough() {
        let needed = |error| (1..99).find(|&votes| is_mode(1, votes, 0, error)).unwrap();
        assert_eq!([needed(0.2), needed(0.1), needed(0.05), needed(0.01)], [6, 8, 9, 12]);
        assert!(
            !is_mode(1, 0, 0, 0.5)
                && !is_mode(1, 50, 0, 0.0)
                && !is_mode(1, 50, 0, f64::NAN)
                && !is_mode(1, 50, 0, 1.0)
        );
        assert!(is_mode(1, 9, 0, 0.05) && !is_mode(2, 9, 0, 0.05), "who came second needs more");
    }
}
