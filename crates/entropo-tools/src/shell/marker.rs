//! The sign by which a shell says that a command has ended, found in what it prints.
//!
//! The sign has a word that no program prints by chance. It is no secret: a command can find it out and print the sign
//! itself, by which it ends its own call with a status of its choice. So signs are numbered by command, and only that of the
//! command that is waited for counts; what one command forges does not touch the next.

/// Finds `␞word number status⏎` in pieces of output, and keeps it out of them.
pub(super) struct Marker {
    word: Vec<u8>,
    /// The command that is waited for.
    number: u32,
    /// What may be the beginning of the sign.
    held: Vec<u8>,
}

/// Digits of a command's number and of an exit status, and the space between.
const MAX_NUMBERS: usize = 14;

/// What some bytes are.
enum Sign {
    No,
    /// They could become one.
    Begun,
    Whole {
        length: usize,
        number: u32,
        status: u8,
    },
}

impl Marker {
    /// A sign with this word. Until told otherwise, it looks for that of command 0.
    pub(super) fn new(word: &str) -> Self {
        Self { word: format!("\u{1e}{word} ").into_bytes(), number: 0, held: Vec::new() }
    }

    /// From now on looks for the sign of this command.
    pub(super) fn expect(&mut self, number: u32) {
        self.number = number;
    }

    /// Takes a piece: gives what is no sign to `text`, and the status in the expected sign back. Signs of other commands are
    /// left out too.
    pub(super) fn look(&mut self, piece: &[u8], mut text: impl FnMut(&[u8])) -> Option<i32> {
        self.held.extend_from_slice(piece);
        let held = std::mem::take(&mut self.held);
        let (mut rest, mut found) = (held.as_slice(), None);
        while let Some((start, sign)) = self.first(rest) {
            let (before, after) = rest.split_at(start);
            text(before);
            let Sign::Whole { length, number, status } = sign else {
                self.held = after.to_vec();
                return found;
            };
            if number == self.number {
                found = found.or(Some(i32::from(status)));
            }
            rest = after.split_at(length).1;
        }
        text(rest);
        found
    }

    /// The first sign in these bytes, or what could yet become one, and where it begins.
    fn first(&self, bytes: &[u8]) -> Option<(usize, Sign)> {
        let begins = bytes.iter().enumerate().filter(|(_, byte)| **byte == 0x1e);
        let mut signs = begins.map(|(at, _)| (at, sign(&self.word, bytes.split_at(at).1)));
        signs.find(|(_, sign)| !matches!(sign, Sign::No))
    }

    /// What was held back and is no sign after all.
    pub(super) fn rest(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.held)
    }
}

/// Whether these bytes begin with a sign.
fn sign(word: &[u8], bytes: &[u8]) -> Sign {
    let Some(rest) = bytes.strip_prefix(word) else {
        return if word.starts_with(bytes) { Sign::Begun } else { Sign::No };
    };
    match rest.iter().take(MAX_NUMBERS + 1).position(|byte| *byte == b'\n') {
        Some(end) => numbers(rest.split_at(end).0).map_or(Sign::No, |(number, status)| Sign::Whole {
            length: word.len() + end + 1,
            number,
            status,
        }),
        None if rest.len() <= MAX_NUMBERS && rest.iter().all(|byte| byte.is_ascii_digit() || *byte == b' ') => {
            Sign::Begun
        }
        None => Sign::No,
    }
}

/// Reads `number status`.
fn numbers(text: &[u8]) -> Option<(u32, u8)> {
    let (number, status) = std::str::from_utf8(text).ok()?.split_once(' ')?;
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    (all_digits(number) && all_digits(status)).then_some(())?;
    Some((number.parse().ok()?, status.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What comes through, and the status of command 7.
    fn found(pieces: &[&[u8]]) -> (Vec<u8>, Option<i32>) {
        let (mut marker, mut text, mut status) = (Marker::new("word"), Vec::new(), None);
        marker.expect(7);
        for piece in pieces {
            status = marker.look(piece, |more| text.extend_from_slice(more)).or(status);
        }
        text.extend(marker.rest());
        (text, status)
    }

    #[test]
    fn the_sign_is_found_and_left_out() {
        assert_eq!(found(&[b"out\x1eword 7 0\n"]), (b"out".to_vec(), Some(0)));
        assert_eq!(found(&[b"out\x1ewo", b"rd 7 12", b"7\nlater"]), (b"outlater".to_vec(), Some(127)));
        assert_eq!(found(&[b"a\x1e\x1eword 7 1\n"]), (b"a\x1e".to_vec(), Some(1)));
        for no_sign in [&b"\x1eword x\n"[..], b"\x1eword 7 256\n", b"\x1eword 7\n", b"\x1eword 7 +1\n", b"\x1eword 7 1"]
        {
            assert_eq!(found(&[no_sign]), (no_sign.to_vec(), None));
        }
    }

    #[test]
    fn only_the_sign_of_the_command_that_is_waited_for_counts() {
        assert_eq!(found(&[b"a\x1eword 6 3\nb\x1eword 8 4\nc"]), (b"abc".to_vec(), None));
        assert_eq!(found(&[b"\x1eword 6 3\n\x1eword 7 0\n"]), (Vec::new(), Some(0)), "in one piece");
        assert_eq!(found(&[b"\x1eword 7 5\n\x1eword 7 0\n"]), (Vec::new(), Some(5)), "it ended its own call");
    }

    proptest! {
        #[test]
        fn text_comes_through_however_it_is_cut(
            text in prop::collection::vec(prop::sample::select(b"\x1eword 71\n".to_vec()), 0..40),
            cut in 0_usize..60,
        ) {
            let all = [text.as_slice(), b"\x1eword 7 5\n"].concat();
            let (before, after) = all.split_at(cut.min(all.len()));
            let whole = found(&[&all]);
            prop_assert!(whole.1.is_some());
            prop_assert_eq!(found(&[before, after]), whole);
        }
    }
}
