//! Bytes of one row at a time, out of a stream that may be larger than memory.

use std::io::{self, BufRead, ErrorKind};

/// Bytes of one row, as far as they are wanted.
#[derive(Debug, Default)]
pub(crate) struct Piece {
    /// The bytes; empty if there were more than the limit.
    pub(crate) text: Vec<u8>,
    /// How many bytes were read, what ended the piece included.
    pub(crate) bytes: u64,
    /// How many newlines were read.
    pub(crate) newlines: u64,
    /// What ended it; `None` at the end of the stream.
    pub(crate) end: Option<u8>,
    /// Whether there were more bytes than the limit.
    pub(crate) too_long: bool,
}

/// Reads up to and with the next newline. At most `limit` bytes are kept, however long the line is.
pub(crate) fn line(reader: &mut impl BufRead, limit: usize) -> io::Result<Piece> {
    piece(reader, limit, |byte| byte == b'\n')
}

/// Reads up to and with what follows one element of a JSON list: a comma, or the list's closing bracket.
///
/// Only strings and brackets are looked at. Whether the element is JSON is for its parser to say.
pub(super) fn element(reader: &mut impl BufRead, limit: usize) -> io::Result<Piece> {
    let (mut depth, mut in_string, mut escaped) = (0_u64, false, false);
    piece(reader, limit, |byte| {
        if in_string {
            let closes = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            in_string = !closes;
            return false;
        }
        match byte {
            b'"' => in_string = true,
            b'{' | b'[' => depth += 1,
            b',' | b']' if depth == 0 => return true,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        false
    })
}

/// Skips white space and returns the byte that follows, which stays in the stream, and what was skipped.
pub(super) fn blank(reader: &mut impl BufRead) -> io::Result<(Option<u8>, Piece)> {
    let mut skipped = Piece::default();
    loop {
        let available = fill(reader)?;
        let blank = available.iter().take_while(|byte| byte.is_ascii_whitespace());
        let (count, newlines) =
            blank.fold((0, 0), |(count, newlines), byte| (count + 1, newlines + u64::from(*byte == b'\n')));
        let next = available.get(count).copied();
        reader.consume(count);
        skipped.bytes += count as u64;
        skipped.newlines += newlines;
        if next.is_some() || count == 0 {
            return Ok((next, skipped));
        }
    }
}

/// Skips UTF-8's byte order mark if the stream begins with it, and says how many bytes it had.
pub(super) fn byte_order_mark(reader: &mut impl BufRead) -> io::Result<u64> {
    const MARK: [u8; 3] = [0xef, 0xbb, 0xbf];
    let mut skipped = 0;
    for byte in MARK {
        match fill(reader)?.first() {
            Some(found) if *found == byte => reader.consume(1),
            _ if skipped == 0 => break,
            _ => return Err(io::Error::new(ErrorKind::InvalidData, "the byte order mark is not that of UTF-8")),
        }
        skipped += 1;
    }
    Ok(skipped)
}

fn piece(reader: &mut impl BufRead, limit: usize, mut ends: impl FnMut(u8) -> bool) -> io::Result<Piece> {
    let mut piece = Piece::default();
    loop {
        let available = fill(reader)?;
        if available.is_empty() {
            return Ok(piece);
        }
        let end = available.iter().position(|byte| ends(*byte));
        let content = available.get(..end.unwrap_or(available.len())).unwrap_or_default();
        let taken = content.len() + usize::from(end.is_some());
        piece.end = end.and_then(|end| available.get(end)).copied();
        piece.bytes += taken as u64;
        piece.newlines += available.iter().take(taken).filter(|byte| **byte == b'\n').count() as u64;
        if piece.too_long || content.len() > limit - piece.text.len() {
            piece.too_long = true;
            piece.text = Vec::new();
        } else {
            piece.text.extend_from_slice(content);
        }
        reader.consume(taken);
        if end.is_some() {
            return Ok(piece);
        }
    }
}

/// The bytes at hand; none at the end of the stream.
fn fill(reader: &mut impl BufRead) -> io::Result<&[u8]> {
    while let Err(error) = reader.fill_buf() {
        if error.kind() != ErrorKind::Interrupted {
            return Err(error);
        }
    }
    reader.fill_buf()
}
