//! How numbers are written: a metric decides whether it is a share, shown in percent, or a count.

use entropo::core::stats::Interval;

/// What stands where there is no number.
const NONE: &str = "–";

/// What a metric counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Unit {
    /// Between 0 and 1; shown in percent, differences in percentage points.
    Share,
    /// A number of things.
    Count,
}

impl Unit {
    /// The unit of a metric by its name.
    pub(super) fn of(metric: &str) -> Self {
        if metric == "patches" { Self::Count } else { Self::Share }
    }

    /// The number in the form that is shown: percent for shares.
    pub(super) fn scaled(self, value: f64) -> f64 {
        match self {
            Self::Share => 100.0 * value,
            Self::Count => value,
        }
    }

    fn digits(self) -> usize {
        match self {
            Self::Share => 1,
            Self::Count => 2,
        }
    }

    /// `41.3` for a share, `3.42` for a count.
    pub(super) fn plain(self, value: f64) -> String {
        if value.is_finite() { format!("{:.*}", self.digits(), self.scaled(value)) } else { NONE.to_owned() }
    }

    /// As [`plain`](Self::plain) with a sign in front, as differences are written; what rounds to nothing has none.
    pub(super) fn signed(self, value: f64) -> String {
        let plain = self.plain(value.abs());
        let is_nothing = plain.chars().all(|character| matches!(character, '0' | '.'));
        match value {
            _ if is_nothing || !value.is_finite() => plain,
            _ if value < 0.0 => format!("−{plain}"),
            _ => format!("+{plain}"),
        }
    }
}

/// `low to high` of an interval, every number through `write`.
pub(super) fn range(interval: &Interval, write: impl Fn(f64) -> String) -> String {
    format!("{} to {}", write(interval.low), write(interval.high))
}

/// A number by itself, with as many digits as its size deserves.
pub(super) fn compact(value: f64) -> String {
    let digits = match value.abs() {
        _ if !value.is_finite() => return NONE.to_owned(),
        size if size >= 100.0 || value.fract() == 0.0 => 0,
        size if size >= 1.0 => 2,
        _ => 3,
    };
    format!("{value:.digits$}")
}

/// Seconds as people say them: `8.4 s`, `6 min 41 s`, `1 h 2 min`.
pub(super) fn duration(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return NONE.to_owned();
    }
    let whole = seconds.round() as u64;
    match whole {
        0..60 => format!("{seconds:.1} s"),
        60..3600 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_knows_its_unit() {
        assert_eq!(Unit::of("pass@1").plain(0.4126), "41.3");
        assert_eq!(Unit::of("patches").plain(3.417), "3.42");
        assert_eq!(Unit::Share.plain(f64::NAN), "–");
    }

    #[test]
    fn differences_have_a_sign_unless_they_round_to_nothing() {
        assert_eq!(Unit::Share.signed(0.0421), "+4.2");
        assert_eq!(Unit::Share.signed(-0.0421), "−4.2");
        assert_eq!(Unit::Share.signed(-0.0001), "0.0");
        assert_eq!(Unit::Share.signed(f64::NEG_INFINITY), "–");
    }

    #[test]
    fn sizes_decide_about_digits() {
        let written: Vec<String> = [3.0, 0.0417, 12.345, 1234.5, f64::NAN].into_iter().map(compact).collect();
        assert_eq!(written, ["3", "0.042", "12.35", "1234", "–"].map(str::to_owned));
        assert_eq!(duration(8.44), "8.4 s");
        assert_eq!(duration(59.6), "1 min 0 s");
        assert_eq!(duration(3725.0), "1 h 2 min");
        assert_eq!(duration(-1.0), "–");
    }
}
