//! The matching lines of files.
//!
//! A file is read through a buffer and never whole. What it holds before a NUL byte does not count, so that a binary
//! file shows nothing, and a file with a line that does not fit the buffer is left out.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use grep_regex::RegexMatcher;
use grep_searcher::{BinaryDetection, Searcher, SearcherBuilder, Sink, SinkFinish, SinkMatch};
use tokio_util::sync::CancellationToken;

use super::first::{First, Want};
use super::glob::Pattern;
use super::opener::Opener;
use super::shown;
use super::walk::{Visitor, Walk};

/// Lines or files shown at most.
pub(super) const MAX_LINES: usize = 100;
/// Characters of a line shown at most.
const MAX_CHARS: usize = 200;
/// Memory for one line, in bytes; files with longer lines are left out.
const HEAP_LIMIT: usize = 16 << 20;

/// What is searched, and for what.
pub(super) struct Scan<'a> {
    pub(super) matcher: RegexMatcher,
    pub(super) walk: Walk<'a>,
    /// Only files of this name.
    pub(super) pattern: Option<Pattern>,
    /// Files with the number of their lines, in place of the lines.
    pub(super) files_only: bool,
}

/// What was found.
#[derive(Debug)]
pub(super) struct Found {
    first: First<OsString>,
    /// Files with a line that is too long.
    left_out: usize,
}

impl Found {
    /// What is printed: the lines, or that there are none.
    pub(super) fn show(self, query: &str, things: &str, advice: &str) -> String {
        let is_complete = !self.first.is_open();
        let mut lines = self.first.show(things, advice);
        if lines.is_empty() {
            lines.push(format!("No match for \"{query}\"."));
        }
        // Where the search ended early it is a matter of luck which files were looked at.
        if self.left_out > 0 && is_complete {
            let files = if self.left_out == 1 { "file" } else { "files" };
            lines.push(format!("[{} {files} left out: a line is longer than {HEAP_LIMIT} bytes]", self.left_out));
        }
        lines.join("\n")
    }
}

impl Scan<'_> {
    /// Searches all files.
    pub(super) fn run(&self, cancel: &CancellationToken) -> Found {
        let first = Mutex::new(First::new(MAX_LINES));
        let left_out = AtomicUsize::new(0);
        let start = self.walk.place.real.strip_prefix(self.walk.root.path()).unwrap_or(Path::new(""));
        self.walk.run(cancel, || Scanner {
            searcher: SearcherBuilder::new()
                .binary_detection(BinaryDetection::quit(b'\0'))
                .heap_limit(Some(HEAP_LIMIT))
                .line_number(!self.files_only)
                .build(),
            matcher: self.matcher.clone(),
            scan: self,
            opener: Opener::new(self.walk.root),
            start,
            first: &first,
            left_out: &left_out,
            cancel,
        });
        Found { first: first.into_inner().unwrap_or_else(PoisonError::into_inner), left_out: left_out.into_inner() }
    }
}

/// One thread's part in a search.
struct Scanner<'a> {
    searcher: Searcher,
    matcher: RegexMatcher,
    scan: &'a Scan<'a>,
    opener: Opener<'a>,
    /// Where the search starts, relative to the workspace.
    start: &'a Path,
    first: &'a Mutex<First<OsString>>,
    left_out: &'a AtomicUsize,
    cancel: &'a CancellationToken,
}

impl Scanner<'_> {
    fn first(&self) -> MutexGuard<'_, First<OsString>> {
        self.first.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Visitor for Scanner<'_> {
    fn file(&mut self, path: &Path, name: &OsStr) {
        if self.scan.pattern.as_ref().is_some_and(|pattern| !pattern.matches(self.start, Path::new(name))) {
            return;
        }
        let want = self.first().want(name);
        if want == Want::Nothing {
            return;
        }
        let room = if want == Want::Items && !self.scan.files_only { MAX_LINES } else { 0 };
        let mut lines = Lines { name, room, lines: Vec::new(), number: 0, is_binary: false };
        let searched = self.opener.open(path).and_then(|file| {
            let reader = Cancellable { file, cancel: self.cancel };
            self.searcher.search_reader(&self.matcher, reader, &mut lines)
        });
        match searched {
            Ok(()) if lines.is_binary || lines.number == 0 => {}
            Ok(()) if self.scan.files_only => {
                let line = format!("{}:{}", shown(&name.to_string_lossy()), lines.number);
                self.first().add(name.to_owned(), vec![line], 1);
            }
            Ok(()) => self.first().add(name.to_owned(), lines.lines, lines.number),
            Err(error) => {
                if is_too_long(&error) {
                    self.left_out.fetch_add(1, Ordering::Relaxed);
                }
                tracing::debug!(path = %path.display(), %error, "left out of a search");
            }
        }
    }

    fn skips(&mut self, name: &OsStr) -> bool {
        self.first().want(name) == Want::Nothing
    }
}

/// The searcher has no type of its own for a line that does not fit its buffer.
fn is_too_long(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Other && error.to_string().contains("allocation limit")
}

/// A file that can be read until the call is cancelled.
struct Cancellable<'a> {
    file: File,
    cancel: &'a CancellationToken,
}

impl Read for Cancellable<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.cancel.is_cancelled() { Err(io::Error::other("cancelled")) } else { self.file.read(buffer) }
    }
}

/// The matching lines of one file.
struct Lines<'a> {
    name: &'a OsStr,
    /// How many are kept.
    room: usize,
    lines: Vec<String>,
    number: usize,
    is_binary: bool,
}

impl Sink for Lines<'_> {
    type Error = io::Error;

    fn matched(&mut self, _: &Searcher, found: &SinkMatch<'_>) -> io::Result<bool> {
        for (line, number) in found.lines().zip(found.line_number().unwrap_or_default()..) {
            self.number += 1;
            if self.lines.len() < self.room {
                self.lines.push(format!("{}:{number}:{}", shown(&self.name.to_string_lossy()), cut(line)));
            }
        }
        Ok(true)
    }

    fn finish(&mut self, _: &Searcher, end: &SinkFinish) -> io::Result<()> {
        self.is_binary = end.binary_byte_offset().is_some();
        Ok(())
    }
}

/// A line as it is shown.
fn cut(line: &[u8]) -> String {
    let end = line.iter().rposition(|byte| !matches!(byte, b'\n' | b'\r')).map_or(0, |last| last + 1);
    // A character takes four bytes at most; one that is cut here comes after those that are shown.
    let line = line.get(..end.min(4 * (MAX_CHARS + 2))).unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    match line.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line.into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What [`cut`] does, without its shortcut.
    fn cut_slowly(line: &[u8]) -> String {
        let line = String::from_utf8_lossy(line);
        let line = line.trim_end_matches(['\n', '\r']);
        let shown: String = line.chars().take(MAX_CHARS).collect();
        if shown.len() < line.len() { format!("{shown}…") } else { shown }
    }

    proptest! {
        #[test]
        fn a_line_is_cut_after_so_many_characters(
            pieces in proptest::collection::vec("[a\u{e9}\u{20ac}\u{1f600}\r\n]{1,60}", 0..20),
            broken in proptest::collection::vec(any::<u8>(), 0..8),
        ) {
            let mut line = broken;
            line.extend(pieces.concat().bytes());
            prop_assert_eq!(cut(&line), cut_slowly(&line));
        }
    }
}
