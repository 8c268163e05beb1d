//! A command's output in bounded memory.
//!
//! Failures are mostly explained at the beginning or at the end of what a command prints, so these are kept and the
//! middle is left out. The whole goes to a file, which is made only once there is something to leave out: most commands
//! print little, and thousands are run.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How much of a command's output is kept, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputLimit {
    /// From its beginning.
    pub head: usize,
    /// From its end.
    pub tail: usize,
    /// In the file that takes the whole when it is longer than `head + tail`; 0 for no file.
    pub spill: u64,
}

impl Default for OutputLimit {
    /// 8 KiB of the beginning, 8 KiB of the end, 16 MiB in the file.
    fn default() -> Self {
        Self { head: 8 << 10, tail: 8 << 10, spill: 16 << 20 }
    }
}

/// What a command printed, its standard output and error in the order in which they were written. Bytes that are not
/// UTF-8 are replaced by `U+FFFD`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// All of it, or its beginning where some was left out.
    pub head: String,
    /// Its end where some was left out, else empty.
    pub tail: String,
    /// How many bytes were left out between `head` and `tail`.
    pub left_out: u64,
    /// The file with the whole, where some was left out and a file could be made.
    pub full_output: Option<Spill>,
}

/// The file with the whole output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spill {
    /// The file, in the directory that commands know as `TMPDIR`.
    pub path: PathBuf,
    /// Whether it holds everything; else it holds the first [`OutputLimit::spill`] bytes.
    pub complete: bool,
}

impl OutputLimit {
    /// So many bytes, half of them from the beginning and half from the end, and no file.
    pub fn halves(bytes: usize) -> Self {
        let half = (bytes / 2).saturating_sub(1);
        Self { head: half, tail: half, spill: 0 }
    }
}

impl Output {
    /// All that is kept, with a line's end where some was left out.
    pub fn into_text(self) -> String {
        let mut text = self.head;
        if self.left_out > 0 {
            text.push('\n');
            text.push_str(&self.tail);
        }
        text
    }

    /// Whether some was left out.
    pub fn is_truncated(&self) -> bool {
        self.left_out > 0
    }
}

/// Where long outputs go: `output-1.txt`, `output-2.txt` and so on, numbered so that a replay gives the same names.
#[derive(Debug)]
pub struct SpillDirectory {
    path: PathBuf,
    made: AtomicU64,
}

impl SpillDirectory {
    /// An existing directory without such files.
    pub fn new(path: PathBuf) -> Self {
        Self { path, made: AtomicU64::new(0) }
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the next file. The commands can write to this directory too, so an existing file, or a link laid in its
    /// place, is left alone.
    fn create(&self, room: u64) -> Option<SpillFile> {
        let number = self.made.fetch_add(1, Ordering::Relaxed) + 1;
        let path = self.path.join(format!("output-{number}.txt"));
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(file) => Some(SpillFile { file, path, room, complete: true }),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "no file for a long output");
                None
            }
        }
    }
}

/// Takes a command's output piece by piece.
pub struct Capture {
    limit: OutputLimit,
    head: Vec<u8>,
    tail: VecDeque<u8>,
    total: u64,
    directory: Option<Arc<SpillDirectory>>,
    spill: Option<SpillFile>,
}

struct SpillFile {
    file: File,
    path: PathBuf,
    room: u64,
    complete: bool,
}

impl Capture {
    /// An empty capture that would spill into a new file of `directory`, if there is one.
    pub fn new(limit: OutputLimit, directory: Option<Arc<SpillDirectory>>) -> Self {
        Self { limit, head: Vec::new(), tail: VecDeque::new(), total: 0, directory, spill: None }
    }

    /// Takes the next piece.
    pub fn push(&mut self, piece: &[u8]) {
        let kept = (self.limit.head + self.limit.tail) as u64;
        let overflows = self.total + piece.len() as u64 > kept;
        if overflows && self.total <= kept {
            self.open_spill();
        }
        self.total += piece.len() as u64;
        if let Some(spill) = &mut self.spill {
            spill.write(piece);
        }
        let (head, rest) = piece.split_at(piece.len().min(self.limit.head - self.head.len()));
        self.head.extend_from_slice(head);
        let (_, rest) = rest.split_at(rest.len().saturating_sub(self.limit.tail));
        let excess = (self.tail.len() + rest.len()).saturating_sub(self.limit.tail);
        self.tail.drain(..excess);
        self.tail.extend(rest);
    }

    fn open_spill(&mut self) {
        if self.limit.spill > 0
            && let Some(mut spill) = self.directory.as_ref().and_then(|directory| directory.create(self.limit.spill))
        {
            spill.write(&self.head);
            spill.write(self.tail.make_contiguous());
            self.spill = Some(spill);
        }
    }

    /// What was captured.
    pub fn finish(mut self) -> Output {
        let kept = (self.head.len() + self.tail.len()) as u64;
        if self.total <= kept {
            self.head.extend(self.tail);
            return Output { head: lossy(&self.head), ..Output::default() };
        }
        let tail: &[u8] = self.tail.make_contiguous();
        let (head, tail) = (without_cut_end(&self.head), without_cut_start(tail));
        Output {
            head: lossy(head),
            tail: lossy(tail),
            left_out: self.total - (head.len() + tail.len()) as u64,
            full_output: self.spill.map(|spill| Spill { path: spill.path, complete: spill.complete }),
        }
    }
}

impl SpillFile {
    fn write(&mut self, piece: &[u8]) {
        let fits = piece.len().min(usize::try_from(self.room).unwrap_or(usize::MAX));
        let (piece, rest) = piece.split_at(fits);
        let written = self.file.write_all(piece);
        self.complete &= rest.is_empty() && written.is_ok();
        self.room = if written.is_ok() { self.room - fits as u64 } else { 0 };
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Leaves out the beginning of a character whose end was cut off.
fn without_cut_end(bytes: &[u8]) -> &[u8] {
    match bytes.utf8_chunks().last() {
        Some(chunk) if is_cut(chunk.invalid()) => bytes.split_at(bytes.len() - chunk.invalid().len()).0,
        _ => bytes,
    }
}

/// Whether these bytes begin a character that more bytes could complete.
fn is_cut(bytes: &[u8]) -> bool {
    !bytes.is_empty() && matches!(std::str::from_utf8(bytes), Err(error) if error.error_len().is_none())
}

/// Leaves out the end of a character whose beginning was cut off: at most three continuation bytes.
fn without_cut_start(bytes: &[u8]) -> &[u8] {
    let cut = bytes.iter().take(3).take_while(|byte| **byte & 0b1100_0000 == 0b1000_0000).count();
    bytes.split_at(cut).1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn capture(limit: OutputLimit, pieces: &[&[u8]]) -> (Output, Option<Vec<u8>>) {
        let directory = tempfile::tempdir().unwrap();
        let spills = SpillDirectory::new(directory.path().to_path_buf());
        let mut capture = Capture::new(limit, Some(Arc::new(spills)));
        pieces.iter().for_each(|piece| capture.push(piece));
        let output = capture.finish();
        let file = output.full_output.as_ref().map(|spill| std::fs::read(&spill.path).unwrap());
        (output, file)
    }

    const SMALL: OutputLimit = OutputLimit { head: 4, tail: 3, spill: 100 };

    #[test]
    fn what_fits_is_kept_whole_and_makes_no_file() {
        for pieces in [&[b"abcdefg".as_slice()][..], &[b"ab", b"cdef", b"g"], &[b"", b"abcd", b"efg"]] {
            let (output, file) = capture(SMALL, pieces);
            assert_eq!((output.head.as_str(), output.is_truncated(), file), ("abcdefg", false, None));
        }
    }

    #[test]
    fn of_more_the_ends_are_kept_and_the_whole_is_in_the_file() {
        for pieces in [&[b"abcdefghij".as_slice()][..], &[b"ab", b"cdefgh", b"ij"], &[b"abcdefg", b"h", b"ij"]] {
            let (output, file) = capture(SMALL, pieces);
            assert_eq!((output.head.as_str(), output.tail.as_str(), output.left_out), ("abcd", "hij", 3));
            assert_eq!(file.unwrap(), b"abcdefghij");
            assert!(output.full_output.unwrap().complete);
        }
    }

    #[test]
    fn the_file_is_bounded_and_says_so() {
        let (output, file) = capture(OutputLimit { spill: 8, ..SMALL }, &[b"abcdef", b"ghijk", b"lm"]);
        assert_eq!(file.unwrap(), b"abcdefgh");
        assert!(!output.full_output.unwrap().complete);
    }

    #[test]
    fn a_character_is_not_cut_in_two() {
        let (output, _) = capture(SMALL, &["abc€defg€".as_bytes()]);
        assert_eq!((output.head.as_str(), output.tail.as_str(), output.left_out), ("abc", "€", 7));
        let (output, _) = capture(SMALL, &["abcdefgh€€".as_bytes(), b"x"]);
        assert_eq!((output.tail.as_str(), output.left_out), ("x", 10));
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced() {
        let (output, _) = capture(SMALL, &[b"a\xffb"]);
        assert_eq!(output.head, "a\u{fffd}b");
    }

    #[test]
    fn what_is_kept_is_one_text_and_no_more_than_was_asked_for() {
        let text = |printed: &[u8]| {
            let mut capture = Capture::new(OutputLimit::halves(8), None);
            capture.push(printed);
            capture.finish().into_text()
        };
        assert_eq!(text(b"abcdef"), "abcdef");
        assert_eq!(text(b"abcdefghijk"), "abc\nijk");
        assert_eq!(OutputLimit::halves(1), OutputLimit { head: 0, tail: 0, spill: 0 });
    }
}
