//! Where axes are labelled.

/// Round numbers from at most `low` to at least `high`, about `count` steps apart; both ends belong to them.
pub fn ticks(low: f64, high: f64, count: usize) -> Vec<f64> {
    let span = if high > low { high - low } else { low.abs().max(1.0) };
    let rough = span / count.max(1) as f64;
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0].map(|digit| digit * power).into_iter().find(|step| *step >= rough);
    let step = step.unwrap_or(10.0 * power);
    let (first, last) = ((low / step + 1e-9).floor(), (high / step - 1e-9).ceil().max((low / step).floor() + 1.0));
    (0..=(last - first) as usize).map(|index| (first + index as f64) * step).collect()
}

/// The least and the greatest of the finite values; `None` without any.
pub fn extent(values: impl IntoIterator<Item = f64>) -> Option<(f64, f64)> {
    let finite = values.into_iter().filter(|value| value.is_finite());
    finite.fold(None, |extent, value| {
        let (low, high) = extent.unwrap_or((value, value));
        Some((low.min(value), high.max(value)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_enclose() {
        let close = |found: Vec<f64>, wanted: &[f64]| {
            assert_eq!(found.len(), wanted.len(), "{found:?}");
            assert!(found.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-12), "{found:?}");
        };
        close(ticks(0.23, 0.58, 4), &[0.2, 0.3, 0.4, 0.5, 0.6]);
        close(ticks(-3.0, 7.0, 4), &[-5.0, 0.0, 5.0, 10.0]);
        close(ticks(0.0, 200.0, 4), &[0.0, 50.0, 100.0, 150.0, 200.0]);
        close(ticks(0.5, 0.5, 4), &[0.5, 1.0]);
        close(ticks(0.0, 0.0, 2), &[0.0, 0.5]);
    }

    #[test]
    fn extent_ignores_what_is_not_finite() {
        assert_eq!(extent([f64::NAN, 2.0, f64::INFINITY, -1.0]), Some((-1.0, 2.0)));
        assert_eq!(extent([f64::NAN]), None);
    }
}
