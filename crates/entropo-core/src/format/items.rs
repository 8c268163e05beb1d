//! Files of rows, read and written one row at a time.

use std::io::{self, BufRead, Read, Write};

use serde_json::Value;

use super::{LineError, Lines, RowError, strict};

/// Streams the rows of a file through a reader of one row, with the line in every error.
///
/// ```
/// use entropo_core::format::{Items, swe_bench::Prediction};
///
/// let file = r#"{"instance_id": "a__b-1", "model_name_or_path": "m", "model_patch": 7}"#;
/// let error = Items::new(file.as_bytes(), Prediction::read).next().unwrap().unwrap_err();
/// assert!(error.to_string().starts_with("line 1: model_patch does not fit"));
/// ```
#[derive(Debug)]
pub struct Items<R, F> {
    lines: Lines<R>,
    read: F,
}

/// Why a row of a file is not what it should be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ItemError {
    /// The row cannot be read.
    #[error(transparent)]
    Line(#[from] LineError),
    /// The row is read, and is something else.
    #[error("line {line}: {problem}")]
    Row {
        /// The line on which the row begins, counted from 1.
        line: u64,
        /// What is wrong, and where in the row.
        problem: RowError,
    },
}

impl<R: BufRead, T, F: FnMut(&Value) -> Result<T, RowError>> Items<R, F> {
    /// The rows of `reader`, JSON Lines or one JSON list, each as `read` reads it.
    pub fn new(reader: R, read: F) -> Self {
        Self::of(Lines::new(reader), read)
    }

    /// The rows of `lines`, each as `read` reads it.
    pub fn of(lines: Lines<R>, read: F) -> Self {
        Self { lines, read }
    }
}

impl<R: BufRead, T, F: FnMut(&Value) -> Result<T, RowError>> Iterator for Items<R, F> {
    type Item = Result<T, ItemError>;

    fn next(&mut self) -> Option<Self::Item> {
        let line = self.lines.next()?;
        Some(
            line.value
                .map_err(ItemError::Line)
                .and_then(|value| (self.read)(&value).map_err(|problem| ItemError::Row { line: line.number, problem })),
        )
    }
}

/// Writes rows one at a time, as JSON Lines or as one JSON list.
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
    list: bool,
    rows: u64,
}

impl<W: Write> Writer<W> {
    /// A line for each row.
    pub fn lines(out: W) -> Self {
        Self { out, list: false, rows: 0 }
    }

    /// One list, its rows on lines of their own. It is whole only once it is [finished](Self::finish).
    pub fn list(out: W) -> Self {
        Self { out, list: true, rows: 0 }
    }

    /// Writes a row.
    ///
    /// # Errors
    /// Those of the stream.
    pub fn write(&mut self, row: &Value) -> io::Result<()> {
        let before = match (self.list, self.rows) {
            (false, _) => "",
            (true, 0) => "[\n",
            (true, _) => ",\n",
        };
        let after = if self.list { "" } else { "\n" };
        write!(self.out, "{before}{row}{after}")?;
        self.rows += 1;
        Ok(())
    }

    /// Closes the list, if it is one, flushes the stream and gives it back.
    ///
    /// # Errors
    /// Those of the stream.
    pub fn finish(mut self) -> io::Result<W> {
        match (self.list, self.rows) {
            (false, _) => {}
            (true, 0) => self.out.write_all(b"[]\n")?,
            (true, _) => self.out.write_all(b"\n]\n")?,
        }
        self.out.flush()?;
        Ok(self.out)
    }
}

/// Why a file is not one JSON value.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DocumentError {
    /// The stream failed.
    #[error("the file cannot be read")]
    Io(#[from] io::Error),
    /// More bytes than are allowed.
    #[error("the file has more than {limit} bytes; raise the limit if it is to be trusted")]
    TooLong {
        /// The limit.
        limit: usize,
    },
    /// No JSON, or a key twice.
    #[error("the file is not one JSON value")]
    Json(#[source] serde_json::Error),
}

/// Reads a file that is one JSON value over several lines, such as a `.traj`, if it has at most `limit` bytes.
///
/// # Errors
/// [`DocumentError`].
pub fn document(reader: impl BufRead, limit: usize) -> Result<Value, DocumentError> {
    let mut text = Vec::new();
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    reader.take(most).read_to_end(&mut text)?;
    if text.len() > limit {
        return Err(DocumentError::TooLong { limit });
    }
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&text);
    strict::from_slice(text).map_err(DocumentError::Json)
}
