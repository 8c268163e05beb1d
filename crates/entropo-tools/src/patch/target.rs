//! The file a hunk is held against.

use super::find;
use super::model::{Hunk, Line};
use crate::editor::text;

/// A text as lines that can be compared with a patch's.
pub(super) struct Target<'a> {
    /// The lines with their endings.
    pub(super) lines: Vec<&'a str>,
    /// The lines as they are compared.
    pub(super) shown: Vec<&'a str>,
    /// How a new line ends.
    pub(super) ending: &'static str,
}

impl<'a> Target<'a> {
    /// Where all lines end with CRLF and the patch knows of none, the endings are left out of the comparison and given
    /// to new lines: whoever was shown the lines without endings cannot write them.
    pub(super) fn new(text: &'a str, hunks: &[Hunk]) -> Self {
        let patch_has_cr = hunks.iter().flat_map(|hunk| &hunk.lines).any(|line| line.text.ends_with('\r'));
        let ending = if text::has_crlf(text) && !patch_has_cr { "\r\n" } else { "\n" };
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        let shown = lines.iter().map(|line| line.strip_suffix(ending).unwrap_or(line)).collect();
        Self { lines, shown, ending }
    }

    /// The places from line `from` where a hunk's old lines are.
    pub(super) fn places(&self, from: usize, hunk: &Hunk) -> Vec<usize> {
        let old: Vec<&str> = old(hunk).map(|line| line.text.as_str()).collect();
        let rest = self.shown.get(from..).unwrap_or_default();
        find::all(rest, &old).into_iter().map(|at| at + from).filter(|&at| self.fits(at, hunk)).collect()
    }

    /// Whether a hunk's old lines are at `at`.
    pub(super) fn fits(&self, at: usize, hunk: &Hunk) -> bool {
        let Some(rest) = self.shown.get(at..) else { return false };
        let count = old(hunk).count();
        let ends = hunk.lines.iter().any(|line| !line.newline);
        (!ends || rest.len() == count)
            && rest.len() >= count
            && old(hunk).zip(at..).all(|(line, index)| self.difference(index, line).is_none())
    }

    /// What the line at `at` is where it is not `line`. A file's last line may lack the newline the patch has, which a
    /// model does not see; the other way the patch says so on purpose.
    pub(super) fn difference(&self, at: usize, line: &Line) -> Option<Difference<'a>> {
        match (self.lines.get(at), self.shown.get(at)) {
            (Some(_), Some(shown)) if *shown != line.text => Some(Difference::Text(shown)),
            (Some(full), Some(_)) if !line.newline && full.ends_with('\n') => Some(Difference::Newline),
            (Some(_), Some(_)) => None,
            _ => Some(Difference::End),
        }
    }
}

/// How a file's line is not the patch's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Difference<'a> {
    /// It has this text.
    Text(&'a str),
    /// It ends with a newline.
    Newline,
    /// The file has ended.
    End,
}

/// The lines that must be in the file.
pub(super) fn old(hunk: &Hunk) -> impl Iterator<Item = &Line> {
    hunk.lines.iter().filter(|line| line.is_old())
}
