//! Server-sent events, as the HTML standard reads them.
//!
//! Written here because a server is not trusted: the reader that others use (eventsource-stream 0.2) panics on a byte
//! order mark, does not notice invalid UTF-8 before the stream ends, and reads a long line again from its beginning with
//! every packet.

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Event {
    /// Its kind; empty if it has none.
    pub(crate) name: String,
    /// What it carries; several lines are joined by line feeds.
    pub(crate) data: String,
}

/// Bytes that are no UTF-8.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the event stream is no UTF-8 at byte {byte}")]
pub(super) struct NotText {
    /// Counted from 1.
    line: usize,
    /// Counted from 0 in the line.
    byte: usize,
}

/// Turns bytes into events, however they are cut. It holds no more than the event under way.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    line: Vec<u8>,
    lines: usize,
    /// A carriage return ended the last line: a line feed right behind it belongs to it.
    after_return: bool,
    event: Event,
    has_data: bool,
}

impl Decoder {
    /// Reads on, and adds what is complete to `events`.
    pub(super) fn push(&mut self, mut bytes: &[u8], events: &mut Vec<Event>) -> Result<(), NotText> {
        if self.after_return && !bytes.is_empty() {
            self.after_return = false;
            bytes = bytes.strip_prefix(b"\n").unwrap_or(bytes);
        }
        while let Some(end) = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            let (line, rest) = bytes.split_at(end);
            self.line.extend_from_slice(line);
            let line = std::mem::take(&mut self.line);
            self.read_line(&line, events)?;
            bytes = match rest {
                [b'\r', b'\n', rest @ ..] => rest,
                [b'\r'] => {
                    self.after_return = true;
                    &[]
                }
                rest => rest.get(1..).unwrap_or_default(),
            };
        }
        self.line.extend_from_slice(bytes);
        Ok(())
    }

    fn read_line(&mut self, line: &[u8], events: &mut Vec<Event>) -> Result<(), NotText> {
        self.lines += 1;
        let line = str::from_utf8(line).map_err(|error| NotText { line: self.lines, byte: error.valid_up_to() })?;
        let line = if self.lines == 1 { line.strip_prefix('\u{feff}').unwrap_or(line) } else { line };
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            if std::mem::take(&mut self.has_data) {
                events.push(event);
            }
            return Ok(());
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => self.event.name = value.to_owned(),
            "data" => {
                if self.has_data {
                    self.event.data.push('\n');
                }
                self.has_data = true;
                self.event.data.push_str(value);
            }
            _ => {} // a comment, or for those who reconnect
        }
        Ok(())
    }
}

/// Everything in `pieces`.
#[cfg(test)]
fn events_of<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<Event>, String> {
    let (mut decoder, mut events) = (Decoder::default(), Vec::new());
    for piece in pieces {
        decoder.push(piece, &mut events).map_err(|error| error.to_string())?;
    }
    Ok(events)
}

/// What a wire format reads from `pieces`, and what it tells on the way.
#[cfg(test)]
pub(crate) fn reply_of<'a, R: super::ReadReply + Default>(
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Result<(crate::model::draft::Draft, String), super::WireError> {
    let mut reader = R::default();
    let mut told = String::new();
    for event in events_of(pieces).map_err(super::WireError::Unreadable)? {
        let mut tell = |delta: crate::model::Delta<'_>| told.push_str(&format!("{delta:?}\n"));
        if reader.event(&event, &mut tell)?.is_break() {
            break;
        }
    }
    Ok((reader.finish()?, told))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn events(text: &str) -> Vec<(String, String)> {
        let events = events_of([text.as_bytes()]).unwrap();
        events.into_iter().map(|event| (event.name, event.data)).collect()
    }

    fn data(lines: &[&str]) -> Vec<(String, String)> {
        lines.iter().map(|data| (String::new(), (*data).to_owned())).collect()
    }

    #[test]
    fn events_are_read_as_the_standard_says() {
        assert_eq!(events("data: YHOO\ndata: +2\ndata: 10\n\n"), data(&["YHOO\n+2\n10"]));
        assert_eq!(events(": comment\n\ndata:a\nid: 1\n\ndata:  b\n\n"), data(&["a", " b"]));
        assert_eq!(events("data\n\ndata\ndata\n\ndata: never ended\n"), data(&["", "\n"]));
        assert_eq!(events("event: ping\n\n\n\ndata: x\r\n\r\ndata: y\r\rdata: z\n\n"), data(&["x", "y", "z"]));
        assert_eq!(events("event: add\ndata: 1\n\n"), [("add".to_owned(), "1".to_owned())]);
    }

    #[test]
    fn a_byte_order_mark_is_skipped_once() {
        assert_eq!(events("\u{feff}data: x\n\n"), data(&["x"]));
        assert_eq!(events("data: x\n\u{feff}data: y\n\n"), data(&["x"]));
    }

    #[test]
    fn bytes_that_are_no_text_are_found_where_they_are() {
        assert_eq!(
            events_of([b"data: x\n\ndata: \xffy\n".as_slice()]).unwrap_err(),
            "line 3 of the event stream is no UTF-8 at byte 6"
        );
    }

    proptest! {
        #[test]
        fn cuts_change_nothing(pieces in prop::collection::vec(
            prop_oneof![
                Just("data: "), Just("data"), Just("event:"), Just(":"), Just("\n"), Just("\r"), Just("\r\n"),
                Just("\u{feff}"), Just("é漢"), Just("x y"), Just("\n\n")
            ], 0..40), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8)
        ) {
            let text = pieces.concat();
            let bytes = text.as_bytes();
            let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let cut = cuts.windows(2).map(|ends| &bytes[ends[0]..ends[1]]);
            prop_assert_eq!(events_of(cut), events_of([bytes]));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = events_of(bytes.chunks(3));
        }
    }
}
