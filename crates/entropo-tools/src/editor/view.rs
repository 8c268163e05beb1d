//! What a model sees of files and directories.

use std::collections::BinaryHeap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};

use super::text;
use crate::files::failed;
use crate::paths::Located;

/// Bytes shown at once.
const MAX_SHOWN: usize = 32 << 10;
/// Directory entries shown at once.
const MAX_ENTRIES: usize = 200;
/// How deep a directory is shown.
const DEPTH: usize = 2;

/// The lines of a file in a range, each as its number, a tab and the line.
pub(super) fn file(name: &str, content: &str, range: Option<[i64; 2]>) -> Result<String, String> {
    if content.is_empty() {
        return Ok(format!("{name} is empty."));
    }
    let count = text::lines(content);
    let (first, last) = bounds(name, range, count)?;
    let ending = if text::has_crlf(content) { "\r\n" } else { "\n" };
    let mut shown = String::new();
    for (line, number) in text::after(content, first - 1).split_inclusive('\n').zip(first..=last) {
        let separator = if shown.is_empty() { "" } else { "\n" };
        let line = line.strip_suffix(ending).unwrap_or(line);
        if shown.len() + line.len() > MAX_SHOWN {
            return Err(too_long(name, content, range, (number, line)));
        }
        shown.push_str(&format!("{separator}{number}\t{line}"));
    }
    let end = (last, "");
    if shown.len() <= MAX_SHOWN { Ok(shown) } else { Err(too_long(name, content, range, end)) }
}

/// What to do about a file or a range that is longer than what is shown at once, and ends to be at a line.
fn too_long(name: &str, content: &str, range: Option<[i64; 2]>, (number, line): (usize, &str)) -> String {
    let size = format!("{name} is too long to show: {} lines, {} bytes", text::lines(content), content.len());
    if line.len() > MAX_SHOWN {
        let longest = line.len();
        return format!("{size}; line {number} alone has {longest} bytes: use search, or view the lines beside it.");
    }
    let advice = if range.is_none() { "use search, or give a view_range" } else { "give a smaller view_range" };
    format!("{size}; {advice}.")
}

/// The first and last line to show, counted from 1; a last line beyond the end means the end.
fn bounds(name: &str, range: Option<[i64; 2]>, count: usize) -> Result<(usize, usize), String> {
    let Some([first, last]) = range else { return Ok((1, count)) };
    let end = if last == -1 { Ok(count) } else { usize::try_from(last) };
    match (usize::try_from(first), end) {
        (Ok(first), Ok(_)) if first > count => {
            Err(format!("view_range begins at line {first}, but {name} has {count} lines."))
        }
        (Ok(first), Ok(last)) if first >= 1 && first <= last => Ok((first, last.min(count))),
        _ => Err("view_range must be [first, last] with 1 <= first <= last, or last = -1 for the end.".to_owned()),
    }
}

/// The entries of a directory two levels deep, one a line, sorted; directories end with a slash, hidden ones are left
/// out.
pub(super) fn directory(place: &Located) -> Result<String, String> {
    let prefix = if place.shown == "." { String::new() } else { format!("{}/", place.shown) };
    let mut entries = Entries::default();
    let directory = open(&place.directory, &place.name);
    directory
        .and_then(|opened| list(&opened, &prefix, DEPTH, &mut entries))
        .map_err(|error| failed(&place.shown, &error))?;
    Ok(if entries.count == 0 { format!("{} is empty.", place.shown) } else { entries.show() })
}

/// The first entries in their order, of as many as there may be.
#[derive(Default)]
struct Entries {
    first: BinaryHeap<String>,
    count: usize,
}

impl Entries {
    fn add(&mut self, entry: String) {
        self.count += 1;
        self.first.push(entry);
        if self.first.len() > MAX_ENTRIES {
            self.first.pop();
        }
    }

    fn show(self) -> String {
        let mut lines = self.first.into_sorted_vec();
        match self.count - lines.len() {
            0 => {}
            more => lines.push(format!("[{more} more; view a directory below]")),
        }
        lines.join("\n")
    }
}

fn open(above: &OwnedFd, name: &OsStr) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(above, name, flags, Mode::empty())?)
}

fn list(directory: &OwnedFd, prefix: &str, depth: usize, entries: &mut Entries) -> io::Result<()> {
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = OsString::from_vec(entry.file_name().to_bytes().to_vec());
        let shown = name.to_string_lossy();
        if shown.starts_with('.') {
            continue;
        }
        let mut kind = entry.file_type();
        if kind == FileType::Unknown {
            let found = rustix::fs::statat(directory, &name, AtFlags::SYMLINK_NOFOLLOW);
            kind = found.map_or(FileType::Unknown, |found| FileType::from_raw_mode(found.st_mode));
        }
        if kind != FileType::Directory {
            entries.add(format!("{prefix}{shown}"));
            continue;
        }
        let prefix = format!("{prefix}{shown}/");
        if depth > 1 {
            // One that may not be read, or is gone by now, is named and not listed.
            if let Ok(below) = open(directory, &name) {
                list(&below, &prefix, depth - 1, entries)?;
            }
        }
        entries.add(prefix);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_entries_only_the_first_are_kept() {
        let mut entries = Entries::default();
        for number in (0..1000).rev() {
            entries.add(format!("{number:03}"));
            assert!(entries.first.len() <= MAX_ENTRIES);
        }
        let mut expected: Vec<String> = (0..200).map(|number| format!("{number:03}")).collect();
        expected.push("[800 more; view a directory below]".to_owned());
        assert_eq!(entries.show(), expected.join("\n"));
    }
}
