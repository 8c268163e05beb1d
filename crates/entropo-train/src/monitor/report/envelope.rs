//! Curves in bounded memory.

/// A curve as its lowest and highest point in each of a bounded number of equal stretches of steps. Stretches double as
/// the curve grows, so it is built in one pass, without knowing how long it will be, and no peak is lost.
#[derive(Clone, Debug)]
pub(super) struct Envelope {
    most: usize,
    /// A stretch has 2 to the power of this many steps.
    doubled: u32,
    stretches: Vec<Stretch>,
}

/// A step and its value.
pub(super) type Point = (usize, f64);

#[derive(Clone, Copy, Debug)]
struct Stretch {
    low: Point,
    high: Point,
}

impl Envelope {
    /// An empty curve that will have at most `points` points.
    pub(super) fn new(points: usize) -> Self {
        Self { most: (points / 2).max(1), doubled: 0, stretches: Vec::new() }
    }

    /// Adds a finite value of a step that is not before the last one.
    pub(super) fn push(&mut self, step: usize, value: f64) {
        self.add(Stretch { low: (step, value), high: (step, value) });
        while self.stretches.len() > self.most {
            self.doubled += 1;
            for stretch in std::mem::take(&mut self.stretches) {
                self.add(stretch);
            }
        }
    }

    /// The points from left to right.
    pub(super) fn points(&self) -> Vec<Point> {
        let ends = self.stretches.iter().flat_map(|Stretch { low, high }| {
            let (first, second) = if low.0 <= high.0 { (low, high) } else { (high, low) };
            std::iter::once(*first).chain((first != second).then_some(*second))
        });
        ends.collect()
    }

    fn add(&mut self, new: Stretch) {
        let place = |stretch: &Stretch| stretch.low.0.checked_shr(self.doubled).unwrap_or(0);
        match self.stretches.last_mut() {
            Some(last) if place(last) == place(&new) => {
                if new.low.1 < last.low.1 {
                    last.low = new.low;
                }
                if new.high.1 > last.high.1 {
                    last.high = new.high;
                }
            }
            _ => self.stretches.push(new),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_short_curve_is_kept_point_by_point() {
        let mut envelope = Envelope::new(20);
        (0..10).for_each(|step| envelope.push(step, step as f64));
        assert_eq!(envelope.points(), (0..10).map(|step| (step, step as f64)).collect::<Vec<_>>());
    }

    #[test]
    fn steps_far_apart_come_to_an_end() {
        let mut envelope = Envelope::new(2);
        for step in [0, 1, usize::MAX - 1, usize::MAX] {
            envelope.push(step, step as f64);
        }
        assert!(envelope.points().len() <= 2);
    }

    proptest! {
        #[test]
        fn the_curve_is_bounded_in_order_and_keeps_its_extremes(
            gaps in prop::collection::vec((0_usize..50, -1e3_f64..1e3), 1..500),
            most in 2_usize..40,
        ) {
            let mut envelope = Envelope::new(most);
            let mut step = 0;
            let mut pushed = Vec::new();
            for (gap, value) in gaps {
                step += gap;
                pushed.push((step, value));
                envelope.push(step, value);
            }
            let points = envelope.points();
            prop_assert!(points.len() <= most);
            prop_assert!(points.windows(2).all(|pair| pair[0].0 <= pair[1].0));
            prop_assert!(points.iter().all(|point| pushed.contains(point)));
            let extremes = |points: &[Point]| {
                let values = || points.iter().map(|point| point.1);
                (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max))
            };
            prop_assert_eq!(extremes(&points), extremes(&pushed));
        }
    }
}
