//! What a model sees of files and directories.

use std::fs;
use std::io;
use std::path::Path;

use entropo_agent::ToolError;

use super::{failed, text};
use crate::paths::Located;

/// Bytes shown at once.
const MAX_SHOWN: usize = 32 << 10;
/// Directory entries shown at once.
const MAX_ENTRIES: usize = 200;
/// How deep a directory is shown.
const DEPTH: usize = 2;

/// The lines of a file in a range, each as its number, a tab and the line.
pub(super) fn file(place: &Located, content: &str, range: Option<[i64; 2]>) -> Result<String, ToolError> {
    if content.is_empty() {
        return Ok(format!("{} is empty.", place.shown));
    }
    let ending = if text::has_crlf(content) { "\r\n" } else { "\n" };
    let count = content.split_inclusive('\n').count();
    let (first, last) = bounds(&place.shown, range, count)?;
    let mut shown = String::new();
    let lines = content.split_inclusive('\n').zip(1..).skip(first - 1).take(last + 1 - first);
    for (line, number) in lines {
        let separator = if shown.is_empty() { "" } else { "\n" };
        let line = line.strip_suffix(ending).unwrap_or(line);
        shown.push_str(&format!("{separator}{number}\t{line}"));
    }
    if shown.len() <= MAX_SHOWN {
        return Ok(shown);
    }
    let advice = if range.is_none() { "use search, or give a view_range" } else { "give a smaller view_range" };
    let reason = format!("{} is too long to show: {count} lines, {} bytes; {advice}.", place.shown, content.len());
    Err(ToolError::new(reason))
}

/// The first and last line to show, counted from 1; a last line beyond the end means the end.
fn bounds(name: &str, range: Option<[i64; 2]>, count: usize) -> Result<(usize, usize), ToolError> {
    let Some([first, last]) = range else { return Ok((1, count)) };
    let end = if last == -1 { Ok(count) } else { usize::try_from(last) };
    match (usize::try_from(first), end) {
        (Ok(first), Ok(_)) if first > count => {
            Err(ToolError::new(format!("view_range begins at line {first}, but {name} has {count} lines.")))
        }
        (Ok(first), Ok(last)) if first >= 1 && first <= last => Ok((first, last.min(count))),
        _ => Err(ToolError::new("view_range must be [first, last] with 1 <= first <= last, or last = -1 for the end.")),
    }
}

/// The entries of a directory two levels deep, one a line, sorted; directories end with a slash, hidden ones are left
/// out.
pub(super) fn directory(place: &Located) -> Result<String, ToolError> {
    let prefix = if place.shown == "." { String::new() } else { format!("{}/", place.shown) };
    let mut entries = Vec::new();
    list(&place.real, &prefix, DEPTH, &mut entries).map_err(|error| failed(place, &error))?;
    if entries.is_empty() {
        return Ok(format!("{} is empty.", place.shown));
    }
    entries.sort_unstable();
    let more = entries.len().saturating_sub(MAX_ENTRIES);
    entries.truncate(MAX_ENTRIES);
    if more > 0 {
        entries.push(format!("[{more} more; view a directory below]"));
    }
    Ok(entries.join("\n"))
}

fn list(directory: &Path, prefix: &str, depth: usize, entries: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with('.') {
            continue;
        }
        if !entry.file_type()?.is_dir() {
            entries.push(format!("{prefix}{name}"));
            continue;
        }
        let prefix = format!("{prefix}{name}/");
        if depth > 1 {
            list(&entry.path(), &prefix, depth - 1, entries)?;
        }
        entries.push(prefix);
    }
    Ok(())
}
