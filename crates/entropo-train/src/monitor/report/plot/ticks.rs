//! Where an axis is labelled, and with what.

use crate::monitor::words::{number, trimmed};

/// What is smaller is nothing.
const SMALLEST: f64 = 1e-150;

/// Round numbers from at most `low` to at least `high`, about `count` steps apart; both ends belong to them.
pub(super) fn ticks(low: f64, high: f64, count: usize) -> Vec<f64> {
    let middle = low.abs().max(high.abs());
    // Values that differ by rounding only are a flat line.
    let (low, high) = if high - low > (1e-9 * middle).max(SMALLEST) { (low, high) } else { around(low, middle) };
    let rough = (high - low) / count.max(1) as f64;
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0].map(|digit| digit * power).into_iter().find(|step| *step >= 0.999 * rough);
    let step = step.unwrap_or(10.0 * power);
    let (first, last) = ((low / step + 1e-9).floor(), (high / step - 1e-9).ceil());
    let places = (last - first).clamp(1.0, 100.0) as usize;
    (0..=places).map(|index| (first + index as f64) * step).collect()
}

/// Room around a flat line.
fn around(value: f64, size: f64) -> (f64, f64) {
    let room = if size > SMALLEST { 0.1 * size } else { 1.0 };
    (value - room, value + room)
}

/// Whole steps only, at most `count` apart and never beyond `high`.
pub(super) fn step_ticks(low: usize, high: usize, count: usize) -> Vec<f64> {
    let ticks = ticks(low as f64, high as f64, count);
    ticks.into_iter().filter(|tick| tick.fract() == 0.0 && (low as f64..=high as f64).contains(tick)).collect()
}

/// Powers of ten from at most `10^low` to at least `10^high`, as exponents, and few of them.
pub(super) fn decades(low: f64, high: f64) -> Vec<f64> {
    let (first, last) = (low.floor(), high.ceil().max(low.floor() + 1.0));
    let stride = ((last - first) / 5.0).ceil().max(1.0);
    let places = ((last - first) / stride).ceil() as usize;
    (0..=places).map(|index| first + stride * index as f64).collect()
}

/// A label with the digits that tell it from its neighbours.
pub(super) fn label(tick: f64, ticks: &[f64]) -> String {
    let step = ticks.iter().zip(ticks.iter().skip(1)).map(|(one, next)| next - one).fold(f64::INFINITY, f64::min);
    let largest = ticks.iter().fold(0.0_f64, |largest, tick| largest.max(tick.abs()));
    if tick.abs() < 1e-9 * largest {
        return "0".to_owned();
    }
    if !(1e-3..1e5).contains(&largest) {
        return number((tick / step).round() * step);
    }
    let digits = (-(step.log10() + 1e-9).floor()).clamp(0.0, 6.0) as usize;
    trimmed(&format!("{tick:.digits$}")).replace('-', "−")
}

/// A power of ten.
pub(super) fn decade_label(exponent: f64) -> String {
    number(10_f64.powf(exponent))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(low: f64, high: f64) -> Vec<String> {
        let ticks = ticks(low, high, 4);
        ticks.iter().map(|tick| label(*tick, &ticks)).collect()
    }

    #[test]
    fn labels_are_round_and_enclose_the_values() {
        assert_eq!(labels(0.41, 0.69), ["0.4", "0.5", "0.6", "0.7"]);
        assert_eq!(labels(-3.0, 5.0), ["−4", "−2", "0", "2", "4", "6"]);
        assert_eq!(labels(0.0, 1e-5), ["0", "5e−6", "1e−5"]);
        assert_eq!(labels(0.7431, 0.74325), ["0.7431", "0.74315", "0.7432", "0.74325"]);
    }

    #[test]
    fn flat_lines_have_room() {
        assert_eq!(labels(0.0, 0.0), ["−1", "−0.5", "0", "0.5", "1"]);
        let ticks = ticks(0.5, 0.5 + 1e-15, 4);
        assert!(ticks.first() < Some(&0.5) && ticks.last() > Some(&0.5), "{ticks:?}");
    }

    #[test]
    fn extreme_values_do_not_make_many() {
        for (low, high) in [(-1e300, 1e300), (1e-300, 2e-300), (1e150, 1e150), (0.0, f64::MIN_POSITIVE)] {
            let ticks = ticks(low, high, 4);
            assert!((2..10).contains(&ticks.len()) && ticks.iter().all(|tick| tick.is_finite()), "{ticks:?}");
        }
        assert!(decades(-300.0, 300.0).len() <= 7);
        assert_eq!(decades(0.2, 0.3), [0.0, 1.0]);
    }

    #[test]
    fn steps_are_whole() {
        assert_eq!(step_ticks(0, 3, 4), [0.0, 1.0, 2.0, 3.0]);
        assert_eq!(step_ticks(0, 999, 4), [0.0, 500.0]);
        assert_eq!(step_ticks(7, 7, 4), [7.0]);
    }
}
