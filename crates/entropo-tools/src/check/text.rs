//! What several formats need of a text.

use super::ParseError;

/// How large a log may be: as large as a sandbox keeps one.
pub(super) const LIMIT: usize = 16 << 20;

/// The text without colours and other control sequences.
pub(super) fn plain(log: &str) -> Result<String, ParseError> {
    if log.len() > LIMIT {
        return Err(ParseError::TooLarge { what: "lines", limit: LIMIT });
    }
    Ok(anstream::adapter::strip_str(log).to_string())
}

/// The number that a text begins with, and the rest.
pub(super) fn number(text: &str) -> Option<(usize, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at_checked(end)?;
    Some((digits.parse().ok()?, rest))
}

/// The number right before `word`, as in `3 passed, 1 failed`; 0 if it is not there.
pub(super) fn count(text: &str, word: &str) -> usize {
    let mut previous = "";
    for piece in text.split(|c: char| c.is_whitespace() || c == ',').filter(|piece| !piece.is_empty()) {
        if piece == word {
            return previous.parse().unwrap_or(0);
        }
        previous = piece;
    }
    0
}

/// Takes a duration in brackets off the end: `adds (5 ms)` or `adds (5ms)`.
pub(super) fn without_duration(line: &str) -> &str {
    let duration = |text: &str| {
        let text = text.trim_end_matches("ms").trim_end_matches(['s', 'm']).trim_end();
        !text.is_empty() && text.chars().all(|c| c.is_ascii_digit() || c == '.')
    };
    match line.strip_suffix(')').and_then(|line| line.rsplit_once(" (")) {
        Some((name, inside)) if inside.ends_with(['s', 'm']) && duration(inside) => name,
        _ => line,
    }
}

/// How many spaces a line begins with, and what follows.
pub(super) fn indented(line: &str) -> (usize, &str) {
    let rest = line.trim_start_matches(' ');
    (line.len() - rest.len(), rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_durations_are_taken_off() {
        for (line, name) in [
            ("adds (5 ms)", "adds"),
            ("adds (5ms)", "adds"),
            ("adds (1.2 s)", "adds"),
            ("adds (ms)", "adds (ms)"),
            ("adds (5)", "adds (5)"),
            ("adds (5 items)", "adds (5 items)"),
            ("fails (5 ms) (3 ms)", "fails (5 ms)"),
        ] {
            assert_eq!(without_duration(line), name);
        }
    }

    #[test]
    fn counts_are_of_whole_words() {
        let line = "== 2 xfailed, 1 passed, 3 failed in 0.1s ==";
        assert_eq!([count(line, "failed"), count(line, "passed"), count(line, "error")], [3, 1, 0]);
    }
}
