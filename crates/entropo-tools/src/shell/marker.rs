//! The sign by which a shell says that a command has ended, found in what it prints.

/// Finds `␞word number⏎` in pieces of output, and keeps it out of them.
pub(super) struct Marker {
    word: Vec<u8>,
    /// What may be the beginning of the sign.
    held: Vec<u8>,
}

/// Digits of an exit status, and the line's end.
const MAX_NUMBER: usize = 4;

impl Marker {
    /// A sign with this word, which nobody can guess.
    pub(super) fn new(word: &str) -> Self {
        Self { word: format!("\u{1e}{word} ").into_bytes(), held: Vec::new() }
    }

    /// Takes a piece: gives what is no sign to `text`, and the sign's number back.
    pub(super) fn look(&mut self, piece: &[u8], mut text: impl FnMut(&[u8])) -> Option<i32> {
        self.held.extend_from_slice(piece);
        let Some(start) = self.start() else {
            text(&std::mem::take(&mut self.held));
            return None;
        };
        let rest = self.held.split_off(start);
        text(&std::mem::replace(&mut self.held, rest));
        let number = self.held.strip_prefix(self.word.as_slice())?;
        let end = number.iter().position(|byte| *byte == b'\n')?;
        let (number, after) = number.split_at(end);
        let parsed = std::str::from_utf8(number).ok()?.parse().ok();
        text(after.split_first().map_or(&[], |(_, after)| after));
        self.held.clear();
        parsed
    }

    /// Where the sign begins, or what could yet become one.
    fn start(&self) -> Option<usize> {
        let longest = self.word.len() + MAX_NUMBER;
        let is_sign = |at: usize| {
            let (_, held) = self.held.split_at(at);
            let known = held.len().min(self.word.len());
            held.starts_with(self.word.split_at(known).0)
                && held.iter().skip(known).take_while(|byte| **byte != b'\n').all(u8::is_ascii_digit)
                && (held.len() < longest || held.iter().take(longest).any(|byte| *byte == b'\n'))
        };
        let mut begins = self.held.iter().enumerate().filter(|(_, byte)| **byte == 0x1e);
        begins.find_map(|(at, _)| is_sign(at).then_some(at))
    }

    /// What was held back and is no sign after all.
    pub(super) fn rest(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.held)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(pieces: &[&[u8]]) -> (Vec<u8>, Option<i32>) {
        let (mut marker, mut text, mut number) = (Marker::new("word"), Vec::new(), None);
        for piece in pieces {
            number = marker.look(piece, |more| text.extend_from_slice(more)).or(number);
        }
        text.extend(marker.rest());
        (text, number)
    }

    #[test]
    fn the_sign_is_found_and_left_out() {
        assert_eq!(found(&[b"out\x1eword 0\n"]), (b"out".to_vec(), Some(0)));
        assert_eq!(found(&[b"out\x1ewo", b"rd 12", b"7\nlater"]), (b"outlater".to_vec(), Some(127)));
        assert_eq!(found(&[b"\x1eword x\n"]), (b"\x1eword x\n".to_vec(), None));
        assert_eq!(found(&[b"a\x1e\x1eword 1\n"]), (b"a\x1e".to_vec(), Some(1)));
        assert_eq!(found(&[b"\x1eword 12345\n"]), (b"\x1eword 12345\n".to_vec(), None));
    }

    proptest! {
        #[test]
        fn text_comes_through_however_it_is_cut(
            text in prop::collection::vec(prop::sample::select(b"\x1eword 1\n".to_vec()), 0..40),
            cut in 0_usize..60,
        ) {
            let all = [text.as_slice(), b"\x1eword 5\n"].concat();
            let (before, after) = all.split_at(cut.min(all.len()));
            let whole = found(&[&all]);
            prop_assert_eq!(whole.1, Some(5));
            prop_assert_eq!(found(&[before, after]), whole);
        }
    }
}
