//! What a patch says, whichever form it was written in.

use crate::editor::text;

/// A patch's lines; one whose every line ends with CRLF was translated as a whole, and says nothing of the files'.
pub(super) fn lines(patch: &str) -> Vec<&str> {
    let ending = if text::has_crlf(patch) { "\r\n" } else { "\n" };
    patch.split_inclusive('\n').map(|line| line.strip_suffix(ending).unwrap_or(line)).collect()
}

/// What becomes of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FilePatch {
    /// The file as the patch names it, the source of a move or copy.
    pub(super) path: String,
    pub(super) action: Action,
    /// Whether the file is to be executable, where the patch says so.
    pub(super) executable: Option<bool>,
    pub(super) hunks: Vec<Hunk>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Update,
    Create,
    Delete,
    Move(String),
    Copy(String),
}

/// Lines that are changed together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hunk {
    /// The line that begins it, for naming it.
    pub(super) header: String,
    pub(super) anchor: Anchor,
    pub(super) lines: Vec<Line>,
}

/// Where a hunk belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Anchor {
    /// At this many lines from the beginning.
    Line(usize),
    /// After these lines, one after the other; at the end of the file if so said.
    After { lines: Vec<String>, end: bool },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) side: Side,
    pub(super) text: String,
    /// Whether a newline follows; only the last line of a file can be without.
    pub(super) newline: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Both,
    Old,
    New,
}

impl Line {
    /// The line of a hunk's body; an empty one is taken for empty context, as editors cut trailing blanks.
    pub(super) fn parse(line: &str) -> Option<Self> {
        let side = match line.chars().next() {
            Some('\r') if line.len() == 1 => {
                return Some(Self { side: Side::Both, text: line.to_owned(), newline: true });
            }
            None | Some(' ') => Side::Both,
            Some('-') => Side::Old,
            Some('+') => Side::New,
            Some(_) => return None,
        };
        Some(Self { side, text: line.get(1..).unwrap_or_default().to_owned(), newline: true })
    }

    pub(super) fn is_old(&self) -> bool {
        self.side != Side::New
    }

    pub(super) fn is_new(&self) -> bool {
        self.side != Side::Old
    }
}
