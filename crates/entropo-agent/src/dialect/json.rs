//! What dialects that write calls as JSON have in common.

use std::io;

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::ser::{Formatter, Serializer};

use super::FormatError;
use super::cursor::Cursor;

/// The call that comes next; `name` tells which of its texts is its name, which must not be empty.
pub(super) fn read<C: DeserializeOwned>(
    cursor: &mut Cursor<'_>,
    name: impl Fn(&C) -> &String,
) -> Result<C, FormatError> {
    let mut values = serde_json::Deserializer::from_str(cursor.rest()).into_iter::<C>();
    match values.next() {
        Some(Ok(call)) if !name(&call).trim().is_empty() => {
            cursor.skip(values.byte_offset());
            Ok(call)
        }
        Some(Ok(_)) => Err(cursor.error(format!("Line {}: the name is empty", cursor.line()))),
        Some(Err(error)) if error.line() > 0 && !cursor.rest().trim_start().is_empty() => {
            // serde_json ends its words in a place within the rest.
            let (words, line) = (error.to_string(), first_line(cursor) + error.line() - 1);
            let words = words.rsplit_once(" at line ").map_or(words.as_str(), |(words, _)| words);
            Err(cursor.error(format!("Line {line}: the call is not as it should be: {words}")))
        }
        Some(Err(_)) | None => Err(cursor.expected("{\"name\": ")),
    }
}

/// The line on which the rest begins, white space counted.
fn first_line(cursor: &Cursor<'_>) -> usize {
    let rest = cursor.rest();
    let blank = rest.len() - rest.trim_start().len();
    cursor.line() - rest.get(..blank).map_or(0, |blank| blank.matches('\n').count())
}

/// JSON on one line with a blank after each comma and colon.
pub(super) fn spaced(value: &Value) -> String {
    let mut written = Vec::new();
    let mut serializer = Serializer::with_formatter(&mut written, Spaced);
    match serde::Serialize::serialize(value, &mut serializer) {
        Ok(()) => String::from_utf8(written).unwrap_or_else(|_| value.to_string()),
        Err(_) => value.to_string(),
    }
}

struct Spaced;

impl Formatter for Spaced {
    fn begin_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }
}
