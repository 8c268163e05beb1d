//! Exponential means.

/// An exponential mean over steps: a value's weight halves every `half_life` steps. Its first value is the first mean.
#[derive(Clone, Debug)]
pub(super) struct Smooth {
    half_life: f64,
    sum: f64,
    weight: f64,
    step: Option<usize>,
}

impl Smooth {
    /// Nothing yet.
    pub(super) fn new(half_life: f64) -> Self {
        Self { half_life: half_life.max(f64::MIN_POSITIVE), sum: 0.0, weight: 0.0, step: None }
    }

    /// Takes the value of a step that is not before the last one; what is not finite is left out.
    pub(super) fn push(&mut self, step: usize, value: f64) {
        if !value.is_finite() {
            return;
        }
        let passed = self.step.map_or(0, |last| step.saturating_sub(last)) as f64;
        let kept = 0.5_f64.powf(passed / self.half_life);
        self.sum = self.sum * kept + value;
        self.weight = self.weight * kept + 1.0;
        self.step = Some(step);
    }

    /// The mean, `None` of nothing.
    pub(super) fn mean(&self) -> Option<f64> {
        (self.weight > 0.0).then(|| self.sum / self.weight).filter(|mean| mean.is_finite())
    }

    /// The sum with the same weights; the quotient of two is a mean rate.
    pub(super) fn sum(&self) -> f64 {
        self.sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_starts_at_the_first_value_and_forgets_it_by_half() {
        let mut smooth = Smooth::new(2.0);
        assert_eq!(smooth.mean(), None);
        smooth.push(10, 3.0);
        assert_eq!(smooth.mean(), Some(3.0));
        smooth.push(12, 6.0); // weights 1/2 and 1
        assert_eq!(smooth.mean(), Some(5.0));
        smooth.push(13, f64::NAN);
        assert_eq!(smooth.mean(), Some(5.0));
    }

    #[test]
    fn gaps_count_by_their_steps() {
        let (mut near, mut far) = (Smooth::new(5.0), Smooth::new(5.0));
        for (smooth, gap) in [(&mut near, 1), (&mut far, 50)] {
            smooth.push(0, 0.0);
            smooth.push(gap, 1.0);
        }
        assert!(near.mean() < Some(0.6) && far.mean() > Some(0.99));
    }
}
