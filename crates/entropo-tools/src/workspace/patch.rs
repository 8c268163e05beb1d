//! Changes as a patch in git's format.
//!
//! Text is compared in this process, since starting git for each of thousands of rollouts costs more than the rollouts'
//! own tools. Lines end at `\n` only, as git has it: a lone `\r` is part of its line.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use similar::{Algorithm, DiffOp, DiffTag};

use super::WorkspaceError;
use super::changes::Change;
use super::git;
use super::snapshot::File;

/// Unchanged lines shown around each change.
const CONTEXT: usize = 3;

/// The patch of changes, in their order; files that kept their content under another name are renamed.
pub(super) fn write(changes: &[Change]) -> Result<String, WorkspaceError> {
    let mut patch = String::new();
    let renames = renames(changes);
    let gone: BTreeSet<&Path> = renames.values().map(|from| from.path.as_path()).collect();
    for change in changes {
        match (&change.old, &change.new) {
            (Some(_), None) if gone.contains(change.path.as_path()) => {}
            (None, Some(after)) if renames.contains_key(change.path.as_path()) => {
                if let Some(from) = renames.get(change.path.as_path()) {
                    renamed(&mut patch, from, &change.path, after);
                }
            }
            // git knows of no file that becomes a link.
            (Some(before), Some(after)) if is_link(before) != is_link(after) => {
                section(&mut patch, &change.path, Some(before), None)?;
                section(&mut patch, &change.path, None, Some(after))?;
            }
            (before, after) => section(&mut patch, &change.path, before.as_ref(), after.as_ref())?,
        }
    }
    Ok(patch)
}

/// Which new files have the content of one that is gone, each of which goes to one of them only.
fn renames(changes: &[Change]) -> BTreeMap<&Path, &Change> {
    let content = |file: &Option<File>| match file {
        Some(File::Regular { content, .. }) if !content.is_empty() => Some(Arc::clone(content)),
        _ => None,
    };
    let mut gone: HashMap<Arc<[u8]>, VecDeque<&Change>> = HashMap::new();
    for change in changes.iter().filter(|change| change.new.is_none()) {
        if let Some(content) = content(&change.old) {
            gone.entry(content).or_default().push_back(change);
        }
    }
    let new = changes.iter().filter(|change| change.old.is_none());
    new.filter_map(|to| Some((to.path.as_path(), gone.get_mut(&content(&to.new)?)?.pop_front()?))).collect()
}

fn renamed(patch: &mut String, from: &Change, to: &Path, after: &File) {
    let (before, old, new) = (from.old.as_ref().map(File::mode), &from.path, to);
    line(patch, format_args!("diff --git {} {}", name("a/", old), name("b/", new)));
    if let Some(before) = before.filter(|mode| *mode != after.mode()) {
        line(patch, format_args!("old mode {before}"));
        line(patch, format_args!("new mode {}", after.mode()));
    }
    line(patch, format_args!("similarity index 100%"));
    line(patch, format_args!("rename from {}", name("", old)));
    line(patch, format_args!("rename to {}", name("", new)));
}

fn is_link(file: &File) -> bool {
    matches!(file, File::Link { .. })
}

/// Writes what one file's change needs: its headers, then its lines.
fn section(patch: &mut String, path: &Path, old: Option<&File>, new: Option<&File>) -> Result<(), WorkspaceError> {
    let (a, b) = (name("a/", path), name("b/", path));
    line(patch, format_args!("diff --git {a} {b}"));
    match (old.map(File::mode), new.map(File::mode)) {
        (None, Some(mode)) => line(patch, format_args!("new file mode {mode}")),
        (Some(mode), None) => line(patch, format_args!("deleted file mode {mode}")),
        (Some(before), Some(after)) if before != after => {
            line(patch, format_args!("old mode {before}"));
            line(patch, format_args!("new mode {after}"));
        }
        _ => {}
    }
    let (before, after) = (old.map(File::bytes), new.map(File::bytes));
    if before.unwrap_or_default() == after.unwrap_or_default() {
        return Ok(());
    }
    let (Some(before_text), Some(after_text)) = (text(before), text(after)) else {
        patch.push_str(&git::binary_patch(before, after)?);
        return Ok(());
    };
    // A tab ends a name that contains a space, as other readers of patches would take the rest for a date.
    let end = if path.as_os_str().as_bytes().contains(&b' ') { "\t" } else { "" };
    match before {
        Some(_) => line(patch, format_args!("--- {a}{end}")),
        None => line(patch, format_args!("--- /dev/null")),
    }
    match after {
        Some(_) => line(patch, format_args!("+++ {b}{end}")),
        None => line(patch, format_args!("+++ /dev/null")),
    }
    hunks(patch, before_text, after_text);
    Ok(())
}

/// The content as text; nothing where it is none, by git's rule (a NUL byte) or as it is not UTF-8.
fn text(content: Option<&[u8]>) -> Option<&str> {
    std::str::from_utf8(content.unwrap_or_default()).ok().filter(|text| !text.contains('\0'))
}

fn hunks(patch: &mut String, old: &str, new: &str) {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.split_inclusive('\n').collect(), new.split_inclusive('\n').collect());
    let changes = similar::capture_diff_slices(Algorithm::Myers, &old, &new);
    for hunk in similar::group_diff_ops(changes, CONTEXT) {
        let (Some(first), Some(last)) = (hunk.first(), hunk.last()) else { continue };
        let old_range = range(first.old_range().start, last.old_range().end);
        let new_range = range(first.new_range().start, last.new_range().end);
        line(patch, format_args!("@@ -{old_range} +{new_range} @@"));
        for change in &hunk {
            lines(patch, change, &old, &new);
        }
    }
}

fn lines(patch: &mut String, change: &DiffOp, old: &[&str], new: &[&str]) {
    let before = old.get(change.old_range()).unwrap_or_default();
    let after = new.get(change.new_range()).unwrap_or_default();
    let equal = change.tag() == DiffTag::Equal;
    let removed = before.iter().map(|text| (if equal { ' ' } else { '-' }, text));
    let added = after.iter().filter(|_| !equal).map(|text| ('+', text));
    for (sign, text) in removed.chain(added) {
        patch.push(sign);
        patch.push_str(text);
        if !text.ends_with('\n') {
            patch.push_str("\n\\ No newline at end of file\n");
        }
    }
}

/// A hunk's lines in the notation of its header: the first one's number and how many, which is left out if it is 1. An
/// empty range names the line before it.
fn range(start: usize, end: usize) -> String {
    match end.saturating_sub(start) {
        0 => format!("{start},0"),
        1 => (start + 1).to_string(),
        count => format!("{},{count}", start + 1),
    }
}

/// A path in git's notation: as it is, or in quotes with escapes where it has quotes, backslashes, control characters
/// or bytes that are not UTF-8.
fn name(prefix: &str, path: &Path) -> String {
    let bytes = path.as_os_str().as_bytes();
    let plain = |text: &&str| !text.chars().any(|c| c == '"' || c == '\\' || c.is_control());
    if let Some(text) = std::str::from_utf8(bytes).ok().filter(plain) {
        return format!("{prefix}{text}");
    }
    let mut quoted = format!("\"{prefix}");
    for &byte in bytes {
        match byte {
            b'"' | b'\\' => quoted.extend(['\\', char::from(byte)]),
            b' '..=b'~' => quoted.push(char::from(byte)),
            _ => quoted.push_str(&format!("\\{byte:03o}")),
        }
    }
    quoted.push('"');
    quoted
}

fn line(patch: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = writeln!(patch, "{text}");
}
