//! The rows of a file, one after another.

use std::io::{self, BufRead};

use serde_json::Value;

use super::{scan, strict};

/// The most bytes of a row unless [`Lines::with_limit`] says otherwise: 64 MiB.
pub const ROW_BYTES: usize = 64 << 20;

/// Streams the rows of JSON Lines, or of one JSON list, which is recognised by its opening bracket.
///
/// Only one row is in memory. A byte order mark, CRLF and blank lines are passed over. A key that is twice in an object
/// makes its row an error. A row that cannot be read is an item like others, and the next one follows; only if the
/// stream itself fails or ends within a list do the items end early, with that error as the last one.
#[derive(Debug)]
pub struct Lines<R> {
    reader: R,
    limit: usize,
    state: State,
    offset: u64,
    newlines: u64,
}

/// One row of a file and where it is.
#[derive(Debug)]
pub struct Line {
    /// The line on which it begins, counted from 1.
    pub number: u64,
    /// Where it begins, in bytes from the beginning of the stream.
    pub offset: u64,
    /// Its bytes, without what separates it from the next.
    pub length: u64,
    /// The row.
    pub value: Result<Value, LineError>,
}

/// Why a row of a file cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LineError {
    /// The stream failed; nothing follows.
    #[error("line {line} cannot be read")]
    Io {
        /// The line, counted from 1.
        line: u64,
        /// What the system said.
        source: io::Error,
    },
    /// A row that is not JSON, or has a key twice.
    #[error("line {line} is not a JSON value; a row is one line, or one item of a list")]
    Json {
        /// The line on which the row begins, counted from 1.
        line: u64,
        /// Where in the row, and why. Its own line numbers count from the row.
        source: serde_json::Error,
    },
    /// A row with more bytes than are allowed.
    #[error("line {line} has a row of {bytes} bytes; at most {limit} are read, see `Lines::with_limit`")]
    TooLong {
        /// The line on which the row begins, counted from 1.
        line: u64,
        /// Its bytes.
        bytes: u64,
        /// The limit in bytes.
        limit: usize,
    },
    /// A list that does not end; nothing follows.
    #[error("the list ends on line {line} without its closing bracket; the file is cut off")]
    Unfinished {
        /// The last line, counted from 1.
        line: u64,
    },
    /// Something after a list; nothing follows.
    #[error("line {line} goes on after the list's closing bracket; one list a file")]
    Trailing {
        /// The line, counted from 1.
        line: u64,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Start,
    Lines,
    /// In a list; whether an element has to follow, because there was a comma.
    List {
        after_comma: bool,
    },
    /// After the list.
    Closed,
    Done,
}

impl<R: BufRead> Lines<R> {
    /// Rows of `reader` with at most [`ROW_BYTES`] bytes each.
    pub fn new(reader: R) -> Self {
        Self { reader, limit: ROW_BYTES, state: State::Start, offset: 0, newlines: 0 }
    }

    /// Sets how many bytes a row may have.
    #[must_use]
    pub fn with_limit(mut self, bytes: usize) -> Self {
        self.limit = bytes;
        self
    }

    fn advance(&mut self) -> io::Result<Option<Line>> {
        loop {
            match self.state {
                State::Start => self.start()?,
                State::Lines => {
                    let Some(line) = self.line()? else { continue };
                    return Ok(Some(line));
                }
                State::List { after_comma } => {
                    let Some(line) = self.element(after_comma)? else { continue };
                    return Ok(Some(line));
                }
                State::Closed => {
                    self.state = State::Done;
                    if self.skip_blank()?.is_some() {
                        return Ok(Some(self.last(LineError::Trailing { line: self.newlines + 1 })));
                    }
                }
                State::Done => return Ok(None),
            }
        }
    }

    /// Finds out whether there is a list.
    fn start(&mut self) -> io::Result<()> {
        self.skip_byte_order_mark()?;
        if self.skip_blank()? == Some(b'[') {
            self.reader.consume(1);
            self.offset += 1;
            self.state = State::List { after_comma: false };
        } else {
            self.state = State::Lines;
        }
        Ok(())
    }

    /// Reads a line; none if it is blank.
    fn line(&mut self) -> io::Result<Option<Line>> {
        let (number, offset) = (self.newlines + 1, self.offset);
        let piece = scan::line(&mut self.reader, self.limit)?;
        if piece.end.is_none() {
            self.state = State::Done;
        }
        Ok(self.row(piece, number, offset))
    }

    /// Reads an element of a list; none if the list is closed.
    fn element(&mut self, after_comma: bool) -> io::Result<Option<Line>> {
        let next = self.skip_blank()?;
        if next == Some(b']') && !after_comma {
            self.reader.consume(1);
            self.offset += 1;
            self.state = State::Closed;
            return Ok(None);
        }
        let (number, offset) = (self.newlines + 1, self.offset);
        let piece = scan::element(&mut self.reader, self.limit)?;
        self.state = match piece.end {
            Some(b',') => State::List { after_comma: true },
            Some(_) => State::Closed,
            None => State::Done,
        };
        if piece.end.is_none() {
            self.newlines += piece.newlines;
            return Ok(Some(self.last(LineError::Unfinished { line: self.newlines + 1 })));
        }
        if piece.text.is_empty() && !piece.too_long {
            // two commas, or one before the bracket: an item that is not there
            let value = strict::from_slice(b"").map_err(|source| LineError::Json { line: number, source });
            self.offset += piece.bytes;
            return Ok(Some(Line { number, offset, length: 0, value }));
        }
        Ok(self.row(piece, number, offset))
    }

    /// Makes a row of what was read; none if there is only white space.
    fn row(&mut self, piece: scan::Piece, number: u64, offset: u64) -> Option<Line> {
        self.offset += piece.bytes;
        self.newlines += piece.newlines;
        let ending = u64::from(piece.end.is_some());
        if piece.too_long {
            let length = piece.bytes - ending;
            let error = LineError::TooLong { line: number, bytes: length, limit: self.limit };
            return Some(Line { number, offset, length, value: Err(error) });
        }
        let text = piece.text.trim_ascii_end();
        if text.trim_ascii_start().is_empty() {
            return None;
        }
        let value = strict::from_slice(text).map_err(|source| LineError::Json { line: number, source });
        Some(Line { number, offset, length: text.len() as u64, value })
    }

    /// An error after which nothing follows.
    fn last(&mut self, error: LineError) -> Line {
        self.state = State::Done;
        Line { number: self.newlines + 1, offset: self.offset, length: 0, value: Err(error) }
    }

    fn skip_blank(&mut self) -> io::Result<Option<u8>> {
        let (next, skipped) = scan::blank(&mut self.reader)?;
        self.offset += skipped.bytes;
        self.newlines += skipped.newlines;
        Ok(next)
    }

    fn skip_byte_order_mark(&mut self) -> io::Result<()> {
        let skipped = scan::byte_order_mark(&mut self.reader)?;
        self.offset += skipped;
        Ok(())
    }
}

impl<R: BufRead> Iterator for Lines<R> {
    type Item = Line;

    fn next(&mut self) -> Option<Line> {
        let line = self.newlines + 1;
        self.advance().unwrap_or_else(|source| Some(self.last(LineError::Io { line, source })))
    }
}
