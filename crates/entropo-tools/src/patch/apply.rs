//! Hunks onto a text, without files.
//!
//! Context must match exactly. A hunk whose line number is wrong is applied where its lines are if that is one place
//! only, which the answer then says.

use super::conflict;
use super::model::{Anchor, Hunk, Side};
use super::target::{Target, old};

/// Hunks of one file; more would take long to search for.
const MAX_HUNKS: usize = 1000;
/// Lines that are searched for all hunks together, a second's work or so.
const MAX_SEARCHED: usize = 100_000_000;

/// The new text, and for each hunk that was found elsewhere what to say of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Applied {
    pub(super) text: String,
    pub(super) notes: Vec<String>,
}

/// Applies all hunks; the error names the first that does not fit and says why.
pub(super) fn apply(text: &str, hunks: &[Hunk]) -> Result<Applied, String> {
    if hunks.len() > MAX_HUNKS {
        return Err(format!("{} hunks, of at most {MAX_HUNKS}", hunks.len()));
    }
    let target = Target::new(text, hunks);
    if hunks.len().saturating_mul(target.lines.len()) > MAX_SEARCHED {
        return Err(format!("{} hunks are too many for a file of {} lines", hunks.len(), target.lines.len()));
    }
    let mut result = Pieces { pieces: Vec::new(), ending: target.ending };
    let mut notes = Vec::new();
    let mut free = 0;
    let mut shift = 0_isize;
    let mut says_end = false;
    for (hunk, number) in hunks.iter().zip(1..) {
        let named = |reason: String| format!("hunk {number} ({}): {reason}", hunk.header);
        let at = match &hunk.anchor {
            Anchor::Line(stated) => {
                let at = by_line(&target, hunk, *stated, shift, free).map_err(named)?;
                if at != *stated && at != stated.saturating_add_signed(shift) {
                    let (is, was) = (at + 1, stated.saturating_add(1));
                    notes.push(format!("hunk {number} applied at line {is}, not {was}"));
                }
                shift = at.cast_signed().saturating_sub(stated.cast_signed());
                at
            }
            Anchor::After { lines, end } => by_context(&target, hunk, lines, *end, free).map_err(named)?,
        };
        result.keep(target.lines.get(free..at).unwrap_or_default());
        free = at;
        for line in &hunk.lines {
            says_end |= line.is_old() && !line.newline;
            match line.side {
                Side::New => result.add(&line.text, line.newline),
                Side::Old => free += 1,
                Side::Both => {
                    result.keep(target.lines.get(free..=free).unwrap_or_default());
                    free += 1;
                }
            }
        }
    }
    result.keep(target.lines.get(free..).unwrap_or_default());
    let unended = !text.is_empty() && !text.ends_with('\n');
    Ok(Applied { text: result.joined(unended && !says_end), notes })
}

/// The place of a hunk that has a line number: there, or the only other place that fits.
fn by_line(target: &Target<'_>, hunk: &Hunk, stated: usize, shift: isize, free: usize) -> Result<usize, String> {
    let expected = stated.saturating_add_signed(shift);
    // What earlier hunks were off by is likely, but not certain.
    for at in [expected, stated] {
        if at >= free && target.fits(at, hunk) {
            return Ok(at);
        }
    }
    let places = if old(hunk).next().is_none() { Vec::new() } else { target.places(free, hunk) };
    match places.as_slice() {
        &[at] => Ok(at),
        [] => Err(conflict::describe(target, hunk, Some(expected), free)),
        several => {
            let nearest = several.iter().min_by_key(|at| at.abs_diff(expected)).map_or(0, |at| at + 1);
            let reason = format!("it does not match at line {}, but at {} places", expected + 1, several.len());
            Err(format!("{reason}, the nearest at line {nearest}; correct its line number"))
        }
    }
}

/// The place of a hunk that is found by lines above it and by its own.
fn by_context(target: &Target<'_>, hunk: &Hunk, above: &[String], end: bool, free: usize) -> Result<usize, String> {
    let mut from = free;
    for wanted in above {
        let rest = target.shown.get(from..).unwrap_or_default();
        // It only leads to the hunk, so that its indentation may be left out.
        let exact = rest.iter().position(|line| line == wanted);
        let found = exact.or_else(|| rest.iter().position(|line| line.trim() == wanted.trim()));
        let at = found.ok_or_else(|| format!("there is no line {} below line {from}", conflict::shown(wanted)))?;
        from += at + 1;
    }
    let count = old(hunk).count();
    let last = target.lines.len();
    if count == 0 {
        return Ok(if above.is_empty() || end { last } else { from });
    }
    let mut places = target.places(from, hunk);
    if end {
        places.retain(|at| at + count == last);
    }
    match places.as_slice() {
        [] if end && !target.places(from, hunk).is_empty() => {
            Err("it must be at the end of the file, and is not".to_owned())
        }
        [] => Err(conflict::describe(target, hunk, None, from)),
        &[at] => Ok(at),
        // The lines above were given to tell which one is meant.
        &[at, ..] if !above.is_empty() => Ok(at),
        several => {
            let lines: Vec<String> = several.iter().take(10).map(|at| (at + 1).to_string()).collect();
            let more = if several.len() > lines.len() { ", …" } else { "" };
            let lines = lines.join(", ");
            Err(format!("it matches at lines {lines}{more}; give more context, or @@ and a line above it"))
        }
    }
}

/// The lines of the new text, with their endings apart.
struct Pieces<'a> {
    pieces: Vec<(&'a str, &'a str)>,
    ending: &'static str,
}

impl<'a> Pieces<'a> {
    fn keep(&mut self, lines: &[&'a str]) {
        self.pieces.extend(lines.iter().map(|line| match line.strip_suffix('\n') {
            Some(text) => (text, "\n"),
            None => (*line, ""),
        }));
    }

    fn add(&mut self, text: &'a str, newline: bool) {
        self.pieces.push((text, if newline { self.ending } else { "" }));
    }

    /// The text; a line that is no longer the last gets an ending, and one that now is none if the text had none.
    fn joined(mut self, unended: bool) -> String {
        let last = self.pieces.pop().map(|(text, ending)| [text, if unended { "" } else { ending }].concat());
        let mut joined = String::new();
        for (text, ending) in self.pieces {
            joined.push_str(text);
            joined.push_str(if ending.is_empty() { self.ending } else { ending });
        }
        joined + &last.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
