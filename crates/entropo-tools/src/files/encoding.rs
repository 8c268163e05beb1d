//! Which text a file's bytes mean, and the way back to the very same bytes.
//!
//! A guess of the encoding can be wrong. It is only trusted if encoding the text again gives every byte of the file, so
//! that what an edit does not touch cannot change, whatever the guess was.

use std::borrow::Cow;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

/// How a file's text is written as bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Encoding {
    charset: &'static encoding_rs::Encoding,
    /// Whether the bytes begin with a byte order mark, which is no part of the text.
    mark: bool,
}

impl Encoding {
    /// UTF-8 without a mark, as new files have it.
    pub(crate) const UTF_8: Self = Self { charset: UTF_8, mark: false };

    /// The text of `bytes` and how it was written, or why it is none.
    pub(crate) fn decode(bytes: &[u8]) -> Result<(Cow<'_, str>, Self), &'static str> {
        if let Some((charset, length)) = encoding_rs::Encoding::for_bom(bytes) {
            let (_, rest) = bytes.split_at(length);
            let encoding = Self { charset, mark: true };
            let text = charset.decode_without_bom_handling_and_without_replacement(rest);
            let text = text.ok_or("its byte order mark does not fit the bytes after it")?.into_owned();
            // UTF-32 begins with the mark of UTF-16 too.
            let text = if is_binary(text.as_bytes()) { Err(BINARY) } else { encoding.proven(text, bytes) };
            return text.map(|text| (Cow::Owned(text), encoding));
        }
        if is_binary(bytes) {
            return Err(BINARY);
        }
        if let Ok(text) = str::from_utf8(bytes) {
            return Ok((Cow::Borrowed(text), Self::UTF_8));
        }
        let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
        detector.feed(bytes, true);
        // Windows-1252 is Latin-1 with more letters, and gives each of the 256 bytes back.
        for charset in [detector.guess(None, Utf8Detection::Deny), WINDOWS_1252] {
            let encoding = Self { charset, mark: false };
            let text = charset.decode_without_bom_handling_and_without_replacement(bytes);
            if let Some(Ok(text)) = text.map(|text| encoding.proven(text.into_owned(), bytes)) {
                return Ok((Cow::Owned(text), encoding));
            }
        }
        Err("its encoding is unknown")
    }

    fn proven(self, text: String, bytes: &[u8]) -> Result<String, &'static str> {
        match self.encode(&text) {
            Ok(again) if again == bytes => Ok(text),
            _ => Err("its bytes would not survive being read and written"),
        }
    }

    /// The bytes of a file whose text was changed to this, or why there can be none.
    pub(crate) fn write(self, text: String) -> Result<Vec<u8>, String> {
        if is_binary(text.as_bytes()) {
            let control = text.chars().find(|&letter| u8::try_from(letter).is_ok_and(is_control)).unwrap_or_default();
            return Err(format!("a text cannot have the character {control:?}"));
        }
        if self == Self::UTF_8 { Ok(text.into_bytes()) } else { self.encode(&text) }
    }

    /// The bytes of `text`, or why this encoding cannot write it.
    fn encode(self, text: &str) -> Result<Vec<u8>, String> {
        let mut bytes = Vec::with_capacity(text.len());
        if self.mark {
            bytes.extend(self.units("\u{feff}")?.iter());
        }
        bytes.extend_from_slice(&self.units(text)?);
        Ok(bytes)
    }

    fn units(self, text: &str) -> Result<Cow<'_, [u8]>, String> {
        // encoding_rs writes no UTF-16, as the web does not.
        if self.charset == UTF_16LE {
            return Ok(text.encode_utf16().flat_map(u16::to_le_bytes).collect());
        }
        if self.charset == UTF_16BE {
            return Ok(text.encode_utf16().flat_map(u16::to_be_bytes).collect());
        }
        let (bytes, _, unmappable) = self.charset.encode(text);
        if !unmappable {
            return Ok(bytes);
        }
        let missing = text.chars().find(|letter| self.charset.encode(letter.encode_utf8(&mut [0; 4])).2);
        let missing = missing.map(String::from).unwrap_or_default();
        Err(format!("it is written in {}, which has no {missing:?}", self.charset.name()))
    }
}

const BINARY: &str = "it is binary";
/// Bytes that are looked at together.
const LOOKED_AT: usize = 4096;

/// Whether there are control characters that no text has.
fn is_binary(bytes: &[u8]) -> bool {
    // Without an early end within a chunk, many bytes are looked at at once.
    bytes.chunks(LOOKED_AT).any(|chunk| chunk.iter().fold(false, |found, &byte| found | is_control(byte)))
}

fn is_control(byte: u8) -> bool {
    // All below 32 but bell, backspace, tab, the ends of lines and pages, and escape; without branches or shifts, so that
    // many bytes are compared at once on every processor.
    (byte < 7) | (byte.wrapping_sub(0x0e) < 0x0d) | (byte.wrapping_sub(0x1c) < 4)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn utf16(text: &str, unit: fn(u16) -> [u8; 2]) -> Vec<u8> {
        "\u{feff}".encode_utf16().chain(text.encode_utf16()).flat_map(unit).collect()
    }

    #[test]
    fn the_usual_encodings_are_read_and_written() {
        let text = "naïve — 🦀\r\n";
        for bytes in [
            text.as_bytes().to_vec(),
            ["\u{feff}", text].concat().into_bytes(),
            utf16(text, u16::to_le_bytes),
            utf16(text, u16::to_be_bytes),
        ] {
            let (decoded, encoding) = Encoding::decode(&bytes).unwrap();
            assert_eq!(decoded, text);
            assert_eq!(encoding.write(decoded.clone().into_owned()).unwrap(), bytes);
        }
        let (decoded, encoding) = Encoding::decode(b"un caf\xe9 cr\xe8me\n").unwrap();
        assert_eq!(decoded, "un café crème\n");
        assert_eq!(encoding.write("thé".to_owned()).unwrap(), b"th\xe9");
        assert_eq!(encoding.write("a✓".to_owned()).unwrap_err(), "it is written in windows-1252, which has no \"✓\"");
    }

    #[test]
    fn no_text_becomes_binary() {
        let refusal = Encoding::UTF_8.write("a\0b".to_owned()).unwrap_err();
        assert_eq!(refusal, "a text cannot have the character '\\0'");
        let kept: Vec<u8> = (0..=0x7f).filter(|&byte| !is_control(byte)).take(8).collect();
        assert_eq!(kept, [7, 8, 9, 10, 11, 12, 13, 0x1b]);
    }

    #[test]
    fn what_is_no_text_is_refused() {
        for bytes in [&b"\x7fELF\x02\x01"[..], b"a\0b", b"\xff\xfe\0\0a\0\0\0", b"\xff\xfea\0\0\xd8", b"\xff\xfeab\n"] {
            assert!(Encoding::decode(bytes).is_err(), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_read_is_written_back(bytes in prop::collection::vec(7u8.., 0..200), mark in 0..4usize) {
            let marks = [&b""[..], b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff"];
            let bytes = [marks[mark], &bytes].concat();
            if let Ok((text, encoding)) = Encoding::decode(&bytes) {
                let written = encoding.write(text.into_owned()).unwrap();
                prop_assert_eq!(written, bytes);
            }
        }
    }
}
