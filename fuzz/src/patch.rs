//! Patches to the files of a workspace.

use std::collections::BTreeMap;

use entropo_tools::ApplyPatch;
use entropo_tools::patch::ApplyPatchArgs;

use crate::place::Place;

/// Names that stand in a patch only where they are meant.
const FIRST: &str = "zq1";
const SECOND: &str = "zq2";

/// A file's content and a patch, or else a patch alone. A patch that is refused changes nothing, one that is not refused changes
/// files only that it names, loses no line that it does not remove, brings none that it does not add, and touches nothing
/// outside the workspace.
pub fn patch(input: &[u8]) {
    let parts = crate::parts(input, "%%");
    let (content, patch) = match parts.as_slice() {
        [content, patch, ..] => (*content, crate::text(patch)),
        _ => (b"one\ntwo\nthree\n".as_slice(), crate::text(input)),
    };
    let place = Place::new();
    place.write(FIRST, content);
    place.write("b/c.py", b"def f():\n\treturn 1\n\n\ndef g():\n\treturn 2\n");
    place.write(SECOND, b"x\r\ny\r\nz");
    let before = place.files();
    let tool = ApplyPatch::new(place.root()).unwrap();
    let applied = place.call(&tool, ApplyPatchArgs { patch: patch.clone() });
    let after = place.files();
    if !applied {
        assert_eq!(before, after, "a patch that is refused changes nothing");
    }
    for path in after.keys() {
        assert!(path.starts_with(place.root()), "{} is outside", path.display());
    }
    let (removed, added) = (signed(&patch, '-'), signed(&patch, '+'));
    for (path, content) in &before {
        let name = path.file_name().unwrap().to_string_lossy();
        let kept = after.get(path);
        // A name in quotes may be written in numbers.
        let is_named = patch.contains(&*name) || patch.contains('"') && patch.contains('\\');
        assert!(kept == Some(content) || is_named, "{name} is changed and not named");
        let Some(kept) = kept else { continue };
        let (Some(old), Some(new)) = (lines(content), lines(kept)) else { continue };
        covers(&removed, &missing(&old, &new), "is gone and was not removed");
        covers(&added, &missing(&new, &old), "came and was not added");
    }
}

/// How often each of several lines is there.
type Lines = BTreeMap<String, usize>;

/// A text's lines with their ends; the last one has the same as the others, since a patch may give or take it.
fn lines(content: &[u8]) -> Option<Lines> {
    let text = std::str::from_utf8(content).ok()?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let ending = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let mut lines = Lines::new();
    for line in text.split_inclusive('\n') {
        let line = if line.ends_with('\n') { line.to_owned() } else { format!("{line}{ending}") };
        *lines.entry(line).or_default() += 1;
    }
    Some(lines)
}

/// The lines of a patch that begin with a sign, without it.
fn signed(patch: &str, sign: char) -> Lines {
    let mut lines = Lines::new();
    for line in patch.split('\n').filter_map(|line| line.strip_prefix(sign)) {
        *lines.entry(bare(line)).or_default() += 1;
    }
    lines
}

/// The lines that are more often in `all` than in `others`, without their ends.
fn missing(all: &Lines, others: &Lines) -> Lines {
    let mut missing = Lines::new();
    for (line, number) in all {
        let more = number.saturating_sub(others.get(line).copied().unwrap_or_default());
        if more > 0 {
            *missing.entry(bare(line)).or_default() += more;
        }
    }
    missing
}

fn bare(line: &str) -> String {
    line.trim_end_matches(['\r', '\n']).to_owned()
}

fn covers(named: &Lines, found: &Lines, what: &str) {
    for (line, number) in found {
        assert!(named.get(line).copied().unwrap_or_default() >= *number, "{line:?} {what}");
    }
}
