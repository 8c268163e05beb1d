//! How numbers and other people's words are written for people.

/// What stands where there is no number.
pub(super) const NONE: &str = "–";

/// A number with four significant digits, in powers of ten where it would be long: `0.6512`, `12.5`, `1.5e−5`.
pub(super) fn number(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "∞" } else { "−∞" }.to_owned();
    }
    let size = value.abs();
    let text = match size {
        0.0 => "0".to_owned(),
        1e-3..1e6 => {
            let digits = 3 - size.log10().floor() as i32;
            trimmed(&format!("{value:.*}", digits.max(0) as usize))
        }
        _ => {
            let text = format!("{value:.3e}");
            let (digits, power) = text.split_once('e').unwrap_or((&text, "0"));
            format!("{}e{power}", trimmed(digits))
        }
    };
    text.replace('-', "−")
}

/// Without zeros at the end that say nothing.
pub(super) fn trimmed(decimal: &str) -> String {
    let text = if decimal.contains('.') { decimal.trim_end_matches('0').trim_end_matches('.') } else { decimal };
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// A count in thousands, millions or billions: `950`, `31.2k`, `1.5M`.
pub(super) fn count(value: f64) -> String {
    if !value.is_finite() {
        return NONE.to_owned();
    }
    let (unit, sign) = match value.abs() {
        0.0..999.5 => return number(value.round()),
        999.5..999_500.0 => (1e3, "k"),
        999_500.0..999_500_000.0 => (1e6, "M"),
        _ => (1e9, "G"),
    };
    let value = value / unit;
    let digits = if value.abs() < 99.95 { 1 } else { 0 };
    format!("{}{sign}", trimmed(&format!("{value:.digits$}")).replace('-', "−"))
}

/// Bytes in decimal units: `1.2 GB`.
pub(super) fn bytes(bytes: u64) -> String {
    let bytes = bytes as f64;
    let (unit, name) = if bytes < 1e9 { (1e6, "MB") } else { (1e9, "GB") };
    let value = bytes / unit;
    let digits = if name == "GB" && value < 99.95 { 1 } else { 0 };
    format!("{value:.digits$} {name}")
}

/// Seconds as people say them: `8.4 s`, `6 min 41 s`, `1 h 2 min`, `3 d 4 h`.
pub(super) fn duration(seconds: f64) -> String {
    if !(0.0..1e12).contains(&seconds) {
        return NONE.to_owned();
    }
    let whole = seconds.round() as u64;
    match whole {
        0..60 if seconds < 59.95 => format!("{seconds:.1} s"),
        0..3600 => format!("{} min {} s", whole / 60, whole % 60),
        3600..86_400 => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
        _ => format!("{} d {} h", whole / 86_400, whole % 86_400 / 3600),
    }
}

/// A text of at most `limit` characters that cannot steer a terminal or turn the direction of writing.
pub(super) fn printable(text: &str, limit: usize) -> String {
    let safe = |character: char| match character {
        '\n' | '\t' => ' ',
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
        control if control.is_control() => '\u{fffd}',
        other => other,
    };
    let mut short: String = text.chars().take(limit).map(safe).collect();
    if text.chars().nth(limit).is_some() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_digits_they_deserve() {
        let values = [0.0, 0.651_23, -12.5, 1e-5, 0.001_5, 123_456.0, 1.5e9, f64::NAN, f64::NEG_INFINITY];
        let written = ["0", "0.6512", "−12.5", "1e−5", "0.0015", "123456", "1.5e9", "NaN", "−∞"];
        assert_eq!(values.map(number), written);
    }

    #[test]
    fn counts_change_their_unit_where_they_round_to_it() {
        let values = [0.0, 950.4, 999.6, 31_240.0, 999_499.0, 999_501.0, 1.5e9, f64::INFINITY];
        assert_eq!(values.map(count), ["0", "950", "1k", "31.2k", "999k", "1M", "1.5G", "–"]);
        assert_eq!([12_000_000, 1_230_000_000].map(bytes), ["12 MB", "1.2 GB"]);
    }

    #[test]
    fn times_change_their_unit_too() {
        let seconds = [8.44, 59.96, 401.2, 3725.0, 90_000.0, -1.0, f64::NAN, f64::INFINITY];
        let written = ["8.4 s", "1 min 0 s", "6 min 41 s", "1 h 2 min", "1 d 1 h", "–", "–", "–"];
        assert_eq!(seconds.map(duration), written);
    }

    #[test]
    fn words_of_others_cannot_steer_a_terminal() {
        assert_eq!(printable("a\x1b[31mb\nc\u{202e}d", 99), "a\u{fffd}[31mb c\u{fffd}d");
        assert_eq!(printable("abcdef", 3), "abc…");
        assert_eq!(printable("abc", 3), "abc");
    }
}
