//! Telling a model why a hunk does not apply: which line differs, and where its lines are instead.

use super::model::Hunk;
use super::target::{Difference, Target, old};

/// Lines of a hunk that are compared at each place.
const COMPARED: usize = 50;
/// Places looked at on either side of the expected one.
const REACH: usize = 10_000;
/// Characters shown of a line.
const SHOWN: usize = 200;

/// Why `hunk`, expected at line `expected` (from 0) and not before line `free`, has no place in `target`.
pub(super) fn describe(target: &Target<'_>, hunk: &Hunk, expected: Option<usize>, free: usize) -> String {
    if old(hunk).next().is_none() {
        let lines = target.lines.len();
        return match expected {
            Some(at) if at < free => format!("it would insert after line {at}, within the hunk before it"),
            Some(at) => format!("it would insert after line {at}, but the file has {lines} lines"),
            None => "it has no old lines by which to find its place".to_owned(),
        };
    }
    if let Some(above) = target.places(0, hunk).last() {
        return format!("it matches at line {}, before the end of the hunk above it (line {free})", above + 1);
    }
    let mut reason = String::new();
    let best = best(target, hunk, expected.unwrap_or(free));
    if let Some(expected) = expected {
        reason = difference(target, hunk, expected);
        if best.is_some_and(|best| best == expected) {
            return reason;
        }
    }
    match best {
        Some(at) if reason.is_empty() => {
            format!("no place matches; the nearest is at line {}: {}", at + 1, difference(target, hunk, at))
        }
        Some(at) => format!("{reason}; the nearest place is at line {}: {}", at + 1, difference(target, hunk, at)),
        None if reason.is_empty() => "none of its old lines is in the file".to_owned(),
        None => reason,
    }
}

/// The place with the most lines that match, of several the nearest to `expected`; none if no line matches anywhere.
fn best(target: &Target<'_>, hunk: &Hunk, expected: usize) -> Option<usize> {
    let compared: Vec<_> = old(hunk).take(COMPARED).collect();
    let places = expected.saturating_sub(REACH)..target.lines.len().min(expected.saturating_add(REACH));
    let score =
        |at: usize| compared.iter().zip(at..).filter(|(line, index)| target.difference(*index, line).is_none()).count();
    let scored = places.map(|at| (score(at), at)).filter(|(score, _)| *score > 0);
    scored.min_by_key(|&(score, at)| (usize::MAX - score, at.abs_diff(expected))).map(|(_, at)| at)
}

/// The first line at `at` that is not the hunk's.
fn difference(target: &Target<'_>, hunk: &Hunk, at: usize) -> String {
    for (line, index) in old(hunk).zip(at..) {
        let number = index.saturating_add(1);
        match target.difference(index, line) {
            None => {}
            Some(Difference::Text(there)) => {
                return format!("line {number} is {}, where the patch has {}", shown(there), shown(&line.text));
            }
            Some(Difference::Newline) => {
                return format!("line {number} ends with a newline, where the patch has none");
            }
            Some(Difference::End) => {
                let lines = target.lines.len();
                return format!("the file ends at line {lines}, where the patch has {} at {number}", shown(&line.text));
            }
        }
    }
    "it must be at the end of the file, and is not".to_owned()
}

pub(super) fn shown(line: &str) -> String {
    let end = line.char_indices().nth(SHOWN).map_or(line.len(), |(end, _)| end);
    format!("{:?}", line.split_at(end).0)
}
